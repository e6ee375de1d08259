"""The rank of a score among the scores of held-out rows, as nodes of a graph."""

from __future__ import annotations

from typing import Any

import numpy as np

from bessemer.package.graph import GraphBuilder
from bessemer.package.outliers import OUTLIER, SCORE
from bessemer.package.trees.model import Trees
from bessemer.package.trees.onnx import to_onnx
from bessemer.train.outliers.steps import spread, steps

#: So many scores are kept. Of more, the share of rows that are more unusual is right within 2 % of itself.
KNOTS = 1024


def ranking(scores: np.ndarray) -> Trees:
    """score (N, 1) -> the share of `scores` below it: exact of up to `KNOTS` scores, of more it is rounded down.

    Args:
        scores: (M,) float32, of the held-out rows.

    >>> ranking(np.float32([1, 2, 2, 3])).margin(np.float32([[0], [1], [2], [2.5], [4]]))[:, 0].tolist()
    [0.0, 0.0, 0.25, 0.75, 1.0]
    """
    values, counts = np.unique(scores.astype(np.float32), return_counts=True)
    upto = np.cumsum(counts)
    kept = spread(len(scores) - upto, KNOTS)
    shares = np.append(0.0, upto[kept] / len(scores))
    return Trees((steps(0, values[kept], shares[:, None]),), np.zeros(1), 1)


def ranked(judge: Any, scores: np.ndarray) -> Any:
    """`features` -> `outlier_score` (N, 1) and `outlier` (N,).

    Args:
        judge: `features` -> `score` (see `method.Judge`).
        scores: (M,) float32, what it gives the held-out rows.
    """
    g = GraphBuilder("outliers")
    shape = judge.graph.input[0].type.tensor_type.shape
    x = g.input("features", "float32", ("N", shape.dim[1].dim_value))
    score = g.op("Identity", [g.embed(judge, {"features": x}, "judge/")["score"]], name=SCORE)
    share = g.embed(to_onnx(ranking(scores)), {"features": score}, "rank/")["score"]
    flat = g.op("Squeeze", [share, g.constant(np.array([1], dtype=np.int64))], name=OUTLIER)
    g.output(score, "float32", ("N", 1))
    g.output(flat, "float32", ("N",))
    return g.model()
