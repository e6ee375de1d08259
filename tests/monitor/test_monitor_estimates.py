"""Performance without labels: probabilities that are never quite right, and few test rows to know it by."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bessemer.monitor.performance import Figure, Performance, performance
from bessemer.monitor.performance import tests as alarms
from bessemer.monitor.reference import Reference
from bessemer.monitor.scored import Scored
from bessemer.monitor.window import Window
from bessemer.profile.groups import calibration
from bessemer.profile.outputs import expected
from bessemer.profile.outputs import performance as measured
from bessemer.stats.metrics.outcome import Outcome, classified
from bessemer.stats.metrics.table import Scorer

METRICS = ("accuracy", "f1", "roc_auc")


def outcome_of(n: int, seed: int, *, hard: float = 0.0, too_sure: float = 1.0) -> Outcome:
    """hard: the share of rows near the border. too_sure: what margins are multiplied by, after labels are drawn."""
    rng = np.random.default_rng(seed)
    margin = rng.normal(size=n) * np.where(rng.random(n) < hard, 0.5, 2.5)
    truth = rng.random(n) < 1 / (1 + np.exp(-margin))
    said = 1 / (1 + np.exp(-too_sure * margin))
    return classified("binary", truth, np.stack([1 - said, said], axis=1))


def reference_of(outcome: Outcome, *, corrects: bool = True) -> Reference:
    rng = np.random.default_rng(0)
    told = {name: found for name, found in measured(outcome, 50, 0.95, rng).items() if name in METRICS}
    facts: dict[str, Any] = {"output_rows": outcome.rows, "performance": told}
    known = calibration(outcome) if corrects else None
    facts["estimated"] = expected(outcome, list(facts["performance"]), rng, known)
    return Reference({**facts, **({"calibration": known} if corrects else {})})


def judged(reference: Reference, outcome: Outcome) -> Performance:
    nothing, predicted = np.full(outcome.rows, np.nan), outcome.predicted.astype(np.float64)
    scored = Scored(Window(outcome.rows, {}), predicted, outcome.probability, nothing, 0)
    return performance(reference, scored, "binary", "accuracy", np.random.default_rng(7))


def estimated(reference: Reference, outcome: Outcome) -> dict[str, Figure]:
    return dict(judged(reference, outcome).estimated)


@pytest.mark.slow
def test_a_model_that_is_too_sure_is_seen_through() -> None:
    """Its margins are doubled: what it is off by on hard rows is not what it is off by on average."""
    known, later = outcome_of(20_000, 1, too_sure=2.0), outcome_of(20_000, 2, hard=0.8, too_sure=2.0)
    real = dict(zip(METRICS, Scorer(later, list(METRICS))(), strict=True))
    plain, right = (estimated(reference_of(known, corrects=c), later) for c in (False, True))
    assert all(abs(right[name].value - real[name]) < 0.015 for name in METRICS), "they fell by 0.2"
    area = [abs(found["roc_auc"].value - real["roc_auc"]) for found in (plain, right)]
    assert area[0] > 3 * area[1]


@pytest.mark.slow
def test_few_test_rows_leave_an_estimate_unsure() -> None:
    """300 test rows, and windows of 3,000: nine intervals in ten hold what labels say, and are not endless."""
    inside, width = [], []
    for seed in range(60):
        reference, later = reference_of(outcome_of(300, seed)), outcome_of(3000, 1000 + seed, hard=0.2)
        found = estimated(reference, later)
        for name, real in zip(METRICS, Scorer(later, list(METRICS))(), strict=True):
            told = found[name].to_json(name)
            inside.append(told["low"] <= real <= told["high"])
            width.append(told["high"] - told["low"])
    assert np.mean(inside) >= 0.88
    assert np.mean(width) < 0.12


@pytest.mark.slow
def test_what_is_estimated_alarms_as_rarely_as_it_says() -> None:
    """Of few test rows and of many, in windows without a change; and it alarms where rows are harder."""
    p = []
    for seed in range(100):
        rows = (300, 2000)[seed % 2]
        found = judged(reference_of(outcome_of(rows, seed)), outcome_of(1000, 5000 + seed))
        p += [test.p_value for test in alarms(found, "binary") if test.p_value is not None]
    assert len(p) == 100
    assert np.mean(np.array(p) < 0.05) <= 0.08
    assert min(p) > 1e-4
    (harder,) = alarms(judged(reference_of(outcome_of(3000, 1)), outcome_of(2000, 2, hard=0.9)), "binary")
    assert harder.p_value is not None
    assert harder.p_value < 1e-6
