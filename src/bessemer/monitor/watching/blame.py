"""Which columns make rows unusual: those whose value, taken back to a typical one, makes them least so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.monitor.reference import Sketch
from bessemer.package.outliers import SCORE

if TYPE_CHECKING:
    import pyarrow as pa

    from bessemer.core.signature import Field
    from bessemer.package.model import Model

#: Of wider tables the first so many columns are tried: each takes a run of the model.
MOST_COLUMNS = 300


def blamed(model: Model, rows: pa.Table, reference: Mapping[str, Sketch]) -> dict[str, np.ndarray]:
    """How much less unusual each row would be with a typical value in a column.

    Args:
        model: one that can say how unusual a row is.
        rows: the columns of its inputs.
        reference: the sketches of the columns.

    Returns:
        column -> (N,) float64, in the units of the method's score; 0 where it would be as unusual, or more so.
    """
    before = _scores(model, rows)
    return {
        name: np.maximum(0.0, before - _scores(model, changed))
        for name, changed in _typical_in(model, rows, reference)
    }


def _scores(model: Model, rows: pa.Table) -> np.ndarray:
    made = model.session.run(rows, [SCORE], allow_missing=True)[SCORE]
    return made[:, 0].astype(np.float64)


def _typical_in(
    model: Model, rows: pa.Table, reference: Mapping[str, Sketch]
) -> Iterator[tuple[str, pa.Table]]:
    """The rows with a typical value in one column, for each column that the reference knows."""
    import pyarrow as pa

    known = [
        field
        for field in model.signature.inputs
        if field.name in reference and field.name in rows.column_names
    ]
    for field in known[:MOST_COLUMNS]:
        place = rows.column_names.index(field.name)
        value = typical(field, reference[field.name])
        column = pa.array([value] * rows.num_rows, rows.schema.field(place).type)
        yield field.name, rows.set_column(place, field.name, column)


def typical(field: Field, sketch: Sketch) -> Any:
    """The median of a column's numbers, or its most frequent value; None where it has none.

    >>> from bessemer.core.signature import Field
    >>> ages = Sketch("integer", np.array([1.0, 8.0, 1.0]), 0, edges=np.array([0.0, 10.0, 20.0, 30.0]))
    >>> typical(Field("age", "integer", "float32"), ages)
    15
    """
    if not sketch.count:
        return None
    if sketch.edges is None:
        alone = sketch.counts[: len(sketch.values)]
        return sketch.values[int(np.argmax(alone))] if len(alone) else None
    half = int(np.searchsorted(np.cumsum(sketch.counts), sketch.counts.sum() / 2))
    middle = float(sketch.edges[half] + sketch.edges[half + 1]) / 2
    return middle if field.dtype == "number" else round(middle)
