"""A suspect that is an ONNX file, whoever exported it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.core.errors import PackageError, UsageError
from bessemer.package.records import rows_to_feeds
from bessemer.package.remote.said import said_of
from bessemer.package.remote.text import harmless
from bessemer.package.runtime import open_session
from bessemer.package.safety import check_graph
from bessemer.package.session import GraphSession

if TYPE_CHECKING:
    from bessemer.core.signature import Tensor
    from bessemer.protect.suspects.suspect import Marked, Row

_TENSORS: dict[str, Tensor] = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(int64)": "int64",
    "tensor(string)": "string",
}


class OnnxSuspect:
    """A graph that takes our raw columns by their names, or one matrix: our features, or our columns where all are
    numbers."""

    def __init__(self, path: Path, own: Marked) -> None:
        data = path.read_bytes()
        check_graph(data)
        self._own, self._path = own, path
        try:
            self._session: Any = open_session(data, 1)
        except Exception as error:  # noqa: BLE001 - onnxruntime's errors have no common class; it is somebody's file
            raise PackageError(f"onnxruntime cannot load '{path}'", why=harmless(error)) from None

    def said(self, rows: Sequence[Row]) -> np.ndarray:
        try:
            feeds = self._feeds(rows)
        except (ValueError, TypeError, OverflowError) as error:  # a text where its tensor takes a number, say
            raise UsageError(
                f"'{self._path}' takes other values than the keys have", why=harmless(error)
            ) from None
        names = [one.name for one in self._session.get_outputs() if one.type.startswith("tensor(")]
        try:
            found = dict(zip(names, self._session.run(names, feeds), strict=True))
        except Exception as error:  # noqa: BLE001 - as above
            raise UsageError(f"'{self._path}' cannot be asked", why=harmless(error)) from None
        return said_of(_plainest(found, len(rows)), self._own.certificate)

    def _feeds(self, rows: Sequence[Row]) -> dict[str, np.ndarray]:
        signature = self._own.signature
        given = {one.name: one for one in self._session.get_inputs()}
        known = {field.name: field for field in signature.inputs}
        if set(given) <= set(known):
            fields = [
                replace(known[name], tensor=_TENSORS.get(one.type, known[name].tensor))
                for name, one in given.items()
            ]
            return rows_to_feeds(rows, fields)
        if len(given) == 1:
            ((name, one),) = given.items()
            if not one.shape:
                raise UsageError(f"'{self._path}' takes a single number, and no rows")
            return {name: self._matrix(rows, one.shape[-1]).astype(_float_of(one.type))}
        missing = next(name for name in given if name not in known)
        raise UsageError(
            f"'{self._path}' takes '{harmless(missing)}', which is no column of the marked model",
            why="it takes neither the raw columns nor one matrix",
            fix="ask the server that it runs in, or export it with the same inputs",
        )

    def _matrix(self, rows: Sequence[Row], width: Any) -> np.ndarray:
        """Our features, or our columns side by side, whichever is so wide."""
        signature = self._own.signature
        feeds = rows_to_feeds(rows, signature.inputs)
        features = GraphSession(self._own.graph, signature.inputs).run_feeds(feeds, ["features"])["features"]
        columns = list(feeds.values())
        numeric = all(column.dtype.kind == "f" for column in columns)
        for found in (features, np.concatenate(columns, axis=1) if numeric else features):
            if not isinstance(width, int) or found.shape[1] == width:
                return np.asarray(found)
        raise UsageError(
            f"'{self._path}' takes rows of {width} numbers",
            why=f"the marked model has {len(columns)} columns and {features.shape[1]} features",
        )


def _float_of(kind: str) -> str:
    return "float64" if kind == "tensor(double)" else "float32"


def _plainest(found: dict[str, np.ndarray], rows: int) -> list[Any]:
    """The answers of the output that says most plainly what is predicted: a class, else a number or scores."""
    usable = {name: value for name, value in found.items() if len(value.shape) and value.shape[0] == rows}
    labels = [value for value in usable.values() if value.dtype.kind in "OUSib" and value.size == rows]
    chosen = usable.get("prediction", labels[0] if labels else next(iter(usable.values()), None))
    if chosen is None:
        raise UsageError("the graph has no output with an answer for each row")
    answers: list[Any] = chosen.reshape(rows, -1).tolist()
    return [row[0] if len(row) == 1 else row for row in answers]
