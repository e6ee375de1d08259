"""Global explainers on tables that nobody would wish for, and their bounds."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from truth_support import Explained

from bessemer.core.errors import UsageError
from bessemer.explain.check import check_columns
from bessemer.explain.explainers.ale_2d import second_order
from bessemer.explain.grid import grid_of, spread
from bessemer.explain.plugins import EXPLAINERS
from bessemer.explain.sample import Rows, explained
from bessemer.explain.spec import ExplainSpec
from bessemer.explain.subject import Subject
from bessemer.testing.explainers import check_explanation

pytestmark = pytest.mark.filterwarnings(
    "ignore:overflow encountered in cast"
)  # 1e300 becomes infinity in float32

N = 400

#: The explainers of whole models, with settings that ask for every column where they can.
GLOBAL: dict[str, dict[str, Any]] = {
    "permutation": {"repeats": 2},
    "contributions": {},
    "ale": {},
    "ale_2d": {},
    "partial_dependence": {},
    "partial_dependence_2d": {},
    "ice": {},
    "interactions": {"rows": 20},
    "surrogate": {},
}


@pytest.fixture(scope="module")
def ugly(tmp_path_factory: pytest.TempPathFactory) -> Explained:
    """Every type, nulls, names and values that break what is careless, and three classes."""
    rng = np.random.default_rng(9)
    strong = rng.normal(size=N)
    columns: dict[str, Any] = {
        "strong": strong,
        "</script> \"quoted\" 'name'": rng.normal(size=N),
        "größe, m²": pa.array(np.where(rng.random(N) < 0.4, np.nan, strong), from_pandas=True),
        "huge": rng.normal(size=N) * 1e300,
        "tiny": rng.normal(size=N) * 1e-300,
        "zeros": np.where(rng.random(N) < 0.9, 0.0, strong),
        "never": pa.nulls(N, pa.float64()),
        "same": np.full(N, 3),
        "flag": pa.array([None if i % 5 == 0 else bool(s > 0) for i, s in enumerate(strong)]),
        "count": rng.integers(-3, 4, N),
        "big": rng.integers(2**53, 2**62, N),
        "text": pa.array([None if i % 7 == 0 else ["", "x y", "ü", "</b>"][i % 4] for i in range(N)]),
        "many": [f"id {i}" for i in range(N)],
        "when": pa.array(
            [None if i % 9 == 0 else dt.datetime(1950, 1, 1) + dt.timedelta(hours=7 * i) for i in range(N)],
            pa.timestamp("us"),
        ),
        "soon": pa.array([dt.datetime(2020, 1, 1, 0, 0, 0, i) for i in range(N)], pa.timestamp("us")),
    }
    y = np.array(["a", "b", "c"])[np.digitize(strong + 0.3 * (columns["count"] > 1), [-0.5, 0.5])]
    table = pa.table({**columns, "y": y})
    return Explained(tmp_path_factory.mktemp("ugly")).fit(
        table, learner="lightgbm", task="multiclass", classes=["a", "b", "c"]
    )


@pytest.mark.parametrize("rows", [1, 2, 3, N])
@pytest.mark.parametrize("name", GLOBAL)
def test_ugly_tables(ugly: Explained, name: str, rows: int) -> None:
    subject, sample = ugly.opened()
    taken = slice(0, rows)
    few = explained(
        subject,
        Rows(sample.table.slice(0, rows), sample.features[taken], sample.actual[taken]),
        sample.training,
    )
    kind = EXPLAINERS.load(name)
    settings = dict(GLOBAL[name])
    if "columns" in kind.Settings.model_fields:
        settings["columns"] = subject.columns[:12]
    if "pairs" in kind.Settings.model_fields:
        settings["pairs"] = [list(pair) for pair in zip(subject.columns, subject.columns[1:], strict=False)]
    found = kind(kind.Settings(**settings)).explain(subject, few, ugly.context(), lambda: None)
    check_explanation(found, subject, few)


@pytest.mark.parametrize("name", GLOBAL)
def test_tables_that_say_nothing(ugly: Explained, name: str) -> None:
    """All rows alike: there is nothing to find, and that is found without a fault."""
    subject, sample = ugly.opened()
    first = pa.array(np.zeros(30, dtype=np.int64))
    alike = Rows(sample.table.take(first), sample.features[np.zeros(30, int)], sample.actual[:30])
    few = explained(subject, alike, sample.training)
    kind = EXPLAINERS.load(name)
    settings = dict(GLOBAL[name])
    if "columns" in kind.Settings.model_fields:
        settings["columns"] = ["strong", "flag", "text"]
    found = kind(kind.Settings(**settings)).explain(subject, few, ugly.context(), lambda: None)
    check_explanation(found, subject, few)


def test_a_column_that_is_missing_everywhere_is_left_out_and_a_note_says_so(ugly: Explained) -> None:
    subject, _ = ugly.opened()
    missing = next(name for name in subject.columns if name.startswith("größe"))
    _, sample = ugly.opened()
    place = sample.table.column_names.index(missing)
    emptied = sample.table.set_column(place, missing, pa.nulls(len(sample), pa.float64()))
    blank = dataclasses.replace(sample, table=emptied)
    kind = EXPLAINERS.load("ale")
    ugly.notes.clear()
    found = kind(kind.Settings.model_validate({"columns": [missing, "strong"]})).explain(
        subject, blank, ugly.context(), lambda: None
    )
    assert list(found.content["curves"]) == ["strong"]
    assert any("missing in every row" in note for note in ugly.notes)


class Counted:
    """A subject that counts the rows it scores."""

    def __init__(self, subject: Subject) -> None:
        self.subject, self.rows = subject, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.subject, name)

    def scored(self, table: pa.Table) -> Any:
        self.rows += table.num_rows
        return self.subject.scored(table)


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Explained:
    rng = np.random.default_rng(10)
    X = rng.normal(size=(300, 120))
    table = pa.table(
        {**{f"c{i}": X[:, i] for i in range(120)}, "y": X @ rng.normal(size=120) + X[:, 0] * X[:, 1]}
    )
    return Explained(tmp_path_factory.mktemp("wide")).fit(table, learner="linear")


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in GLOBAL if name not in ("permutation", "contributions")])
def test_the_work_is_bounded_on_wide_tables(wide: Explained, name: str) -> None:
    subject, sample = wide.opened()
    counted: Any = Counted(subject)
    kind = EXPLAINERS.load(name)
    wide.notes.clear()
    found = kind(kind.Settings()).explain(counted, sample, wide.context(), lambda: None)
    check_explanation(found, subject, sample)
    assert 0 < counted.rows < 250_000
    if name not in ("surrogate", "ale_2d", "partial_dependence_2d"):
        assert any("of 120" in note for note in wide.notes)


def test_an_unknown_column_is_found_before_the_run_and_refused_in_it(ugly: Explained) -> None:
    spec = ExplainSpec.model_validate(
        {"explainers": [{"ale": {"columns": ["stron"]}}, {"ale_2d": {"pairs": [["strong", "wen"]]}}]}
    )
    faults = check_columns(spec, {"strong": "DOUBLE", "when": "TIMESTAMP"}, {})
    assert [fault.path for fault in faults] == ["explain.explainers.ale", "explain.explainers.ale_2d"]
    assert "strong" in faults[0].fix
    assert "when" in faults[1].fix
    assert not check_columns(ExplainSpec(), {}, {})
    with pytest.raises(UsageError, match="takes no column 'stron'"):
        ugly.explain("partial_dependence", columns=["stron"])
    with pytest.raises(ValueError, match="is not a pair"):
        ExplainSpec.model_validate({"explainers": [{"ale_2d": {"pairs": [["strong", "strong"]]}}]})


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=120), st.integers(2, 40))
def test_points_are_few_ascending_and_reach_from_end_to_end(counts: list[int], points: int) -> None:
    chosen = spread(np.array(counts, dtype=np.int64), points).tolist()
    assert chosen == sorted(set(chosen))
    assert chosen[0] == 0
    assert chosen[-1] == len(counts) - 1
    assert len(chosen) <= points + 1
    if len(counts) <= points:
        assert len(chosen) == len(counts)
    heavy = [i for i, count in enumerate(counts) if count * points > sum(counts)]
    assert set(heavy) <= set(chosen), "a value that many rows share is a point"


def test_every_row_has_its_point(ugly: Explained) -> None:
    subject, sample = ugly.opened()
    for name in subject.columns:
        grid = grid_of(name, subject, sample, 500)
        values = sample.table[name].to_pylist()
        assert grid.whole
        assert int(grid.counts.sum()) == len(values), "all values are points, missing ones too"
        for row, place in enumerate(grid.place):
            if grid.kind == "number" and grid.values[place] is not None:
                assert grid.values[place] == pytest.approx(values[row])
            elif grid.kind == "category":
                assert grid.values[place] == (values[row] or None if values[row] != False else False)  # noqa: E712


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.floats(-5, 5)), min_size=1, max_size=50))
def test_a_second_order_effect_has_no_main_effects_and_a_mean_of_zero(
    rows: list[tuple[int, int, float]],
) -> None:
    down, across, effect = (np.array(values) for values in zip(*rows, strict=True))
    cell = down * 3 + across
    z = second_order(cell, effect, np.ones(len(rows)), (4, 3))
    held = np.bincount(cell, minlength=12).reshape(4, 3)
    middle = (z[1:, 1:] + z[:-1, 1:] + z[1:, :-1] + z[:-1, :-1]) / 4
    assert (held * middle).sum() == pytest.approx(0, abs=1e-8)
    for surface, counts in ((z, held), (z.T, held.T)):
        steps = surface[1:] - surface[:-1]
        left = (counts * (steps[:, 1:] + steps[:, :-1]) / 2).sum(axis=1)
        assert np.abs(left).max() < 1e-8
