"""What a foreign model says, as a class or a number: each server and each exporter writes it in its own way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bessemer.core.errors import UsageError
from bessemer.core.signature import class_text
from bessemer.package.certificate import Certificate, number_said
from bessemer.package.remote.text import harmless

#: Where an answer that is an object has it, the plainest first.
_NAMES = (
    "prediction",
    "predicted_label",
    "label",
    "class",
    "value",
    "output",
    "probabilities",
    "probability",
    "scores",
    "score",
)


def said_of(values: Sequence[Any], certificate: Certificate) -> np.ndarray:
    """(n,) of object: each answer as a class of the certificate, or as a number. One that is neither is None or NaN,
    and no hit.

    A class may be its name, its index, or a list with a probability or a score for each; of two classes also the
    probability of the second. An object has it under a usual name.

    Raises:
        UsageError: an answer is an object without any of these.

    >>> c = Certificate("", "", "", "binary", ("no", "yes"), (), 2, 1, 64)
    >>> said_of(["yes", [0.8, 0.2], {"label": "no"}, 1, [0.7]], c).tolist()
    ['yes', 'no', 'no', 'yes', 'yes']
    """
    found = np.empty(len(values), dtype=object)
    found[:] = [_one(value, certificate) for value in values]
    return found


def _one(value: Any, certificate: Certificate) -> Any:
    if not certificate.answers:
        return number_said(_unwrapped(value))
    return class_said(value, certificate.answers)


def class_said(value: Any, classes: Sequence[Any]) -> Any:
    """One answer as one of the classes, None where it is none.

    Raises:
        UsageError: it is an object without any of the usual names.

    >>> class_said({"label": "no"}, ["no", "yes"]), class_said([0.2, 0.8], ["no", "yes"])
    ('no', 'yes')
    """
    value = _unwrapped(value)
    if isinstance(value, list | tuple):
        return _best(value, classes)
    return _class(value, classes)


def _unwrapped(value: Any) -> Any:
    """What is in an object under a usual name, or alone in a list, however often."""
    while True:
        if isinstance(value, Mapping):
            value = _named(value)
        elif isinstance(value, list | tuple) and len(value) == 1:
            value = value[0]
        else:
            return value


def _best(values: Sequence[Any], classes: Sequence[Any]) -> Any:
    """The class with the highest score; None where they are not a score for each."""
    scores = [number_said(one) for one in values]
    if len(scores) != len(classes) or any(score != score for score in scores):
        return None
    return classes[int(np.argmax(scores))]


def _named(value: Mapping[str, Any]) -> Any:
    for name in _NAMES:
        if name in value:
            return value[name]
    raise UsageError(
        f"an answer has only {harmless(', '.join(map(str, value)) or 'no names')}",
        fix=f"ask a model that answers with one of {', '.join(_NAMES[:4])}",
    )


def _class(value: Any, answers: Sequence[Any]) -> Any:
    known = {class_text(answer): answer for answer in answers}
    if class_text(value) in known:
        return known[class_text(value)]
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if 0 <= value < len(answers) and value == int(value):
        return answers[int(value)]
    return answers[int(value >= 0.5)] if len(answers) == 2 and 0 <= value <= 1 else None
