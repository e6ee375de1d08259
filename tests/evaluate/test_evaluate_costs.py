"""Costs of decisions: by hand, at the threshold that is right, and against simple rules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from judged_support import Case, case, context

from bessemer.core.errors import ProjectError
from bessemer.evaluate.costs import costs_of, right_threshold
from bessemer.evaluate.spec import EvaluateSpec
from bessemer.evaluate.stage import run

ROWS = 4000
COSTS = {"false_positive": 1.0, "false_negative": 5.0, "true_positive": -1.0, "true_negative": 0.5}


def binary(ctx: Any) -> tuple[Case, np.ndarray]:
    """A model whose probabilities are right, and those of the test rows."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=ROWS)
    p = 1 / (1 + np.exp(-2 * x))
    y = (rng.random(ROWS) < p).astype(float)
    made = case(ctx, pa.table({"x": x}), y, ("no", "yes"), np.array([[2.0]]), np.zeros(1), metric="roc_auc")
    return made, p[ROWS * 3 // 4 :]


def evaluate(made: Case, ctx: Any, **settings: Any) -> dict[str, Any]:
    spec = EvaluateSpec.model_validate_json(json.dumps({"replicates": 60, "find_slices": False, **settings}))
    found: dict[str, Any] = ctx.open(run(spec, made.inputs, ctx)["evaluation"]).json("evaluation.json")
    return found


def cost(y: np.ndarray, said: np.ndarray) -> float:
    table = np.array(
        [[COSTS["true_negative"], COSTS["false_positive"]], [COSTS["false_negative"], COSTS["true_positive"]]]
    )
    return float(table[y.astype(int), said.astype(int)].mean())


def test_costs_by_threshold_and_rule_are_those_by_hand(tmp_path: Path) -> None:
    ctx = context(tmp_path, "evaluate")
    made, p = binary(ctx)
    found, y = evaluate(made, ctx, costs=COSTS)["costs"], made.truth["test"]
    assert found["costs"] == COSTS
    rules = {"half": p >= 0.5, "shipped": p >= 0.5, "always": p >= 0, "never": p > 2}
    rules["best"] = p >= found["best"]["threshold"]
    for name, said in rules.items():
        assert found[name]["value"] == pytest.approx(cost(y, said), abs=1e-9), name
        assert found[name]["low"] < found[name]["value"] < found[name]["high"]
    for name in ("half", "always", "never", "best"):
        saved = found["saved"][name]
        assert saved["value"] == pytest.approx(found[name]["value"] - found["shipped"]["value"])
    assert found["saved"]["half"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert found["saved"]["best"]["high"] < 0  # the shipped 0.5 costs more, and that is certain
    assert found["shipped"]["threshold"] == 0.5
    curve = np.array(found["curve"])
    assert curve[:, 0].tolist() == (np.arange(101) / 100).tolist()
    assert curve[0, 2] == pytest.approx(found["always"]["value"])
    assert curve[30, 2] == pytest.approx(cost(y, p >= 0.3), abs=1e-9)


def test_the_best_threshold_is_near_the_right_one_where_probabilities_are_right(tmp_path: Path) -> None:
    ctx = context(tmp_path, "evaluate")
    found = evaluate(binary(ctx)[0], ctx, costs=COSTS)["costs"]
    assert found["right_threshold"] == pytest.approx(0.5 / 6.5)
    assert abs(found["best"]["threshold"] - found["right_threshold"]) < 0.1


def test_costs_come_from_the_threshold_where_none_are_given() -> None:
    trained = {"false_positive": 1, "false_negative": 5, "true_positive": 0, "true_negative": 0}
    assert costs_of(None, trained) == trained
    assert costs_of(COSTS, trained) == COSTS
    assert costs_of(None, None) is None
    assert right_threshold({**trained, "false_positive": -1}) is None  # always yes is best


def test_without_costs_there_is_no_section_and_other_tasks_have_none(tmp_path: Path) -> None:
    ctx = context(tmp_path, "evaluate")
    assert evaluate(binary(ctx)[0], ctx)["costs"] is None
    x = np.random.default_rng(0).normal(size=400)
    made = case(ctx, pa.table({"x": x}), x, (), np.array([[1.0]]), np.zeros(1), metric="rmse")
    with pytest.raises(ProjectError, match="two classes"):
        evaluate(made, ctx, costs=COSTS)
