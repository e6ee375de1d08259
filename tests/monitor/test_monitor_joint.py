"""What no column shows by itself: false alarms on rows without a change, and changes planted on purpose."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from window_support import check, reference_of, scanned

from bessemer.core.errors import UsageError
from bessemer.monitor.check import Check
from bessemer.monitor.finding import WHOLE_ROWS
from bessemer.monitor.joint import JointReference
from bessemer.monitor.plugins import parts_read
from bessemer.monitor.reference import Reference
from bessemer.package.row_codes import Codes
from bessemer.package.row_features import RowCosines
from bessemer.stats.arrays import Floats
from bessemer.stats.mean_features import MeanFeatures, MeanTest

JOINT = ("mmd", "reconstruction", "domain_classifier")
DTYPES: dict[str, Any] = {"a": "number", "b": "number", "c": "number", "kind": "string", "flag": "boolean"}
WINDOW = 3000


def rows(n: int, seed: int, change: str = "") -> pa.Table:
    """Numbers of which a and b go together, a kind with a rare level, a flag; changed in one way, if at all."""
    rng = np.random.default_rng(seed)
    a, b, c = rng.normal(size=(3, n))
    r = 0.3 if change == "correlation" else 0.6
    b = r * a + np.sqrt(1 - r * r) * b
    if change == "shift":
        a = a + 0.25
    if change == "interaction":  # three-way: each pair is as it was
        c = np.abs(c) * np.sign(a * (b - 0.6 * a))
    share = 0.05 if change == "rare" else 0.02
    kind = rng.choice(["x", "y", "z", "rare"], n, p=[0.5, 0.3, 0.2 - share, share])
    flag = rng.random(n) < 0.3
    if change == "mixture":  # one in twelve comes from somewhere else, of which no column is out of its range
        other = rng.random(n) < 0.08
        a, b, c = (np.where(other, sign, v) for sign, v in ((1.0, a), (-1.0, b), (1.0, c)))
    return pa.table({"a": np.exp(a), "b": b, "c": c, "kind": kind, "flag": flag})


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    return reference_of(rows(20_000, 0), tmp_path_factory.mktemp("joint"), DTYPES)


@pytest.fixture
def looked(known: Reference, tmp_path: Path) -> Callable[..., Check]:
    def made(data: pa.Table, *detectors: str, false_alarm: float = 0.01) -> Check:
        window = scanned(data, known, tmp_path)
        return check(known, window, detectors=detectors or JOINT, false_alarm=false_alarm)

    return made


def found(what: Check) -> set[str]:
    return {finding.detector for finding in what.findings}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "detectors"),
    [
        ("shift", {"mmd"}),
        ("correlation", {"mmd", "reconstruction", "domain_classifier"}),
        ("interaction", {"mmd", "domain_classifier"}),
        ("mixture", {"mmd"}),
        ("rare", {"mmd"}),
    ],
)
def test_changes_are_found(change: str, detectors: set[str], looked: Callable[..., Check]) -> None:
    """In three windows of three, by those that can."""
    for seed in (101, 102, 103):
        assert found(looked(rows(WINDOW, seed, change))) >= detectors, seed


def test_a_correlation_and_an_interaction_are_seen_in_no_column(looked: Callable[..., Check]) -> None:
    """What is found by whole rows is not there in any column."""
    by_column = ("missing", "unseen", "range", "chi_square", "kolmogorov_smirnov", "psi", "wasserstein")
    for change in ("correlation", "interaction"):
        assert not looked(rows(WINDOW, 104, change), *by_column).alarm, change


def false_alarms(folder: Path, names: Sequence[str], references: int, windows: int) -> dict[str, int]:
    """At one in ten. One reference alone would be half the story: it is a sample, too."""
    alarms = dict.fromkeys(names, 0)
    for i in range(references):
        known = reference_of(rows(5000, 1000 + i), folder / str(i), DTYPES)
        for j in range(windows):
            window = scanned(rows(800, 5000 + windows * i + j), known, folder)
            for name in names:
                alarms[name] += check(known, window, detectors=[name], false_alarm=0.1).alarm
    return alarms


@pytest.mark.slow
def test_false_alarms_over_many_references(tmp_path: Path) -> None:
    """Of 200 windows 20 on average; 36 or more come once in thousands of times."""
    alarms = false_alarms(tmp_path, ("mmd", "reconstruction"), 20, 10)
    assert 4 < alarms["mmd"] < 36
    assert 4 < alarms["reconstruction"] < 36


@pytest.mark.slow
def test_false_alarms_of_the_classifier(tmp_path: Path) -> None:
    """Of 120 windows 12 on average at most: the p-value of the surer half is doubled."""
    assert 1 < false_alarms(tmp_path, ("domain_classifier",), 12, 10)["domain_classifier"] < 25


def test_the_columns_that_tell_most_are_named(looked: Callable[..., Check]) -> None:
    (finding,) = looked(rows(WINDOW, 105, "shift"), "domain_classifier").findings
    assert "the columns that tell most: 'a'" in finding.text
    assert finding.column == WHOLE_ROWS
    assert finding.threshold is not None
    assert 0.5 < finding.threshold < finding.value < 0.7


def test_thresholds_are_what_the_p_values_say(looked: Callable[..., Check]) -> None:
    for test in looked(rows(WINDOW, 106, "correlation")).tests:
        assert test.threshold is not None
        assert test.p_value is not None
        if test.detector != "domain_classifier" and test.p_value > 1e-250:
            assert test.threshold(test.p_value) == pytest.approx(test.value, rel=1e-3), test.detector


def test_only_what_is_asked_for_is_read(known: Reference, tmp_path: Path) -> None:
    from bessemer.core.sql import connect
    from bessemer.monitor.scan import scan

    connection = connect(threads=1, memory=2**30, temporary=tmp_path)
    connection.register("data", rows(500, 1))
    bare = scan(connection, "data", known, parts_read(["schema", "chi_square"]))
    assert (bare.joint, bare.pairs) == (None, None)
    pairs = scan(connection, "data", known, parts_read(["correlation"]))
    assert pairs.pairs is not None
    assert pairs.joint is None
    joint = scan(connection, "data", known, parts_read(["mmd", "schema"])).joint
    assert joint is not None
    assert joint.mean is not None
    assert (joint.distances, joint.rows, joint.texts) == (None, None, {})


def test_matrix_products_take_one_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the profile and in a check; afterwards they take as many as before."""
    from threadpoolctl import threadpool_info, threadpool_limits  # type: ignore[import-untyped]

    def threads() -> set[int]:
        return {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}

    taken: list[set[int]] = []
    of = RowCosines.of

    def watched(self: RowCosines, codes: Codes) -> Floats:
        taken.append(threads())
        return of(self, codes)

    whitened = MeanTest.whitened

    def whitened_here(reference: MeanFeatures) -> MeanTest:
        taken.append(threads())
        return whitened(reference)

    monkeypatch.setattr(RowCosines, "of", watched)
    monkeypatch.setattr(MeanTest, "whitened", whitened_here)
    with threadpool_limits(limits=2, user_api="blas"):
        before = threads()
        known = reference_of(rows(2000, 0), tmp_path / "threads", DTYPES)
        profiled = len(taken)
        window = scanned(rows(500, 1), known, tmp_path)
        read = len(taken)
        assert check(known, window, detectors=["mmd"]).tests
        assert threads() == before
    assert 0 < profiled < read < len(taken)
    assert all(found == {1} for found in taken)


def test_without_training_rows_it_says_what_to_set(known: Reference, tmp_path: Path) -> None:
    bare = Reference(known.facts)
    with pytest.raises(UsageError, match=r"profile: \{rows: 2000\}"):
        scanned(rows(500, 1), bare, tmp_path)


def test_an_absent_column_leaves_whole_rows_alone(looked: Callable[..., Check]) -> None:
    """What is absent is a fact of its own, and rows without it cannot be compared."""
    assert not looked(rows(WINDOW, 7, "correlation").drop_columns(["kind"])).tests


def test_small_windows_and_missing_values(looked: Callable[..., Check]) -> None:
    assert not looked(rows(20, 8)).tests, "too few to say anything"
    hollow = rows(500, 9).set_column(0, "a", pa.nulls(500, pa.float64()))
    assert found(looked(hollow)) >= {"mmd", "domain_classifier"}


def test_a_window_of_texts_is_the_same(known: Reference, tmp_path: Path) -> None:
    """CSV gives text."""
    data = rows(1000, 10)
    text = pa.table({name: data.column(name).cast(pa.string()) for name in data.column_names})
    both = [check(known, scanned(each, known, tmp_path), detectors=JOINT) for each in (data, text)]
    assert both[0].to_json() == both[1].to_json()


@pytest.mark.slow
def test_more_rows_than_are_looked_at_are_spread(known: Reference, tmp_path: Path) -> None:
    """The change is in the last third: rows that are spread evenly see it, the first 50,000 would not."""
    many = pa.concat_tables([rows(80_000, 11), rows(40_000, 12, "correlation")])
    window = scanned(many, known, tmp_path)
    assert window.joint is not None
    assert window.joint.mean is not None
    assert window.joint.mean.rows == 50_000
    assert found(check(known, window, detectors=["mmd"])) == {"mmd"}


TURNS: dict[str, Any] = {"hour": "number", "fare": "number", "way": "string"}


def turns(n: int, seed: int, first: int = 0, *, changed: bool = False) -> pa.Table:
    """Trips out and back in turn; changed, every tenth pair has the hours of the other way."""
    rng = np.random.default_rng(seed)
    place = np.arange(n) + first
    back = place % 2
    late = np.where(changed & (place // 2 % 10 == 0), 1 - back, back)
    return pa.table(
        {
            "hour": 8 + 9 * late + rng.normal(size=n),
            "fare": rng.lognormal(3, 0.4, n),
            "way": np.where(back, "back", "out"),
        }
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "now", "first"), [(49_000, 49_000, 0), (100_000, 40_000, 0), (60_000, 60_000, 1)]
)
def test_rows_that_come_in_turn_are_no_drift(before: int, now: int, first: int, tmp_path: Path) -> None:
    """Every second row is of one way: neither the sample nor the halves of it may keep step with that."""
    detectors = ("mmd", "reconstruction", "correlation", "chi_square", "domain_classifier")
    known = reference_of(turns(before, 0), tmp_path / "turns", TURNS)
    assert not check(known, scanned(turns(now, 1, first), known, tmp_path), detectors=detectors).alarm
    changed = scanned(turns(now, 2, first, changed=True), known, tmp_path)
    assert found(check(known, changed, detectors=detectors)) >= {"mmd", "reconstruction"}


@pytest.mark.slow
def test_stations_that_report_in_turn_are_no_drift(tmp_path: Path) -> None:
    """24 stations, each with a level of its own; 120,000 rows are ten turns for every ten that are looked at."""
    levels = np.random.default_rng(9).normal(size=(24, 2))

    def reports(n: int, seed: int) -> pa.Table:
        values = levels[np.arange(n) % 24] + 0.3 * np.random.default_rng(seed).normal(size=(n, 2))
        return pa.table({"warmth": values[:, 0], "wind": values[:, 1]})

    dtypes: dict[str, Any] = {"warmth": "number", "wind": "number"}
    known = reference_of(reports(600_000, 0), tmp_path / "stations", dtypes)
    for n in (40_000, 120_000):
        window = scanned(reports(n, 1), known, tmp_path)
        assert not check(known, window, detectors=["mmd", "reconstruction", "correlation"]).alarm, n


@pytest.mark.slow
def test_what_a_reference_keeps_is_small_and_the_same(known: Reference, tmp_path: Path) -> None:
    again = reference_of(rows(20_000, 0), tmp_path, DTYPES)
    for key in ("row", "mmd", "reconstruction", "texts"):
        assert json.dumps(known.facts[key]) == json.dumps(again.facts[key]), key
    assert sum(len(json.dumps(known.facts[key])) for key in ("row", "mmd", "reconstruction")) < 100_000


def test_a_reference_of_before_says_nothing(known: Reference, tmp_path: Path) -> None:
    old = {k: v for k, v in known.facts.items() if k not in ("row", "mmd", "reconstruction", "texts")}
    window = scanned(rows(500, 1), Reference(old), tmp_path)
    assert not check(Reference(old), window, detectors=[*JOINT, "text"]).tests


def test_many_like_levels_are_left_out(tmp_path: Path) -> None:
    """The most frequent of many like values are less so in the next sample."""
    rng = np.random.default_rng(13)

    def even(n: int) -> pa.Table:
        x, y = rng.normal(size=(2, n))
        return pa.table({"x": x, "y": y, "code": [f"v{v}" for v in rng.integers(0, 400, n)]})

    dtypes: dict[str, Any] = {"x": "number", "y": "number", "code": "string"}
    like = reference_of(even(20_000), tmp_path / "like", dtypes)
    assert [column.name for column in JointReference(like).columns] == ["x", "y"]


# texts -----------------------------------------------------------------------------------------------
TOPICS = {
    "billing": ["invoice", "charge", "refund", "payment", "card", "billed", "amount", "late", "fee"],
    "network": ["router", "signal", "slow", "outage", "line", "speed", "modem", "cable", "drops"],
}


def letters(n: int, seed: int, billing: float) -> pa.Table:
    """Texts of which no two are alike: who wrote, when, and ten words about one of two things."""
    rng = np.random.default_rng(seed)

    def made() -> Iterator[str]:
        for i, about in enumerate(rng.random(n) < billing):
            words = rng.choice(TOPICS["billing" if about else "network"], 10)
            yield f"Dear all, {' '.join(words)}. Ticket {i}-{rng.integers(10**6)}"

    return pa.table({"letter": list(made())})


@pytest.mark.slow
def test_texts_that_are_missing_are_no_texts(tmp_path: Path) -> None:
    """More of them are missing: that says `missing`, and those that are there have not changed."""

    def hollow(n: int, seed: int, share: float) -> pa.Table:
        texts = letters(n, seed, 0.5).column("letter").to_numpy()
        there = np.random.default_rng([7, seed]).random(n)
        held = np.where(there < share / 2, "", texts)
        return pa.table({"letter": pa.array(held, pa.string(), mask=(there >= share / 2) & (there < share))})

    known = reference_of(hollow(4000, 1, 0.1), tmp_path / "hollow", {"letter": "string"})
    assert known.facts["texts"]["letter"]["rows"] == known.facts["columns"]["letter"]["count"]
    seen = scanned(hollow(4000, 2, 0.6), known, tmp_path)
    assert seen.joint is not None
    assert 1500 < seen.joint.texts["letter"].rows < 1700
    assert found(check(known, seen, detectors=["text", "missing"])) == {"missing"}
    nothing = scanned(pa.table({"letter": pa.nulls(500, pa.string())}), known, tmp_path)
    assert found(check(known, nothing, detectors=["text", "missing"])) == {"missing"}


def text_test(known: Reference, data: pa.Table, folder: Path) -> Any:
    (test,) = check(known, scanned(data, known, folder), detectors=["text"]).tests
    return test


@pytest.mark.slow
def test_a_topic_that_comes_up_more_often_is_found(tmp_path: Path) -> None:
    known = reference_of(letters(4000, 1, 0.5), tmp_path / "letters", {"letter": "string"})
    quiet = [text_test(known, letters(500, 10 + i, 0.5), tmp_path).p_value or 0 for i in range(25)]
    assert sum(p < 0.1 for p in quiet) <= 9
    assert min(quiet) > 1e-4
    changed = text_test(known, letters(500, 99, 0.65), tmp_path)
    assert changed.column == "letter"
    assert (changed.p_value or 1) < 1e-4
    seen = scanned(letters(500, 99, 0.65), known, tmp_path)
    assert not check(known, seen, detectors=["chi_square", "unseen"]).alarm, "no value is there twice"
