"""The conformance suite of transforms: what every plug-in of `bessemer.transforms` must keep.

    from bessemer.testing.transforms import check_transform

    def test_mine():
        check_transform(MyTransform())

Each check fits the transform on a small train part with missing values, builds its graph, and runs the graph over
values it has seen, missing values, and values it has not.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from bessemer.core.signature import MISSING_TIMESTAMP, DType
from bessemer.package.graph import GraphBuilder, serialize
from bessemer.package.runtime import open_session
from bessemer.prepare.spec import PrepareSpec
from bessemer.prepare.transforms.base import Column, FeatureKind, Fitted, Target, TrainColumn, Transform

if TYPE_CHECKING:
    import numpy.typing as npt

_ROWS, _FOLDS = 60, 3
_EPOCH = dt.datetime(1970, 1, 1)
_SQL_TYPES: dict[DType, str] = {
    "boolean": "BOOLEAN",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "string": "VARCHAR",
    "timestamp": "TIMESTAMP",
}
_SEEN: dict[DType, list[Any]] = {
    "boolean": [True, False, None],
    "integer": [1, 2, 2, -5, None],
    "number": [0.5, 1e30, -2.0, 0.5, None],
    "string": ["a b c d", "Ä", "a", 'it\'s "x"', "a", None],
    "timestamp": [dt.datetime(2024, 2, 29, 23), dt.datetime(1969, 7, 20, 1), dt.datetime(2001, 1, 1), None],
}
_UNSEEN: dict[DType, list[Any]] = {
    "boolean": [True],
    "integer": [77],
    "number": [float("inf"), float("-inf"), 1e-30],
    "string": ["never seen", " "],
    "timestamp": [dt.datetime(2100, 12, 31), dt.datetime(1900, 3, 1)],
}


def check_transform(
    transform: Transform, spec: PrepareSpec | None = None, values: Sequence[Any] | None = None
) -> None:
    """Every check, for every dtype that the transform takes and every encoding that it offers.

    Args:
        values: what the column has, where the transform does not take any value of its dtype.

    Raises:
        AssertionError: a law is broken; the message says which.
    """
    assert transform.dtypes, "a transform takes at least one dtype"
    choices: list[Sequence[str] | None] = [None, *([word] for word in transform.encodings)]
    for dtype in transform.dtypes:
        for encode in choices:
            fitted = _check_fit(transform, dtype, "binary", spec or PrepareSpec(), encode, values)
            if fitted is not None and fitted.crossfit is not None:
                _check_fit(transform, dtype, "regression", spec or PrepareSpec(), encode, values)


def _check_fit(
    transform: Transform,
    dtype: DType,
    task: str,
    spec: PrepareSpec,
    encode: Sequence[str] | None,
    values: Sequence[Any] | None,
) -> Fitted | None:
    fitted = transform.fit(train_column(dtype, task, values), spec, encode)
    if fitted is not None:
        _check_features(fitted)
        _check_layout(fitted)
        _check_values(fitted, dtype, [*_SEEN[dtype], *_UNSEEN[dtype], None] if values is None else values)
        _check_crossfit(fitted)
        again = transform.fit(train_column(dtype, task, values), spec, encode)
        assert again is not None
        assert graph_of(again, dtype) == graph_of(fitted, dtype), "two fits give the same bytes"
    return fitted


def train_column(dtype: DType, task: str = "binary", values: Sequence[Any] | None = None) -> TrainColumn:
    """A train part of 60 rows in which `values` (by default some of the dtype, some missing) repeat."""
    import duckdb

    seen = list(_SEEN[dtype] if values is None else values)
    rows = [(seen[i % len(seen)], (i * 7) % 2, i % _FOLDS) for i in range(_ROWS)]
    connection = duckdb.connect(":memory:", config={"threads": 1})
    marks = ", ".join(f"(CAST(? AS {_SQL_TYPES[dtype]}), {y}, {fold})" for _, y, fold in rows)
    connection.execute(f"CREATE TABLE train AS FROM (VALUES {marks}) v(x0, y, fold)", [x for x, _, _ in rows])
    counts = np.zeros(_FOLDS, dtype=object)
    sums = np.zeros((_FOLDS, 1), dtype=object)
    for _, y, fold in rows:
        counts[fold] += 1
        sums[fold] += y
    classes = (False, True) if task == "binary" else ()
    target = Target("y", task, classes, "y", 1.0, counts, sums)  # type: ignore[arg-type]
    return TrainColumn(Column("column", dtype, '"column"', ("column",)), connection, "train", "x0", target)


def graph_of(fitted: Fitted, dtype: DType) -> bytes:
    """A graph of the transform alone: from `column` to `block`, and `index` where there is a cross-fit."""
    builder = GraphBuilder("transform")
    tensor = {"string": "string", "timestamp": "int64", "integer": "float64"}.get(dtype, "float32")
    block = fitted.add(builder, builder.input("column", tensor, ("N", 1)))
    builder.op("Identity", [block.value], name="block")
    builder.output("block", "float32", ("N", len(fitted.features)))
    if fitted.crossfit is not None:
        builder.op("Identity", [block.index], name="index")
        builder.output("index", "int64", ("N", 1))
    return serialize(builder.model())


def run(fitted: Fitted, dtype: DType, values: Sequence[Any]) -> npt.NDArray[np.float32]:
    """The features of some values (None is missing): (len(values), features) float32."""
    found: npt.NDArray[np.float32] = _session(fitted, dtype).run(
        ["block"], {"column": tensor_of(dtype, values)}
    )[0]
    return found


def _session(fitted: Fitted, dtype: DType) -> Any:
    return open_session(graph_of(fitted, dtype), threads=1)


def tensor_of(dtype: DType, values: Sequence[Any]) -> npt.NDArray[Any]:
    """Values as the (N, 1) tensor a graph takes."""
    if dtype == "string":
        return np.array([[value or ""] for value in values], dtype=object)
    if dtype == "timestamp":
        step = dt.timedelta(microseconds=1)
        moments = [MISSING_TIMESTAMP if v is None else (v - _EPOCH) // step for v in values]
        return np.array(moments, dtype=np.int64).reshape(-1, 1)
    wide = np.float64 if dtype == "integer" else np.float32
    return np.array([np.nan if v is None else v for v in values], dtype=wide).reshape(-1, 1)


def _check_features(fitted: Fitted) -> None:
    names = [feature.name for feature in fitted.features]
    assert names, "a fitted transform has features; one without gives None from fit"
    assert len(set(names)) == len(names), f"feature names are unique: {names}"
    for feature in fitted.features:
        assert feature.group == "column", f"{feature.name} speaks for its column"
        assert feature.kind in get_args(FeatureKind), f"{feature.name} has an unknown kind {feature.kind}"
        assert feature.meaning, f"{feature.name} says what it means"


def _check_layout(fitted: Fitted) -> None:
    layout = getattr(fitted, "layout", None)
    if layout is not None:
        assert math.prod(layout.shape) <= len(fitted.features), "a layout is of the transform's own features"


def _check_values(fitted: Fitted, dtype: DType, values: Sequence[Any]) -> None:
    session = _session(fitted, dtype)
    found = session.run(["block"], {"column": tensor_of(dtype, values)})[0]
    assert found.dtype == np.float32
    assert found.shape == (len(values), len(fitted.features)), "one row a value, one column a feature"
    alone = np.concatenate([session.run(["block"], {"column": tensor_of(dtype, [v])})[0] for v in values])
    assert alone.tobytes() == found.tobytes(), "a row's features do not depend on the rows beside it"


def _check_crossfit(fitted: Fitted) -> None:
    if fitted.crossfit is not None:
        folds, _, columns = fitted.crossfit.table.shape
        assert folds == _FOLDS, "one table a fold"
        assert columns == len(fitted.crossfit.columns), "one column a cross-fitted feature"
        assert fitted.crossfit.table.dtype == np.float32
