"""MOEVA: rows evolved from scores alone; on trees it is held against what is known exactly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from trees_support import project, sample_of, victim_of

from bessemer.attack.attacks.interval import Interval
from bessemer.attack.attacks.minimal import Minimal
from bessemer.attack.attacks.moeva import Moeva
from bessemer.core.constraints import Limit
from bessemer.testing.attacks import check_attack, context

pytestmark = pytest.mark.slow

LIMITS = {
    "InternetService": Limit(immutable=True),
    "tenure": Limit(increase_only=True),
    "MonthlyCharges": Limit(cost=2.0, max=60.0),
}
SMALL = {"generations": 8, "population": 16}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return project(tmp_path_factory.mktemp("trees"))


@pytest.mark.parametrize("norm", ["l_inf", "l1", "l0"])
def test_it_contradicts_neither_the_nearest_row_nor_the_certificate(
    made: Any, norm: str, tmp_path: Path
) -> None:
    one = victim_of(made, LIMITS)
    sample = sample_of(one, 10, tmp_path)
    settings = {"norm": norm, "budgets": [0.3, 1.0]} if norm != "l0" else {"norm": norm}
    given = Moeva.Settings.model_validate({**SMALL, **settings})
    if norm == "l_inf":
        found = check_attack(Moeva, {**SMALL, **settings}, one, sample, tmp_path)
    else:
        found = Moeva(given).attack(one, sample, context(tmp_path), lambda: None)
    exact = Minimal(Minimal.Settings.model_validate(settings)).attack(
        one, sample, context(tmp_path), lambda: None
    )
    kinds = [exact]
    if norm != "l0":
        certified = Interval(Interval.Settings.model_validate(settings))
        kinds.append(certified.attack(one, sample, context(tmp_path), lambda: None))
    for other in kinds:
        for known, point in zip(other.curve, found.curve, strict=True):
            assert known.value <= point.value
    assert found.curve[-1].value < found.curve[0].value, "somebody falls"
    assert found.curve[-1].more["queries"] >= 8 * 16


def test_what_it_finds_keeps_the_constraints(made: Any, tmp_path: Path) -> None:
    one = victim_of(made, LIMITS)
    sample = sample_of(one, 14, tmp_path)
    settings = Moeva.Settings.model_validate({**SMALL, "budgets": [1.5]})
    found = Moeva(settings).attack(one, sample, context(tmp_path), lambda: None)
    assert found.samples
    for told in found.samples:
        columns = told["columns"]
        assert "InternetService" not in columns
        assert told["budget"] <= 1.5 + 1e-9
        assert told["answer"] != told["true"]
        before, after = columns.get("tenure", (0, 0))
        assert after >= before
        assert isinstance(after, int)
        assert columns.get("MonthlyCharges", (0, 0))[1] <= 60
