"""What a server was asked, with what turned out to be true: the labelled rows of a prediction log."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from bessemer.acquire.options import PathText
from bessemer.acquire.protocol import Place, Relation
from bessemer.core.errors import DataError, UsageError, nearest
from bessemer.core.spec import Spec
from bessemer.core.sql import connect, quote
from bessemer.package.prediction_log.layout import JOURNALS

if TYPE_CHECKING:
    import pyarrow as pa

    from bessemer.core.stage import Context

_ROWS = 50_000
_MEMORY = 2**30


class PredictionLogSource(Spec):
    prediction_log: PathText = Field(
        description="The folder of a prediction log: its labelled rows, as a server was asked for them. A log that is "
        "not there yet has no rows."
    )
    model: str = Field(min_length=1, description="The model's name at the server.")
    label: str = Field(
        min_length=1, description="What the column of the labels is called: the target, mostly."
    )
    exclude: tuple[str, ...] = Field(
        default=(),
        strict=False,
        description="Logged inputs to leave out, such as those that are hashed there.",
    )
    exclude_clients: tuple[str, ...] = Field(
        default=(),
        strict=False,
        description="Clients whose rows and whose labels are left out: what somebody who is not to be believed has "
        "asked and told is not learned from.",
    )


class PredictionLog:
    """The rows of a model that have a label, in the order of time, each prediction once.

    Columns are the inputs that are logged, the label under the name that the options say, and
    `predicted_at`. Where nothing at all is logged yet there is no row, and there are these two columns alone: before a
    model has been served there is no log of it. A log that has a model of nearly this name instead is a DataError.
    """

    def __init__(self, name: str, options: PredictionLogSource) -> None:
        self.name, self.options = name, options

    def uri(self) -> str:
        return f"{self.options.prediction_log}#{self.options.model}"

    def fingerprint(self, place: Place) -> str:
        """Files of a log never change under their names, and journals only grow."""
        folder = place.project_dir / self.options.prediction_log
        found = hashlib.sha256()
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            found.update(f"{path.relative_to(folder)}|{_size(path)}\n".encode())
        return found.hexdigest()

    def open(self, connection: Any, ctx: Context) -> Relation:
        from bessemer.package.prediction_log.read import models_in, read_log

        folder = ctx.project_dir / self.options.prediction_log
        try:
            reader = read_log(folder, self.options.model, without=self.options.exclude_clients)
        except UsageError:
            there = models_in(folder)
            if near := nearest(self.options.model, there):
                raise self._misnamed(near) from None
            ctx.note(self._empty(folder, there))
            # a label without a type takes that of what it is put together with
            nothing = (
                f"SELECT NULL AS {quote(self.options.label)}, NULL::TIMESTAMP AS predicted_at WHERE false"
            )
            return Relation(nothing, direct=True)
        return Relation(batches=self._labelled(reader))

    def _misnamed(self, near: str) -> DataError:
        model = self.options.model
        return DataError(
            f"source '{self.name}': the prediction log '{self.options.prediction_log}' has no model '{model}'",
            why="it has one of nearly that name",
            fix=f"did you mean '{near}'? if not, leave the source out until '{model}' is served",
        )

    def _empty(self, folder: Path, models: list[str]) -> str:
        """What is said of a log that is not there, or has other models: it may come, or be called otherwise."""
        why = "nothing is logged there yet" if folder.is_dir() else "there is no such folder yet"
        if models:
            why = f"nothing is logged there yet of '{self.options.model}' (but of {', '.join(models[:5])})"
        near = nearest(folder.name, [path.name for path in _beside(folder)])
        hint = f"; did you mean '{near}'?" if near else ""
        return f"source '{self.name}' has no rows: '{self.options.prediction_log}': {why}{hint}"

    def _labelled(self, reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        inputs = [name for name in reader.schema.names if name.startswith("in.")]
        kept = [name for name in inputs if name[3:] not in self.options.exclude]
        named = ", ".join(f"{quote(name)} AS {quote(name[3:])}" for name in kept)
        label = f"label AS {quote(self.options.label)}, time AS predicted_at"
        # a shadow is logged under its own version with the same ids: the same row
        query = (
            f"SELECT {named + ', ' if named else ''}{label} FROM reader WHERE label IS NOT NULL "
            "QUALIFY row_number() OVER (PARTITION BY prediction_id ORDER BY version) = 1 ORDER BY time, prediction_id"
        )
        with tempfile.TemporaryDirectory(prefix="bessemer-log-") as scratch:
            own = connect(threads=1, memory=_MEMORY, temporary=Path(scratch))
            own.register("reader", reader)
            yield from own.sql(query).to_arrow_reader(_ROWS)


def _beside(folder: Path) -> list[Path]:
    """Folders beside one that are prediction logs: they have a folder of journals."""
    return sorted(path.parent for path in folder.parent.glob(f"*/{JOURNALS}") if path.parent != folder)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # rolled just now
        return 0
