"""A program as JSON, which `readers/plain.py` follows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bessemer.export.numeric.refusal import UncarriedError
from bessemer.export.readers.encoder import ELEMENTS
from bessemer.export.rowwise.branches import branches_of
from bessemer.export.rowwise.program import (
    Dense,
    Each,
    Fold,
    Operand,
    Program,
    Rows,
    Statement,
    Take,
    Trees,
    Type,
)
from bessemer.export.rowwise.types import TYPES


def to_json(program: Program) -> dict[str, Any]:
    """`inputs`, `constants`, `statements` and `outputs`.

    Raises:
        UncarriedError: it has a table of floats' names, or of texts.
    """
    constants = {
        str(o.value.number): [o.value.type, numbers(o.value.data, o.value.type)]
        for s in program.statements
        for o in s.operands
        if o.value.data is not None
    }
    return {
        "inputs": [
            [value.number, {"name": c.name, "dtype": c.dtype, "tensor": c.tensor}]
            for c, value in program.inputs
        ],
        "constants": constants,
        "statements": [
            [
                type(s).__name__.lower(),
                _SAID[type(s)](s),
                [_operand(o) for o in s.operands],
                s.out.number,
                s.out.type,
            ]
            for s in program.statements
        ],
        "outputs": {name: value.number for name, value in program.outputs.items()},
    }


def numbers(values: np.ndarray, kind: Type) -> list[Any]:
    """Of a float32 no more digits than it takes to read it again; what JSON has no number for is a text."""
    flat = np.ravel(values)
    if kind in ("f32", "f64"):
        found = (float(str(v)) if kind == "f32" else float(v) for v in flat)
        return [v if np.isfinite(v) else str(v) for v in found]
    return [str(v) if kind == "str" else bool(v) if kind == "bool" else int(v) for v in flat]


def _operand(operand: Operand) -> list[Any]:
    if operand.whole:
        return [operand.value.number, None]
    if operand.single:
        return [operand.value.number, ["times", int(operand.places[0]), len(operand.places)]]
    return [operand.value.number, operand.places.tolist()]


def _each(s: Each) -> list[Any]:
    if s.operator == "LabelEncoder":
        return [s.operator, labels(s)]
    if s.operator == "Cast":
        return [s.operator, {"to": TYPES[np.dtype(ELEMENTS[s.said["to"]]).name]}]
    return [s.operator, dict(s.said)]


def labels(s: Each) -> dict[str, Any]:
    """The keys and values of a LabelEncoder, and what others get.

    Raises:
        UncarriedError: its keys are floats, or its values texts.
    """
    keys = next((n for n in ("keys_strings", "keys_int64s") if n in s.said), "")
    if not keys or "values_int64s" not in s.said:
        raise UncarriedError("it has a LabelEncoder of floats or to texts")
    read = str if keys == "keys_strings" else int
    pairs = [[read(k), int(v)] for k, v in zip(s.said[keys], s.said["values_int64s"], strict=True)]
    return {"table": pairs, "default": int(s.said.get("default_int64", -1))}


def _rows(s: Rows) -> list[list[Any]]:
    return [numbers(row, s.out.type) for row in s.table]


def _dense(s: Dense) -> dict[str, Any]:
    return {"rows": s.rows, "weights": [[numbers(column, "f32") for column in w.T] for w in s.weights]}


def _trees(s: Trees) -> dict[str, Any]:
    b = branches_of(s.arrays)
    return {
        "root": b.root.tolist(),
        "feature": b.feature.tolist(),
        "threshold": numbers(b.threshold, "f32"),
        "missing_left": b.missing_left.astype(int).tolist(),
        "left": b.left.tolist(),
        "right": b.right.tolist(),
        "value": numbers(s.arrays["value"], "f32"),
        "target": s.arrays["target"].tolist(),
        "width": int(s.arrays["width"]),
        "base": numbers(s.arrays["base"], "f32"),
    }


_SAID: Mapping[type[Statement], Any] = {
    Each: _each,
    Take: lambda s: None,
    Rows: _rows,
    Dense: _dense,
    Fold: lambda s: {"operator": s.operator, "run": s.run},
    Trees: _trees,
}
