"""How unusual a row is, as a package says it: one output of the graph that is computed where it is asked for."""

from __future__ import annotations

from typing import Any

from bessemer.core.errors import UsageError
from bessemer.core.signature import Field, Signature
from bessemer.package.cut import extract

#: The output: the share of held-out rows that are less unusual, (N,) float32 from 0 to 1.
OUTLIER = "outlier"
#: What it is the rank of: the method's own score, (N, 1) float32; an internal value of the graph.
SCORE = "outlier_score"

FIELD = Field(OUTLIER, "number", "float32", nullable=False, domain={"min": 0.0, "max": 1.0})


def has_outliers(signature: Signature) -> bool:
    """Whether a model can say how unusual a row is.

    >>> has_outliers(Signature((), (), on_request=(FIELD,))), has_outliers(Signature((), ()))
    (True, False)
    """
    return any(field.name == OUTLIER for field in signature.on_request)


def check_has_outliers(model: Any) -> None:
    """Raises UsageError where a loaded model was trained without."""
    if not has_outliers(model.signature):
        raise UsageError(
            f"the model '{model.name} {model.version}' cannot say how unusual a row is",
            why="it was trained without",
            fix="say `train: {outliers: true}` in the project file and run it again",
        )


def without_outliers(model: Any) -> Any:
    """The part of an ONNX model that gives all other outputs: itself, where it has no outlier output."""
    rest = [output.name for output in model.graph.output if output.name != OUTLIER]
    return model if len(rest) == len(model.graph.output) else extract(model, list(model.graph.input), rest)
