"""How good a version is, from the labels that came back to the prediction log."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from bessemer.core.errors import UsageError
from bessemer.package.prediction_log.read import read_log


def logged_metric(
    folder: Path, model: str, version: str, kind: str, labels: int, since: float
) -> float | None:
    """The metric of the labelled predictions of a version since a moment.

    Args:
        folder: of the prediction log.
        kind: `accuracy`, the share of right classes, or `mae`, the mean absolute error.
        labels: how many it must have.
        since: Unix seconds.

    Returns:
        the metric; None where there are fewer labels.
    """
    try:
        batches = read_log(folder, model, version=version, since=since)
    except UsageError:  # nothing of this version is logged yet
        return None
    count, total = 0, 0.0
    for batch in batches:
        found = pa.table({"said": batch.column("out.prediction"), "true": batch.column("label")})
        found = found.filter(pc.is_valid(found["true"]))
        count += found.num_rows
        if kind == "accuracy":
            right = pc.equal(found["said"].cast(pa.string()), found["true"].cast(pa.string()))
            total += pc.sum(right.cast(pa.int64())).as_py() or 0
        else:
            apart = pc.abs(pc.subtract(found["said"].cast(pa.float64()), found["true"].cast(pa.float64())))
            total += pc.sum(apart).as_py() or 0.0
    return total / count if count >= labels else None
