"""Images as a graph takes them: the base64 of a PNG or JPEG file, which is looked at before the graph decodes it.

onnxruntime-extensions ends the process on a JPEG that it cannot decode, mixes up the pixels of one that is not RGB, and
allocates whatever a header says. So a file is read whole here first (JPEG) or its header is (PNG, whose faults the
decoder tells of), and a JPEG of other colours becomes a PNG.
"""

from __future__ import annotations

import base64
import binascii
import io
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bessemer.core.errors import DataError, MissingExtra
from bessemer.core.media import PNG, is_image, without_header
from bessemer.package.onnx_format import STRING, all_nodes, inner_graphs

#: The most pixels of an image that is decoded: four bytes of each pixel and channel are held, several times.
MOST_PIXELS = 50_000_000
#: The most characters of its base64: the graph holds 32 bytes of each while it reads them.
MOST_CHARACTERS = 24 * 2**20
#: What the graph reads as it is read here: line breaks are left out, padding stands at the end.
#: Possessive, so that a run of blanks is tried once: the time is linear in the characters.
_BASE64 = re.compile(r"[A-Za-z0-9+/_\-\s]*+=?+=?+\s*+", re.ASCII)
#: Rows with images that go through a graph together.
IMAGE_ROWS = 1024
#: Pages have images of at most so many characters, or of so many pixels a side.
_LITTLE, SHOWN_SIDE = 4096, 64
_FIX = "give the base64 of a whole PNG or JPEG file"


class NoImage(Exception):
    """Why a text is no image that the graph decodes, in a few words."""


class RefusedImage(DataError):
    """A value that the graph cannot decode: its column, its row from 0, and why, in a few words."""

    def __init__(self, column: str, row: int, why: str) -> None:
        super().__init__(f"column '{column}', row {row}: {why}", fix=_FIX)
        self.column, self.row, self.reason = column, row, why


@dataclass(frozen=True)
class ImageFacts:
    """height and width in pixels; channels: 1 (grey) or 3, transparency is none.

    plain: whether the graph decodes the file as it is.
    """

    height: int
    width: int
    channels: int
    plain: bool = True


def image_facts(text: str) -> ImageFacts:
    """The facts of an image from its header.

    Args:
        text: base64 of a PNG or JPEG file, perhaps behind `data:image/png;base64,`.

    Raises:
        NoImage: it is none, is damaged as far as can be seen, or is too large.

    >>> image_facts("iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAAAAADhZOFXAAAADElEQVR4nGNgoA4AAABIAAEuuDx+AAAAAElFTkSuQmCC")
    ImageFacts(height=8, width=8, channels=1, plain=True)
    """
    if len(text) > MOST_CHARACTERS:
        raise NoImage(f"an image of {len(text):,} characters: at most {MOST_CHARACTERS:,} are decoded")
    if not is_image(text):
        raise NoImage(f"{_short(text)} is no base64 of a PNG or JPEG file")
    if not _BASE64.fullmatch(without_header(text)):
        raise NoImage("an image whose base64 has other characters in it")
    found = _png(text) if without_header(text).startswith(PNG) else _jpeg(text)
    if found.height * found.width > MOST_PIXELS:
        size = f"{found.width:,} x {found.height:,}"
        raise NoImage(f"an image of {size} pixels: at most {MOST_PIXELS:,} are decoded")
    return found


def content_of(text: str) -> bytes:
    """The bytes of a file in base64, of either alphabet.

    Raises:
        NoImage: the base64 was cut.
    """
    try:
        return base64.b64decode(without_header(text).translate({45: "+", 95: "/"}) + "==")
    except binascii.Error:
        raise NoImage("a damaged image: its base64 was cut") from None


def _png(text: str) -> ImageFacts:
    head = content_of(without_header(text)[:60])
    if len(head) < 26 or head[12:16] != b"IHDR":
        raise NoImage("a damaged PNG file: it has no header")
    width, height = (int.from_bytes(head[at : at + 4], "big") for at in (16, 20))
    return ImageFacts(height, width, 3 if head[25] & 2 else 1)


def _jpeg(text: str) -> ImageFacts:
    """A JPEG is decoded whole, by Pillow: what it cannot read must not come before the graph."""
    try:
        from PIL import Image
    except ModuleNotFoundError:
        raise MissingExtra("images in JPEG", "PIL", "images") from None
    try:
        with Image.open(io.BytesIO(content_of(text)), formats=["JPEG"]) as image:
            width, height = image.size
            if width * height <= MOST_PIXELS:
                image.load()
            mode = image.mode
    except (
        OSError,
        ValueError,
        SyntaxError,
        IndexError,
        TypeError,
        OverflowError,
        Image.DecompressionBombError,
    ):
        raise NoImage("a damaged JPEG file") from None
    return ImageFacts(height, width, 1 if mode == "L" else 3, plain=mode == "RGB")


def as_png(content: bytes) -> bytes:
    """An image file as a PNG that graphs decode: the first one in it, without what PNG has no colours for.

    Raises:
        NoImage: its values have no range that would say what is black and what is white.
    """
    from PIL import Image

    with Image.open(io.BytesIO(content)) as image:
        if image.mode in ("I", "F"):
            kind = {"I": "32-bit whole", "F": "float"}[image.mode]
            raise NoImage(
                f"pixels that are {kind} numbers, whose black and white nobody says: save it with 8 or 16 bits"
            )
        made = image
        if image.mode.startswith("I;16"):  # Pillow's own conversion to colours clips at 255
            made = Image.fromarray(np.asarray(image).astype(np.uint16))
        elif image.mode not in ("1", "L", "LA", "P", "RGB", "RGBA"):
            made = image.convert("RGB")
        out = io.BytesIO()
        made.save(out, "PNG")
    return out.getvalue()


def eight_bits(image: Any) -> Any:
    """A Pillow image in RGB; grey of 16 bits keeps the upper 8, as the graph has it, where Pillow clips at 255.

    >>> from PIL import Image
    >>> eight_bits(Image.fromarray(np.uint16([[0, 255, 256, 65535]]))).convert("L").tobytes().hex()
    '000001ff'
    """
    from PIL import Image

    # A PNG of 16 bits is mode I in older versions of Pillow.
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image).astype(np.int64).clip(0, 65535) >> 8).astype(np.uint8))
    return image.convert("RGB")


def _decodable(text: str) -> str:
    """The text, or that of a PNG where the graph does not decode the file as it is."""
    if image_facts(text).plain:
        return text
    return base64.b64encode(as_png(content_of(text))).decode("ascii")


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")


def image_inputs(model: Any) -> dict[str, str]:
    """The inputs of a graph that it decodes as images, and the value that it makes of each."""
    texts = {i.name for i in model.graph.input if i.type.tensor_type.elem_type == STRING}
    found: dict[str, str] = {}
    for node in model.graph.node:
        inner = [each for graph in inner_graphs(node) for each in all_nodes(graph)]
        if any(each.op_type == "DecodeImage" for each in inner):
            read = {name for each in inner for name in each.input}
            found.update((name, node.output[0]) for name in sorted(texts & read))
    return found


def decodable(feeds: Mapping[str, np.ndarray], names: Iterable[str]) -> dict[str, np.ndarray]:
    """The feeds with texts (N, 1) that the graph decodes, or that are missing (''), in these inputs.

    Raises:
        RefusedImage: the first text that is no image.
    """
    return {**feeds, **{name: _all_decodable(feeds[name], name) for name in names}}


def _all_decodable(texts: np.ndarray, name: str) -> np.ndarray:
    found = texts.copy()
    for row, text in enumerate(texts.ravel()):
        try:
            found[row] = _decodable(text) if text else ""
        except NoImage as why:
            raise RefusedImage(name, row, str(why)) from None
    return found


def in_blocks(
    run: Callable[[dict[str, Any]], dict[str, np.ndarray]], columns: Mapping[str, Any], rows: int
) -> dict[str, np.ndarray]:
    """The same as `run` of all rows, a few at a time: their pixels take much more than their answers.

    Raises:
        RefusedImage: with its row among all.
    """
    found: list[dict[str, np.ndarray]] = []
    for start in range(0, rows, IMAGE_ROWS):
        try:
            found.append(run({name: each[start : start + IMAGE_ROWS] for name, each in columns.items()}))
        except RefusedImage as error:
            raise RefusedImage(error.column, start + error.row, error.reason) from None
    return {name: np.concatenate([part[name] for part in found]) for name in found[0]}


def shown(text: str) -> str:
    """An image as it is where there is little of it, else a small PNG of it: for pages and samples of rows.

    >>> shown("no image"), shown("/9j/" + "A" * 10_000)
    ('no image', '')
    """
    if len(text) <= _LITTLE or not is_image(text):
        return text
    from PIL import Image

    try:
        image_facts(text)
        with Image.open(io.BytesIO(content_of(text)), formats=["PNG", "JPEG"]) as image:
            small = eight_bits(image)
        small.thumbnail((SHOWN_SIDE, SHOWN_SIDE), Image.Resampling.BOX)
    except (NoImage, OSError, ValueError, SyntaxError):
        return ""
    out = io.BytesIO()
    small.save(out, "PNG", optimize=True)
    return base64.b64encode(out.getvalue()).decode("ascii")
