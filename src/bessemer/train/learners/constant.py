"""The baseline that looks at nothing: the prior of the classes, or the mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from bessemer.core import canonical
from bessemer.train.learner import Native
from bessemer.train.params import Param

if TYPE_CHECKING:
    import numpy as np

    from bessemer.train.learner import Callbacks, Part, Problem


@dataclass(frozen=True)
class ConstantModel:
    """score: (K',) float32."""

    score: np.ndarray
    params: Mapping[str, Any] = field(default_factory=dict)
    iterations: int = 0
    curves: Mapping[str, list[tuple[int, float]]] = field(default_factory=dict)

    def margin(self, X: np.ndarray) -> np.ndarray:
        import numpy as np

        return np.tile(self.score.astype(np.float64), (len(X), 1))

    def contributions(self, X: np.ndarray) -> np.ndarray:
        import numpy as np

        found = np.zeros((len(X), len(self.score), X.shape[1] + 1))
        found[:, :, -1] = self.score
        return found

    def to_onnx(self) -> Any:
        import numpy as np

        from bessemer.package.graph import GraphBuilder

        g = GraphBuilder("constant")
        features = g.input("features", "float32", ("N", "F"))
        rows = g.op("Shape", [features], start=0, end=1)
        shape = g.op("Concat", [rows, g.constant(np.array([len(self.score)], dtype=np.int64))], axis=0)
        score = g.op("Expand", [g.constant(self.score[None, :]), shape], name="score")
        g.output(score, "float32", ("N", len(self.score)))
        return g.model()

    def native(self) -> Native:
        return Native(
            "constant", "constant.json", canonical.dump_bytes({"score": [float(v) for v in self.score]})
        )


class Constant:
    """Log-odds of the positive class, log priors, or the mean. A class without rows counts as half a row."""

    NAME: ClassVar[str] = "constant"
    MONOTONE: ClassVar[bool] = True
    QUANTILE: ClassVar[bool] = True
    PARAMS: ClassVar[Mapping[str, Param]] = {}

    def fit(
        self, problem: Problem, train: Part, valid: Part, params: Mapping[str, Any], callbacks: Callbacks
    ) -> ConstantModel:
        import numpy as np

        base = prior(problem, train.y, problem.row_weights(train))
        return ConstantModel(np.asarray(base, dtype=np.float32))


def prior(problem: Problem, y: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    """The best margins (K',) float64 for a model without features.

    weight: (N,) how much each row counts; None for all the same.
    """
    import numpy as np

    weight = np.ones(len(y)) if weight is None else weight
    if problem.quantile is not None:
        return np.array([weighted_quantile(y, weight, problem.quantile)])
    if problem.task == "regression":
        return np.array([np.average(y, weights=weight)])
    counts = np.bincount(y.astype(np.int64), weights=weight, minlength=problem.classes)
    counts = np.maximum(counts, 0.5 * counts.sum() / len(y))
    if problem.task == "binary":
        return np.array([np.log(counts[1] / counts[0])])
    return np.asarray(np.log(counts / counts.sum()))


def weighted_quantile(y: np.ndarray, weight: np.ndarray, quantile: float) -> float:
    """The least value that at least this share of the weight does not exceed.

    >>> import numpy as np
    >>> weighted_quantile(np.array([3.0, 1.0, 2.0]), np.ones(3), 0.5)
    2.0
    """
    import numpy as np

    order = np.argsort(y, kind="stable")
    reached = np.cumsum(weight[order]) >= quantile * weight.sum() * (1 - 1e-12)
    return float(y[order][np.argmax(reached)])
