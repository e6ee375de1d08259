"""Predictions as rows of JSON, for the protocols that speak in rows.

The digits of a whole scored batch are written at once (see `wire.Predictions.texts`); a row is its texts in a template.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bessemer.core.signature import Signature
from bessemer.package.outliers import OUTLIER
from bessemer.serve.wire import Predictions, to_json


def class_key(value: Any) -> str:
    """A class as a JSON key.

    >>> class_key(True), class_key(3), class_key("yes")
    ('true', '3', 'yes')
    """
    return str(value).lower() if isinstance(value, bool | np.bool_) else str(value)


class RowWriter:
    """Writes rows for one signature.

    >>> writer = RowWriter(Signature((), (), classes=("no", "yes")))
    >>> made = Predictions({"prediction": np.array(["yes"]), "probability": np.float32([[0.25, 0.75]])})
    >>> writer.rows(made)
    [b'{"prediction":"yes","probability":{"no":0.25,"yes":0.75}}']
    """

    def __init__(self, signature: Signature) -> None:
        self._template = b"{" + _template("prediction", "probability", signature.classes) + b"}"
        self._classes = bool(signature.classes)
        self._further = [
            (one, b"," + _template(one.prediction, one.probability, one.classes)) for one in signature.further
        ]

    def rows(self, predictions: Predictions, *, outliers: bool = False) -> list[bytes]:
        """Each row as an object: `prediction`; for classes `probability` {class: p}; of further targets the same as
        `prediction_TARGET` and `probability_TARGET`; with `outliers` also `outlier`; when explained `explanation`."""
        return (
            predictions.lines("unusual row", self._unusual)
            if outliers
            else predictions.lines("row", self._rows)
        )

    def bare(self, predictions: Predictions) -> list[bytes]:
        """Each row without its explanation: as in `rows`, or just the number where the model predicts one alone."""
        if not (self._classes or self._further):
            return predictions.texts("prediction")
        return predictions.lines("bare row", self._bare)

    def _unusual(self, predictions: Predictions) -> list[bytes]:
        told = predictions.texts(OUTLIER)
        bare = [
            row[:-1] + b',"outlier":%b}' % text
            for row, text in zip(self._bare(predictions), told, strict=True)
        ]
        return self._explained(predictions, bare)

    def _rows(self, predictions: Predictions) -> list[bytes]:
        return self._explained(predictions, self._bare(predictions))

    def _explained(self, predictions: Predictions, rows: list[bytes]) -> list[bytes]:
        if predictions.base is None:
            return rows
        told = [b',"explanation":' + to_json(each) + b"}" for each in explanations(predictions)]
        return [row[:-1] + explanation for row, explanation in zip(rows, told, strict=True)]

    def _bare(self, predictions: Predictions) -> list[bytes]:
        rows = _filled(self._template, predictions, "prediction", "probability" if self._classes else "")
        for one, template in self._further:
            shares = one.probability if one.classes else ""
            more = _filled(template, predictions, one.prediction, shares)
            rows = [row[:-1] + told + b"}" for row, told in zip(rows, more, strict=True)]
        return rows


def _template(prediction: str, probability: str, classes: Sequence[Any]) -> bytes:
    """The keys of a target, and places for their values."""
    said, shares = (to_json(name).replace(b"%", b"%%") for name in (prediction, probability))
    keys = [to_json(class_key(value)).replace(b"%", b"%%") for value in classes]
    inner = b",".join(key + b":%b" for key in keys)
    return said + b":%b" + (b"," + shares + b":{" + inner + b"}" if keys else b"")


def _filled(template: bytes, predictions: Predictions, prediction: str, probability: str) -> list[bytes]:
    """A template with each row's values; without probabilities where they have no name."""
    texts = predictions.texts(prediction)
    if not probability:
        return [template % text for text in texts]
    shares = predictions.texts(probability)
    return [template % (text, *each.split(b",")) for text, each in zip(texts, shares, strict=True)]


def explanations(predictions: Predictions) -> list[dict[str, Any]]:
    """For each row of an explained batch: base, score, and what each group of features adds to the score.

    Floats stay numpy's, so that `wire.to_json` writes float32 in its own digits.
    """
    assert predictions.base is not None
    assert predictions.explained is not None
    groups = list(predictions.contributions)
    table = np.stack(list(predictions.contributions.values()), axis=1).tolist()
    triples = zip(predictions.base.tolist(), predictions.explained, table, strict=True)
    return [
        {"base": base, "score": score, "contributions": dict(zip(groups, each, strict=True))}
        for base, score, each in triples
    ]
