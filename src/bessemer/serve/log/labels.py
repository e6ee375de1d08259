"""Whether labels are what the model could have said."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from bessemer.core.errors import did_you_mean
from bessemer.package.prediction_log.model import LoggedModel
from bessemer.serve.errors import MOST_FAULTS, RowFault, bad_rows, shown
from bessemer.serve.log.entry import Label

MOST_ID = 512


def check(model: LoggedModel, labels: Sequence[Label]) -> None:
    """Refuse labels that are no class of the model, or no finite number.

    Raises:
        RequestError: 400 with the number and value of every label that is wrong.
    """
    faults: list[RowFault] = []
    for number, label in enumerate(labels):
        if not isinstance(label.prediction_id, str) or not 0 < len(label.prediction_id) <= MOST_ID:
            fix = "send the id that came with the prediction"
            what = f"not a text of 1 to {MOST_ID} characters"
            faults.append(RowFault(number, "prediction_id", what, shown(label.prediction_id), fix))
        if what := _wrong(model, label.label):
            faults.append(RowFault(number, "label", what, shown(label.label), _fix(model, label.label)))
        if len(faults) > MOST_FAULTS:
            break
    if faults:
        raise bad_rows(faults)


def _wrong(model: LoggedModel, label: Any) -> str:
    if model.task == "regression":
        good = isinstance(label, int | float) and not isinstance(label, bool) and _finite(label)
        return "" if good else f"{shown(label)} is not a finite number"
    good = any(type(label) is type(known) and label == known for known in model.classes)
    return "" if good else f"{shown(label)} is no class of {model.model}"


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _fix(model: LoggedModel, label: Any) -> str:
    if model.task == "regression":
        return "send a JSON number without quotes"
    return did_you_mean(str(label), [str(known) for known in model.classes])
