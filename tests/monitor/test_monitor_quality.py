"""What the log itself says of its data: volume, gaps, repetition, the contract."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from log_support import Server, at, seconds
from package_support import given
from watcher_support import NAMES, logged, watch

import bessemer
from bessemer.core.errors import UsageError
from bessemer.monitor.contract import ALLOWED
from bessemer.monitor.watchers.duplicates import Duplicates, DuplicatesSettings
from bessemer.monitor.watchers.staleness import Staleness, StalenessSettings
from bessemer.monitor.watchers.volume import Volume, VolumeSettings
from bessemer.package.model import Model, load
from bessemer.package.write import write_package
from bessemer.serve.log.entry import Label
from bessemer.testing.models import tiny_members

WEEK = 168


@pytest.fixture(scope="module")
def model(packages: dict[str, Path]) -> Model:
    return load(packages["binary"])


def only(said: Any) -> Any:
    (test,) = said.tests
    return test


# volume -------------------------------------------------------------------------------------------
def rows_at(hour: int, rng: np.random.Generator) -> int:
    """A load with days and nights that varies ten times as much as Poisson's."""
    return int(rng.poisson(60 * np.exp(0.8 * np.sin(2 * np.pi * hour / 24) + 0.35 * rng.normal())))


@pytest.mark.slow
def test_volume_learns_the_day_and_finds_the_outage(model: Model, tmp_path: Path) -> None:
    rng, memory, p = np.random.default_rng(0), {}, []
    watcher = Volume(VolumeSettings())
    rows = logged(model, given(1200, 1))
    for hour in range(2 * WEEK):
        said = watch(
            watcher, model, rows.slice(0, min(1200, rows_at(hour, rng))), tmp_path, memory, start=hour
        )
        memory = json.loads(json.dumps(said.memory))
        p += [test.p_value for test in said.tests]
    assert len(p) == 2 * WEEK - 24, "nothing is said on the first day"
    assert min(p) > 1e-3
    assert np.mean(np.array(p) < 0.05) < 0.05
    hour = 2 * WEEK + 6
    for few, found in ((3, True), (100, False), (1200, True)):
        test = only(watch(watcher, model, rows.slice(0, few), tmp_path, memory, start=hour))
        assert (test.p_value < 1e-5) == found, (few, test)
        assert (test.value > test.threshold(1e-5)) == found
    test = only(watch(watcher, model, rows.slice(0, 0), tmp_path, memory, start=hour))
    assert test.p_value < 1e-9
    assert test.of == "service"
    assert "rows an hour" in test.text
    assert test.text.endswith("before, at this hour of the day")


def test_volume_counts_rows_an_hour_and_not_rows(model: Model, tmp_path: Path) -> None:
    rng, memory = np.random.default_rng(1), {}
    watcher = Volume(VolumeSettings(change="10%"))
    rows = logged(model, given(1200, 1))
    for hour in range(48):
        memory = watch(
            watcher, model, rows.slice(0, 300 + rng.integers(-30, 30)), tmp_path, memory, start=hour
        ).memory
    assert only(watch(watcher, model, rows.slice(0, 900), tmp_path, memory, start=48, hours=3)).p_value > 0.5
    assert only(watch(watcher, model, rows.slice(0, 900), tmp_path, memory, start=48, hours=1)).p_value < 1e-6
    assert only(watch(watcher, model, rows, tmp_path, memory, start=48)).text.endswith(
        "before, over all hours"
    )


# staleness ----------------------------------------------------------------------------------------
@pytest.mark.slow
def test_a_gap_is_told_and_a_version_that_took_over_is_not(model: Model, tmp_path: Path) -> None:
    watcher = Staleness(StalenessSettings(rows="3h"))
    with_rows, without = logged(model, given(50, 1)), logged(model, given(0, 1))
    Server(tmp_path / "log").log.close()
    server = Server(tmp_path / "log")
    server.answer(0.5, 50, 1)
    said = watch(watcher, model, with_rows, tmp_path, start=0)
    assert not said.tests
    gap = only(watch(watcher, model, without, tmp_path, said.memory, start=1, hours=24))
    assert gap.p_value is None
    assert gap.value == pytest.approx(24.5, abs=0.05)
    assert "and none since" in gap.text
    server.log.register("tiny", "2.0.0", model.signature)
    say(server, "2.0.0", 3.0)
    server.log.close()
    said = watch(watcher, model, without, tmp_path, said.memory, start=1, hours=24)
    assert not said.tests
    assert said.figures["other_versions"] == {"2.0.0": 50}


def say(server: Server, version: str, hour: float) -> None:
    from bessemer.serve.log.entry import Entry
    from bessemer.testing.models import INPUTS, tiny_model

    data = given(50, 1)
    outputs = tiny_model("binary").session.run(data, ["prediction", "probability", "score"])
    rows = list(zip(*(data.column(field.name).to_pylist() for field in INPUTS), strict=True))
    told = {"latency": [0.001] * 50, "client": [""] * 50, "dialect": [""] * 50, "time": seconds(at(hour))}
    server.log.take(Entry("tiny", version, [f"v{hour}-{i}" for i in range(50)], rows, None, outputs, **told))


def test_a_gap_within_a_window_counts_from_the_last_row_before_it(model: Model, tmp_path: Path) -> None:
    watcher = Staleness(StalenessSettings(rows="3h"))
    Server(tmp_path / "log").log.close()
    late = logged(model, given(50, 1), hour=7.5)
    before = watch(watcher, model, logged(model, given(50, 1), hour=0.9), tmp_path, start=0)
    gap = only(watch(watcher, model, late, tmp_path, before.memory, start=1, hours=7))
    assert gap.value == pytest.approx(6.6, abs=0.05)
    assert "then they came again" in gap.text


def gaps_told(model: Model, folder: Path, open_at: Any, weeks: int, **settings: Any) -> list[tuple[int, str]]:
    """Day and text of what is told of windows of an hour, or of a day where nothing comes."""
    watcher, memory, found = Staleness(StalenessSettings(**settings)), {}, []
    hour, rows, none = 0, logged(model, given(3, 1)), logged(model, given(0, 1))
    while hour < weeks * WEEK:
        some = open_at(hour)
        hours = 1 if some else next((k for k in range(1, 24) if open_at(hour + k)), 24)
        table = (
            rows.set_column(1, "time", pa.array([at(hour + 0.5)] * 3, pa.timestamp("us"))) if some else none
        )
        said = watch(watcher, model, table, folder, memory, start=hour, hours=hours)
        memory = json.loads(json.dumps(said.memory))
        found += [(hour // 24, test.text) for test in said.tests if test.column == "rows"]
        hour += hours
    assert len(json.dumps(memory)) < 2000
    return found


@pytest.mark.slow
def test_weekends_are_usual_gaps_and_an_outage_is_none(model: Model, tmp_path: Path) -> None:
    Server(tmp_path / "log").log.close()

    def office(hour: int) -> bool:
        return (hour // 24) % 7 < 5 and 8 <= hour % 24 < 18

    def down(hour: int) -> bool:
        return office(hour) and not 22 <= hour // 24 < 28

    told = gaps_told(model, tmp_path, office, 4)
    assert {day // 7 for day, _ in told} == {0, 1}, "two weekends make it usual"
    assert not any("came again" in text for _, text in told), (
        "what was told while it lasted is not told after it"
    )
    later = [(day, text) for day, text in gaps_told(model, tmp_path, down, 5) if day > 14]
    assert later, "a week without rows is longer than a weekend"
    assert all("usual gaps are up to" in text for _, text in later)
    strict = gaps_told(model, tmp_path, office, 4, rows="1d")
    assert {day // 7 for day, _ in strict} == {0, 1, 2, 3}, "what is said is held to"


@pytest.mark.slow
def test_labels_that_no_longer_come(model: Model, tmp_path: Path) -> None:
    server = Server(tmp_path / "log")
    (first, *_) = server.answer(0.5, 50, 1)
    server.log.feedback("tiny", [Label(first, "yes", seconds(at(2.5)))])
    server.log.close()
    watcher, rows = Staleness(StalenessSettings(labels="6h")), logged(model, given(50, 1))
    memory: dict[str, Any] = {}
    found = []
    for hour in range(12):
        said = watch(
            watcher, model, logged(model, given(50, 1), hour=hour + 0.5), tmp_path, memory, start=hour
        )
        memory = json.loads(json.dumps(said.memory))
        found.append([test.column for test in said.tests])
    assert found == [[]] * 8 + [["labels"]] * 4
    assert not watch(Staleness(StalenessSettings()), model, rows, tmp_path).tests


def fresh(model: Model, hour: float, seed: int, behind: float = 0.0) -> pa.Table:
    """Rows whose time is some hours before they are asked: the newest of 50 an hour or so."""
    rng = np.random.default_rng(seed)
    data = given(50, seed)
    moments = [at(hour - behind - h) for h in rng.exponential(50, 50)]
    place = data.schema.get_field_index("désactivé")
    data = data.set_column(place, "désactivé", pa.array(moments, pa.timestamp("us")))
    return logged(model, data, hour=hour)


@pytest.mark.slow
def test_a_time_that_stops_moving_is_found_by_its_usual_age(model: Model, tmp_path: Path) -> None:
    watcher, memory, p = Staleness(StalenessSettings()), {}, []
    for hour in range(220):
        said = watch(watcher, model, fresh(model, hour + 0.5, hour), tmp_path, memory, start=hour)
        memory = json.loads(json.dumps(said.memory))
        p += [test.p_value for test in said.tests]
    assert len(p) >= 198
    assert np.mean(np.array(p) < 0.01) < 0.01
    assert min(p) > 1e-4
    assert len(json.dumps(memory)) < 500
    stuck = watch(watcher, model, fresh(model, 220.5, 1, behind=600), tmp_path, memory, start=220)
    assert only(stuck).p_value < 1e-4
    assert only(stuck).column == "désactivé"


def test_a_time_may_be_as_old_as_it_is_said(model: Model, tmp_path: Path) -> None:
    watcher = Staleness(StalenessSettings(inputs={"désactivé": "2d"}))
    assert not watch(watcher, model, fresh(model, 0.5, 1), tmp_path).tests
    old = only(watch(watcher, model, fresh(model, 0.5, 1, behind=72), tmp_path))
    assert old.p_value is None
    assert "2.0 days are allowed" in old.text
    with pytest.raises(UsageError, match="'tenure' is no input that is a time"):
        watch(Staleness(StalenessSettings(inputs={"tenure": "2d"})), model, fresh(model, 0.5, 1), tmp_path)


# duplicates ---------------------------------------------------------------------------------------
def again(table: pa.Table, share: float, seed: int) -> pa.Table:
    """A share of the rows in the place of others, with ids of their own."""
    n = table.num_rows
    rng = np.random.default_rng(seed)
    at = np.where(rng.random(n) < share, rng.integers(0, n, n), np.arange(n))
    ids = table.column("prediction_id")
    return table.take(at).set_column(0, "prediction_id", ids)


@pytest.mark.slow
def test_rows_asked_again_against_the_usual_share(model: Model, tmp_path: Path) -> None:
    watcher, memory, p = Duplicates(DuplicatesSettings()), {}, []
    for seed in range(220):
        rows = again(logged(model, given(300, seed)), 0.1, seed)
        said = watch(watcher, model, rows, tmp_path, memory, start=seed)
        memory = json.loads(json.dumps(said.memory))
        p += [test.p_value for test in said.tests]
    assert len(p) >= 205
    assert np.mean(np.array(p) < 0.05) < 0.09
    assert min(p) > 1e-4
    assert said.figures["usual"] == pytest.approx(0.08, abs=0.02), "of 256 rows"
    more = only(watch(watcher, model, again(logged(model, given(300, 7)), 0.4, 7), tmp_path, memory))
    assert more.p_value < 1e-6
    assert more.value > more.threshold(1e-6)
    assert len(json.dumps(memory)) < 600


@pytest.mark.slow
def test_more_rows_repeat_more_and_are_no_finding(model: Model, tmp_path: Path) -> None:
    """A night of 250 rows an hour, then the morning: of rows that are drawn from 3,000, ten times as many repeat."""
    watcher, memory, rng = Duplicates(DuplicatesSettings()), {}, np.random.default_rng(3)
    many = logged(model, given(3000, 1))
    ids = many.column("prediction_id")
    for hour in range(27):
        n = 250 if hour < 15 else 2500
        rows = many.take(rng.integers(0, 3000, n)).set_column(0, "prediction_id", ids.slice(0, n))
        said = watch(watcher, model, rows, tmp_path, memory, start=hour)
        memory = json.loads(json.dumps(said.memory))
        assert all(test.p_value > 1e-3 for test in said.tests), hour
    assert said.figures["share"] > 0.3
    twice = pa.concat_tables([rows.slice(0, 1250), rows.slice(0, 1250)])
    assert (
        only(watch(Duplicates(DuplicatesSettings(ids=False)), model, twice, tmp_path, memory)).p_value < 1e-6
    )


def test_ids_that_two_predictions_share(model: Model, tmp_path: Path) -> None:
    rows = logged(model, given(40, 1), prediction_id=["a", "a", "a", *map(str, range(37))])
    test = only(watch(Duplicates(DuplicatesSettings()), model, rows, tmp_path))
    assert (test.column, test.value, test.p_value) == ("prediction_id", 2, None)
    assert not watch(Duplicates(DuplicatesSettings(ids=False)), model, rows, tmp_path).tests


def test_a_request_that_is_sent_again_shares_its_id_rightly(model: Model, tmp_path: Path) -> None:
    rows = logged(model, given(40, 1))
    again = pa.concat_tables([rows, rows])
    assert not watch(Duplicates(DuplicatesSettings()), model, again, tmp_path).tests
    client = ["me"] * 20 + ["them"] * 20
    same = logged(model, given(40, 1), prediction_id=["a"] * 2 + ["b"] * 18 + ["c"] * 20, client=client)
    test = only(watch(Duplicates(DuplicatesSettings()), model, same, tmp_path))
    assert test.value == 37
    assert "most are of the client 'me'" in test.text


def test_rows_without_inputs_repeat_nothing(model: Model, tmp_path: Path) -> None:
    rows = logged(model, given(40, 1)).drop_columns([f"in.{name}" for name in NAMES])
    assert watch(Duplicates(DuplicatesSettings()), model, rows, tmp_path).figures["share"] == 0


# the contract -------------------------------------------------------------------------------------
CONTRACT = """
columns:
  tenure: {type: integer, nullable: false, min: 0, max: 71}
  monthly charges: {type: number, finite: true, max_missing: 5%}
  contract: {type: string, values: [Month-to-month, One year, Two year]}
  désactivé: {type: timestamp, newest_within: 2d}
  churned: {type: string, nullable: false}
"""


@pytest.fixture(scope="module")
def promised(packages: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package with a contract."""
    path = tmp_path_factory.mktemp("promised") / "tiny.bsm"
    facts = {"name": "tiny", "version": "1.0.0", "created": "2026-01-01T00:00:00Z"}
    members = tiny_members("binary") | {
        "reference.json": load(packages["binary"]).contents.bytes("reference.json"),
        "contract.yaml": CONTRACT.encode(),
    }
    write_package(path, members, **facts, task="binary", target="churned")
    return path


@pytest.mark.slow
def test_the_contract_in_the_package_is_held_by_a_table(promised: Path, tmp_path: Path) -> None:
    monitor = bessemer.Monitor(promised)
    quiet = [monitor.check(given(400, seed)) for seed in range(20)]
    assert not [c for c in quiet if any(f.detector == "contract" for f in c.findings)]
    tested = {test.column for test in quiet[0].tests if test.detector == "contract"}
    assert tested == {"tenure", "monthly charges", "contract"}, "one test a column that has a rule on rows"
    data = given(400, 1).to_pylist()
    for i, row in enumerate(data):
        row["contract"] = "Ten year" if i < 40 else row["contract"]
        row["tenure"] = 99 if i < 3 else row["tenure"]
        row["monthly charges"] = None if i < 60 else row["monthly charges"]
    found = {f.column: f for f in monitor.check(data).findings if f.detector == "contract"}
    assert set(found) == {"contract", "monthly charges"}, "three of 400 are as many as may"
    assert (found["contract"].value, found["contract"].threshold) == (0.1, pytest.approx(0.035, abs=0.01))
    assert "break `max_missing`" in found["monthly charges"].text
    assert ALLOWED == 0.01
    csv = tmp_path / "window.csv"
    csv.write_text("tenure,contract\n" + "99,One year\n" * 30 + "5,One year\n" * 70)
    columns = {f.column for f in monitor.check(csv).findings if f.detector == "contract"}
    assert columns == {"tenure"}
    nothing = given(400, 1).set_column(0, "tenure", pa.nulls(400, pa.int64()))
    broken = {f.column for f in monitor.check(nothing).findings if f.detector == "contract"}
    assert broken == {"tenure"}, "no value at all breaks `nullable` and no other rule"
    assert not [
        t for t in bessemer.Monitor(promised, detectors=["psi"]).check(data).tests if t.detector == "contract"
    ]


def test_as_many_rows_may_break_the_contract_as_a_run_sets_aside(promised: Path, tmp_path: Path) -> None:
    source, path = load(promised).contents, tmp_path / "tiny.bsm"
    members = tiny_members("binary") | {
        "reference.json": source.bytes("reference.json"),
        "contract.yaml": source.bytes("contract.yaml"),
        "provenance.json": json.dumps({"contract": {"quarantine": 0.2}}).encode(),
    }
    facts = {"name": "tiny", "version": "1.0.0", "created": "2026-01-01T00:00:00Z"}
    write_package(path, members, **facts, task="binary", target="churned")
    data = given(400, 1).to_pylist()
    for i, row in enumerate(data):
        row["tenure"] = 99 if i < 40 else row["tenure"]
    found = {
        package: {
            f.column: f.text
            for f in bessemer.Monitor(package, detectors=["contract"]).check(data).findings
            if f.column == "tenure"
        }
        for package in (promised, path)
    }
    assert "1.0% may" in found[promised]["tenure"]
    assert not found[path]


def test_newest_within_of_the_contract_is_watched(promised: Path, tmp_path: Path) -> None:
    model = load(promised)
    watcher = Staleness(StalenessSettings())
    assert not watch(watcher, model, fresh(model, 0.5, 1), tmp_path).tests
    assert only(watch(watcher, model, fresh(model, 0.5, 1, behind=72), tmp_path)).p_value is None
    allowed = Staleness(StalenessSettings(inputs={"désactivé": "9d"}))
    assert not watch(allowed, model, fresh(model, 0.5, 1, behind=72), tmp_path).tests


@pytest.mark.slow
def test_rules_are_honest_at_what_may_break_them(promised: Path) -> None:
    """A rule that as many rows break as may is found as rarely as any p-value says."""
    monitor, rng, p = bessemer.Monitor(promised, detectors=["contract"]), np.random.default_rng(5), []
    for seed in range(200):
        data = given(500, seed)
        tenure = np.where(rng.random(500) < ALLOWED, 99, np.minimum(data.column("tenure").to_numpy(), 71))
        found = monitor.check(data.set_column(0, "tenure", pa.array(tenure)))
        p += [test.p_value for test in found.tests if test.column == "tenure"]
    assert len(p) == 200
    assert np.mean(np.array(p) < 0.05) <= 0.07
    assert min(p) > 1e-4
