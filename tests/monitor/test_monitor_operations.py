"""Watchers of operations, on counters that the server's own writer wrote."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from operations_support import DAY, MINUTE, Busy, Looking, seconds
from pydantic import ValidationError

import bessemer
from bessemer.monitor.check import decide
from bessemer.monitor.plugins import WATCHERS
from bessemer.monitor.slo import SloSpec, burns
from bessemer.monitor.spec import MonitorSpec
from bessemer.monitor.store import MonitorStore
from bessemer.monitor.watch import Watch
from bessemer.monitor.watchers.cost import Cost
from bessemer.monitor.watchers.errors import Errors
from bessemer.monitor.watchers.latency import Latency
from bessemer.monitor.watchers.resources import Resources
from bessemer.monitor.watchers.slo import Slo
from bessemer.monitor.watchers.throughput import Throughput
from bessemer.monitor.watching import spent
from bessemer.package.prediction_log.operations import FOLDER, LAG, added, read_operations

HOUR = 3600.0
OPERATIONS = ("slo", "errors", "latency", "throughput", "resources", "cost")


@pytest.fixture
def busy(tmp_path: Path) -> Busy:
    return Busy(tmp_path / "log")


@pytest.fixture(scope="session")
def model(packages: dict[str, Path]) -> Any:
    return bessemer.load(packages["binary"])


def usual(rng: np.random.Generator, n: int = 10) -> np.ndarray:
    return rng.lognormal(math.log(0.004), 0.5, n)


def objective(**settings: Any) -> SloSpec:
    return SloSpec(**{"availability": "99%", **settings})


# the journal -----------------------------------------------------------------------------------------
def test_lines_have_what_was_done_since_the_last(busy: Busy, tmp_path: Path) -> None:
    busy.minute([0.001, 0.3], failed=1, cpu=0.5)
    busy.refused[503] = 2
    busy.minute([0.001], rows=5, cpu=0.25)
    busy.minute()
    start = seconds(DAY)
    found = sorted(
        read_operations(tmp_path / "log", "tiny", "1.0.0", start, start + HOUR), key=lambda i: i.time
    )
    assert [(each.time - start, each.seconds) for each in found] == [(60, 60), (120, 60), (180, 60)]
    assert [each.done.get("requests", 0) for each in found] == [2, 1, 0]
    assert [each.cpu for each in found] == [1.5, 0.25, 0.0]
    assert [each.refused for each in found] == [{}, {"503": 2}, {}]
    assert [each.cold_start for each in found] == [0.75, None, None]
    total = added(found)
    statistics = busy.statistics.snapshot()
    assert total["latencies"] == statistics["latencies"]
    assert (total["requests"], total["failed"], total["rows"]) == (3, 1, 7)
    assert not list(read_operations(tmp_path / "log", "tiny", "2.0.0", start, start + 30)), (
        "outside of the span"
    )
    other = list(read_operations(tmp_path / "log", "tiny", "2.0.0", start, start + 60))
    assert [(dict(each.done), each.share) for each in other] == [({}, 0.0)]


def test_a_torn_line_is_passed_over_and_a_later_format_is_refused(busy: Busy, tmp_path: Path) -> None:
    busy.minute([0.001])
    (path,) = (tmp_path / "log" / FOLDER).glob("*/*")
    with path.open("ab") as file:
        file.write(path.read_bytes()[:40])
    span = ("tiny", "1.0.0", seconds(DAY), seconds(DAY) + HOUR)
    assert len(list(read_operations(tmp_path / "log", *span))) == 1
    path.write_text(json.dumps({"format": 2, "time": seconds(DAY) + 1}) + "\n")
    with pytest.raises(bessemer.core.errors.FormatError, match="format 2"):
        list(read_operations(tmp_path / "log", *span))


def test_lines_that_are_no_intervals_are_passed_over_and_counted(
    busy: Busy, model: Any, tmp_path: Path
) -> None:
    busy.minute([0.001])
    (path,) = (tmp_path / "log" / FOLDER).glob("*/*")
    sound = json.loads(path.read_text())
    odd: list[Any] = [123, None, {}, [], "x", {**sound, "format": None}, {**sound, "models": 3}]
    odd += [{**sound, "time": "now"}, {**sound, "models": [{}]}, {"format": 1}]
    path.with_name("other.jsonl").write_text("".join(json.dumps(each) + "\n" for each in odd) + "{")
    unreadable: Counter[str] = Counter()
    span = ("tiny", "1.0.0", seconds(DAY), seconds(DAY) + HOUR)
    assert len(list(read_operations(tmp_path / "log", *span, unreadable))) == 1
    assert unreadable == {str(path.with_name("other.jsonl")): len(odd) + 1}
    said = Looking(Errors(Errors.Settings()), tmp_path / "log", model).at(busy.now + 60)
    assert said.figures["unreadable"] == len(odd) + 1
    assert said.figures["requests"] == 1


def test_a_clock_that_is_set_back_loses_nothing_and_counts_nothing_twice(busy: Busy, tmp_path: Path) -> None:
    """A reader that takes a span whenever the clock says that it is over, before and after."""
    busy.minute([0.001] * 5, minutes=10)
    start, read = seconds(DAY), busy.now - 5.0
    span = ("tiny", "1.0.0")
    found = list(read_operations(tmp_path / "log", *span, start, read - LAG))
    busy.now += 50  # it is set back just before the next line is due
    busy.steady += 50
    read = busy.now
    found += list(read_operations(tmp_path / "log", *span, busy.now - 55 - LAG, read - LAG))
    busy.now -= 600 - 10
    busy.steady += 10
    ahead = []
    for _ in range(40):
        busy.does([0.001] * 3)
        busy.writer.write(busy.now)
        ahead.append(busy.writer._last - busy.now)
        busy.now += MINUTE
        busy.steady += MINUTE
    assert ahead[0] > 500
    assert ahead[-1] == 0
    later = list(read_operations(tmp_path / "log", *span, read - LAG, busy.now))
    assert min(each.time for each in later) > read
    times = [each.time for each in found + later]
    assert times == sorted(times)
    assert added(found + later)["requests"] == 10 * 5 + 40 * 3


def test_what_could_not_be_written_is_in_the_next_line(busy: Busy, tmp_path: Path) -> None:
    busy.minute([0.001])
    folder = next((tmp_path / "log" / FOLDER).iterdir())
    kept = folder.rename(folder.with_name("elsewhere"))
    folder.write_text("no folder")
    with pytest.raises(OSError, match=r"exists|directory"):
        busy.minute([0.001] * 3)
    folder.unlink()
    kept.rename(folder)
    busy.minute([0.001] * 2)
    found = read_operations(tmp_path / "log", "tiny", "1.0.0", seconds(DAY), seconds(DAY) + HOUR)
    assert added(found)["requests"] == 6


def test_days_that_are_too_old_go(tmp_path: Path) -> None:
    busy = Busy(tmp_path / "log", keep=2 * 86_400)
    for _ in range(5):
        busy.minute([0.001])
        busy.now += 86_400
    days = sorted(path.name for path in (tmp_path / "log" / FOLDER).iterdir())
    assert days == ["date=2026-03-03", "date=2026-03-04", "date=2026-03-05"]


def test_who_takes_a_place_does_not_tell_again_what_was_told(busy: Busy, tmp_path: Path) -> None:
    busy.statistics.requests = 1000  # counters never go back: a worker goes on where the dead one was
    later = Busy(tmp_path / "log")
    later.statistics.requests = 1000
    again = type(busy.writer)(
        tmp_path / "log", 60, None, later.repository.every_lane, later._facts, clock=lambda: later.now
    )
    later.statistics.requests += 7
    again.write(later.now + 60)
    found = read_operations(tmp_path / "log", "tiny", "1.0.0", seconds(DAY), seconds(DAY) + HOUR)
    assert added(found)["requests"] == 7


# objectives ------------------------------------------------------------------------------------------
def test_alerts_are_those_of_the_workbook() -> None:
    month = burns(30 * 86_400, 0.001)
    assert [(b.long / HOUR, b.short / 60, b.factor, b.severity) for b in month] == [
        (1, 5, 14.4, "page"),
        (6, 30, 6, "page"),
        (24, 120, 3, "ticket"),
        (72, 360, 1, "ticket"),
    ]
    assert [b.factor for b in burns(7 * 86_400, 0.001)] == [3.36, 1.4], "slower ones would last the period"


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({}, "promises nothing"),
        ({"latency": {"p99": "30ms"}}, "write 25ms or 50ms"),
        ({"latency": {"fast": "50ms"}}, "'fast' is no percentile"),
        ({"latency": "50ms"}, "write {p99: 50ms}"),
        ({"availability": 1.0}, "less than 1"),
        ({"availability": "99.9999999999%"}, "availability leaves no error budget: at most 99.999999%"),
        ({"latency": {"p99.99999999999": "50ms"}}, "leaves no error budget"),
        ({"latency": {"p99": "50ms", "p99.0": "100ms"}}, "'p99' and 'p99.0' are the same percentile"),
        ({"availability": "99%", "period": "1d"}, "greater than or equal to 604800"),
    ],
)
def test_a_wrong_objective_is_told(settings: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        SloSpec(**settings)


def test_an_objective_that_can_raise_no_alert_says_so(busy: Busy, model: Any, tmp_path: Path) -> None:
    slo = SloSpec(availability="20%", latency={"p99": "50ms"}, period="7d")
    busy.minute([0.004] * 10, minutes=61, failed=90)
    said = Looking(Slo(Slo.Settings()), tmp_path / "log", model, slo).at(busy.now)
    assert [test.column for test in said.tests] == ["latency_p99"]
    assert "availability can raise no alert" in said.figures["availability"]["why"]
    assert said.figures["availability"]["budget_left"] == pytest.approx(1 - 0.9 / 0.8)
    assert "why" not in said.figures["latency_p99"]


class Other:
    """Another version of the same model."""

    name, version = "tiny", "2.0.0"


def test_a_deployment_renews_no_budget(busy: Busy, model: Any, tmp_path: Path) -> None:
    """As the rules for Prometheus, which add up by model."""
    busy.minute([0.004] * 95, minutes=60, failed=5)
    one, two = (
        Looking(Slo(Slo.Settings()), tmp_path / "log", which, objective()).at(busy.now)
        for which in (model, Other())
    )
    assert one.figures == two.figures
    assert [test.value for test in two.tests] == [test.value for test in one.tests]
    assert two.figures["availability"]["budget_left"] < -3


def test_what_is_remembered_of_the_period_is_what_reading_it_again_gives(
    busy: Busy, model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slo, rng = objective(latency={"p99": "50ms"}, period="8d"), np.random.default_rng(2)
    asked: list[float] = []
    real = spent.read_operations

    def read(*args: Any) -> Any:
        asked.append(args[4] - args[3])
        return real(*args)

    monkeypatch.setattr(spent, "read_operations", read)
    looking = Looking(Slo(Slo.Settings()), tmp_path / "log", model, slo)
    for hour in range(12 * 24):
        busy.does(usual(rng, 5) * 4, failed=int(rng.poisson(0.1)))
        busy.now += HOUR
        busy.writer.write(busy.now - rng.integers(0, 3600))
        if hour % 7 == 0 or hour > 280:
            said = looking.at(busy.now, 7 * HOUR)
            assert len(looking.memory["hours"]) <= 8 * 24
            json.dumps(looking.memory)
            if hour % 5 == 0:
                fresh = Looking(Slo(Slo.Settings()), tmp_path / "log", model, slo).at(busy.now)
                assert said.figures == fresh.figures, hour
                asked.pop()
    assert max(asked[1:]) <= 3 * 86_400 + 8 * HOUR, "the rest is remembered"
    other = objective(availability="99.5%", latency={"p95": "50ms"}, period="8d")
    memory = looking.memory
    changed = Looking(Slo(Slo.Settings()), tmp_path / "log", model, other)
    changed.memory = memory
    plain = Looking(Slo(Slo.Settings()), tmp_path / "log", model, other)
    assert changed.at(busy.now).figures == plain.at(busy.now).figures


def test_a_budget_that_burns_is_found_and_one_failure_of_few_is_not(
    busy: Busy, model: Any, tmp_path: Path
) -> None:
    slo = objective(latency={"p95": "50ms"})
    looking = Looking(Slo(Slo.Settings()), tmp_path / "log", model, slo)
    busy.minute([0.004] * 20, minutes=61)
    quiet = looking.at(busy.now)
    assert [(test.column, test.p_value) for test in quiet.tests] == [
        ("availability", 1.0),
        ("latency_p95", 1.0),
    ]
    assert quiet.figures["availability"]["budget_left"] == 1.0
    busy.minute([0.004] * 15, minutes=60, failed=5)
    loud = looking.at(busy.now)
    burning = {test.column: test for test in loud.tests}
    assert burning["availability"].p_value < 1e-20
    assert burning["latency_p95"].p_value == 1.0
    assert burning["availability"].value == pytest.approx(0.25 / 0.01, rel=0.05)
    assert "(page)" in burning["availability"].text
    bad, requests = loud.figures["availability"]["bad"], loud.figures["availability"]["requests"]
    assert loud.figures["availability"]["budget_left"] == pytest.approx(1 - bad / requests / 0.01)
    busy.minute([0.004] * 20, minutes=10)
    over = looking.at(busy.now)
    assert over.figures["availability"]["burn"]["1h"] > 14.4, "the hour is still bad"
    assert over.tests[0].text.startswith("availability (page): over 6h and 30m"), (
        "and the last five minutes are not"
    )
    busy.minute([0.2] * 20, minutes=60)
    slow = {test.column: test for test in looking.at(busy.now).tests}
    assert slow["latency_p95"].p_value < 1e-20


def test_one_failure_of_few_requests_is_no_alarm(busy: Busy, model: Any, tmp_path: Path) -> None:
    busy.minute([0.004] * 2, minutes=58)
    busy.minute([0.004], minutes=1, failed=1)
    busy.minute([0.004], minutes=1)
    said = Looking(Slo(Slo.Settings()), tmp_path / "log", model, objective()).at(busy.now)
    assert said.figures["availability"]["burn"]["5m"] > 5
    assert not decide(said.tests, 500, 0.0014).alarm


# errors ----------------------------------------------------------------------------------------------
def test_errors_against_the_objective_and_against_earlier_windows(
    busy: Busy, model: Any, tmp_path: Path
) -> None:
    history = Looking(Errors(Errors.Settings()), tmp_path / "log", model)
    for _ in range(30):
        busy.minute([0.004] * 50, minutes=60, failed=0)
        busy.does((), failed=1)
        assert not decide(history.at(busy.now).tests, 500, 0.0014).alarm
    busy.minute([0.004] * 45, minutes=60, failed=5)
    found = decide(history.at(busy.now).tests, 500, 0.0014).findings
    assert [(each.detector, each.column, each.of) for each in found] == [("errors", "errors", "service")]
    assert "9.86%" in found[0].text
    promised = Looking(Errors(Errors.Settings()), tmp_path / "log", model, objective()).at(busy.now)
    (test,) = promised.tests
    assert test.value == pytest.approx(0.1, abs=0.002)
    assert test.p_value < 1e-20
    assert test.threshold is not None
    assert 0.01 < test.threshold(0.001) < 0.02
    assert (
        not Looking(Errors(Errors.Settings()), tmp_path / "log", model, objective(availability="80%"))
        .at(busy.now)
        .tests[0]
        .p_value
        < 0.5
    )


def test_predictions_that_are_not_in_the_log_are_a_fact(busy: Busy, model: Any, tmp_path: Path) -> None:
    busy.minute([0.004] * 20, minutes=59)
    busy.dropped["prediction_log"] = 3
    busy.minute([0.004] * 20)
    busy.minute()
    found = Looking(Errors(Errors.Settings()), tmp_path / "log", model).at(busy.now)
    assert [(test.column, test.value, test.p_value) for test in found.tests] == [
        ("prediction_log", 3.0, None)
    ]


def test_a_server_that_answers_nobody_is_found(busy: Busy, packages: dict[str, Path], tmp_path: Path) -> None:
    """There is no row in the log: the windows are those of the failures."""
    busy.minute(minutes=60, failed=5)
    busy.minute(minutes=5)
    spec = MonitorSpec(every="1h", rows=200, slo=objective())
    log, store = tmp_path / "log", MonitorStore(tmp_path / "monitor.db")
    watch = Watch(bessemer.Monitor(packages["binary"]), log, store, spec)
    end = DAY.replace(hour=1, minute=5)
    (window,) = watch.tick(end)
    assert window.rows == 0
    assert {found["detector"] for found in window.check["findings"]} == {"slo", "errors"}
    assert window.check["figures"]["errors"]["failed"] in (295, 300)
    assert list(watch.tick(end)) == []


# against earlier windows -----------------------------------------------------------------------------
def hours(busy: Busy, looking: list[Looking], rng: np.random.Generator, count: int) -> list[list[Any]]:
    """Hours of usual traffic, which differs from hour to hour; the tests of each watcher of each."""
    found = []
    for _ in range(count):
        load = rng.lognormal(0, 0.15)
        busy.does(
            usual(rng, int(300 * load)) * rng.lognormal(0, 0.1),
            failed=int(rng.poisson(0.6 * load)),
            cpu=0.3 * load * rng.lognormal(0, 0.1),
        )
        busy.memory = int(1e8 * rng.lognormal(0, 0.02))
        busy.now += HOUR
        busy.writer.write(busy.now - 60)
        found.append([list(each.at(busy.now).tests) for each in looking])
    return found


def all_of(log: Path, model: Any) -> list[Looking]:
    kinds = (Latency, Throughput, Resources, Errors)
    return [Looking(kind(kind.Settings()), log, model) for kind in kinds]


@pytest.mark.slow
def test_false_alarms_are_as_rare_as_asked_for(model: Any, tmp_path: Path) -> None:
    """800 unchanged windows over 10 servers, at 1 % each: 8 are expected, 18 hardly ever."""
    alarms = windows = 0
    for seed in range(10):
        busy = Busy(tmp_path / str(seed))
        for tests in hours(busy, all_of(tmp_path / str(seed), model), np.random.default_rng(seed), 100)[20:]:
            windows += 1
            alarms += decide([test for each in tests for test in each], 500, 0.01).alarm
    assert windows == 800
    assert alarms <= 17, alarms


@pytest.mark.slow
def test_nights_of_few_requests_are_no_alarm(model: Any, tmp_path: Path) -> None:
    """Windows of 60 to 1,500 requests, whose errors and slow ones differ from hour to hour: 480 at 1 % each."""
    alarms = windows = 0
    for seed in range(6):
        busy, rng = Busy(tmp_path / str(seed)), np.random.default_rng(50 + seed)
        looking = [Looking(kind(kind.Settings()), tmp_path / str(seed), model) for kind in (Latency, Errors)]
        for hour in range(100):
            load = 60 if hour % 24 < 8 else 1500
            failed = int(rng.binomial(load, 0.02 * rng.lognormal(0, 0.3)))
            busy.does(usual(rng, load - failed) * rng.lognormal(0, 0.1), failed=failed)
            busy.now += HOUR
            busy.writer.write(busy.now - 60)
            tests = [test for each in looking for test in each.at(busy.now).tests]
            if hour >= 20:
                windows += 1
                alarms += decide(tests, 500, 0.01).alarm
    assert windows == 480
    assert alarms <= 12, alarms


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"latency": 2.0}, {"typical", "slow"}),
        ({"load": 0.2}, {"requests"}),
        ({"memory": 2.0}, {"memory"}),
        ({"cpu": 3.0}, {"cpu"}),
        ({"failed": 30}, {"errors"}),
    ],
)
def test_planted_changes_are_found(
    change: dict[str, float], found: set[str], model: Any, tmp_path: Path
) -> None:
    for seed in range(5):
        busy, rng = Busy(tmp_path / str(seed)), np.random.default_rng(100 + seed)
        looking = all_of(tmp_path / str(seed), model)
        hours(busy, looking, rng, 40)
        requests = int(300 * change.get("load", 1.0))
        cpu = 0.3 * change.get("load", 1.0) * change.get("cpu", 1.0)
        busy.does(
            usual(rng, requests) * change.get("latency", 1.0), failed=int(change.get("failed", 0)), cpu=cpu
        )
        busy.memory = int(1e8 * change.get("memory", 1.0))
        busy.now += HOUR
        busy.writer.write(busy.now - 60)
        tests = [test for each in looking for test in each.at(busy.now).tests]
        findings = decide(tests, 500, 0.0014).findings
        assert {each.column for each in findings} == found, [each.text for each in findings]
        for each in findings:
            assert each.threshold is None or (each.value > each.threshold) == (
                each.value > 1 or each.column == "errors"
            )


def test_a_season_compares_with_the_same_hour(busy: Busy, model: Any, tmp_path: Path) -> None:
    """By night a tenth of the requests come: only who compares the same hours can tell that a noon is too quiet."""
    plain = Looking(Throughput(Throughput.Settings()), tmp_path / "log", model)
    daily = Looking(
        Throughput(Throughput.Settings(season="1d", least=6, remember=400)), tmp_path / "log", model
    )
    rng = np.random.default_rng(3)
    for hour in range(12 * 24):
        busy.does(usual(rng, 40 if hour % 24 < 6 else 400))
        busy.now += HOUR
        busy.writer.write(busy.now - 60)
        for each in (plain, daily):
            said = each.at(busy.now)
            if each is daily:
                assert not decide(said.tests, 500, 0.0005).alarm, hour
    for hour in range(13):
        busy.does(usual(rng, 40 if hour < 6 or hour == 12 else 400))
        busy.now += HOUR
        busy.writer.write(busy.now - 60)
        last = {each: decide(each.at(busy.now).tests, 500, 0.0014).alarm for each in (plain, daily)}
    assert last == {plain: False, daily: True}


@pytest.mark.parametrize(
    ("watchers", "fault"),
    [
        ({"throughput": {"season": "1d"}}, "only 8 are of the same time.*write `remember: 480`"),
        ({"throughput": {"season": "7d", "every": 3}}, "every"),
        ({"latency": {"remember": 5, "least": 200}}, "of 5 windows there are never 200"),
        ({"errors": {"season": "30d", "remember": 5000}}, "lower `least`, or make `every` longer"),
        ({"cost": {"cpu_hour": math.inf}}, "finite number"),
    ],
)
def test_what_can_never_be_judged_is_refused(watchers: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        MonitorSpec(watchers=[watchers])


def test_a_season_that_is_remembered_is_taken() -> None:
    for settings in ({"season": "1d", "remember": 480}, {"season": "1d", "least": 8}, {"season": "1h"}):
        assert MonitorSpec(watchers=[{"throughput": settings}]).watchers == {"throughput": settings}
    assert MonitorSpec(every="1d", rows=1, watchers=[{"throughput": {"season": "7d", "remember": 140}}])


@pytest.mark.parametrize("kind", [Latency, Throughput, Resources, Errors])
def test_who_waits_for_windows_says_how_many(kind: Any, busy: Busy, model: Any, tmp_path: Path) -> None:
    looking = Looking(kind(kind.Settings(least=5)), tmp_path / "log", model)
    told = []
    for _ in range(7):
        busy.does([0.004] * 9, cpu=0.1)
        busy.now += HOUR
        busy.writer.write(busy.now - 60)
        said = looking.at(busy.now)
        told.append(said.figures.get("waiting"))
        assert bool(said.tests) == (told[-1] is None)
    assert told == [*({"windows": n, "wanted": 5} for n in range(5)), None, None]


# figures ---------------------------------------------------------------------------------------------
def test_what_predictions_cost(busy: Busy, model: Any, tmp_path: Path) -> None:
    settings = Cost.Settings(cpu_hour=0.04, currency="CHF")
    busy.minute([0.004] * 10, minutes=60, rows=5, cpu=0.6)
    busy.minute()
    found = Looking(Cost(settings), tmp_path / "log", model).at(busy.now).figures
    lines = 60 if found["rows"] == 3000 else 59
    assert found["rows"] == lines * 50
    cpu = lines * 0.6 + (1.0 if lines == 60 else 0.0)  # the start is in the first line
    assert found["cost"] == pytest.approx(cpu / 3600 * 0.04)
    assert found["per_1000_rows"] == pytest.approx(found["cost"] / found["rows"] * 1000)
    assert found["per_30_days"] == pytest.approx(found["cost"] * 720)
    assert found["currency"] == "CHF"


def test_figures_of_what_serving_takes(busy: Busy, model: Any, tmp_path: Path) -> None:
    busy.lane.waiting = 4
    busy.minute([0.004] * 10, minutes=60, cpu=0.6)
    found = Looking(Resources(Resources.Settings()), tmp_path / "log", model).at(busy.now + 60).figures
    assert found["most_waiting"] == 4
    assert found["memory_bytes"] == 100_000_000
    assert found["queue_seconds_per_request"] == pytest.approx(0.0001)
    assert found["cpu_seconds_per_1000_rows"] == pytest.approx(60, rel=0.1)
    throughput = Looking(Throughput(Throughput.Settings()), tmp_path / "log", model).at(busy.now + 60).figures
    assert throughput["requests_per_second"] == pytest.approx(10 / 60, rel=0.02)


@pytest.mark.parametrize("name", OPERATIONS)
def test_without_counters_there_is_nothing_to_say(name: str, model: Any, tmp_path: Path) -> None:
    kind = WATCHERS.load(name)
    settings = {"cpu_hour": 1.0} if name == "cost" else {}
    said = Looking(kind(kind.Settings(**settings)), tmp_path / "none", model, objective()).at(seconds(DAY))
    assert said.tests == ()
    json.dumps(dict(said.figures), allow_nan=False)
