"""What a foreign ONNX graph takes: columns of numbers, side by side or by name, and images by a signature."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bessemer.core.errors import FormatError
from bessemer.core.sql import quote
from bessemer.importers.models.foreign import (
    EXACT,
    MOST_COLUMNS,
    Asked,
    Input,
    Precision,
    named,
    number,
    refused,
)
from bessemer.importers.models.onnx_images import Pixels, pixels_of
from bessemer.importers.models.signature import MOST_PIXELS, ColumnSaid
from bessemer.package.graph import GraphBuilder
from bessemer.package.onnx_format import BOOL, DOUBLE, FLOAT, INT64, STRING
from bessemer.prepare.transforms.base import Column, Layout
from bessemer.prepare.transforms.image import FittedImage, pixel_features

_NUMBERS = (FLOAT, DOUBLE, INT64, BOOL)
#: TensorProto.DataType of bytes, which images may be.
_UINT8 = 2
#: The largest number of images of whole numbers; of 64 bits: up to which float32 has all of them.
_MOST = {_UINT8: 255, BOOL: 1, INT64: EXACT}
#: What numbers are to the graph, where features of float32 are not the same.
_PRECISION: Mapping[int, Precision] = {DOUBLE: "double", INT64: "whole", BOOL: "whole"}


@dataclass(frozen=True)
class Taken:
    """An input of a graph. dims: of a row, 0 where the graph does not say. pixels: how it takes an image, if it does.

    width: how many columns it takes, or numbers of an image; 0 where that is not known.
    bounds: (low, high) of each column of whole numbers, where all are said: others count as the nearest, since what
        looks something up by number has nothing for them.
    """

    name: str
    element: int
    dims: tuple[int, ...]
    width: int
    pixels: Pixels | None = None
    bounds: tuple[tuple[int, int], ...] = ()

    @property
    def rounded(self) -> bool:
        """Whether it takes columns of more bits than features have, and nothing keeps their numbers small."""
        return self.element in (INT64, DOUBLE) and self.pixels is None and not self.bounds

    def bind(self, g: GraphBuilder, part: str) -> str:
        """Its value, of (N, width) float32."""
        if self.pixels is not None:
            part = self.pixels.add(g, part, self.dims)
            if self.element not in (FLOAT, DOUBLE):
                part = g.op("Round", [part])
        elif not self.dims:
            part = g.op("Reshape", [part, g.constant(np.array([-1]))])
        made = part if self.element == FLOAT else g.op("Cast", [part], to=self.element)
        if not self.bounds:
            return made
        low, high = (
            np.array(edge).reshape(-1 if self.dims else ()) for edge in zip(*self.bounds, strict=True)
        )
        return g.op("Min", [g.op("Max", [made, g.constant(low)]), g.constant(high)])


def inputs_of(model: Any, asked: Asked) -> tuple[list[Taken], tuple[Input, ...]]:
    """What a graph takes, and the columns that it is made of, in the same order.

    Raises:
        FormatError: texts, something with more dimensions that nothing is said of, or no width.
        UsageError: not as many columns as it takes, or a name twice.
    """
    constants = {tensor.name for tensor in model.graph.initializer}
    values = [value for value in model.graph.input if value.name not in constants]
    said = [] if asked.signature is None else list(asked.signature.inputs.values())
    taken: list[Taken] = []
    at = 0
    for value in values:
        element, dims = _tensor(value)
        if at < len(said) and said[at].is_image:
            pixels = pixels_of(said[at].pixels, dims, value.name, _MOST.get(element))
            taken.append(Taken(value.name, element, dims, math.prod(pixels.shape), pixels))
            at += 1
        else:
            left = len(asked.columns) - at if len(values) == 1 else 0
            one = _columns(value.name, element, dims, left)
            taken.append(replace(one, bounds=_bounds(one, said[at : at + one.width])))
            at += one.width
    if not taken or 0 in [one.width for one in taken]:
        raise refused(
            "the ONNX graph does not say how many columns it takes",
            fix="name them: --columns a,b,c (in its order)",
        )
    _check_count(taken)
    return taken, _inputs(taken, asked)


def _check_count(taken: Sequence[Taken]) -> None:
    """Hold what a graph says of its inputs to what is imported, before a name is made of it: it says any number."""
    count = sum(map(_count, taken))
    if count > MOST_COLUMNS:
        raise refused(f"the model takes {count:,} columns", f"1 to {MOST_COLUMNS:,} can be imported")
    pixels = sum(one.width for one in taken if one.pixels is not None)
    if pixels > MOST_PIXELS:
        raise refused(
            f"the model takes images of {pixels:,} numbers",
            f"up to {MOST_PIXELS:,} can be imported, over the channels of all its images",
            "export it for smaller ones",
        )


def _tensor(value: Any) -> tuple[int, tuple[int, ...]]:
    """The type of an input's elements, and the dimensions of a row."""
    tensor = value.type.tensor_type
    if tensor.elem_type == STRING:
        raise refused(
            f"the ONNX graph takes texts ('{value.name}')",
            "which texts it knows is not said, so that what they do could not be explained",
            "import the pipeline through skops, which names its categories; or encode them before",
        )
    if tensor.elem_type not in (*_NUMBERS, _UINT8) or not tensor.HasField("shape") or not tensor.shape.dim:
        raise refused(f"the input '{value.name}' of the ONNX graph is no tensor of numbers with a shape")
    return tensor.elem_type, tuple(max(0, dim.dim_value) for dim in tensor.shape.dim[1:])


def _columns(name: str, element: int, dims: tuple[int, ...], left: int) -> Taken:
    """An input of columns; where the graph does not say how many, it takes all that are named."""
    if len(dims) > 1:
        raise _dimensions(name, dims, element)
    if element == _UINT8:
        raise refused(
            f"the input '{name}' of the ONNX graph takes bytes", fix="export it with float32 inputs"
        )
    return Taken(name, element, dims, (dims[0] or left) if dims else 1)


def _bounds(one: Taken, said: Sequence[ColumnSaid]) -> tuple[tuple[int, int], ...]:
    """What a signature says of whole numbers; () where it does not say it of all of them."""
    found = [(column.domain.min, column.domain.max) for column in said]
    if one.element != INT64 or len(found) != one.width:
        return ()
    whole = tuple((int(low), int(high)) for low, high in found if low is not None and high is not None)
    return whole if len(whole) == len(found) else ()


def _dimensions(name: str, dims: tuple[int, ...], element: int) -> FormatError:
    shown = ", ".join(["N", *(str(dim) if dim else "?" for dim in dims)])
    fix = "export it with one row of numbers a row"
    if len(dims) == 3:
        last = dims[2] in (1, 3) and dims[0] not in (1, 3)
        (height, width), channels = (dims[:2], dims[2]) if last else (dims[1:], dims[0])
        image = f"size: [{height or 'HEIGHT'}, {width or 'WIDTH'}], channels: {channels or 1}"
        white = f"scale: {255 if element in (_UINT8, INT64) else 1}"
        layout = "NHWC" if last else "NCHW"
        fix = f"""where it takes images, write signature.yaml and import with --signature signature.yaml:
    inputs:
      {name if name.isidentifier() else "photo"}:
        image: {{{image}, layout: {layout}, {white}}}   # white is 1 to the model, or 255; `mean`, `std`
    classes: [A, B]   # in the model's order"""
    return refused(
        f"the input '{name}' of the ONNX graph has {len(dims) + 1} dimensions ({shown})",
        "rows of columns have two, and whether these are images is not said",
        fix,
    )


def _inputs(taken: Sequence[Taken], asked: Asked) -> tuple[Input, ...]:
    """The columns by which the inputs are filled."""
    said = [
        f"{one.name}_{i}" if count > 1 else one.name
        for one in taken
        for count in [_count(one)]
        for i in range(count)
    ]
    single = len(taken) == 1 and _count(taken[0]) > 1
    names = iter(named(asked, () if single else said, len(said)))
    return tuple(
        replace(number(next(names)), precision=_PRECISION.get(one.element, "single"))
        if one.pixels is None
        else _image(next(names), one.pixels)
        for one in taken
        for _ in range(_count(one))
    )


def _count(one: Taken) -> int:
    return one.width if one.pixels is None else 1


def _image(name: str, pixels: Pixels) -> Input:
    features = tuple(pixel_features(name, pixels.shape))
    fitted = FittedImage(pixels.shape, pixels.fit, features, Layout("image", pixels.shape))
    return Input(Column(name, "string", quote(name), (name,)), fitted, domain={"media": "image"})
