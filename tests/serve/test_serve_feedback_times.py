"""When labels came is for the server to say: whatever time a client gives one, it is seen, and loses to later ones."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bessemer.package.prediction_log.read import labelled_between, labels_given, read_labels, read_log
from bessemer.serve.app import App, House
from bessemer.serve.feedback import Feedback
from bessemer.serve.guards.guard import Guard
from bessemer.serve.guards.spec import AccessSpec
from bessemer.serve.log.entry import Entry
from bessemer.serve.log.prediction_log import PredictionLog
from bessemer.serve.log.spec import LogSpec
from bessemer.serve.repository import Repository, make_lane
from bessemer.serve.services import Logged, identities
from bessemer.serve.spec import ServeSpec
from bessemer.serve.wire import Batch, Request, Response
from bessemer.testing.models import tiny_model

ROW = {"tenure": 8, "monthly charges": 70.5, "autopay": True, "contract": "One year", "désactivé": None}
HOUR = 3600.0


class Served:
    """A server's parts without its sockets, which take labels of what is in the log."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = PredictionLog(LogSpec(folder=str(folder)))
        spec, logged = ServeSpec(), Logged(self.log)
        self.name, self.lane = identities(), make_lane(tiny_model("binary"), spec)
        logged.added(self.lane)
        repository = Repository(spec, [self.lane])
        repository.keep = logged.keep
        self.app = App(repository, House(Guard(AccessSpec()), own=(Feedback(repository),)))

    def post(self, path: str, body: Any) -> Response:
        headers = {"content-type": "application/json"}
        return self.app.handle(Request("POST", path, {}, headers, json.dumps(body).encode()))

    def predict(self) -> str:
        """An answer as it stands in the log; gives its id."""
        name, rows = self.name(""), [tuple(ROW.values())]
        said = self.lane.predictor.predict(Batch(1, rows)).outputs
        self.log.take(Entry("tiny", "1", [name], rows, None, said, time.time(), [0.001], ["shop"], ["plain"]))
        return name

    def label(self, name: str, label: str, **more: Any) -> Response:
        return self.post("/feedback", {"labels": [{"prediction_id": name, "label": label, **more}]})

    def last(self, name: str) -> Any:
        rows = read_log(self.folder, "tiny").read_all().to_pylist()
        return next(row["label"] for row in rows if row["prediction_id"] == name)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    found = Served(tmp_path / "log")
    yield found
    found.log.close(wait=0)


def seen(served: Served) -> list[str]:
    """The labels that whoever watches the last hour sees."""
    now = time.time()
    batches = list(labels_given(served.folder, "tiny", "1", now - HOUR, now + HOUR, ["prediction_id"]))
    return pa.Table.from_batches(batches).column("label").to_pylist() if batches else []


def test_a_label_from_an_hour_that_was_watched_is_seen_now(served: Served) -> None:
    name, now = served.predict(), time.time()
    assert served.label(name, "yes", time=now - 90 * 86_400).status == 200
    assert seen(served) == ["yes"]
    assert len(labelled_between(served.folder, "tiny", now - HOUR, now + HOUR).read_all()) == 1
    assert read_labels(served.folder, "tiny", now - HOUR, now + HOUR)[0] == 1
    assert read_labels(served.folder, "tiny", 0.0, now - HOUR)[0] == 0


def test_no_label_beats_those_that_come_later(served: Served) -> None:
    name = served.predict()
    assert served.label(name, "yes", time=time.time() + 30).status == 200, "clocks differ by a little"
    assert served.label(name, "no").status == 200
    assert served.last(name) == "no"
    assert served.label(name, "yes", time=time.time() - 3600).status == 200
    assert served.last(name) == "no", "what was known earlier counts less"


@pytest.mark.parametrize("moment", [4_102_444_800.0, 1e18, -1.0, 1e300])
def test_a_time_to_come_is_refused(served: Served, moment: float) -> None:
    answer = served.label(served.predict(), "yes", time=moment)
    assert answer.status == 400
    assert b"in the future" in bytes(answer.body) or b"before 1970" in bytes(answer.body)
    assert seen(served) == []


@pytest.mark.slow
def test_labels_that_were_written_before_say_their_time(served: Served, tmp_path: Path) -> None:
    """A log of an earlier version has no column of arrivals."""
    name = served.predict()
    served.label(name, "yes")
    served.log.close()
    (part,) = (tmp_path / "log").glob("tiny/_labels/*/*.parquet")
    table = pq.read_table(part)
    assert table.column("arrived").null_count == 0
    pq.write_table(table.drop_columns(["arrived"]), part)
    assert seen(served) == ["yes"]
    assert served.last(name) == "yes"


def test_nobody_can_tell_the_ids_of_others() -> None:
    name = identities()
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.extend(name("") for _ in range(2000))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 8000
    assert {len(each) for each in found} == {24}
    for at in range(24):  # no digit is the same for all, nor counts up
        assert len({each[at] for each in found}) == 16
    assert name("mine") == "mine"
