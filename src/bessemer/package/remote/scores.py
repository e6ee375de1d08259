"""What a foreign model says of each class: probabilities or scores where it gives them, else the class alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bessemer.core.errors import UsageError
from bessemer.core.signature import class_text
from bessemer.package.remote.said import class_said
from bessemer.package.remote.text import harmless

#: Where an answer that is an object has more than the class.
_PROBABILITIES = ("probability", "probabilities")
_SCORES = ("scores", "score", "logits")
#: Below it a probability is taken as this: its logarithm is what is compared.
_LEAST = 1e-12


def class_scores(
    values: Sequence[Any], classes: Sequence[Any]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """(N, K), the greatest of which is the class that is said, and (N,) whether the answer had more than that.

    Probabilities become their logarithms. A class that is said though another is more probable (by a threshold of the
    server's own) is put just above it.

    Raises:
        UsageError: an answer says none of the classes.

    >>> class_scores([{"prediction": "yes", "probability": {"no": 0.5, "yes": 0.5}}, "no"], ["no", "yes"])[1].tolist()
    [True, False]
    """
    found = np.zeros((len(values), len(classes)))
    more = np.zeros(len(values), dtype=bool)
    for i, value in enumerate(values):
        scores = _scores(value, classes)
        said = _said(value, classes)
        if scores is None and said is None:
            raise UsageError(
                f"an answer says none of the classes: {harmless(value)}",
                why=f"the classes of the rows given are {harmless(', '.join(map(class_text, classes[:10])))}",
                fix="give rows with the classes that the model knows, all of them",
            )
        more[i] = scores is not None
        found[i] = _with(scores, said, len(classes))
    return found, more


def _with(scores: npt.NDArray[np.float64] | None, said: int | None, classes: int) -> npt.NDArray[np.float64]:
    if scores is None:
        return np.eye(classes)[said]
    if said is not None and scores.argmax() != said:
        scores = scores.copy()
        scores[said] = scores.max() + 1e-6 * (1 + abs(scores.max()))
    return scores


def _said(value: Any, classes: Sequence[Any]) -> int | None:
    try:
        said = class_said(value, classes)
    except UsageError:
        return None
    known = {class_text(one): i for i, one in enumerate(classes)}
    return None if said is None else known.get(class_text(said))


def _scores(value: Any, classes: Sequence[Any]) -> npt.NDArray[np.float64] | None:
    """(K,) of one answer, or None."""
    if isinstance(value, Mapping):
        for name in (*_PROBABILITIES, *_SCORES):
            if name in value and (found := _each(value[name], classes, name in _PROBABILITIES)) is not None:
                return found
        return _scores(value["prediction"], classes) if "prediction" in value else None
    if isinstance(value, list | tuple):
        return _scores(value[0], classes) if len(value) == 1 else _each(value, classes, None)
    return None


def _each(value: Any, classes: Sequence[Any], shares: bool | None) -> npt.NDArray[np.float64] | None:
    """A number for each class, of a list, of an object by the class, or of two classes of the second alone.

    shares: whether they are probabilities; None where that is seen by their sum.
    """
    if isinstance(value, Mapping):
        by = {class_text(_truth(name)): one for name, one in value.items()}
        value = [by.get(class_text(one)) for one in classes]
    if isinstance(value, list | tuple) and len(value) == 1:
        value = value[0]
    if isinstance(value, int | float) and not isinstance(value, bool) and len(classes) == 2:
        value = [1 - value, value] if shares or (shares is None and 0 <= value <= 1) else [0.0, value]
    if not isinstance(value, list | tuple) or len(value) != len(classes):
        return None
    try:
        found = np.array(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        return None
    if found.ndim != 1 or not np.isfinite(found).all():
        return None
    if shares is None:
        shares = bool((found >= 0).all() and abs(found.sum() - 1) < 1e-3)
    return np.log(np.maximum(found, _LEAST)) if shares else found


def _truth(name: Any) -> Any:
    return {"true": True, "false": False}.get(name, name)
