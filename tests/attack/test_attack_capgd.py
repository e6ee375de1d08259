"""CAPGD: raw columns along a gradient that goes through everything that the graph makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trees_support import project, sample_of, victim_of

from bessemer.attack.attacks.capgd import CAPGD, CAPGDSettings, Pace
from bessemer.attack.columns import Column, Norm, distances
from bessemer.attack.distance import within
from bessemer.attack.protocol import Victim
from bessemer.attack.raw import raw_rows
from bessemer.attack.typed import reach, repaired
from bessemer.core.constraints import Limit
from bessemer.testing.attacks import check_attack, context

#: Of an attacker who may not touch one column, and only raise another, which is dear.
LIMITS = {"InternetService": Limit(immutable=True), "tenure": Limit(increase_only=True, cost=2.0)}


@pytest.fixture(scope="module")
def linear(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return project(tmp_path_factory.mktemp("linear"), train={"learner": "linear"})


limits = st.one_of(
    st.just(Limit()),
    st.just(Limit(immutable=True)),
    st.just(Limit(missing=True)),
    st.floats(0.1, 3).map(lambda cost: Limit(cost=cost)),
    st.floats(0.1, 3).map(lambda cost: Limit(cost=cost, increase_only=True)),
    st.floats(0.1, 3).map(lambda cost: Limit(cost=cost, decrease_only=True)),
)


@st.composite
def columns(draw: Any) -> Column:
    limit = draw(limits)
    if draw(st.booleans()):
        low = float(draw(st.integers(-20, 20)))
        kind = draw(st.sampled_from(["number", "integer"]))
        return Column("n", kind, limit, low, low + draw(st.integers(1, 40)), draw(st.floats(0.1, 9)))
    known = draw(st.integers(1, 5))
    return Column("c", "category", limit, levels=tuple("abcdef"[: known + 1]), known=known)


@settings(max_examples=60)
@given(
    st.lists(columns(), min_size=1, max_size=4),
    st.integers(0, 2**32 - 1),
    st.floats(0.01, 4),
    st.sampled_from(["l_inf", "l1", "l0"]),
)
def test_what_is_repaired_keeps_all_constraints(
    made: list[Column], seed: int, budget: float, norm: Norm
) -> None:
    rng = np.random.default_rng(seed)
    own = np.array([[_own(c, rng) for c in made] for _ in range(5)])
    wanted = own + rng.normal(0, 50, own.shape)
    low, high = reach(made, own, budget, norm)
    found = repaired(made, own, wanted, low, high)
    for c, column in enumerate(made):
        for before, after in zip(own[:, c], found[:, c], strict=True):
            assert column.may(before, np.array([after]))[0]
            assert column.kind != "integer" or np.isnan(after) or after == int(after)
            if norm != "l0":
                assert column.distance(before, after) <= within(budget)
    if norm == "l_inf":
        assert (distances(made, own, found, norm) <= within(budget)).all()


def _own(column: Column, rng: np.random.Generator) -> float:
    """A value that a row may have: also missing, a level that training rows do not have, a number beyond the bounds."""
    if rng.random() < 0.15:
        return float("nan")
    if not column.ordered:
        return float(rng.integers(len(column.levels)))
    value = rng.uniform(column.low - 3, column.high + 3)
    return float(np.rint(value)) if column.kind == "integer" else float(value)


def _corners(one: Victim, rows: Any, row: int, budget: float) -> np.ndarray:
    """All numbers at the ends of where they may go: on a linear model the worst row is among these."""
    own = rows.values[row][None]
    low, high = reach(rows.columns, own, budget, "l_inf")
    found = own
    for c, column in enumerate(rows.columns):
        if column.ordered and high[0, c] > low[0, c]:
            ends = []
            for end in (low[0, c], high[0, c]):
                moved = found.copy()
                moved[:, c] = end
                ends.append(moved)
            found = np.concatenate([found, *ends])
    return found


@pytest.mark.slow
@pytest.mark.parametrize("limits", [{}, LIMITS], ids=["free", "limited"])
def test_on_a_linear_model_it_finds_all_there_is(
    linear: Any, limits: dict[str, Limit], tmp_path: Path
) -> None:
    one = victim_of(linear, limits)
    sample = sample_of(one, 40, tmp_path)
    budgets = [0.2, 0.6]  # no category flips within these
    found = check_attack(CAPGD, {"budgets": budgets, "steps": 10}, one, sample, tmp_path)
    rows = raw_rows(one, sample)
    for point, budget in zip(found.curve[1:], budgets, strict=True):
        stands = [
            bool(rows.right[row]) and (rows.margins(row, _corners(one, rows, row, budget)) <= 0).all()
            for row in range(len(sample))
        ]
        assert round(point.value * len(sample)) == sum(stands)
    if not limits:
        assert found.curve[0].value > found.curve[2].value


@pytest.mark.slow
def test_what_falls_keeps_the_constraints_and_flips_categories(linear: Any, tmp_path: Path) -> None:
    one = victim_of(linear, LIMITS)
    sample = sample_of(one, 60, tmp_path)
    free = CAPGD(CAPGDSettings(budgets=[1.0])).attack(one, sample, context(tmp_path), lambda: None)
    assert free.samples
    changed = [told["columns"] for told in free.samples]
    assert any("Contract" in columns for columns in changed)
    for columns in changed:
        assert "InternetService" not in columns
        before, after = columns.get("tenure", (0, 0))
        assert after >= before
        assert isinstance(after, int)
    assert all(told["budget"] <= 1.0 + 1e-9 for told in free.samples)


@pytest.mark.slow
def test_trees_have_no_gradient(tmp_path: Path) -> None:
    why = CAPGD(CAPGDSettings()).refuses(victim_of(project(tmp_path / "trees")))
    assert "TreeEnsemble" in why


def test_steps_become_half_where_the_loss_stays() -> None:
    pace = Pace(2, 50, 0.5)
    size = [pace.size]
    for step in range(11):
        pace.take(np.array([float(step), 0.0]), np.zeros((2, 1)))
        size.append(pace.size)
    assert size[-1].tolist() == [1.0, 0.5]
