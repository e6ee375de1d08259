"""Where the model is off on average: its mean error by prediction and by column, on the test rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.core.parquet import rows_at

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt
    import pyarrow as pa

    from bessemer.core.artifact import Artifact
    from bessemer.core.stage import Context

    Floats = npt.NDArray[np.float64]

#: The most test rows looked at, columns searched and columns shown; ranges or values of one column.
ROWS = 100_000
SEARCHED = 100
SHOWN = 6
PARTS = 12
#: Fewer rows than this have no mean of their own.
FEW = 8
#: A number with no more values than this is shown value by value.
FEW_VALUES = 3
_Z = 1.959964


def residuals_of(
    evaluation: Artifact, splits: Artifact, classes: Sequence[Any], columns: Sequence[str], ctx: Context
) -> dict[str, Any] | None:
    """Mean error by prediction, and by the columns over whose values it varies most; None in multiclass.

    The error of a row is truth - prediction in regression and (1 or 0) - probability in binary tasks. Each part is a
    point [value, mean, low, high, rows] with a 95 % normal interval of the mean; value None is missing. `share` is
    the part of the errors' variance that lies between a column's parts.
    """
    import pyarrow.parquet as pq

    if len(classes) > 2:
        return None
    chosen, truth, predicted = _judged(evaluation, classes, ctx)
    error = truth - predicted
    found = []
    path = splits.path("test.parquet")
    known = set(pq.read_schema(path).names)
    for name in [column for column in columns if column in known][:SEARCHED]:
        values = rows_at(path, chosen, [name]).column(0).combine_chunks()
        kind, codes, labels = _parts(values)
        found.append({"name": name, "kind": kind, **_means(codes, labels, error)})
    found.sort(key=lambda one: (-one["share"], one["name"]))
    kept = [one for one in found if one["share"] > 0 and len(one["points"]) > 1]
    codes, labels = _ranges(predicted)
    return {
        "rows": len(error),
        "prediction": _means(codes, labels, error)["points"],
        "columns": kept[:SHOWN],
    }


def drawn(path: Path, most: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Ascending positions of the rows of a Parquet file: all, or `most` of them drawn at random."""
    import pyarrow.parquet as pq

    count = pq.read_metadata(path).num_rows
    return np.sort(rng.choice(count, most, replace=False)) if count > most else np.arange(count)


def _judged(evaluation: Artifact, classes: Sequence[Any], ctx: Context) -> tuple[Any, Floats, Floats]:
    """The rows looked at (int64 positions), and their truth and prediction as numbers."""
    import pyarrow.compute as pc

    column = "probability" if classes else "prediction"
    path = evaluation.path("predictions.parquet")
    chosen = drawn(path, ROWS, ctx.rng("residuals"))
    table = rows_at(path, chosen, ["target", column])
    target = table.column("target")
    actual = pc.equal(target, classes[1]).cast("int8") if classes else target
    both = [np.asarray(values, dtype=np.float64) for values in (actual, table.column(column))]
    return chosen, both[0], both[1]


def _parts(values: pa.Array) -> tuple[str, npt.NDArray[np.int64], list[Any]]:
    """The kind of a column, the part of each row (-1: in none), and what stands for each part."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_timestamp(values.type):
        stamps = values.cast(pa.timestamp("us")).cast(pa.int64())
        codes, labels = _ranges(np.asarray(stamps.cast(pa.float64()).fill_null(np.nan), dtype=np.float64))
        said = [
            None if v is None else str(np.datetime64(int(v), "us").astype("datetime64[s]")) for v in labels
        ]
        return "timestamp", codes, said
    number = pa.types.is_integer(values.type) or pa.types.is_floating(values.type)
    if number and pc.count_distinct(values).as_py() > FEW_VALUES:
        codes, labels = _ranges(np.asarray(values.cast(pa.float64()).fill_null(np.nan), dtype=np.float64))
        return "number", codes, labels
    counted = pc.value_counts(values).to_pylist()
    counted.sort(key=lambda one: (-one["counts"], one["values"] is not None, str(one["values"])))
    labels = [one["values"] for one in counted[:PARTS]]
    place = {value: i for i, value in enumerate(labels)}
    return (
        "category",
        np.array([place.get(value, -1) for value in values.to_pylist()], dtype=np.int64),
        labels,
    )


def _ranges(values: Floats) -> tuple[npt.NDArray[np.int64], list[float | None]]:
    """Up to `PARTS` ranges with about as many rows each, named by their median; those without a number last.

    >>> _ranges(np.array([1.0, 2.0, np.nan]))[1]
    [1.0, 2.0, None]
    """
    known = np.isfinite(values)
    codes = np.full(len(values), -1, dtype=np.int64)
    labels: list[float | None] = []
    if known.any():
        cuts = np.unique(np.quantile(values[known], np.arange(1, PARTS) / PARTS, method="inverted_cdf"))
        codes[known] = np.searchsorted(cuts, values[known], side="left")
        present, codes[known] = np.unique(codes[known], return_inverse=True)
        labels = [float(np.median(values[codes == k])) for k in range(len(present))]
    if not known.all():
        codes[~known] = len(labels)
        labels.append(None)
    return codes, labels


def _means(codes: npt.NDArray[np.int64], labels: Sequence[Any], error: Floats) -> dict[str, Any]:
    """The points of a column, and the share of the variance of the errors that lies between its parts."""
    points, between = [], 0.0
    whole = float(error.mean()) if len(error) else 0.0
    for k, label in enumerate(labels):
        inside = error[codes == k]
        if len(inside) < FEW:
            continue
        mean = float(inside.mean())
        half = _Z * float(inside.std(ddof=1)) / len(inside) ** 0.5
        points.append([label, mean, mean - half, mean + half, len(inside)])
        between += len(inside) * (mean - whole) ** 2
    total = float(((error - whole) ** 2).sum())
    return {"points": points, "share": between / total if total > 0 else 0.0}
