"""Images: decoded, brought to one size and turned into pixels from 0 to 1, all of it in the graph.

The base64 of a PNG or JPEG file becomes bytes by standard operators (a character is 6 bits), onnxruntime-extensions
decodes them, and `Resize` with antialiasing brings the image to the size. One image at a time: a batch holds no more
than one file and its pixels beside the features.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from bessemer.core.errors import DataError
from bessemer.core.signature import DType
from bessemer.package.images import ImageFacts, NoImage, image_facts
from bessemer.prepare.transforms.base import Block, CrossFit, Feature, Layout, TrainColumn

if TYPE_CHECKING:
    from bessemer.package.graph import GraphBuilder, InnerGraph
    from bessemer.prepare.spec import Fit, ImageSpec, PrepareSpec

#: The 64 characters of base64 by their code; the two of the alphabet for URLs stand for the same codes.
_CODES = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_KEYS = [*_CODES, "-", "_"]
_VALUES = [*range(64), 62, 63]
#: Without a word the longer side has at most so many pixels.
_SIDE = 64
#: Images of the train part that are looked at.
_LOOKED_AT = 500
_CHANNELS = {1: ("grey",), 3: ("red", "green", "blue")}
#: ITU-R BT.601, for the channels as the decoder gives them: blue, green, red.
_GREY = (0.114, 0.587, 0.299)


@dataclass(frozen=True)
class FittedImage:
    """`shape` is (channels, height, width) of what the learner sees."""

    shape: tuple[int, int, int]
    fit: Fit
    features: tuple[Feature, ...]
    layout: Layout
    crossfit: CrossFit | None = None

    def add(self, builder: GraphBuilder, value: str) -> Block:
        """A loop over the texts; a missing one is black, and marked where there is a feature for that."""
        body = builder.inner("each_image")
        row, going = body.input("row", "int64", ()), body.input("going", "bool", ())
        text = body.op(
            "Gather", [value, row], axis=0
        )  # of the input itself: the session finds images by that
        missing = body.op("Equal", [text, builder.constant(np.array("", dtype=object))], name="missing")
        pixels = body.op(
            "If",
            [missing],
            name="pixels",
            then_branch=self._nothing(body),
            else_branch=self._decoded(body, text),
        )
        body.output(body.op("Identity", [going]), "bool", ())
        body.output(pixels, "float32", self.shape)
        body.output(body.cast(missing, "float32"), "float32", (1,))
        count = builder.op("Gather", [builder.op("Shape", [value]), builder.constant(np.int64(0))])
        always = builder.constant(np.array(True))
        images, gone = builder.op_many("Loop", [count, always], 2, body=body.graph())
        flat = builder.op("Reshape", [images, _ints(builder, [-1, math.prod(self.shape)])], name="image")
        if len(self.features) == math.prod(self.shape):
            return Block(flat)
        return Block(builder.op("Concat", [flat, gone], axis=1))

    def _nothing(self, body: InnerGraph) -> object:
        branch = body.inner("no_image")
        black = body.constant(np.zeros(self.shape, dtype=np.float32))
        branch.output(branch.op("Identity", [black]), "float32", self.shape)
        return branch.graph()

    def _decoded(self, body: InnerGraph, text: str) -> object:
        g = body.inner("image")
        image = g.op("DecodeImage", [add_bytes(g, text)], domain="com.microsoft.extensions")
        pixels = self._resized(g, self._planes(g, g.cast(image, "float32")))
        if self.shape[0] == 3:  # as blue, green and red; few pixels are left to be put in order
            pixels = g.op("Gather", [pixels, _ints(g, [2, 1, 0])], axis=1)
        scaled = g.op("Div", [pixels, g.constant(np.float32(255))])
        clipped = g.op("Clip", [scaled, g.constant(np.float32(0)), g.constant(np.float32(1))])
        g.output(g.op("Squeeze", [clipped, _ints(g, [0])]), "float32", self.shape)
        return g.graph()

    def _planes(self, g: GraphBuilder, image: str) -> str:
        """(H, W, 3) of blue, green and red -> (1, C, H, W): the same, or grey."""
        if self.shape[0] == 1:
            image = g.op("MatMul", [image, g.constant(np.array(_GREY, dtype=np.float32).reshape(3, 1))])
        return g.op("Unsqueeze", [g.op("Transpose", [image], perm=[2, 0, 1]), _ints(g, [0])])

    def _resized(self, g: GraphBuilder, image: str) -> str:
        """What is cut off goes before the rest is resized: the long side of a line, made as large as its short side
        has to be, would be gigabytes."""
        size = _ints(g, self.shape[1:])
        if self.fit == "crop":
            image = g.op("CenterCropPad", [image, self._cut(g, image)], axes=[2, 3])
        resized = g.op(
            "Resize",
            [image, "", "", self._inside(g, image) if self.fit == "pad" else size],
            mode="linear",
            antialias=1,
            coordinate_transformation_mode="half_pixel",
            axes=[2, 3],
        )
        return g.op("CenterCropPad", [resized, size], axes=[2, 3]) if self.fit == "pad" else resized

    def _cut(self, g: GraphBuilder, image: str) -> str:
        """The height and width of the largest part of an image that has the ratio of `shape`."""
        height, width = self.shape[1:]
        own = g.op("Shape", [image], start=2)
        return g.op("Min", [own, _times(g, _turned(g, own), [height, width], _ints(g, [width, height]))])

    def _inside(self, g: GraphBuilder, image: str) -> str:
        """The largest height and width that an image has within those of `shape`: at least one pixel each."""
        size, own = _ints(g, self.shape[1:]), g.op("Shape", [image], start=2)
        return g.op("Min", [size, _times(g, own, self.shape[:0:-1], _turned(g, own))])


def add_bytes(g: GraphBuilder, text: str) -> str:
    """Nodes that read base64: a text (1,) -> its bytes (B,) uint8, and up to three zeros behind them.

    A data URI's header is cut off, and characters that are none of base64 (line breaks, padding) are left out.
    """
    ended = g.op("StringConcat", [text, g.constant(np.array([","], dtype=object))])
    parts, number = g.op_many("StringSplit", [ended], 2, delimiter=",")
    last = g.op("Sub", [number, _ints(g, [2])])
    body = g.op("Gather", [g.op("Reshape", [parts, _ints(g, [-1])]), last], axis=0)
    one_by_one: dict[str, Any] = {"mark": 0, "mincharnum": 1, "pad_value": "", "separators": [""]}
    characters = g.op("Tokenizer", [body], domain="com.microsoft", **one_by_one)
    coded = g.op(
        "LabelEncoder",
        [g.op("Reshape", [characters, _ints(g, [-1])])],
        domain="ai.onnx.ml",
        keys_strings=_KEYS,
        values_int64s=_VALUES,
        default_int64=-1,
    )
    known = g.op("Compress", [coded, g.op("GreaterOrEqual", [coded, g.constant(np.int64(0))])], axis=0)
    filled = g.op("Concat", [known, _ints(g, [0, 0, 0])], axis=0)
    four = _ints(g, [4])
    end = g.op("Mul", [g.op("Div", [g.op("Shape", [filled]), four]), four])
    groups = g.op("Reshape", [g.op("Slice", [filled, _ints(g, [0]), end]), _ints(g, [-1, 4])])
    words = g.op(
        "ReduceSum", [g.op("Mul", [groups, _ints(g, [2**18, 2**12, 2**6, 1])]), _ints(g, [1])], keepdims=1
    )
    three = g.op("Mod", [g.op("Div", [words, _ints(g, [2**16, 2**8, 1])]), _ints(g, [256])])
    return g.op("Reshape", [g.op("Cast", [three], to=_UINT8), _ints(g, [-1])])


#: TensorProto.DataType: what the decoder takes.
_UINT8 = 2


def _turned(g: GraphBuilder, two: str) -> str:
    """Height and width as width and height."""
    return g.op("Gather", [two, _ints(g, [1, 0])], axis=0)


def _times(g: GraphBuilder, value: str, factors: Sequence[int], divisor: str) -> str:
    """value * factors / divisor of whole numbers from 1 on, rounded, and at least 1."""
    twice = g.op("Mul", [value, _ints(g, [2 * factor for factor in factors])])
    halves = g.op("Div", [g.op("Add", [twice, divisor]), g.op("Mul", [divisor, _ints(g, [2, 2])])])
    return g.op("Max", [halves, _ints(g, [1, 1])])


def _ints(g: GraphBuilder, values: Sequence[int]) -> str:
    return g.constant(np.array(values, dtype=np.int64))


class Image:
    """channels x height x width features, each 0 (black) to 1, row by row; and 1 where the image is missing, if the
    train part has missing ones."""

    dtypes: ClassVar[tuple[DType, ...]] = ("string",)
    encodings: ClassVar[tuple[str, ...]] = ()

    def fit(self, column: TrainColumn, spec: PrepareSpec, encode: Sequence[str] | None) -> FittedImage | None:
        name = column.column.name
        if column.column.derived:
            raise DataError(
                f"'{name}' is a derived feature, and only a column can be taken as images",
                fix="make the column of images in `acquire: {sql: ...}`",
            )
        settings = spec.of(name).image or spec.image
        looked_at = _look(column)
        if not looked_at:
            return None
        shape = _shape(settings, looked_at)
        features = tuple(pixel_features(name, shape))
        if _has_missing(column):
            meaning = f"1 where {name} is missing, else 0"
            features = (*features, Feature(f"{name}: missing", name, "indicator", meaning))
        return FittedImage(shape, settings.fit, features, Layout("image", shape))


def _look(column: TrainColumn) -> list[ImageFacts]:
    """The facts of some images from all over the train part: files come class by class.

    Raises:
        DataError: a value is no image.
    """
    x, table = column.x, column.table
    ((count,),) = column.query(f"SELECT count({x}) FROM {table}")
    numbered = f"SELECT {x}, row_number() OVER () - 1 AS place FROM {table} WHERE {x} IS NOT NULL"
    step = -(-count // _LOOKED_AT) or 1
    found = column.query(f"SELECT {x} FROM ({numbered}) WHERE place % {step} = 0 ORDER BY place")
    try:
        return [image_facts(text) for (text,) in found]
    except NoImage as why:
        name = column.column.name
        raise DataError(
            f"column '{name}' is taken as images, and has {why}",
            why="an image is the base64 of a whole PNG or JPEG file, in one text",
            fix=f"leave such rows out in `acquire: {{sql: ...}}`, or `prepare: {{columns: {{{name}: {{as: text}}}}}}`",
        ) from None


def _has_missing(column: TrainColumn) -> bool:
    ((missing,),) = column.query(f"SELECT count(*) > count({column.x}) FROM {column.table}")
    return bool(missing)


def _shape(settings: ImageSpec, looked_at: Sequence[ImageFacts]) -> tuple[int, int, int]:
    """What is asked for; else the most frequent size, made smaller where a side has more than 64 pixels, and colours
    where an image has any."""
    channels = settings.channels or max(facts.channels for facts in looked_at)
    if settings.size is not None:
        return (channels, *settings.size)
    sizes = Counter((facts.height, facts.width) for facts in looked_at)
    height, width = min(sizes, key=lambda size: (-sizes[size], size))
    scale = min(1.0, _SIDE / max(height, width))
    return (channels, max(1, round(height * scale)), max(1, round(width * scale)))


def pixel_features(name: str, shape: tuple[int, int, int]) -> list[Feature]:
    """The features of an image of `shape` (channels, height, width): a channel after the other, row by row."""
    channels, height, width = shape
    return [
        Feature(
            f"{name}[{y},{x}] {colour}", name, "pixel", f"{colour} of {name}, row {y}, column {x}: 0 to 1"
        )
        for colour in _CHANNELS[channels]
        for y in range(height)
        for x in range(width)
    ]
