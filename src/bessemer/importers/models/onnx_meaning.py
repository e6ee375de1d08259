"""What the numbers of a foreign ONNX graph are: the graph says it, or the caller does; values alone never decide."""

from __future__ import annotations

import numpy as np

from bessemer.core.errors import FormatError
from bessemer.core.signature import Task
from bessemer.importers.models.foreign import Asked, refused
from bessemer.importers.models.onnx_answers import Answers

#: By how much probabilities may miss a sum of 1.
_SLACK = 1e-3


def meaning(answers: Answers, raw: np.ndarray, asked: Asked) -> tuple[Task, int, str, tuple[str, ...]]:
    """The task, how many classes, what the value is, and what was assumed.

    Args:
        raw: (N,) or (N, K), what the graph answers to some rows.

    Raises:
        FormatError: it is not clear, or the values are not what they are said to be.
    """
    width = 1 if raw.ndim == 1 else raw.shape[1]
    scores, assumed = _scores(answers, width, asked)
    if scores == "values":
        if width > 1:
            raise _unclear(width)
        return "regression", 0, "number", assumed
    if scores == "probabilities" and not _may_be(raw):
        raise refused(
            f"the ONNX graph answers with {width} number{'s' * (width > 1)} that are no probabilities",
            "they are not between 0 and 1, or do not sum to 1",
            "where they are scores: --scores logits",
        )
    likely = scores == "probabilities"
    if width == 1:
        return "binary", 2, "probability" if likely else "log-odds", assumed
    if width == 2:
        return "binary", 2, "two probabilities" if likely else "two scores", assumed
    return "multiclass", width, "probabilities" if likely else "scores", assumed


def _scores(answers: Answers, width: int, asked: Asked) -> tuple[str, tuple[str, ...]]:
    """`logits`, `probabilities` or `values`, and a note where the graph does not say it for certain."""
    if asked.scores:
        return asked.scores, ()
    if asked.task == "regression":
        return "values", ()
    named = bool(answers.labels or asked.classes or asked.task)
    if answers.ends == "Sigmoid" and width > 1:
        raise refused(
            f"the ONNX graph ends in a Sigmoid of {width} numbers",
            "each is a probability of its own, of several labels a row",
            "a package has one target; where they sum to 1: --scores probabilities",
        )
    if answers.ends == "Sigmoid" and not named:
        note = "it ends in a Sigmoid, which is taken for the probability of the second class (else: --scores values)"
        return "probabilities", (note,)
    if answers.says:
        return answers.says, ()
    if answers.probable:
        return "probabilities", (
            "its output is taken for probabilities, as it is named (else: --scores logits)",
        )
    if named:
        if width > 1 and not answers.labels and not asked.task and len(asked.classes) != width:
            raise _unclear(width)
        note = (
            "no Sigmoid or Softmax ends it: its numbers are taken for logits (else: --scores probabilities)"
        )
        return "logits", (note,)
    return "values", ()


def _may_be(raw: np.ndarray) -> bool:
    """Whether values lie where probabilities do."""
    bounded = bool(((raw >= -_SLACK) & (raw <= 1 + _SLACK)).all())
    alone = raw.ndim == 1 or raw.shape[1] == 1
    return bounded and (alone or bool((np.abs(raw.sum(axis=1) - 1) <= _SLACK).all()))


def _unclear(width: int) -> FormatError:
    return refused(
        f"the ONNX graph answers with {width} numbers that are no probabilities",
        "neither a Softmax ends it, nor does an output say a class",
        "where they are scores of classes, name those: --classes a,b,c; and say which: --scores probabilities",
    )
