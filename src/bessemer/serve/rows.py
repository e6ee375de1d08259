"""Predictions as rows of JSON values, for the protocols that speak in rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from bessemer.core.signature import Signature
from bessemer.serve.wire import Predictions


def class_key(value: Any) -> str:
    """A class as a JSON key.

    >>> class_key(True), class_key(3), class_key("yes")
    ('true', '3', 'yes')
    """
    return str(value).lower() if isinstance(value, bool | np.bool_) else str(value)


def to_rows(signature: Signature, predictions: Predictions) -> list[dict[str, Any]]:
    """For each row `prediction`; for classification `probability` {class: p}; when explained `explanation`.

    Floats stay numpy's, so that `wire.to_json` writes float32 in its own digits.
    """
    outputs = predictions.outputs
    rows: list[dict[str, Any]] = [
        {"prediction": value} for value in _scalars(outputs["prediction"].reshape(-1))
    ]
    if "probability" in outputs:
        keys = [class_key(value) for value in signature.classes]
        for row, shares in zip(rows, outputs["probability"], strict=True):
            row["probability"] = dict(zip(keys, shares, strict=True))
    if predictions.contributions:
        for row, explanation in zip(rows, explanations(predictions), strict=True):
            row["explanation"] = explanation
    return rows


def explanations(predictions: Predictions) -> list[dict[str, Any]]:
    """For each row of an explained batch: base, score, and what each group of features adds to the score."""
    assert predictions.base is not None
    assert predictions.explained is not None
    groups = list(predictions.contributions)
    table = np.stack(list(predictions.contributions.values()), axis=1).tolist()
    triples = zip(predictions.base.tolist(), predictions.explained, table, strict=True)
    return [
        {"base": base, "score": score, "contributions": dict(zip(groups, each, strict=True))}
        for base, score, each in triples
    ]


def _scalars(array: np.ndarray[Any, Any]) -> list[Any]:
    return list(array) if array.dtype.kind == "f" else array.tolist()
