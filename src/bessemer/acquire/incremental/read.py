"""One incremental reading of a source: what is new is asked for, merged with what is kept, and kept with it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from bessemer.acquire.batches import Spooled, spooled_parts
from bessemer.acquire.incremental.merge import Before, Merge
from bessemer.acquire.incremental.position import Position, from_json, kind_of, kind_of_type, start, to_json
from bessemer.acquire.incremental.state import Kept, State
from bessemer.acquire.options import Incremental
from bessemer.acquire.protocol import IncrementalSource, Relation, Source
from bessemer.core import canonical
from bessemer.core.errors import DataError
from bessemer.core.sql import literal
from bessemer.core.store import file_digest

if TYPE_CHECKING:
    import pyarrow as pa

    from bessemer.core.stage import Context


#: Times further ahead are not read on from: they are slips, or mean "never", and nothing would be new after them.
_AHEAD = dt.timedelta(days=1)


@dataclass(frozen=True)
class Reading:
    """What an incremental reading gave: the fingerprint of all rows, and how far they go.

    keep: keeps the rows for the next run, and gives them; until it is called nothing is kept.
    """

    keep: Callable[[], Relation]
    fingerprint: str
    position: dict[str, str]


def asked_of(options: Any) -> Incremental | None:
    """What the project file says of reading a source incrementally; None where it is read as a whole."""
    asked = getattr(options, "incremental", None)
    return Incremental.model_validate(asked) if isinstance(asked, dict) else asked


@dataclass
class Reader:
    """Reads what is new of a source, and gives all its rows.

    settings: all that decides what its rows are; where it is different, everything is read again.
    folder: where rows are kept between runs. work: where those of this run are put first.
    through: what batches go through before anything of them is written.
    personal: whether that changes personal data, so that nothing may stay that was kept without it.
    """

    source: Source
    name: str
    asked: Incremental
    settings: Any
    ctx: Context
    folder: Path
    work: Path
    through: Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]
    personal: bool = False

    def __post_init__(self) -> None:
        self.identity = canonical.digest(self.settings)
        self.kept = Kept(self.folder, self.name)
        self._until = self.ctx.now() + _AHEAD
        self._names: dict[str, None] = {}

    def read(self) -> Reading:
        """Read on from the position that is kept; everything where there is none, or it is time.

        Raises:
            DataError: it cannot be read, has no such cursor or key, or gave no rows at all.
        """
        if not hasattr(self.source, "newer"):
            fix = "leave `incremental` out: everything is then read in every run"
            raise DataError(f"source '{self.name}' cannot be asked for what is new", fix=fix)
        state, why = self.kept.read(self.identity)
        if state is None and self.personal:  # it may have the values as they were
            self.kept.forget()
        if state is not None:
            self._show(state.names)
        if state is not None and self._due(state):
            why = f"everything was last read on {state.full[:10]}"
            state = None
        position = from_json(dict(state.position)) if state is not None and state.position else None
        if isinstance(position, dt.datetime) and position > self._until:
            why, position = f"it had been read to {_text(position)}, which is yet to come", None
        if state is None or position is None:
            return self._everything(why or f"no row has had a value of '{self.asked.cursor}' to go on from")
        after = start(position, self.asked, self.name)
        new = self._spooled(after)
        if not new.parts:
            return self._nothing(state, position)
        before = Before(self.kept.rows(state), state.columns, after)
        with self._merge(new, before) as merge:
            kind = merge.cursor_type
            if kind and kind_of_type(kind) != kind_of(position):
                return self._everything(f"'{self.asked.cursor}' has values of another kind now: {kind}")
            merge.check_key()
            fresh = merge.fresh()
            if fresh == 0:
                return self._nothing(state, position)
            reading = self._keep(merge, state.full)
        self.ctx.note(f"source '{self.name}': {_counted(fresh)} since {self.asked.cursor} {_text(after)}")
        self._say_columns(state, merge)
        return reading

    def _due(self, state: State) -> bool:
        if not self.asked.full:
            return False
        age = self.ctx.now() - dt.datetime.fromisoformat(state.full)
        return age.total_seconds() >= self.asked.full

    def _everything(self, why: str) -> Reading:
        new = self._spooled(None)
        if not new.parts:
            raise DataError(f"source '{self.name}' gave no rows", fix="check its query or its code")
        with self._merge(new, None) as merge:
            kind = merge.cursor_type
            if kind and not kind_of_type(kind):
                raise DataError(
                    f"'{self.asked.cursor}' of source '{self.name}' cannot be a cursor",
                    why=f"its type is {kind}",
                    fix="name a column of numbers, times or texts that grows as rows come or change",
                )
            merge.check_key()
            reading = self._keep(merge, self.ctx.now().isoformat())
        self.ctx.note(f"source '{self.name}' was read from its beginning: {why}")
        return reading

    def _spooled(self, after: Position | None) -> Spooled:
        folder = self.work / ("new" if after is not None else "all")
        newer = cast(IncrementalSource, self.source).newer(after, self.ctx)
        return spooled_parts(self.through(self._noted(newer)), folder, f"source '{self.name}'")

    def _noted(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The batches; the names of their columns are remembered, as the source has them."""
        for batch in batches:
            self._names.update(dict.fromkeys(batch.schema.names))
            yield batch

    def _show(self, names: Sequence[str]) -> None:
        """Let what batches go through know columns of rows that are not read again."""
        import pyarrow as pa

        empty = pa.record_batch([pa.nulls(0) for _ in names], names=list(names))
        for _ in self.through(self._noted(iter([empty]))):
            pass

    @contextmanager
    def _merge(self, new: Spooled, before: Before | None) -> Iterator[Merge]:
        connection = self.ctx.connect()
        try:
            yield Merge(connection, new, before, self.asked, self.name)
        finally:
            connection.close()

    def _keep(self, merge: Merge, full: str) -> Reading:
        made = self.work / "next.parquet"
        merge.write(made)
        position, ahead = merge.position(made, self._until)
        if ahead:
            self.ctx.warn(
                f"source '{self.name}': {ahead:,} row{'s have' if ahead > 1 else ' has'} a '{self.asked.cursor}' more "
                "than a day ahead; reading does not go on from there, and reads them again each time"
            )
        names, digest = tuple(self._names), file_digest(made)[0]
        state = State(self.identity, digest, merge.columns, names, to_json(position), full)
        return self._reading(lambda: self.kept.write(made, state), state, position)

    def _nothing(self, state: State, position: Position) -> Reading:
        self.ctx.note(f"source '{self.name}': nothing new since {self.asked.cursor} {_text(position)}")
        return self._reading(lambda: self.kept.rows(state), state, position)

    def _reading(self, keep: Callable[[], Path], state: State, position: Position | None) -> Reading:
        def kept() -> Relation:
            path = keep()
            return Relation(f"SELECT * FROM read_parquet({literal(path)})", direct=True, files=(path,))

        at = "" if position is None else _text(position)
        return Reading(kept, state.digest, {"cursor": self.asked.cursor, "at": at})

    def _say_columns(self, state: State, merge: Merge) -> None:
        """Say of columns that came or went what is in the rows that were not read again."""
        old, new = {name for name, _ in state.columns}, set(merge.new.columns)
        if came := [name for name, _ in merge.columns if name not in old]:
            self.ctx.warn(
                f"source '{self.name}': new columns {', '.join(came)}, without a value in rows that were read before; "
                "another `acquire: {version: ...}` reads everything again"
            )
        if went := [name for name, _ in merge.columns if name not in new]:
            self.ctx.note(f"source '{self.name}': no new row has {', '.join(went)}")


def _counted(fresh: int) -> str:
    """
    >>> _counted(1), _counted(12_345)
    ('1 new or changed row', '12,345 new or changed rows')
    """
    if fresh < 0:
        return "rows or columns changed"
    return f"{fresh:,} new or changed row{'s' * (fresh != 1)}"


def _text(position: Any) -> str:
    """
    >>> _text(dt.datetime(2024, 1, 1, tzinfo=dt.UTC))
    '2024-01-01 00:00:00'
    """
    if isinstance(position, dt.datetime):
        return position.replace(tzinfo=None).isoformat(" ")
    return str(position)
