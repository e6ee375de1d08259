"""What rows can show, and what a version is held to."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "export"))
from packages_support import SHARED, model, package

from bessemer.api.optimizing import optimize
from bessemer.core.errors import DataError, UsageError
from bessemer.optimize.judge import Said, floor, loss_of
from bessemer.optimize.rows import LEAST, rows_of
from bessemer.stats.intervals import clopper_pearson


def adult(start: int, count: int) -> pa.Table:
    return pyarrow.csv.read_csv(SHARED / "adult" / "train.csv").slice(start, count)


def written(table: pa.Table, folder: Path) -> str:
    pyarrow.parquet.write_table(table, folder / "rows.parquet")
    return str(folder / "rows.parquet")


def said(probability: np.ndarray) -> Said:
    both = np.column_stack([1 - probability, probability]).astype(np.float32)
    return Said(both, (probability >= 0.5).astype(np.int64))


@pytest.mark.slow
def test_few_rows_allow_nothing_and_are_not_learnt_from(tmp_path: Path) -> None:
    few = adult(2000, 15)
    rows = rows_of(model("lightgbm"), few, 0)
    assert rows.count == 15
    judged = model("lightgbm").session.run_feeds(dict(rows.judge), ["features"])["features"]
    assert not {row.tobytes() for row in rows.learn_features} & {row.tobytes() for row in judged}
    assert len(rows.learn_features) > 500
    out = tmp_path / "child.bsm"
    ways = {"fewer_trees": {"keep": [0.25]}}
    made = optimize(package("lightgbm"), out, data=written(few, tmp_path), ways=ways)
    assert made.found.taken.variant.name == "as it is"
    (quarter,) = {one.variant.name: one.loss for one in made.found.tried[1:] if not one.variant.same}.values()
    assert quarter.bound >= floor(15, 0.95) > 0.18
    assert made.found.limits.floor == floor(15, 0.95)


@pytest.mark.parametrize("count", [LEAST - 1, LEAST, 101])
def test_no_row_is_learnt_from_and_judged_on(count: int) -> None:
    rows = rows_of(model("lightgbm"), adult(2000, count), 0)
    judged = model("lightgbm").session.run_feeds(dict(rows.judge), ["features"])["features"]
    assert not {row.tobytes() for row in rows.learn_features} & {row.tobytes() for row in judged}
    assert rows.count == (count if count < LEAST else count - count // 2)


def test_a_metric_of_order_alone_does_not_hide_other_classes() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 2000).astype(np.float64)
    sure = np.clip(0.3 + 0.4 * truth + rng.normal(0, 0.2, 2000), 0.01, 0.99)
    loss = loss_of("binary", said(sure), said(sure / 2), truth, "", 0.95, rng)
    assert loss.worse == 0
    assert loss.within(0.01, 1.0)
    assert loss.other > 0.4
    assert not loss.within(0.01, 0.05)


def test_rows_without_a_loss_leave_a_loss_possible() -> None:
    truth = np.array([0.0, 1.0] * 25)
    perfect = said(np.where(truth == 1, 0.9, 0.1))
    loss = loss_of("binary", perfect, perfect, truth, "", 0.95, np.random.default_rng(0))
    assert loss.worse == 0
    assert loss.bound == pytest.approx(floor(50, 0.95)) == pytest.approx(0.0599, abs=1e-3)


@pytest.mark.parametrize("metric", ["log_loss", "brier", "ece"])
def test_what_is_better_when_less_is_relative(metric: str) -> None:
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 2, 500).astype(np.float64)
    before, after = said(np.where(truth == 1, 0.9, 0.1)), said(np.where(truth == 1, 0.85, 0.15))
    loss = loss_of("binary", before, after, truth, metric, 0.95, rng)
    assert loss.before is not None
    assert loss.after is not None
    assert loss.worse is not None
    assert loss.worse == pytest.approx((loss.after - loss.before) / loss.before)
    assert loss.worse > 0.4


@pytest.mark.slow
def test_the_ends_hold_for_all_versions_together(tmp_path: Path) -> None:
    ways = {"fewer_trees": {"keep": [0.75, 0.5, 0.25]}}
    made = optimize(package("lightgbm"), tmp_path / "c.bsm", ways=ways, loss=0.9)
    limits = made.found.limits
    assert (limits.versions, limits.confidence) == (3, 0.95)
    assert limits.each == pytest.approx(1 - 0.05 / 3)
    assert made.told["limits"]["versions"] == 3
    for one in made.found.tried[1:]:
        changed = round(one.loss.other * one.loss.rows)
        high = clopper_pearson(changed, one.loss.rows, 1 - 2 * 0.05 / 3)[1]
        assert one.loss.other_high == pytest.approx(high)


def test_an_undefined_end_is_beyond_every_limit() -> None:
    sure = said(np.linspace(0.1, 0.9, 12))
    one_class = np.zeros(12)
    loss = loss_of("binary", sure, sure, one_class, "roc_auc", 0.95, np.random.default_rng(0))
    assert loss.worse_high == np.inf
    assert not loss.within(1.0, 1.0)


def test_rows_without_an_answer_are_left_out_of_the_metric(tmp_path: Path) -> None:
    table = adult(2000, 600)
    place = table.column_names.index("income")
    answers: list[Any] = table["income"].to_pylist()
    answers[::3] = [None] * len(answers[::3])
    table = table.set_column(place, "income", pa.array(answers))
    made = optimize(
        package("logistic"), tmp_path / "c.bsm", data=written(table, tmp_path), ways={"folded": {}}
    )
    loss = made.found.tried[0].loss
    known = rows_of(model("logistic"), table, 0).labelled
    assert loss.metric == "roc_auc"
    assert 170 < loss.labelled == known < 230
    assert loss.rows == 300
    assert f"{known:,} right answers" in made.text


def test_a_metric_is_checked_before_anything_is_made(tmp_path: Path) -> None:
    lines: list[str] = []

    def tried(table: pa.Table, metric: str) -> None:
        data = written(table, tmp_path)
        optimize(package("logistic"), tmp_path / "c.bsm", data=data, metric=metric, tell=lines.append)

    with pytest.raises(UsageError, match="roc_acu"):
        tried(adult(2000, 100), "roc_acu")
    with pytest.raises(UsageError, match="right answers"):
        tried(adult(2000, 100).drop_columns(["income"]), "accuracy")
    ordered = adult(2000, 600).sort_by("income").slice(0, 100)
    with pytest.raises(DataError, match="says nothing"):
        tried(ordered, "")
    assert not lines
