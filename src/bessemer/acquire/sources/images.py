"""A folder of images: where each is, what it shows by its folder's name, and facts of its pixels and bytes.

What lands is a table of paths and digests; `sha256` says whether a file is still the one that the table is about.
With `bytes` the files themselves land too, as the base64 of a PNG or JPEG file, which is what models learn from and
are asked about.
"""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from bessemer.acquire.batches import spool
from bessemer.acquire.files import digest_of, shown
from bessemer.acquire.imagefiles import Broken, ImageFile, base64_of, facts_of, files_in
from bessemer.acquire.imagetables import joined
from bessemer.acquire.options import PathText
from bessemer.acquire.protocol import Place, Relation
from bessemer.acquire.reading import told
from bessemer.acquire.remote import always
from bessemer.core.errors import DataError
from bessemer.core.secrets import expanded
from bessemer.core.spec import Size, Spec

if TYPE_CHECKING:
    import pyarrow as pa

    from bessemer.core.stage import Context

#: Images, and bytes of their content, whose rows are written at once.
_ROWS, _BYTES = 256, 64 * 2**20
#: Pillow decodes none with more, whatever is asked for: it takes them for decompression bombs.
_MOST_PIXELS = 178_956_970
_FIX = "check the folder and the rights"


class ImagesSource(Spec):
    images: PathText = Field(
        description="A folder of images, perhaps with a folder a class; a zip archive or a URL (s3, gs...) of one."
    )
    bytes: bool = Field(
        default=False,
        description="Whether the images themselves land, in the column `image`: the base64 of a PNG or JPEG file. "
        "Other formats are written as PNG.",
    )
    broken: Literal["leave_out", "keep", "refuse"] = Field(
        default="leave_out",
        description="What becomes of files that are no whole images: left out and told of, kept with the reason in the "
        "column `fault`, or an error.",
    )
    max_pixels: int = Field(
        default=100_000_000,
        ge=1,
        le=_MOST_PIXELS,
        description="An image with more pixels counts as broken and is not decoded.",
    )
    max_size: Size = Field(
        default=64 * 2**20, description="A file with more bytes counts as broken and is not read."
    )


class Images:
    """A row an image, by path. `metadata.csv`, `.jsonl` or `.parquet` with a column `file_name` add their columns."""

    def __init__(self, name: str, options: ImagesSource) -> None:
        self.name, self.options = name, options

    def uri(self) -> str:
        return shown(self.options.images)

    def _path(self) -> str:
        return expanded(self.options.images, f"acquire.sources.{self.name}.images")

    def fingerprint(self, place: Place) -> str:
        with told(self.uri(), _FIX):
            images, tables = files_in(self._path(), place.project_dir)
            rows = [
                f"{f.path} {digest_of(f.local, place) if f.local else f.version}" for f in [*images, *tables]
            ]
        if any(row.endswith(" ") for row in rows):
            return always()
        return hashlib.sha256("\n".join(rows).encode()).hexdigest()

    def open(self, connection: Any, ctx: Context) -> Relation:
        with told(self.uri(), _FIX):
            images, tables = files_in(self._path(), ctx.project_dir)
            reader = _Reader(self.options, self.uri(), ctx, any("/" in file.path for file in images))
            folder = ctx.workdir / "images" / hashlib.sha256(self.name.encode()).hexdigest()[:16]
            query, parts = spool(reader.batches(images), folder, f"source '{self.name}'")
            reader.tell(len(images))
            if not tables:
                return Relation(query, direct=True, files=parts)
            query, files = joined(query, tables, folder, connection, ctx)
            return Relation(query, files=(*parts, *files))


@dataclass
class _Reader:
    """From files to batches of rows; counts what is broken."""

    options: ImagesSource
    uri: str
    ctx: Context
    classes: bool
    broken: list[str] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)

    def batches(self, images: list[ImageFile]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        schema = _schema(self.options, self.classes)
        with (
            self.ctx.progress("reading images", len(images)) as bar,
            ThreadPoolExecutor(self.ctx.threads) as threads,
        ):
            yield pa.RecordBatch.from_pylist([], schema)
            rows: list[dict[str, Any]] = []
            held = 0
            for row in self._in_order(threads, images):
                bar.advance()
                if row is not None:
                    rows.append(row)
                    held += len(row.get("image", ""))
                if len(rows) == _ROWS or held >= _BYTES:
                    yield pa.RecordBatch.from_pylist(rows, schema)
                    rows, held = [], 0
            yield pa.RecordBatch.from_pylist(rows, schema)

    def _in_order(
        self, threads: ThreadPoolExecutor, images: list[ImageFile]
    ) -> Iterator[dict[str, Any] | None]:
        """The row of each image, by path; no more images are read ahead than there are threads."""
        ahead: deque[Future[dict[str, Any] | None]] = deque()
        for file in images:
            ahead.append(threads.submit(self._row, file))
            if len(ahead) > self.ctx.threads:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()

    def _row(self, file: ImageFile) -> dict[str, Any] | None:
        row: dict[str, Any] = {"path": file.path}
        if self.classes and "/" in file.path:
            row["label"] = file.path.split("/")[-2]
        try:
            facts, content = facts_of(file, self.options.max_size, self.options.max_pixels)
            image = {"image": base64_of(content, facts)} if self.options.bytes else {}
        except Broken as why:
            if self.options.broken == "refuse":
                raise DataError(
                    f"'{file.path}' in '{self.uri}' is broken",
                    why=str(why),
                    fix="replace it, or `broken: leave_out`",
                ) from None
            self.reasons[str(why)] += 1
            if len(self.broken) < 5:
                self.broken.append(file.path)
            return {**row, "fault": str(why)} if self.options.broken == "keep" else None
        return row | facts | image

    def tell(self, images: int) -> None:
        count = sum(self.reasons.values())
        if not count:
            return
        why = ", ".join(f"{n} {reason}" for reason, n in self.reasons.most_common(5))
        if count == images and self.options.broken != "keep":
            raise DataError(
                f"none of the {images:,} images in '{self.uri}' can be read",
                why=why,
                fix="check what wrote them",
            )
        done = "kept with the reason in `fault`" if self.options.broken == "keep" else "left out"
        shown_ = ", ".join(sorted(self.broken)) + (" ..." if count > len(self.broken) else "")
        self.ctx.warn(f"{count:,} of {images:,} images are broken and {done} ({why}): {shown_}")


def _schema(options: ImagesSource, classes: bool) -> pa.Schema:
    import pyarrow as pa

    text, whole = pa.string(), pa.int64()
    columns = {"path": text, "label": text, "format": text, "mode": text, "width": whole, "height": whole}
    columns |= {"size": whole, "sha256": text, "fault": text, "image": text}
    left_out = {"label": classes, "fault": options.broken == "keep", "image": options.bytes}
    return pa.schema([(name, dtype) for name, dtype in columns.items() if left_out.get(name, True)])
