"""The preprocessor: one ONNX graph from raw columns to `features`, and what is to be known about it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from bessemer.core import blocks
from bessemer.core.errors import DataError
from bessemer.core.signature import Field, Signature
from bessemer.package.graph import GraphBuilder, serialize
from bessemer.prepare import expressions
from bessemer.prepare.domain import field
from bessemer.prepare.fit import Fit
from bessemer.prepare.labelled import Labelled
from bessemer.prepare.transforms.base import Column, CrossFit, Feature, Layout

#: Names of values that every model's graph has.
RESERVED = ("features", "score", "probability", "prediction")


@dataclass(frozen=True)
class Folded:
    """A cross-fit in its place: the matrix columns it replaces, and the graph value that indexes its table."""

    columns: tuple[int, ...]
    index: str
    table: np.ndarray


@dataclass(frozen=True)
class Preprocessor:
    """The graph's bytes, its signature (inputs only), the features in order, and what training replaces."""

    graph: bytes
    signature: Signature
    features: tuple[Feature, ...]
    folded: tuple[Folded, ...]
    blocks: tuple[blocks.Block, ...] = ()

    def features_json(self) -> list[dict[str, Any]]:
        return [asdict(feature) for feature in self.features]


def assemble(data: Labelled, fit: Fit, derived: Mapping[str, expressions.Expression]) -> Preprocessor:
    """Write the fitted transforms as one graph.

    Raises:
        DataError: an input column has a name that every model's graph uses for something else.
    """
    columns = [column for column, _ in fit.fitted.values()]
    inputs = _inputs(data, fit, columns)
    builder = GraphBuilder("preprocessor")
    for f in inputs:  # before all other values, whose names then keep clear of these
        builder.input(f.name, f.tensor, ("N", 1))
    parts: list[str] = []
    placed: list[blocks.Block] = []
    features: list[Feature] = []
    folded: list[Folded] = []
    for column, fitted in fit.fitted.values():
        value = column.name
        if column.derived:
            value = expressions.compile(derived[value], builder, {name: name for name in column.inputs})
        block = fitted.add(builder, value)
        if fitted.crossfit is not None:
            folded.append(_placed(fitted.crossfit, len(features), block.index))
        if (layout := getattr(fitted, "layout", None)) is not None:
            placed.append(_block(column.name, layout, len(features)))
        parts.append(block.value)
        features += fitted.features
    joined = builder.op("Concat", parts, axis=1)
    nan = builder.constant(np.float32("nan"))
    builder.op("Where", [builder.op("IsInf", [joined]), nan, joined], name="features")
    builder.output("features", "float32", ("N", len(features)))
    signature = Signature(tuple(inputs), (), data.task, data.target, data.classes)
    graph = serialize(builder.model())
    return Preprocessor(graph, signature, tuple(_distinct(features)), tuple(folded), tuple(placed))


def _inputs(data: Labelled, fit: Fit, columns: list[Column]) -> list[Field]:
    """The raw columns that features need, in the order of the data."""
    needed = {name for column in columns for name in column.inputs}
    for name in (*RESERVED, *(made for one in data.further for made in (*one.outputs, one.score))):
        if name in needed:
            raise DataError(
                f"a column is named '{name}'",
                why="every model's graph has a value of that name",
                fix=f"rename it in `acquire: {{sql: ...}}`, or `prepare: {{exclude: [{name}]}}`",
            )
    exact = {name for c in columns if c.derived for name in c.inputs}
    exact |= {
        c.name for c, fitted in fit.fitted.values() if fitted.features[0].kind not in ("number", "boolean")
    }
    return [
        field(name, dtype, wide=name in exact, nullable=fit.nullable[name], domain=fit.domains[name])
        for name, dtype in data.columns.items()
        if name in needed
    ]


def _block(group: str, layout: Layout, first: int) -> blocks.Block:
    end = first + math.prod(layout.shape)
    return blocks.Block(group, layout.kind, first, end, layout.shape, layout.levels)


def _placed(crossfit: CrossFit, first: int, index: str) -> Folded:
    return Folded(tuple(first + i for i in crossfit.columns), index, crossfit.table)


def _distinct(features: list[Feature]) -> list[Feature]:
    """The same features; a name that is taken gets a number."""
    seen: set[str] = set()
    result = []
    for feature in features:
        name, n = feature.name, 1
        while name in seen:
            n += 1
            name = f"{feature.name} ({n})"
        seen.add(name)
        result.append(replace(feature, name=name))
    return result
