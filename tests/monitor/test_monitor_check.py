"""Windows without a change, and windows that were changed on purpose."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from window_support import check, reference_of, rows, table

from bessemer.monitor.check import Check
from bessemer.monitor.plugins import DETECTORS, parts_read
from bessemer.monitor.reference import Reference
from bessemer.monitor.window import Window
from bessemer.stats.two_sample import outside_p

CITY = 'city "São"'
Made = Callable[..., Window]

#: Those that look at columns; the others look at whole rows, which have changed where a column has.
OF_COLUMNS = [name for name in DETECTORS.names() if parts_read([name]) <= {"pairs"}]


def columns(found: Check) -> set[tuple[str, str]]:
    return {(finding.column, finding.detector) for finding in found.findings}


def another() -> pa.Table:
    """Rows of which everything is otherwise: types, ranges, shares, what is missing, and what goes together."""
    found = rows(1500, 7)
    rank = np.argsort(np.argsort(found["age"]))
    found["income"] = np.where(np.arange(1500) % 5 == 0, np.nan, np.sort(rows(1500, 8)["income"])[rank] * 2)
    found["income"][::30] = 1e9
    found[CITY] = np.where(np.arange(1500) % 3 == 0, "Lugano", found[CITY])
    found["id"] = np.array([f"number {i} of the other kind" for i in range(1500)])
    found["age"] = np.where(np.arange(1500) % 50 == 0, "old", found["age"].astype(str))
    found["member"] = np.arange(1500) % 2 == 0
    return table(found)


#: What there is to find without a contract in the package (`test_monitor_quality.py` has one).
WITHOUT_CONTRACT = [name for name in DETECTORS.names() if name != "contract"]


@pytest.mark.parametrize("name", WITHOUT_CONTRACT)
def test_what_is_otherwise_alarms(name: str, reference: Reference, window_of: Made) -> None:
    """One that never alarms would have no false alarms either."""
    found = check(reference, window_of(another()), detectors=[name], false_alarm=0.01)
    assert {finding.detector for finding in found.findings} == {name}


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in WITHOUT_CONTRACT if name != "domain_classifier"])
def test_false_alarms_are_as_rare_as_was_asked_for(
    name: str, reference: Reference, unchanged: list[Window]
) -> None:
    """At a probability of one in ten: of 200 windows 20 on average, and 34 or more once in a thousand times.

    The classifier, which takes longer, has a test of its own (`test_monitor_joint.py`).
    """
    alarms = sum(check(reference, window, detectors=[name], false_alarm=0.1).alarm for window in unchanged)
    assert alarms < 34


@pytest.mark.slow
def test_hardly_a_false_alarm_with_the_usual_detectors(reference: Reference, unchanged: list[Window]) -> None:
    """One in a hundred windows is the package's own: of 200, seven or more come once in 200 times."""
    found = [check(reference, window) for window in unchanged]
    assert sum(each.alarm for each in found) < 7
    assert all(len(each.tests) >= 10 for each in found)


def _changed(change: str) -> dict[str, Any]:
    columns = rows(3000, 7)
    if change == "shift":
        columns["income"] = columns["income"] * 1.15
    elif change == "spread":
        middle = np.nanmedian(columns["income"])
        columns["income"] = middle + (columns["income"] - middle) * 0.7
    elif change == "category":
        columns[CITY] = np.where(np.arange(3000) % 20 == 0, "</b>", columns[CITY])
    elif change == "boolean":
        columns["member"] = np.arange(3000) % 100 < 36
    elif change == "missing":
        columns["income"] = np.where(np.arange(3000) % 20 == 0, np.nan, columns["income"])
    elif change == "new":
        columns[CITY] = np.where(np.arange(3000) % 500 == 0, "Lugano", columns[CITY])
    elif change == "range":
        columns["age"] = np.where(np.arange(3000) % 500 == 0, 900, columns["age"])
    return columns


@pytest.mark.parametrize(
    ("change", "column", "detectors"),
    [
        ("shift", "income", {"chi_square", "kolmogorov_smirnov", "psi", "jensen_shannon", "wasserstein"}),
        ("spread", "income", {"chi_square", "kolmogorov_smirnov", "psi", "jensen_shannon", "wasserstein"}),
        ("category", CITY, {"chi_square", "psi", "jensen_shannon"}),
        ("boolean", "member", {"chi_square", "psi", "jensen_shannon"}),
        ("missing", "income", {"missing"}),
        ("new", CITY, {"unseen"}),
        ("range", "age", {"range"}),
    ],
)
def test_a_change_is_found_where_it_is_and_nowhere_else(
    change: str, column: str, detectors: set[str], reference: Reference, window_of: Made
) -> None:
    found = check(reference, window_of(table(_changed(change))), detectors=OF_COLUMNS)
    assert columns(found) == {(column, name) for name in detectors}
    for finding in found.findings:
        assert finding.p_value is not None
        assert finding.p_value < 0.01 / 10
        if finding.threshold is not None:
            assert finding.value > finding.threshold


def test_thresholds_are_what_the_p_values_say(reference: Reference, window_of: Made) -> None:
    """A statistic at its threshold has the probability that the threshold was asked for."""
    found = check(reference, window_of(table(_changed("shift"))), detectors=DETECTORS.names())
    by_detector = {test.detector: test for test in found.tests if test.column == "income"}
    for name in ("chi_square", "kolmogorov_smirnov", "psi", "jensen_shannon", "wasserstein"):
        test = by_detector[name]
        assert test.threshold is not None
        assert test.p_value is not None
        assert test.threshold(test.p_value) == pytest.approx(test.value, rel=1e-3)


@pytest.mark.slow
def test_a_change_that_no_column_shows_by_itself(tmp_path: Path, window_of: Made) -> None:
    """Two columns that went together now go against each other; each alone is as it was."""
    rng = np.random.default_rng(4)

    def pair(n: int, r: float) -> pa.Table:
        a, b, other = rng.normal(size=(3, n))
        return pa.table({"a": a, "b": np.exp(r * a + np.sqrt(1 - r * r) * b), "other": other})

    dtypes = dict.fromkeys(("a", "b", "other"), "number")
    known = reference_of(pair(20_000, 0.5), tmp_path / "pairs", dtypes)
    found = check(known, window_of(pair(2000, 0.3), known))
    assert columns(found) == {("a × b", "correlation"), ("whole rows", "mmd")}
    finding = next(each for each in found.findings if each.detector == "correlation")
    assert finding.threshold is not None
    assert finding.value == pytest.approx(0.2, abs=0.06)
    assert finding.value > finding.threshold
    assert not check(known, window_of(pair(2000, 0.5), known)).alarm


@pytest.mark.slow
def test_texts_of_which_many_are_rare_are_no_alarm(tmp_path: Path, window_of: Made) -> None:
    """Towns by Zipf's law: every window has some that training did not happen to have."""
    rng = np.random.default_rng(8)

    def towns(n: int) -> pa.Table:
        return pa.table({"town": [f"t{min(k, 90)}" for k in rng.zipf(1.7, n)]})

    known = reference_of(towns(3000), tmp_path / "towns", {"town": "string"})
    assert not known.columns["town"].counts[-1], "all of them are known one by one"
    windows = [window_of(towns(1000), known) for _ in range(40)]
    assert sum(w.columns["town"].sketch.counts[-1] > 0 for w in windows) > 10
    assert sum(check(known, w, detectors=["unseen"]).alarm for w in windows) <= 3


@pytest.mark.slow
def test_pairs_that_are_not_jointly_normal_alarm_no_more_often(tmp_path: Path, window_of: Made) -> None:
    """x and +-x go together in size and not in sign: their correlation varies three times as much as of normal ones."""
    rng = np.random.default_rng(9)

    def pair(n: int) -> pa.Table:
        x = rng.normal(size=n)
        return pa.table({"x": x, "w": x * rng.choice([-1, 1], n)})

    known = reference_of(pair(5000), tmp_path / "signs", dict.fromkeys(("x", "w"), "number"))
    found = [check(known, window_of(pair(1000), known), detectors=["correlation"]) for _ in range(60)]
    assert sum(each.alarm for each in found) <= 4, "one in a hundred was asked for"


@pytest.mark.slow
@pytest.mark.parametrize("levels", [60, 400])
def test_values_that_are_as_frequent_alarm_no_more_often(
    levels: int, tmp_path: Path, window_of: Made
) -> None:
    """The most frequent of many like values are less frequent in the next sample: that is no change."""
    rng = np.random.default_rng(11)

    def even(n: int) -> pa.Table:
        return pa.table({"code": [f"v{v}" for v in rng.integers(0, levels, n)]})

    known = reference_of(even(20_000), tmp_path / str(levels), {"code": "string"})
    found = [check(known, window_of(even(20_000), known), false_alarm=0.05) for _ in range(40)]
    assert sum(each.alarm for each in found) <= 6, "two were asked for"


def test_a_great_window_against_a_small_reference() -> None:
    """What lies outside a thousand rows is expected of ten million: 2 of 1,001 on average."""
    assert outside_p(19_980, 10_000_000, 1000, 2) > 0.2
    assert outside_p(200_000, 10_000_000, 1000, 2) < 1e-6
    assert outside_p(1001, 500_000, 1000, 2) == pytest.approx(outside_p(1000, 500_000, 1000, 2), rel=0.02)


def test_facts_come_first_and_need_no_chance(reference: Reference, window_of: Made) -> None:
    columns = _changed("shift")
    del columns["member"]
    columns["age"] = np.where(np.arange(3000) == 5, "forty", columns["age"].astype(str))
    found = check(reference, window_of(table(columns)))
    first, second = found.findings[:2]
    assert {(first.column, first.statistic), (second.column, second.statistic)} == {
        ("member", "absent"),
        ("age", "wrong type"),
    }
    assert (first.p_value, first.threshold) == (None, None)
    assert "'forty'" in first.text + second.text


def test_a_window_is_the_same_in_text(reference: Reference, window_of: Made) -> None:
    """CSV gives text: numbers, booleans and times are read from it, and nothing is out of the ordinary."""
    data = table(rows(2000, 301))
    text = pa.table({name: data.column(name).cast(pa.string()) for name in data.column_names})
    as_text, as_it_is = check(reference, window_of(text)), check(reference, window_of(data))
    assert as_text.to_json() == as_it_is.to_json()


def test_windows_that_are_hardly_any(reference: Reference, window_of: Made) -> None:
    one = table(rows(2000, 5)).slice(0, 1)
    assert not check(reference, window_of(one), detectors=DETECTORS.names()).alarm
    empty = pa.table({"income": pa.nulls(500, pa.float64())})
    found = check(reference, window_of(empty), detectors=DETECTORS.names())
    assert ("income", "missing") in columns(found)
    assert ("age", "schema") in columns(found)


def test_a_reference_that_knows_nothing_of_a_column(tmp_path: Any, window_of: Made) -> None:
    hollow = reference_of(
        pa.table({"a": pa.nulls(100, pa.float64()), "b": pa.nulls(100, pa.string())}),
        tmp_path / "hollow",
        {"a": "number", "b": "string"},
    )
    window = window_of(pa.table({"a": [1.0] * 50, "b": ["x"] * 50}), hollow)
    found = check(hollow, window, detectors=DETECTORS.names())
    assert columns(found) == {("a", "missing"), ("b", "missing")}


def test_the_distance_of_binned_numbers_is_close_to_the_exact_one(
    reference: Reference, window_of: Made
) -> None:
    from scipy.stats import ks_2samp

    before, now = rows(20_000, 0)["income"], rows(5000, 9)["income"] * 1.1
    found = check(
        reference, window_of(table({**rows(5000, 9), "income": now})), detectors=["kolmogorov_smirnov"]
    )
    value = next(test.value for test in found.tests if test.column == "income")
    exact = ks_2samp(before[~np.isnan(before)], now[~np.isnan(now)]).statistic
    assert value == pytest.approx(exact, abs=1 / 256)
