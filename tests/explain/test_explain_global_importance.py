"""Permutation importance: its intervals, shuffles among alike rows, and the checks of Adebayo et al. (2018)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from truth_support import Explained

from bessemer.core.errors import DataError
from bessemer.explain.conditional import shuffled_within

N = 3000


def rows_of(found: Any) -> dict[str, dict[str, float]]:
    return {row["group"]: row for row in found.content["rows"]}


@pytest.fixture(scope="module")
def columns() -> dict[str, Any]:
    rng = np.random.default_rng(2)
    a, c, noise = rng.normal(size=(3, N))
    return {"a": a, "twin": a + 0.05 * rng.normal(size=N), "c": c, "noise": noise}


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory, columns: dict[str, Any]) -> Explained:
    """The model uses a, its twin and c alike; with c missing at times."""
    rng = np.random.default_rng(3)
    truth = columns["a"] + columns["twin"] + columns["c"]
    table = pa.table({**columns, "y": truth + rng.normal(size=N)})
    one = Explained(tmp_path_factory.mktemp("twins"))
    return one.fit(table, derive={"truth": "a + twin + c"}, exclude=["a", "twin", "c"], l2=1e-3)


@pytest.mark.slow
def test_a_column_that_another_tells_of_has_little_importance_of_its_own(twins: Explained) -> None:
    everywhere, alike = (
        rows_of(twins.explain("permutation", conditional=conditional)) for conditional in (False, True)
    )
    for name in ("a", "twin"):
        assert everywhere[name]["value"] == pytest.approx(everywhere["c"]["value"], rel=0.25)
        assert alike[name]["value"] < 0.25 * alike["c"]["value"]
    assert alike["c"]["value"] > 0.7 * everywhere["c"]["value"], "nothing tells of c"
    assert "alike" in twins.explain("permutation", conditional=True).baseline.text


@pytest.mark.slow
def test_the_interval_holds_what_many_rows_say(twins: Explained) -> None:
    """Samples of 100 rows each with its own rows and shuffles, against all 600 test rows."""
    truth = rows_of(twins.explain("permutation", repeats=50))["c"]["value"]
    held = 0
    for seed in range(20):
        row = rows_of(twins.explain("permutation", sampled=100, seed=seed))["c"]
        held += row["low"] <= truth <= row["high"]
    assert held >= 17


@pytest.mark.slow
def test_the_interval_is_narrower_with_more_rows(twins: Explained) -> None:
    few, many = (rows_of(twins.explain("permutation", sampled=rows))["c"] for rows in (60, 600))
    ratio = (few["high"] - few["low"]) / (many["high"] - many["low"])
    assert 1.8 < ratio < 6, "about the root of ten"


@pytest.mark.slow
@pytest.mark.parametrize("shuffled", ["labels", "nothing"])
def test_importance_collapses_when_the_labels_are_shuffled(
    tmp_path_factory: pytest.TempPathFactory, columns: dict[str, Any], shuffled: str
) -> None:
    rng = np.random.default_rng(4)
    y = np.where(columns["c"] + 0.3 * rng.normal(size=N) > 0, "yes", "no")
    table = pa.table({**columns, "y": rng.permutation(y) if shuffled == "labels" else y})
    one = Explained(tmp_path_factory.mktemp(shuffled)).fit(
        table, learner="lightgbm", task="binary", classes=["no", "yes"]
    )
    found = rows_of(one.explain("permutation"))
    if shuffled == "nothing":
        assert found["c"]["low"] > 0.5
        assert found["c"]["value"] > 50 * abs(found["noise"]["value"])
    else:
        assert all(abs(row["value"]) < 0.05 for row in found.values())
        assert all(row["low"] <= 0.01 for row in found.values())


def test_contributions_have_an_interval_over_the_rows(twins: Explained) -> None:
    few, many = (rows_of(twins.explain("contributions", sampled=rows))["truth"] for rows in (60, 600))
    assert few["low"] < few["value"] < few["high"]
    assert few["high"] - few["low"] > 1.8 * (many["high"] - many["low"])


def test_rows_without_a_truth_are_refused(twins: Explained) -> None:
    import dataclasses

    from bessemer.explain.explainers.permutation import Permutation

    subject, sample = twins.opened(rows=20)
    unknown = dataclasses.replace(sample, actual=np.full(len(sample), np.nan))
    with pytest.raises(DataError, match="needs the true value"):
        Permutation(Permutation.Settings()).explain(subject, unknown, twins.context(), lambda: None)


@given(st.lists(st.integers(0, 4), max_size=60), st.integers(0, 2**32))
def test_a_shuffle_within_cells_keeps_to_them(cells: list[int], seed: int) -> None:
    cell = np.array(cells, dtype=np.int64)
    order = shuffled_within(cell, np.random.default_rng(seed))
    assert sorted(order.tolist()) == list(range(len(cell)))
    assert (cell[order] == cell).all()
