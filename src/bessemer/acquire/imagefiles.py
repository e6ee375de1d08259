"""Images in a folder, a zip archive or a bucket: which there are, and what is true of each; a broken one says why."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from bessemer.acquire.reading import nearest
from bessemer.acquire.remote import is_remote
from bessemer.acquire.shorthand import ENDINGS
from bessemer.core.errors import DataError
from bessemer.core.filesystem import open_url, version_of
from bessemer.package.images import MOST_CHARACTERS, MOST_PIXELS, NoImage, as_png

#: Raster formats alone: Pillow gives some others to programs outside, such as Ghostscript.
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")


@dataclass(frozen=True)
class ImageFile:
    """A file: its path below the folder, `/` between the parts, and how it is opened.

    version: a text that differs when the file was changed; '' where its place does not tell. local: where it is on
    this disk, if it is.
    """

    path: str
    open: Callable[[], IO[bytes]]
    version: str = ""
    local: Path | None = None


class Broken(Exception):
    """Why a file is no image."""


def files_in(path: str, project_dir: Path) -> tuple[list[ImageFile], list[ImageFile]]:
    """The images below a folder and the tables that tell of them (`metadata.csv`...), each by path.

    Args:
        path: a folder, a zip archive, or a URL of either.

    Raises:
        DataError: nothing is there, or no image.
    """
    files = sorted(_listed(path, project_dir), key=lambda file: file.path)
    files = [
        file for file in files if not any(part.startswith((".", "__MACOSX")) for part in file.path.split("/"))
    ]
    images = [file for file in files if file.path.lower().endswith(ENDINGS["images"])]
    if not images:
        raise DataError(f"'{path}' has no images", fix=f"known endings: {', '.join(ENDINGS['images'])}")
    return images, [file for file in files if file.path.rpartition("/")[2].lower() in METADATA]


def _listed(path: str, project_dir: Path) -> Iterator[ImageFile]:
    where = (
        path
        if is_remote(path)
        else str((project_dir / Path(path.removeprefix("file://")).expanduser()).absolute())
    )
    if path.lower().endswith(".zip"):
        if not is_remote(path) and not Path(where).is_file():
            raise DataError(f"no file '{path}'", why=f"looked for {where}", fix=nearest(Path(where)))
        yield from _found(f"zip://::{where}")
    elif is_remote(path):
        yield from _found(where)
    else:
        folder = Path(where)
        if not folder.is_dir():
            raise DataError(f"no folder '{path}'", why=f"looked for {folder}", fix=nearest(folder))
        for file in folder.rglob("*"):
            if file.is_file():
                yield ImageFile(file.relative_to(folder).as_posix(), _opener(file), local=file)


def _opener(file: Path) -> Callable[[], IO[bytes]]:
    return lambda: file.open("rb")


def _found(url: str) -> Iterator[ImageFile]:
    fs, inside = open_url(url)
    root = inside.rstrip("/")
    for name, facts in fs.find(inside, detail=True).items():
        version = f"{facts.get('CRC')} {facts.get('size')}" if "CRC" in facts else version_of(facts)
        yield ImageFile(str(name).removeprefix(root).lstrip("/"), _remote_opener(fs, str(name)), version)


def _remote_opener(fs: Any, name: str) -> Callable[[], IO[bytes]]:
    return lambda: fs.open(name, "rb")


def facts_of(file: ImageFile, max_bytes: int, max_pixels: int) -> tuple[dict[str, Any], bytes]:
    """What is true of an image, and its bytes: format, mode, width and height in pixels, size in bytes, sha256.

    It is decoded, so that a file that was cut is found.

    Raises:
        Broken: it is no image of a known format, is cut, or has more bytes or pixels than it may.
    """
    with file.open() as source:
        content = source.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise Broken(f"more than {max_bytes / 2**20:,.0f} MB")
    if not content:
        raise Broken("empty")
    kind, mode, (width, height) = _decoded(content, max_pixels)
    digest = hashlib.sha256(content).hexdigest()
    facts = {"format": kind, "mode": mode, "width": width, "height": height}
    return {**facts, "size": len(content), "sha256": digest}, content


def _decoded(content: bytes, max_pixels: int) -> tuple[str, str, tuple[int, int]]:
    import io

    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # what Pillow warns of is refused below, by the limit that was asked for
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                size = image.size
                if size[0] * size[1] > max_pixels:
                    raise Broken(f"more than {max_pixels:,} pixels")
                image.load()
                return str(image.format), image.mode, size
    except Image.DecompressionBombError:
        raise Broken(f"more than {max_pixels:,} pixels") from None
    except Image.UnidentifiedImageError:
        raise Broken("no image of a known format") from None
    except (OSError, ValueError, SyntaxError, IndexError, EOFError, TypeError, OverflowError) as error:
        reason = "cut" if "truncated" in str(error) else f"damaged: {str(error)[:80]}"
        raise Broken(reason) from None


def base64_of(content: bytes, facts: Mapping[str, Any]) -> str:
    """The base64 of an image's bytes as they are where they are PNG, or JPEG in RGB; else of a PNG of it.

    Args:
        facts: what `facts_of` gives.

    Raises:
        Broken: models do not decode as many pixels or bytes, or pixels of this kind.
    """
    import base64

    if facts["width"] * facts["height"] > MOST_PIXELS:
        raise Broken(f"more than {MOST_PIXELS:,} pixels, which models do not decode")
    if facts["format"] != "PNG" and (facts["format"], facts["mode"]) != ("JPEG", "RGB"):
        try:
            content = as_png(content)
        except NoImage as why:
            raise Broken(str(why)) from None
    text = base64.b64encode(content).decode("ascii")
    if len(text) > MOST_CHARACTERS:
        raise Broken(f"more than {MOST_CHARACTERS * 3 // 4 / 2**20:,.0f} MB, which models do not decode")
    return text
