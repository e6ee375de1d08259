"""Servers that fail, and rows with values that JSON does not have: what is found counts, and nothing is a traceback."""

from __future__ import annotations

import datetime as dt
import json
import math
import socket
import threading
from collections.abc import Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from bessemer.api.attacking import Asking, attack
from bessemer.core.errors import ProjectError, UsageError
from bessemer.core.redaction import hidden
from bessemer.core.signature import Field
from bessemer.package.remote.client import Client, Door
from bessemer.package.remote.dialects import DIALECTS, plain
from bessemer.package.remote.purse import Purse, SpentError

NUMBER = [Field("a", "number", "float32")]
SEARCH = {"query_search": {"budgets": [1.0], "questions": 30}}


class Linear(BaseHTTPRequestHandler):
    """yes where a is above 0, with a probability. statuses: what it says before that, 0 hangs up. good: after so many
    requests it says 500."""

    asked: ClassVar[list[Any]] = []
    statuses: ClassVar[list[int]] = []
    good: ClassVar[float] = math.inf

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])), parse_constant=_refused)
        self.asked.append(body)
        status = self.statuses.pop(0) if self.statuses else 200 if len(self.asked) <= self.good else 500
        if status == 0:
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        text = json.dumps({"predictions": [_said(row) for row in body["rows"]]}).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *args: object) -> None:
        pass


def _refused(name: str) -> Any:
    raise ValueError(name)


def _said(row: Any) -> Any:
    yes = 1 / (1 + math.exp(-(row["a"] or 0.0)))
    return {"prediction": "yes" if yes >= 0.5 else "no", "probability": {"no": 1 - yes, "yes": yes}}


@pytest.fixture
def server() -> Iterator[str]:
    Linear.asked, Linear.statuses, Linear.good = [], [], math.inf
    with ThreadingHTTPServer(("127.0.0.1", 0), Linear) as running:
        running.handle_error = lambda *_: None  # type: ignore[method-assign]
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}/predict"
        running.shutdown()


@pytest.fixture
def data(tmp_path: Path) -> str:
    """120 rows that the server answers rightly, with a moment each, and some numbers that are none."""
    rng = np.random.default_rng(0)
    lines = ["a,b,at,y"]
    for i, a in enumerate(rng.normal(size=120)):
        b = "" if i % 7 == 0 else f"{rng.normal():.3f}"
        lines.append(
            f"{a:.3f},{b},2026-01-{1 + i % 28:02} 10:00:00,{'yes' if float(f'{a:.3f}') >= 0 else 'no'}"
        )
    (tmp_path / "rows.csv").write_text("\n".join(lines))
    return str(tmp_path / "rows.csv")


@pytest.mark.parametrize("statuses", [[502, 504, 503], [200, 0, 502]])
def test_what_passes_is_asked_again_and_paid_again(server: str, statuses: list[int]) -> None:
    Linear.statuses = list(statuses)
    slept: list[float] = []
    client = Client(server, NUMBER, Door(), sleep=slept.append)
    rows = [{"a": 1.0}] * 4
    if statuses[0] == 200:
        client.ask(rows)
    assert [one["prediction"] for one in client.ask(rows)] == ["yes"] * 4
    assert slept == [2.0**i for i in range(len(slept))]
    assert len(slept) == sum(status != 200 for status in statuses)
    assert client.purse.asked == 4 * len(Linear.asked)


def test_asking_again_keeps_to_what_may_be_asked(server: str) -> None:
    Linear.statuses = [503] * 9
    with pytest.raises(SpentError, match="8 of 10"):
        Client(server, NUMBER, Door(), Purse(10), sleep=lambda seconds: None).ask([{"a": 1.0}] * 4)
    assert len(Linear.asked) == 2


def test_an_address_that_never_answered_is_not_waited_for() -> None:
    slept: list[float] = []
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/predict"
        with pytest.raises(UsageError, match="gives no answer"):
            Client(url, NUMBER, Door(), sleep=slept.append).ask([{"a": 1.0}])
    assert slept == []


def test_a_key_in_an_address_or_a_header_is_not_shown(server: str) -> None:
    Linear.statuses = [403]
    door = Door(key="open-sesame-1", headers={"x-api-key": "open-sesame-2", "accept": "application/json"})
    with pytest.raises(UsageError) as refused:
        Client(f"{server}?key=open-sesame-3", NUMBER, door).ask([{"a": 1.0}])
    assert "open-sesame-3" not in str(refused.value)
    assert "/predict?***" in str(refused.value)
    assert hidden("open-sesame-1, open-sesame-2") == "***, ***"
    assert hidden("application/json") == "application/json"


def test_values_are_sent_as_servers_take_them() -> None:
    moment = dt.datetime(2026, 1, 2, 3, 4, 5, 600)
    there = dt.datetime(2026, 1, 2, 5, 4, 5, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    assert [
        plain(one) for one in (moment, there, dt.date(2026, 1, 2), np.datetime64("2026-01-02", "ns"))
    ] == [
        "2026-01-02T03:04:05.000600Z",
        "2026-01-02T03:04:05Z",
        "2026-01-02",
        "2026-01-02T00:00:00Z",
    ]
    assert [plain(one) for one in (math.nan, -math.inf, np.float32("inf"), np.datetime64("NaT"), None)] == [
        None
    ] * 5
    assert [plain(one) for one in (2**53 + 1, True, "", np.int64(3), Decimal("0.5"), [math.nan])] == [
        *(2**53 + 1, True, "", 3, 0.5, [None])
    ]


def test_tensors_have_no_number_that_json_has_not() -> None:
    fields = [*NUMBER, Field("at", "timestamp", "int64")]
    body = DIALECTS["v2"].body([{"a": 1e300, "at": plain(dt.datetime(1970, 1, 1, 0, 0, 1))}], fields)
    assert [one["data"] for one in body["inputs"]] == [[None], [1_000_000]]


@pytest.mark.slow
def test_rows_with_moments_are_sent(server: str, data: str) -> None:
    found = attack(server, data, "y", attacks=[SEARCH], rows=4, asking=Asking(per_second=None))
    assert found["attacks"]["query_search"]["rows"] == 4
    assert {row["at"][10:] for body in Linear.asked for row in body["rows"]} == {"T10:00:00Z"}


@pytest.mark.slow
def test_what_was_found_before_the_server_went_counts(server: str, data: str) -> None:
    told: list[tuple[str, Any]] = []
    Linear.good = 40
    given: dict[str, Any] = {"rows": 20, "emit": lambda kind, what: told.append((kind, what))}
    found = attack(server, data, "y", attacks=[SEARCH], asking=Asking(per_second=None), **given)
    searched = found["attacks"]["query_search"]
    assert 0 < searched["rows"] < 20
    assert any("refuses to answer: 500" in note and "of 20 rows" in note for note in searched["notes"])
    assert any(kind == "warning" and "ends early" in what["text"] for kind, what in told)


@pytest.mark.slow
def test_too_few_questions_for_a_row_are_told_before(server: str, data: str) -> None:
    told: list[str] = []
    attack(
        *(server, data, "y"),
        attacks=[SEARCH],
        rows=2,
        asking=Asking(questions=25, per_second=None),
        emit=lambda kind, what: told.append(what["text"]) if kind == "warning" else None,
    )
    assert any("may ask 24 questions, and one row may take 30" in text for text in told)


@pytest.mark.parametrize(
    ("constraints", "why"),
    [({"aa": "immutable"}, "no column 'aa'"), ({"at": {"min": 3}}, "'at' is no number")],
)
def test_constraints_that_say_nothing_are_refused(server: str, data: str, constraints: Any, why: str) -> None:
    with pytest.raises(ProjectError, match=why):
        attack(server, data, "y", attacks=[SEARCH], constraints=constraints)
    assert Linear.asked == []


@pytest.mark.slow
def test_an_attack_that_would_break_the_constraints_is_left_out(server: str, data: str) -> None:
    walk = {"hop_skip_jump": {"steps": 1, "most_questions": 30, "budgets": [1.0]}}
    given: dict[str, Any] = {"rows": 3, "asking": Asking(per_second=None), "attacks": [SEARCH, walk]}
    found = attack(server, data, "y", constraints={"a": {"increase_only": True}}, **given)["attacks"]
    assert "constraints of 'a'" in found["hop_skip_jump"]["refused"]
    assert found["query_search"]["rows"] == 3
    kept = attack(server, data, "y", constraints={"b": "immutable"}, **given)["attacks"]["hop_skip_jump"]
    assert kept["rows"] == 3, "a column that is immutable is not among what it moves"
