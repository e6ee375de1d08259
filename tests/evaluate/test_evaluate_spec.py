from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from bessemer.core.requirement import parse_requirement
from bessemer.evaluate.spec import EvaluateSpec, Gates
from bessemer.stats.metrics.table import METRICS


def parse(**settings: Any) -> EvaluateSpec:
    return EvaluateSpec.model_validate_json(json.dumps(settings))


def test_there_is_a_gate_for_every_metric_and_for_nothing_else() -> None:
    known = {name for table in METRICS.values() for name in table}
    assert set(Gates.model_fields) == known | {"beats", "fairness", "targets"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [(">= 0.70", (">=", 0.7)), ("<5%", ("<", 0.05)), (" > -1.5e3 ", (">", -1500.0)), ("<= .5", ("<=", 0.5))],
)
def test_requirements(text: str, expected: tuple[str, float]) -> None:
    assert parse_requirement(text) == expected


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("=> 0.7", "'=>' is not an operator"),
        ("0.7", "has no operator"),
        (0.7, "has no operator"),
        ("== 1", "write one of >=, >, <=, <"),
        ("good", "is not a gate"),
        (">= 0.7.1", "is not a gate"),
        ("", "is not a gate"),
    ],
)
def test_wrong_requirements_say_what_to_write(value: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        parse(gates={"roc_auc": value})


def test_defaults_and_shorthands() -> None:
    assert parse().gates.beats == ("constant", "linear")
    assert parse(confidence="90%").confidence == 0.9
    assert parse(gates={"f1": "> 0.5", "roc_auc": ">= 0.7"}).gates.requirements() == {
        "roc_auc": ">= 0.7",
        "f1": "> 0.5",
    }
    assert parse(gates={"beats": ["linear", "linear"]}).gates.beats == ("linear",)


@pytest.mark.parametrize(
    "settings",
    [
        {"confidence": 1.5},
        {"confidence": "40%"},
        {"gates": {"rocauc": "> 1"}},
        {"gates": {"beats": ["best"]}},
        {"x": 1},
    ],
)
def test_what_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        parse(**settings)
