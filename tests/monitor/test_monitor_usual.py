"""The usual watchers together, on a log that the server's own writer wrote; and what is shown of it later."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from log_support import Server, at, watching

from bessemer.cli import group
from bessemer.core.errors import UsageError
from bessemer.monitor.plugins import USUAL_WATCHERS
from bessemer.monitor.store import MonitorStore
from bessemer.monitor.watch import carried
from bessemer.monitor.watching.logged import read_window
from bessemer.testing.models import tiny_signature

OURS = ("volume", "staleness", "duplicates", "nan", "skew", "age")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    one = Server(tmp_path / "log")
    yield one
    one.log.close()


def findings(window: Any) -> set[str]:
    return {row["detector"] for row in window.check["findings"]}


@pytest.mark.slow
def test_the_usual_watchers_on_a_log(server: Server, package: Path, tmp_path: Path) -> None:
    """30 quiet hours, an hour with a quarter of the rows, one whose answers are another model's, then nothing."""
    assert set(OURS) <= set(USUAL_WATCHERS)
    rng = np.random.default_rng(0)
    for hour in range(30):
        server.answer(hour + 0.5, int(400 + rng.integers(-40, 40)), hour)
    server.answer(30.5, 80, 31)
    server._model = _other("binary")
    server.answer(31.5, 400, 32)
    watch = watching(tmp_path, package, rows=50, again=[])
    windows = list(watch.tick(at(60)))
    quiet, few, other, empty = windows[:30], windows[30], windows[31], windows[32]
    assert [findings(w) for w in quiet] == [set()] * 30, [w.check["findings"] for w in quiet]
    assert set(OURS) <= set(quiet[0].check["figures"])
    assert quiet[5].check["figures"]["skew"]["same"] == quiet[5].rows
    assert "volume" in findings(few)
    assert "skew" in findings(other)
    assert (empty.rows, empty.start, empty.end) == (0, other.end, at(56).isoformat(timespec="microseconds"))
    assert {"volume", "staleness"} <= findings(empty)
    assert empty.check["performance"] is None
    assert len(windows) == 33, "the next is not whole yet"
    assert list(watching(tmp_path, package, rows=50, again=[]).tick(at(60))) == []


def _other(task: Any) -> Any:
    """The tiny model with its classes turned: what a wrong deployment would answer."""
    from bessemer.testing.models import tiny_model

    model = tiny_model(task)

    class Turned:
        @property
        def session(self) -> Any:
            return self

        def run(self, data: Any, names: Any) -> Any:
            made = model.session.run(data, names)
            return {**made, "probability": made["probability"][:, ::-1].copy()}

    return Turned()


@pytest.mark.slow
def test_what_was_found_once_is_kept_when_labels_come(server: Server, package: Path, tmp_path: Path) -> None:
    ids = server.answer(0.5, 300, 1)
    server.answer(0.5, 3, 2)  # three ids that were there before
    watch = watching(tmp_path, package, silence=None)
    (first,) = watch.tick(at(1))
    assert findings(first) == {"duplicates"}
    server.label(2, ids, 1, flipped=0.0)
    (again,) = watch.tick(at(26))
    assert again.looks == 2
    assert again.check["performance"]["labelled"] >= 300
    assert findings(again) == {"duplicates"}
    assert again.check["figures"]["duplicates"] == first.check["figures"]["duplicates"]
    assert again.check["service"]["prediction_id"] == first.check["service"]["prediction_id"]
    assert again.check["alarm"]


def test_carrying_over_leaves_out_what_was_asked_again() -> None:
    def check(tested: dict[str, Any], found: list[str]) -> dict[str, Any]:
        rows = [{"detector": name, "column": "x", "of": "output"} for name in found]
        empty: dict[str, Any] = {"columns": {}, "clients": {}, "service": {}}
        return {**empty, "outputs": {"x": tested}, "findings": rows, "figures": {}, "alarm": bool(found)}

    before, now = check({"a": 1, "b": 2}, ["a", "b"]), check({"a": 3}, [])
    both = carried(now, before)
    assert both["outputs"] == {"x": {"a": 3, "b": 2}}
    assert [row["detector"] for row in both["findings"]] == ["b"]
    assert both["alarm"]
    assert not carried(check({"a": 3, "b": 4}, []), before)["alarm"]


@pytest.mark.slow
def test_rows_that_are_gone_from_the_log_were_looked_at(
    server: Server, package: Path, tmp_path: Path
) -> None:
    server.label(0.7, server.answer(0.5, 300, 1, tenure=np.full(300, 70)), 1, flipped=0.0)
    watch = watching(tmp_path, package, silence=None)
    (first,) = watch.tick(at(1))
    assert first.check["alarm"]
    server.log.close()
    shutil.rmtree(tmp_path / "log")
    (tmp_path / "log").mkdir()
    (again,) = watch.tick(at(26))
    assert (again.looks, again.rows) == (2, 300)
    assert again.check == first.check


def test_a_wrong_name_in_the_settings_of_a_watcher_is_told_at_the_start(
    server: Server, package: Path, tmp_path: Path
) -> None:
    wrong = [
        ({"slices": {"columns": ["tenur"]}}, "slices: columns: the package has no groups of 'tenur'"),
        ({"fairness": {"groups": ["contrac"]}}, "fairness: groups: the package has no groups of 'contrac'"),
        ({"staleness": {"inputs": {"tenure": "2d"}}}, "'tenure' is no input that is a time"),
    ]
    for watchers, told in wrong:
        with pytest.raises(UsageError, match=told) as raised:
            watching(tmp_path, package, watchers=watchers)
        assert raised.value.fix


@pytest.mark.slow
def test_texts_that_are_hashed_say_nothing(tmp_path: Path) -> None:
    key = tmp_path / "log.key"
    key.write_bytes(bytes(range(32)))
    server = Server(tmp_path / "log", columns={"hash": ["contract"], "key": str(key)})
    server.answer(0.5, 50, 3)
    server.log.close()
    span = (at(0), at(1))
    window = read_window(
        tmp_path / "log", "tiny", "1.0.0", tiny_signature("binary"), *span, tmp_path / "w.parquet"
    )
    assert window.inputs == ("tenure", "monthly charges", "autopay", "désactivé")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rows", "wanted"),
    [
        ({0.5: 300, 3.5: 300}, [(0, 1), (1, 4), (4, 10)]),
        ({0.5: 300, 9.5: 300}, [(0, 1), (1, 7), (7, 10)]),
        ({0.5: 100, 9.5: 100}, [(0, 3), (3, 9)]),
        ({0.5: 300}, [(0, 1), (1, 10)]),
    ],
)
def test_a_window_ends_in_silence(
    server: Server, package: Path, tmp_path: Path, rows: dict[float, int], wanted: list[tuple[int, int]]
) -> None:
    for hour, n in rows.items():
        server.answer(hour, n, int(hour))
    watch = watching(tmp_path, package, silence="3h", watchers=[], again=[])
    found = [(w.start, w.end) for w in watch.tick(at(11))]
    assert found == [tuple(at(h).isoformat(timespec="microseconds") for h in pair) for pair in wanted]
    assert list(watch.tick(at(11))) == []


@pytest.mark.slow
def test_show(server: Server, package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = server.answer(0.5, 300, 1)
    server.answer(1.5, 300, 2, tenure=np.full(300, 70))
    server.label(0.7, ids, 1, flipped=0.0)
    monkeypatch.chdir(tmp_path)
    missing = CliRunner().invoke(group, ["monitor", "show", str(package)])
    assert "no windows are kept" in str(missing.exception)
    list(watching(tmp_path, package).tick(at(2)))
    words = ["monitor", "show", str(package), "--store", "monitor.db"]
    shown = CliRunner().invoke(group, words, env={"COLUMNS": "80"})
    assert shown.exception is None, shown.output
    head, first, second, *found = shown.output.splitlines()
    assert head.split() == ["window", "rows", "labels", "metric", "measured", "estimated"]
    assert first.startswith("2026-03-01T00:00 - 01:00")
    assert "100%" in first
    assert second.startswith("2026-03-01T01:00 - 02:00")
    assert any(line.startswith("  ! tenure (chi_square") for line in found), found
    as_json = json.loads(CliRunner().invoke(group, [*words, "--json"]).output)
    assert (as_json["model"], as_json["version"]) == ("tiny", "1.0.0")
    kept = MonitorStore(tmp_path / "monitor.db").windows("tiny")
    assert [w["alarm"] for w in as_json["windows"]] == [w.check["alarm"] for w in kept] == [False, True]
    since = CliRunner().invoke(group, [*words, "--json", "--since", "2026-03-01T01:00"])
    assert [w["rows"] for w in json.loads(since.output)["windows"]] == [300]
    assert "is no time" in str(CliRunner().invoke(group, [*words, "--since", "yesterday"]).exception)
    other = CliRunner().invoke(group, [*words, "--model", "another"])
    assert "nothing is kept of another 1.0.0" in other.output


@pytest.mark.slow
def test_a_log_without_scores_has_no_drift_of_scores(server: Server, package: Path, tmp_path: Path) -> None:
    """As a server's log is, where those who ask take no scores."""
    whole = server._model

    class Scoreless:
        @property
        def session(self) -> Any:
            return self

        def run(self, data: Any, names: Any) -> Any:
            made = whole.session.run(data, names)
            return {name: made[name] for name in names if name != "score"}

    server._model = Scoreless()
    server.answer(0.5, 500, 3)
    (window,) = watching(tmp_path, package, silence=None).tick(at(1))
    assert not window.check["alarm"], window.check["findings"]
    assert {"prediction", "probability"} <= set(window.check["outputs"])
    assert "score" not in window.check["outputs"]
