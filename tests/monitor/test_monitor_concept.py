"""Concept drift in a real prediction log: the order of labels, the chart, the detectors of river, and what changed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from log_support import Server, at, watching
from package_support import given, labels
from pydantic import ValidationError

import bessemer
from bessemer.core.errors import UsageError
from bessemer.core.plugin_settings import opened
from bessemer.monitor.plugins import WATCHERS
from bessemer.monitor.reference import Reference
from bessemer.monitor.spec import MonitorSpec
from bessemer.monitor.watchers import error_stream
from bessemer.monitor.watchers.error_stream import Tail
from bessemer.monitor.watching.importance import importances
from bessemer.monitor.watching.logged import read_window
from bessemer.monitor.watching.watched import Said, Watched
from bessemer.package.prediction_log.read import labelled_between
from bessemer.testing.models import INPUTS, tiny_model

RIVER = ("adwin", "ddm", "hddm", "page_hinkley")


def at_utc(hours: float) -> dt.datetime:
    return at(hours).replace(tzinfo=dt.UTC)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    one = Server(tmp_path / "log")
    yield one
    one.log.close()


# the log by the time of labels ------------------------------------------------------------------------


@pytest.mark.slow
def test_labels_stream_in_the_order_in_which_they_came(server: Server, tmp_path: Path) -> None:
    early, late = server.answer(0.5, 30, 1), server.answer(30.5, 30, 2)
    server.tell(31, late[:20], [0] * 20)
    server.tell(40, early[:10], [1] * 10)
    server.tell(40.5, late[20:25], [1] * 5)
    server.tell(41, late[:10], [1] * 10)  # corrections do not bring a row again
    folder = tmp_path / "log"

    def ids(since: float, until: float) -> list[str]:
        found = labelled_between(folder, "tiny", at_utc(since), at_utc(until), version="1.0.0")
        return found.read_all().column("prediction_id").to_pylist()

    assert ids(0, 31) == []
    assert ids(0, 60) == late[:20] + early[:10] + late[20:25]
    assert ids(31, 40) == late[:20]
    assert ids(40, 41) == early[:10] + late[20:25], "predicted the day before, and just now"
    assert ids(41, 60) == []
    columns = ["out.prediction", "label", "label_time"]
    whole = labelled_between(folder, "tiny", at_utc(0), at_utc(60), columns=columns).read_all()
    assert whole.column_names == columns
    assert whole.column("label").to_pylist() == ["no"] * 20 + ["yes"] * 15
    server.log.close()  # what was in journals is in Parquet now
    assert ids(0, 60) == late[:20] + early[:10] + late[20:25]
    assert ids(41, 60) == []
    with pytest.raises(UsageError, match="no version '9'"):
        labelled_between(folder, "tiny", at_utc(0), at_utc(60), version="9")


# the chart -----------------------------------------------------------------------------------------------


def stream(
    server: Server, hours: int, rows: int, *, flipped: Any, task: Any = "binary", first: int = 0
) -> None:
    """Rows each hour whose labels come in the next one; flipped: the share of other labels by hour."""
    for hour in range(first, first + hours):
        data = given(rows, 1000 + hour)
        ids = server.say(hour + 0.1, data)
        server.tell(hour + 0.5, ids, labels(data, task, 2000 + hour, flipped=flipped(hour)))


def by(found: Any, name: str) -> list[dict[str, Any]]:
    return [row for row in found.check["findings"] if row["detector"] == name]


@pytest.mark.slow
def test_the_chart_finds_other_labels_says_since_when_and_begins_anew(
    server: Server, package: Path, tmp_path: Path
) -> None:
    stream(server, 9, 400, flipped=lambda hour: 0.2 if hour >= 5 else 0.0)
    windows = list(
        watching(
            tmp_path, package, watchers=["cusum"], detectors=["schema"], false_alarms="1 per month"
        ).tick(at(9))
    )
    found = [i for i, window in enumerate(windows) if by(window, "cusum")]
    assert found
    assert found[0] in (5, 6)
    (finding,) = by(windows[found[0]], "cusum")
    assert (finding["column"], finding["of"], finding["kind"]) == ("error", "output", "concept")
    assert finding["value"] > finding["threshold"] > 0
    assert f"since {at(5).date()}T0" in finding["text"]
    figures = windows[found[0]].check["figures"]["cusum"]
    assert at(4).isoformat() < figures["since"] <= at(6).isoformat()
    assert figures["rate_since"]["low"] > figures["reference"]
    after = windows[found[0] + 1].check["figures"]["cusum"]
    assert after["since"] > windows[found[0]].end[:19], "it began anew after the alarm"


@pytest.mark.slow
def test_nothing_is_found_while_nothing_changes(server: Server, package: Path, tmp_path: Path) -> None:
    stream(server, 10, 600, flipped=lambda hour: 0.0)
    asked = ["cusum", "relation", *RIVER]
    windows = list(
        watching(tmp_path, package, watchers=asked, detectors=["schema"], false_alarms="1 per month").tick(
            at(10)
        )
    )
    assert len(windows) == 10
    for name in asked:
        assert not any(by(window, name) for window in windows), name
    assert all(window.check["figures"]["cusum"]["labels"] == 600 for window in windows)


def watched(folder: Path, package: Path, start: float, end: float, memory: Any, **more: Any) -> Watched:
    model = bessemer.load(package)
    path = folder / "window.parquet"
    window = read_window(folder / "log", "tiny", "1.0.0", model.signature, at(start), at(end), path)
    reference = Reference(dict(model.reference, **more))
    rng = np.random.default_rng(0)
    return Watched(model, reference, "tiny", window, folder / "log", at(end), 1, memory, 0.001, rng)


def watch(name: str, settings: dict[str, Any], seen: Watched) -> Said:
    return opened({name: settings}, WATCHERS)[name].watch(seen)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cusum", "relation", *RIVER])
def test_a_stream_cut_into_windows_ends_as_the_whole_does(
    name: str, server: Server, package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(error_stream, "MOST", 512)  # the tail is cut, too
    stream(server, 4, 180, flipped=lambda hour: 0.4 if hour >= 2 else 0.0)
    settings = {"labels": 5000} if name == "relation" else {}
    whole = watch(name, settings, watched(tmp_path, package, 0, 4, {}))
    memory: Any = {}
    for start, end in [(0, 0.3), (0.3, 1), (1, 2.2), (2.2, 3.55), (3.55, 4)]:
        memory = watch(name, settings, watched(tmp_path, package, start, end, memory)).memory
    assert _told(memory) == _told(whole.memory)
    assert len(str(memory)) > 30


def _told(memory: Any) -> dict[str, Any]:
    """All but where windows were cut; sums of shares in whatever order they were added."""
    groups = {name: np.round(sums, 6).tolist() for name, sums in memory.get("groups", {}).items()}
    return {key: value for key, value in memory.items() if key not in ("marks", "groups")} | groups


@pytest.mark.slow
def test_labels_that_come_while_nothing_is_asked_count(server: Server, package: Path, tmp_path: Path) -> None:
    ids = server.answer(0.5, 400, 5)
    server.label(3.5, ids, 5, flipped=0.4)
    seen = watched(tmp_path, package, 3, 4, {})
    assert seen.window.rows == 0
    assert watch("cusum", {}, seen).figures["labels"] == 400
    assert watch("relation", {}, seen).tests[0].p_value < 1e-9


@pytest.mark.slow
def test_an_older_package_has_an_accuracy_or_says_what_it_lacks(
    server: Server, packages: dict[str, Path], tmp_path: Path
) -> None:
    server.label(1, server.answer(0.5, 400, 5), 5, flipped=0.4)
    seen = watched(tmp_path, packages["binary"], 0, 2, {}, errors=None)
    (test,) = watch("cusum", {}, seen).tests
    assert test.p_value is not None
    assert test.p_value < 1e-6
    said = watch("relation", {}, seen)
    assert not said.tests
    assert "bessemer run" in said.figures["why"]
    said = watch("cusum", {}, watched(tmp_path, packages["regression"], 0, 2, {}, errors=None))
    assert "bessemer run" in said.figures["why"]


@pytest.mark.slow
@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_other_tasks(task: str, packages: dict[str, Path], tmp_path: Path) -> None:
    server = Server(tmp_path / "log", task)
    stream(
        server, 6, 400, flipped=lambda hour: (0.3 if task == "multiclass" else 3.0) * (hour >= 4), task=task
    )
    asked = ["cusum", "relation"]
    windows = list(watching(tmp_path, packages[task], watchers=asked, detectors=["schema"]).tick(at(6)))
    server.log.close()
    for name in asked:
        found = [bool(by(window, name)) for window in windows]
        assert not any(found[:4]), name
        assert any(found[4:]), name


# the detectors of river ----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", RIVER)
def test_a_detector_of_river_is_the_occasion_of_an_exact_test(
    name: str, server: Server, package: Path, tmp_path: Path
) -> None:
    stream(server, 9, 400, flipped=lambda hour: 0.35 if hour >= 5 else 0.0)
    windows = list(
        watching(tmp_path, package, watchers=[name], detectors=["schema"], false_alarms="1 per month").tick(
            at(9)
        )
    )
    found = [i for i, window in enumerate(windows) if by(window, name)]
    assert found
    assert found[0] >= 5
    (finding,) = by(windows[found[0]], name)
    assert finding["value"] > finding["threshold"] > 0
    assert f"since {at(5).date()}T0" in finding["text"]
    assert windows[found[0]].check["figures"][name]["alarm"]
    after = windows[found[0] + 1].check["figures"][name]
    assert after["remembered"] == 400, "it begins anew"


@pytest.mark.parametrize("name", RIVER)
def test_a_tail_is_the_same_however_it_is_cut(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(error_stream, "MOST", 1000)
    watcher = opened({name: {}}, WATCHERS)[name]
    rng = np.random.default_rng(4)
    errors = (rng.random(3000) < np.repeat([0.1, 0.2, 0.7], [1800, 900, 300])).astype(int)
    whole = Tail(watcher.detector, {})
    whole.add(errors.tolist(), 0)
    pieces: dict[str, Any] = {}
    for piece in np.array_split(errors, 37):
        tail = Tail(watcher.detector, pieces)
        tail.add(piece.tolist(), 0)
        pieces = tail.memory()
    for key in ("bits", "length", "begin", "alarm"):
        assert pieces[key] == whole.memory()[key], key
    assert whole.alarm is not None
    assert len(pieces["marks"]) <= 128


# what has changed ------------------------------------------------------------------------------------------


def change_of(
    server: Server, package: Path, folder: Path, data: pa.Table, flipped: np.ndarray | float
) -> dict[str, Any]:
    """What the watcher says of rows of which some have other labels."""
    truth = labels(data, "binary", 77)
    other = np.random.default_rng(5).random(data.num_rows) < flipped
    server.tell(0.8, server.say(0.5, data), np.where(other, 1 - truth, truth))
    said = watch("relation", {}, watched(folder, package, 0, 1, {}))
    (test,) = said.tests
    assert test.threshold is not None
    assert (test.value > test.threshold(0.01)) == (test.p_value is not None and test.p_value < 0.01)
    return {**said.figures["change"], "p_value": test.p_value}


def hard(n: int, seed: int) -> pa.Table:
    """Rows of the kind that the model is least sure of."""
    data = given(8 * n, seed)
    sure = np.abs(tiny_model("binary").session.run(data, ["probability"])["probability"][:, 1] - 0.5)
    return data.take(np.sort(np.argsort(sure)[:n]))


@pytest.mark.slow
def test_nothing_changed(server: Server, package: Path, tmp_path: Path) -> None:
    found = change_of(server, package, tmp_path, given(2000, 8), 0.0)
    assert found["verdict"] == "nothing"
    assert found["text"].startswith("neither inputs nor relation")


@pytest.mark.slow
def test_harder_rows_are_no_change_of_the_relation(server: Server, package: Path, tmp_path: Path) -> None:
    found = change_of(server, package, tmp_path, hard(2000, 8), 0.0)
    assert found["verdict"] == "inputs"
    assert found["text"].startswith("inputs changed, relation held: errors went from ")
    assert found["now"] > found["before"] + 0.1
    assert found["harder"]["low"] > 0.1
    assert found["relation"]["low"] < 0 < found["relation"]["high"]
    assert found["p_value"] > 0.01


@pytest.mark.slow
def test_other_labels_of_the_same_rows_and_where(server: Server, package: Path, tmp_path: Path) -> None:
    data = given(3000, 8)
    flipped = np.where(data.column("tenure").to_numpy() > 60, 0.6, 0.0)
    found = change_of(server, package, tmp_path, data, flipped)
    assert found["verdict"] == "relation"
    assert found["text"].startswith("relation changed")
    assert found["relation"]["low"] > 0
    assert found["harder"]["low"] < 0 < found["harder"]["high"]
    assert found["p_value"] < 1e-6
    region = found["regions"][0]
    assert region["column"] == "tenure"
    assert region["group"].startswith("above 6")
    assert region["errors"] > 2 * region["expected"]
    assert 0.2 < region["share"] < 1.2
    assert all(other["weight"] <= 1 for other in found["regions"])


@pytest.mark.slow
def test_both(server: Server, package: Path, tmp_path: Path) -> None:
    data = pa.concat_tables([hard(800, 8), given(1500, 9)])
    found = change_of(server, package, tmp_path, data, 0.25)
    assert found["verdict"] == "both"
    assert found["harder"]["low"] > 0
    assert found["relation"]["low"] > 0
    total = found["harder"]["value"] + found["relation"]["value"]
    assert found["now"] - found["before"] == pytest.approx(total)


@pytest.mark.slow
@pytest.mark.parametrize("columns", [{"hash": ["tenure", "contract"]}, {"exclude": ["tenure", "contract"]}])
def test_labels_of_rows_that_were_logged_otherwise(
    columns: dict[str, Any], package: Path, tmp_path: Path
) -> None:
    """Inputs are logged as they are today; the rows whose labels come were hashed, or had none."""
    (tmp_path / "key").write_bytes(bytes(range(32)))
    key = {"key": str(tmp_path / "key")} if "hash" in columns else {}
    first = Server(tmp_path / "log", columns={**columns, **key})
    data, later = given(400, 1), given(400, 3)
    ids = first.say(0.1, data)
    first.log.close()
    server = Server(tmp_path / "log")
    more = server.say(31.1, later)
    server.tell(31.2, ids, labels(data, "binary", 2, flipped=0.5))
    server.tell(31.3, more, labels(later, "binary", 5, flipped=0.5))
    said = watch("relation", {}, watched(tmp_path, package, 31, 32, {}))
    server.log.close()
    change = said.figures["change"]
    assert (change["labels"], change["verdict"]) == (800, "relation")
    assert {each["column"] for each in change["regions"]} >= {"monthly charges"}


@pytest.mark.slow
def test_few_labels_wait_for_more(server: Server, package: Path, tmp_path: Path) -> None:
    stream(server, 2, 150, flipped=lambda hour: 0.0)
    first = watch("relation", {}, watched(tmp_path, package, 0, 1, {}))
    assert not first.tests
    assert first.figures["waiting"] == {"labels": 150, "wanted": 200}
    second = watch("relation", {}, watched(tmp_path, package, 1, 2, first.memory))
    assert second.figures["change"]["labels"] == 300
    assert second.memory == {}


def test_what_the_model_relies_on_weighs(package: Path, tmp_path: Path) -> None:
    model, names = bessemer.load(package), [field.name for field in INPUTS]
    found = importances(model, given(300, 1), names)
    said = model.predict(given(300, 1), explain=True)
    size = {name: float(np.abs(said.column(f"contribution_{name}").to_numpy()).mean()) for name in names}
    assert sum(found.values()) == pytest.approx(1)
    assert found == pytest.approx({name: value / sum(size.values()) for name, value in size.items()})
    assert len(set(found.values())) > 2
    few = given(300, 1).select(["tenure", "autopay"])
    assert importances(model, few, ["tenure", "autopay"]) == {"tenure": 0.5, "autopay": 0.5}


def test_every_setting_is_documented() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "concept-drift.md").read_text("utf-8")
    for name in ("cusum", "relation", *RIVER):
        settings: Any = WATCHERS.load(name).Settings
        assert f"`{name}`" in page
        assert not [field for field in settings.model_fields if f"`{field}`" not in page], name
        assert all(field.description for field in settings.model_fields.values())


@pytest.mark.parametrize(
    ("name", "settings"),
    [("cusum", {"odds": 1}), ("relation", {"labels": 3}), ("hddm", {"mean": "x"}), ("adwin", {"delta": 2})],
)
def test_wrong_settings_are_told(name: str, settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(settings))):
        MonitorSpec(watchers=[{name: settings}])
