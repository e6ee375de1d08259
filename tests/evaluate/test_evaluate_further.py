"""Targets beside the main one: judged on the rows that have them, against a constant and their gates."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from judged_support import context

from bessemer.core.errors import DataError
from bessemer.core.further import Further
from bessemer.evaluate.further import Said, further_faults, judge_further
from bessemer.evaluate.spec import EvaluateSpec

SPEND, PLAN = Further("spend", "regression"), Further("plan", "multiclass", ("a", "b", "c"))


def said(rows: int, noise: float = 0.3) -> tuple[Said, np.ndarray, np.ndarray]:
    """What a model says of some rows in two batches, the truth, and what the training rows were."""
    rng = np.random.default_rng(5)
    plan = rng.integers(0, 3, rows).astype(float)
    truth = np.stack([rng.normal(10, 2, rows), plan], axis=1)
    found = Said((SPEND, PLAN))
    shares = np.full((rows, 3), 0.1) + 0.7 * np.eye(3)[plan.astype(int)]
    for part in (slice(0, rows // 2), slice(rows // 2, rows)):
        found.take(
            {
                SPEND.prediction: (truth[part, 0] + rng.normal(0, noise, len(truth[part]))).astype(
                    np.float32
                ),
                PLAN.prediction: np.array(PLAN.classes, dtype=object)[plan[part].astype(int)],
                PLAN.probability: shares[part].astype(np.float32),
            }
        )
    return found, truth, np.stack([rng.normal(10, 2, 50), np.arange(50) % 3], axis=1)


def spec(**targets: dict[str, str]) -> EvaluateSpec:
    return EvaluateSpec.model_validate({"replicates": 50, "gates": {"targets": targets}})


def test_only_rows_that_have_a_target_count(tmp_path: Path) -> None:
    found, truth, learnt = said(200)
    truth[::4, 0] = np.nan
    outcomes = found.outcomes(truth, learnt)
    made, gates = judge_further(spec(), outcomes, context(tmp_path, "evaluate"))
    assert (made["spend"]["rows"], made["plan"]["rows"], gates) == (150, 200, [])
    known = np.isfinite(truth[:, 0])
    rmse = np.sqrt(((outcomes["spend"][0].predicted - truth[known, 0]) ** 2).mean())
    assert made["spend"]["metrics"]["rmse"]["value"] == pytest.approx(float(rmse))
    assert made["plan"]["metrics"]["accuracy"]["value"] == 1.0
    constant = np.sqrt(((truth[known, 0] - learnt[:, 0].mean()) ** 2).mean())
    assert made["spend"]["baselines"]["constant"]["rmse"] == pytest.approx(float(constant))
    assert made["spend"]["versus"]["constant"]["verdict"] == "better"


def test_gates_are_named_by_target_and_metric(tmp_path: Path) -> None:
    found, truth, learnt = said(120)
    asked = spec(spend={"rmse": "<= 0.01", "mae": "<= 5"}, plan={"mcc": ">= 0.9"})
    _, gates = judge_further(asked, found.outcomes(truth, learnt), context(tmp_path, "evaluate"))
    assert {gate.gate: gate.passed for gate in gates} == {
        "spend.rmse": False,
        "spend.mae": True,
        "plan.mcc": True,
    }
    assert next(gate for gate in gates if gate.gate == "spend.rmse").why.startswith("rmse is 0.")


@pytest.mark.parametrize("rows", [0, 1, 29])
def test_of_few_test_rows_nothing_is_claimed(tmp_path: Path, rows: int) -> None:
    found, truth, learnt = said(60)
    truth[rows:, 0] = np.nan
    asked = spec(spend={"rmse": "<= 1000"}, plan={"accuracy": ">= 0.1"})
    made, gates = judge_further(asked, found.outcomes(truth, learnt), context(tmp_path, "evaluate"))
    spend = made["spend"]
    assert (spend["rows"], spend["too_small"], spend["versus"]) == (rows, True, {})
    assert all(
        math.isnan(figure["low"]) and math.isnan(figure["high"]) for figure in spend["metrics"].values()
    )
    assert bool(spend["metrics"]) == bool(spend["baselines"]) == bool(rows)
    assert not made["plan"]["too_small"]
    few, other = gates
    assert (few.gate, few.passed, few.value, other.passed) == ("spend.rmse", False, None, True)
    assert few.why == f"too few test rows have spend: {rows}, and 30 are the least to judge by"


def test_what_float32_cannot_hold_apart_is_a_tie(tmp_path: Path) -> None:
    """A model that says the shares of the training rows in float32, against a constant that says them in float64."""
    plan = Further("plan", "multiclass", ("a", "b", "c"))
    truth, learnt = np.zeros((300, 1)), np.repeat([0.0, 1.0, 2.0], [9, 8, 6])[:, None]
    shares = np.bincount(learnt[:, 0].astype(int)) / len(learnt)
    model = Said((plan,))
    near = np.tile(np.nextafter(shares.astype(np.float32), np.float32(1)), (300, 1))
    model.take({plan.prediction: np.array(["a"] * 300, dtype=object), plan.probability: near})
    made, _ = judge_further(spec(), model.outcomes(truth, learnt), context(tmp_path, "evaluate"))
    versus = made["plan"]["versus"]["constant"]
    assert versus["low"] > 0, "every resample has the difference"
    assert versus["verdict"] == "tie"


def test_a_number_that_is_not_finite_is_told_of() -> None:
    found, truth, learnt = said(20)
    batch = {PLAN.prediction: np.array(["a"]), PLAN.probability: np.float32([[1, 0, 0]])}
    found.take({SPEND.prediction: np.float32([np.inf]), **batch})
    with pytest.raises(DataError, match="the model's 'spend' gave a prediction that is not a finite number"):
        found.outcomes(np.concatenate([truth, truth[:1]]), learnt)


def test_gates_that_cannot_be_are_told_of_with_the_nearest_name() -> None:
    asked = spec(spend={"accuracy": ">= 0.5"}, plna={"accuracy": ">= 0.5"}, plan={"accuracy": ">= 0.5"})
    unknown, wrong = further_faults(asked, (SPEND, PLAN))
    assert (unknown.path, unknown.fix) == ("evaluate.gates.targets.plna", "did you mean 'plan'?")
    assert unknown.what == "'plna' is no target beside the main one"
    assert wrong.path == "evaluate.gates.targets.spend.accuracy"
    assert wrong.what == "'accuracy' is not of a regression task"
    assert "rmse" in wrong.fix
