"""Parity: the graph that ships against the model that was trained, on real rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bessemer.core.errors import PackageError
from bessemer.core.signature import Signature
from bessemer.package.contributions import Contributions
from bessemer.package.decision import Decision
from bessemer.package.images import shown
from bessemer.package.session import GraphSession

#: Largest difference allowed: of a probability, or of a predicted number relative to its size (see `sizes`).
TOLERANCE = 1e-4

_BATCH = 16_384


def spread_rows(path: Path, count: int) -> pa.Table:
    """About `count` rows of a Parquet file, at least so many where there are, spread evenly over it, in order."""
    with pq.ParquetFile(path) as file:
        step = max(1, file.metadata.num_rows // count)
        found, start = [file.schema_arrow.empty_table()], 0
        for batch in file.iter_batches(_BATCH):
            first = -start % step
            found.append(pa.Table.from_batches([batch.take(pa.array(range(first, len(batch), step)))]))
            start += len(batch)
    return pa.concat_tables(found)


def check_parity(
    model: bytes,
    signature: Signature,
    native: Contributions,
    rows: pa.Table,
    decision: Decision | None = None,
) -> dict[str, float | int]:
    """How far the graph is from the native model on some rows.

    Args:
        model: model.onnx.
        native: the trained model, with its calibration.
        rows: raw rows.
        decision: what makes a positive of two classes, where that is not a probability of 0.5.

    Returns:
        rows, worst_score_difference (absolute; in regression relative, see `sizes`),
        worst_probability_difference (0 in regression), label_flips (rows whose class differs), tolerance.

    Raises:
        PackageError: the worst probability (in regression: relative score) difference is above TOLERANCE.
    """
    classes = signature.task != "regression"
    outputs = ["features", "score", "prediction", *(["probability"] if classes else [])]
    made = GraphSession(model, signature.inputs).run(rows, outputs)
    expected, score = native.score(made["features"]), made["score"].astype(np.float64)
    difference = np.abs(score - expected)
    if not classes:
        difference = difference / sizes(expected)
    result: dict[str, float | int] = {
        "rows": rows.num_rows,
        "worst_score_difference": _worst(difference),
        "worst_probability_difference": 0.0,
        "label_flips": 0,
        "tolerance": TOLERANCE,
    }
    if classes:
        probability = probabilities(expected)
        result["worst_probability_difference"] = _worst(np.abs(made["probability"] - probability))
        thresholds = (decision or Decision()).thresholds(rows, rows.num_rows)
        result["label_flips"] = _flips(made["prediction"], probability, signature.classes, thresholds)
    worst = result["worst_probability_difference" if classes else "worst_score_difference"]
    if not worst <= TOLERANCE:  # a NaN must not pass
        raise PackageError(
            f"the graph differs from the trained model by {worst:.3g}, and {TOLERANCE:g} is allowed",
            why=f"found on {rows.num_rows} test rows; the package would predict what was not trained",
            fix="run again with `bessemer run --force train`; if it stays, report it with the project file",
        )
    return result


def sizes(score: np.ndarray) -> np.ndarray:
    """What a difference of scores (N, K') is measured by: the score itself, its usual size, or 1, whichever is largest.

    The graph adds in float32: a sum whose parts are thousands and whose result is 3 has the rounding of thousands.

    >>> sizes(np.array([[3.0], [4000.0], [4000.0]])).round().tolist()
    [[3266.0], [4000.0], [4000.0]]
    """
    usual = np.sqrt(np.mean(score**2, axis=0)) if len(score) else 1.0
    found: np.ndarray = np.maximum(np.maximum(1.0, usual), np.abs(score))
    return found


def _worst(difference: np.ndarray) -> float:
    return float(difference.max()) if difference.size else 0.0


def probabilities(score: np.ndarray) -> np.ndarray:
    """The probability of each class from raw scores: (N, 1) log-odds -> (N, 2), else softmax over (N, K).

    >>> probabilities(np.array([[0.0]])).tolist()
    [[0.5, 0.5]]
    """
    if score.shape[1] == 1:
        score = np.hstack([np.zeros_like(score), score])
    raised = np.exp(score - score.max(axis=1, keepdims=True))
    shares: np.ndarray = raised / raised.sum(axis=1, keepdims=True)
    return shares


def _flips(
    prediction: np.ndarray, probability: np.ndarray, classes: Sequence[Any], thresholds: np.ndarray
) -> int:
    """Rows whose predicted class is not the native model's. Binary: positive from the row's threshold on."""
    binary = probability.shape[1] == 2
    best = (probability[:, 1] >= thresholds).astype(int) if binary else probability.argmax(axis=1)
    expected = [classes[i] for i in best]
    return sum(a != b for a, b in zip(prediction.tolist(), expected, strict=True))


def sample_rows(rows: pa.Table, signature: Signature, count: int) -> list[Mapping[str, Any]]:
    """A few input rows as plain JSON, the first ones and, last, one with as many missing values as there are."""
    if not count or not rows.num_rows:
        return []
    inputs = rows.select([field.name for field in signature.inputs])
    missing = sum(np.asarray(column.is_null().to_numpy(), dtype=int) for column in inputs.columns)
    most = int(np.argmax(missing))
    chosen = sorted({*range(min(count - 1, rows.num_rows)), most})
    return [{name: _plain(value) for name, value in row.items()} for row in inputs.take(chosen).to_pylist()]


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return shown(value)
    return value.isoformat() if hasattr(value, "isoformat") else value
