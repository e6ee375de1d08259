"""The one graph: preprocessing, the learner's head, calibration, and the outputs of the task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bessemer.core.further import Further
from bessemer.core.signature import DType, Field, Task, Tensor
from bessemer.package.decision import USED, Decision
from bessemer.package.graph import TENSORS, GraphBuilder
from bessemer.package.outliers import FIELD, OUTLIER, SCORE
from bessemer.train.calibrate import Calibration
from bessemer.train.group_threshold import threshold_of

_TENSOR_NAMES: Mapping[int, str] = {number: name for name, number in TENSORS.items()}
_CLASS_TYPES: Mapping[type, tuple[DType, Tensor]] = {bool: ("boolean", "bool"), int: ("integer", "int64")}


def with_outputs(
    head: Any, calibration: Calibration, task: Task, classes: Sequence[Any], features: int
) -> Any:
    """A head with the task's outputs: `features` (N, F) float32 -> prediction, probability, score."""
    g = GraphBuilder("head")
    _finish(g, head, g.input("features", "float32", ("N", features)), calibration, task, classes)
    return g.model()


def assemble(
    preprocessor: Any,
    head: Any,
    calibration: Calibration,
    task: Task,
    classes: Sequence[Any],
    decision: Decision | None = None,
    more: Sequence[Field] = (),
    outliers: Any = None,
    further: Sequence[tuple[Further, str]] = (),
) -> Any:
    """Raw columns -> prediction, probability, score. The value `features` is what the learner sees.

    Raw columns have none of these names: preparation refuses them.

    Args:
        decision: which probability makes a positive of two classes.
        more: inputs that only the decision needs.
        outliers: `features` -> `outlier_score` and `outlier` (see `train.outliers.fit`).
        further: targets beside the main one, and the output of the head that is each one's score.
    """
    g = GraphBuilder("model")
    bindings = {}
    for value in preprocessor.graph.input:
        tensor = _TENSOR_NAMES[value.type.tensor_type.elem_type]
        bindings[value.name] = g.input(value.name, tensor, ("N", 1))
    for field in more:
        g.input(field.name, field.tensor, ("N", 1))
    made = g.embed(preprocessor, bindings, "prepare/")["features"]
    features = g.op("Identity", [made], name="features")
    scores = _finish(g, head, features, calibration, task, classes, decision)
    for one, score in further:
        _add_further(g, one, scores[score])
    if outliers is not None:
        add_outliers(g, outliers, features)
    return g.model()


def add_outliers(g: GraphBuilder, outliers: Any, features: str) -> None:
    """Add how unusual a row is; nothing else depends on it, so that who does not ask for it does not compute it."""
    made = g.embed(outliers, {"features": features}, "outliers/")
    g.op("Identity", [made[SCORE]], name=SCORE)
    g.output(g.op("Identity", [made[OUTLIER]], name=OUTLIER), FIELD.tensor, ("N",))


def _add_further(g: GraphBuilder, one: Further, margin: str) -> None:
    """Add the outputs of a further target: it is not calibrated, and the likelier class is predicted."""
    score = g.op("Identity", [margin], name=one.score)
    if one.task == "regression":
        _squeeze(g, score, one.prediction)
    else:
        _classify(g, score, one.task, class_labels(one.classes), None, one.probability, one.prediction)
    for field in further_fields(one):
        g.output(field.name, field.tensor, ("N", *field.shape))


def further_fields(one: Further) -> tuple[Field, ...]:
    """The outputs of a further target."""
    return tuple(replace(f, name=f"{f.name}_{one.name}") for f in output_fields(one.task, one.classes))


def _finish(
    g: GraphBuilder,
    head: Any,
    features: str,
    calibration: Calibration,
    task: Task,
    classes: Sequence[Any],
    decision: Decision | None = None,
) -> dict[str, str]:
    """Add the head, the calibration and the outputs of the task to a graph that has the features; gives the outputs of
    the head."""
    made = g.embed(head, {"features": features}, "learner/")
    margin = made["score"]
    if calibration.method == "none":
        score = g.op("Identity", [margin], name="score")
    else:
        scaled = g.op("Mul", [margin, g.constant(np.float32(calibration.scale))])
        score = g.op("Add", [scaled, g.constant(np.float32(calibration.offset))], name="score")
    if task == "regression":
        _squeeze(g, score, "prediction")
    else:
        _classify(g, score, task, class_labels(classes), decision)
    for field in output_fields(task, classes):
        g.output(field.name, field.tensor, ("N", *field.shape))
    return made


def _squeeze(g: GraphBuilder, value: str, name: str) -> str:
    return g.op("Squeeze", [value, g.constant(np.array([1], dtype=np.int64))], name=name)


def _classify(
    g: GraphBuilder,
    score: str,
    task: Task,
    labels: np.ndarray,
    decision: Decision | None,
    shares: str = "probability",
    said: str = "prediction",
) -> None:
    """Add probabilities and classes under the names `shares` and `said`."""
    if task == "binary":
        positive, negative = g.op("Sigmoid", [score]), g.op("Sigmoid", [g.op("Neg", [score])])
        g.op("Concat", [negative, positive], axis=1, name=shares)
        if decision is not None and decision.groups:
            threshold = _squeeze(g, threshold_of(g, decision), "threshold")
        else:
            threshold = g.constant(np.float32(USED if decision is None else decision.threshold))
        index = g.cast(g.op("GreaterOrEqual", [_squeeze(g, positive, "positive"), threshold]), "int64")
    else:
        probability = g.op("Softmax", [score], axis=1, name=shares)
        index = g.op("ArgMax", [probability], axis=1, keepdims=0)
    g.op("Gather", [g.constant(labels), index], axis=0, name=said)


def class_labels(classes: Sequence[Any]) -> np.ndarray:
    """The classes as a tensor: bool, int64 (also from whole floats), else text."""
    if all(isinstance(c, bool) for c in classes):
        return np.array(classes, dtype=np.bool_)
    if all(isinstance(c, int | float) and float(c).is_integer() for c in classes):
        return np.array([int(c) for c in classes], dtype=np.int64)
    return np.array([str(c) for c in classes], dtype=object)


def output_fields(task: Task, classes: Sequence[Any]) -> tuple[Field, ...]:
    """The outputs of a signature, in the order of the graph."""
    if task == "regression":
        return (
            Field("prediction", "number", "float32", nullable=False),
            Field("score", "number", "float32", nullable=False, shape=(1,)),
        )
    labels = class_labels(classes).tolist()
    dtype, tensor = _CLASS_TYPES.get(type(labels[0]), ("string", "string"))
    scores = 1 if task == "binary" else len(labels)
    unit = {"min": 0.0, "max": 1.0, "categories": labels}
    return (
        Field("prediction", dtype, tensor, nullable=False, domain={"categories": labels}),
        Field("probability", "number", "float32", nullable=False, shape=(len(labels),), domain=unit),
        Field("score", "number", "float32", nullable=False, shape=(scores,)),
    )
