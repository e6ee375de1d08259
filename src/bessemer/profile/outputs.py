"""What the model says about rows it was not trained on: sketches of its outputs, and how good they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import ArrayLike, NDArray

from bessemer.core.further import Further
from bessemer.core.signature import Signature
from bessemer.package.session import GraphSession
from bessemer.profile.groups import put_right
from bessemer.stats.arrays import tidy
from bessemer.stats.binning import count, quantile_edges
from bessemer.stats.bootstrap import bootstrap, interval
from bessemer.stats.error_bins import error_bins, order_of
from bessemer.stats.metrics.outcome import Outcome, class_indices, classified, estimated, said_codes
from bessemer.stats.metrics.table import METRICS, Scorer
from bessemer.stats.unlabelled import from_confidence, residuals

BATCH_ROWS = 65_536

#: One-vs-rest areas cost a sort and a pass a class: with more classes they are left out.
MAX_AREAS = 20

#: The most rows that a classifier's own view of its metrics is taken from.
EXPECTED_ROWS = 50_000

#: The bins of the errors of a regression, and how many rows one needs.
RESIDUAL_BINS, ROWS_A_BIN = 20, 50

_DTYPES = {bool: "boolean", int: "integer", str: "string"}


def predict(
    model: bytes,
    signature: Signature,
    part: Path,
    truth: NDArray[np.float64],
    tell: Callable[[Mapping[str, NDArray[Any]]], None] = lambda made: None,
) -> tuple[Outcome, NDArray[np.float64]]:
    """The outcome of the graph on a Parquet file of raw rows, and its scores float64 (n, outputs).

    Args:
        tell: told of the outputs of each batch, the predictions of further targets among them.

    One thread: trees added in another order differ in the last bits.
    """
    session = GraphSession(model, signature.inputs)
    named = "score" if signature.task == "regression" else "probability"
    outputs = ["score", named, *(["prediction"] if signature.task == "binary" else [])]
    outputs += [one.prediction for one in signature.further]
    scores, values, said = [], [], []
    for batch in pq.ParquetFile(part).iter_batches(BATCH_ROWS):
        made = session.run(batch, list(dict.fromkeys(outputs)))
        tell(made)
        scores.append(made["score"].reshape(batch.num_rows, -1))
        values.append(made[named])
        if signature.task == "binary":
            said.append(class_indices(made["prediction"], signature.classes))
    score, value = np.concatenate(scores).astype(np.float64), np.concatenate(values)
    if signature.task == "regression":
        return estimated(truth, value.reshape(-1)), score
    return classified(signature.task, truth, value, np.concatenate(said) if said else None), score


def sketch_outputs(
    outcome: Outcome, score: NDArray[np.float64], classes: Sequence[Any], bins: int
) -> dict[str, Any]:
    """Sketches by output: regression `prediction`; binary `prediction`, `probability` (of the positive class) and
    `score`; multiclass `prediction` and `confidence` (the greatest probability)."""
    if outcome.task == "regression":
        return {"prediction": sketch_numbers(score[:, 0], bins)}
    labels = sketch_classes(outcome.predicted, classes)
    if outcome.task == "multiclass":
        return {"prediction": labels, "confidence": sketch_numbers(outcome.probability.max(axis=1), bins)}
    probability = sketch_numbers(outcome.probability[:, 1], bins)
    return {"prediction": labels, "probability": probability, "score": sketch_numbers(score[:, 0], bins)}


class FurtherSketches:
    """What a model predicts of its further targets, batch by batch, and then a sketch of each by the output's name."""

    def __init__(self, further: Sequence[Further]) -> None:
        self._said: dict[Further, list[NDArray[np.float64]]] = {one: [] for one in further}

    def take(self, made: Mapping[str, NDArray[Any]]) -> None:
        for one, found in self._said.items():
            found.append(said_codes(made[one.prediction], one.classes))

    def done(self, bins: int) -> dict[str, Any]:
        return {
            one.prediction: sketch_classes(codes, one.classes) if one.classes else sketch_numbers(codes, bins)
            for one, codes in ((one, np.concatenate(found)) for one, found in self._said.items())
        }


def sketch_classes(predicted: ArrayLike, classes: Sequence[Any]) -> dict[str, Any]:
    """A sketch of class indices (n,), the classes in their order."""
    counts = np.bincount(np.asarray(predicted, dtype=np.int64), minlength=len(classes))
    return {
        "dtype": _DTYPES[type(classes[0])],
        "count": int(counts.sum()),
        "missing": 0,
        "distinct": int((counts > 0).sum()),
        "categories": [[name, int(n)] for name, n in zip(classes, counts, strict=True)],
        "other": 0,
    }


def sketch_numbers(values: NDArray[Any], bins: int) -> dict[str, Any]:
    """A numeric sketch of an array (n,); what is not finite counts as missing."""
    numbers = np.asarray(values, dtype=np.float64)
    known = numbers[np.isfinite(numbers)]
    sketch: dict[str, Any] = {"dtype": "number", "count": len(known), "missing": len(numbers) - len(known)}
    if not len(known):
        return {**sketch, "edges": [], "counts": [], "mean": None, "std": None, "min": None, "max": None}
    edges = quantile_edges(known, bins)
    sketch |= {"edges": edges, "counts": count(known, edges).tolist()}
    return sketch | {
        "mean": tidy(float(known.mean())),
        "std": tidy(float(known.std())),
        "min": float(known.min()),
        "max": float(known.max()),
    }


def expected(
    outcome: Outcome,
    names: Sequence[str],
    rng: np.random.Generator,
    calibration: Mapping[str, Any] | None = None,
) -> dict[str, dict[str, float]]:
    """What a classifier's own probabilities say its metrics are on these rows; how far that is from what they are is
    no change when it is seen again later. {} of a regression.

    calibration: by which probabilities are put right first (see `groups.calibration`), as monitoring will do.
    """
    if outcome.task == "regression":
        return {}
    rows = np.arange(outcome.rows)
    if outcome.rows > EXPECTED_ROWS:
        rows = np.sort(rng.choice(outcome.rows, EXPECTED_ROWS, replace=False))
    part = outcome.take(rows)
    probability, predicted = part.probability.astype(np.float64), part.predicted.astype(np.int64)
    if calibration is not None:
        probability = put_right(outcome.task, probability, predicted, calibration)
    found = from_confidence(outcome.task, probability, predicted, names, rng)
    return {name: tidy(asdict(each)) for name, each in found.items()}


def residual_sketch(outcome: Outcome) -> dict[str, list[float]]:
    """The errors of a regression by the size of its prediction: from them errors are estimated before labels come."""
    predicted = np.asarray(outcome.predicted, dtype=np.float64)
    truth = np.asarray(outcome.truth, dtype=np.float64)
    bins = max(1, min(RESIDUAL_BINS, len(predicted) // ROWS_A_BIN))
    found = residuals(truth, predicted, quantile_edges(predicted, bins))
    return {name: tidy(values.tolist()) for name, values in asdict(found).items()}


def error_sketch(outcome: Outcome) -> dict[str, list[float]]:
    """How many rows are wrong by the probability of the positive class, the greatest one, or the predicted number."""
    bins = max(1, min(RESIDUAL_BINS, outcome.rows // (2 * ROWS_A_BIN)))
    order = None if outcome.task == "regression" else order_of(outcome.task, outcome.probability)
    found = error_bins(outcome.truth, outcome.predicted, order, bins)
    # every digit: many rows may have a value that is an edge
    return {name: values.tolist() for name, values in asdict(found).items()}


def performance(
    outcome: Outcome, replicates: int, confidence: float, rng: np.random.Generator
) -> dict[str, dict[str, float]]:
    """The task's metrics with bootstrap intervals, on these rows: what labelled rows later are compared with."""
    names = [name for name in METRICS[outcome.task] if name != "roc_auc" or outcome.classes <= MAX_AREAS]
    scorer = Scorer(outcome, names)
    (draws,) = bootstrap([scorer], outcome.rows, replicates, rng)
    found = {}
    for k, (name, value) in enumerate(zip(names, scorer().tolist(), strict=True)):
        low, high = interval(draws[:, k], confidence)
        found[name] = {"value": value, "low": low, "high": high}
    return found
