"""The lander: messages in, rows of the table out, each once, whoever else lands the same partitions."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bessemer.acquire.streams.bodies import Bodies
from bessemer.acquire.streams.decoded import RESERVED, Decoder, clash, table_of
from bessemer.acquire.streams.records import Records, header_text, text
from bessemer.acquire.streams.table import LandingTable, Overtaken, base_schema
from bessemer.core.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

#: How often a commit is tried again because others commit beside it.
_TRIES = 100
#: The share of poison is judged of the last so many messages, and not before so many have come.
_WINDOW, _JUDGED = 100_000, 1000


@dataclass
class Counts:
    """What a lander has done since it was made.

    rows: that went in and could be read. poison: that went in as they were. tombstones: without a value. lost: that
    another writer has landed. commits: of this lander. first: why the first poison could not be read.
    """

    rows: int = 0
    poison: int = 0
    tombstones: int = 0
    lost: int = 0
    commits: int = 0
    first: str = ""


@dataclass(frozen=True)
class _Made:
    """Rows for the table, and what they count for."""

    table: pa.Table
    poison: int
    tombstones: int
    first: str


@dataclass
class Lander:
    """Lands the messages of some partitions.

    Its truth is the table: `begin` reads from there where each partition goes on, and a batch goes in only where the
    table is where the batch begins. A writer that has lost a partition, and does not know it, changes nothing.

    Args:
        key, headers: whether the table keeps them. tombstones: whether a message without a value is a row.
        quarantine: the share of messages that may be unreadable: of the batch and those before it, up to the last
            hundred thousand, and of a thousand at least.
    """

    table: LandingTable
    decoder: Decoder
    key: bool = False
    headers: bool = False
    tombstones: bool = False
    quarantine: float = 0.01
    counts: Counts = field(default_factory=Counts)
    told: Callable[[str], None] = lambda text: None
    _expected: dict[int, int | None] = field(default_factory=dict)
    _recent: deque[tuple[int, int]] = field(
        default_factory=deque
    )  # of each batch: messages, and poison in them

    def begin(self, partitions: Iterable[int]) -> dict[int, int | None]:
        """Where each partition goes on by the table; None where nothing has landed."""
        self.table.create(base_schema(key=self.key, headers=self.headers))
        self.table.refresh()
        asked = list(partitions)
        there = self.table.nexts(asked)
        self._expected.update({partition: there.get(partition) for partition in asked})
        return {partition: there.get(partition) for partition in asked}

    def land(self, records: Records, nexts: Mapping[int, int]) -> dict[int, int | None]:
        """Put messages into the table, and the offsets that come next, in one commit.

        Args:
            nexts: partition -> the offset behind what this batch has read; of every partition that has messages.

        Returns:
            The partitions that another writer has moved -> where they go on. Their messages were not put in.

        Raises:
            DataError: too many messages cannot be read; nothing of the batch has gone in.
        """
        import numpy as np

        wanted = dict(nexts)
        moved: dict[int, int | None] = {}
        made: _Made | None = None
        known: Mapping[str, pa.DataType] = {}
        for _ in range(_TRIES):
            self.table.refresh()
            there = self.table.nexts(wanted)
            gone = {p: there.get(p) for p in wanted if there.get(p) != self._expected.get(p)}
            if gone:
                kept = records.only(~np.isin(records.partitions, list(gone)))
                self.counts.lost += len(records) - len(kept)
                records, made = kept, None
                wanted = {p: there for p, there in wanted.items() if p not in gone}
                self._expected.update(gone)
                moved.update(gone)
            if not wanted:
                return moved
            if made is None or known != self.table.columns():
                known = self.table.columns()
                made = self._made(records, known)
                self._judge(made, len(records))
            try:
                self.table.append(made.table, wanted)
            except Overtaken:
                continue
            self._expected.update(wanted)
            self._count(made, len(records))
            return moved
        raise DataError(
            f"'{self.table.uri}' has refused {_TRIES} commits",
            why="others commit to it all the time, or a column's type cannot be merged",
            fix="let fewer processes follow this topic, and with a longer `every`",
        )

    def _made(self, records: Records, known: Mapping[str, pa.DataType]) -> _Made:
        """The rows of messages: those that can be read, those that cannot, and tombstones where they are kept."""
        import numpy as np
        import pyarrow as pa

        there = np.asarray(records.values.is_valid())
        full, empty = np.flatnonzero(there), np.flatnonzero(~there)
        values = Bodies(records.values.drop_null() if len(empty) else records.values)
        columns = {name: kind for name, kind in known.items() if name not in RESERVED}
        found = self.decoder.decode(values, columns)
        good = found.table
        if reason := clash(good.column_names, columns):
            raise DataError(reason, fix="name it in `schema` as the table has it, or `land:` another folder")
        for name, kind in columns.items():
            if name in good.column_names and good[name].type != kind:
                raise DataError(
                    f"the field '{name}' is {good[name].type} by `schema`, and the table has it as {kind}",
                    why="a column keeps the type with which it was made",
                    fix="keep the type, or `land:` another folder",
                )
        parts = [self._placed(good, records, full[np.asarray(found.rows, dtype=np.int64)])]
        first = ""
        if found.faults:
            bad = sorted(found.faults)
            told = {
                "_error": pa.array([found.faults[row] for row in bad], pa.string()),
                "_raw": pa.array([values[row] for row in bad], pa.binary()),
            }
            parts.append(self._placed(pa.table(told), records, full[bad]))
            place = full[bad[0]]
            where = f"partition {records.partitions[place]}, offset {records.offsets[place]}"
            first = f"{where}: {found.faults[bad[0]]}"
        if len(empty) and self.tombstones:
            parts.append(self._placed(table_of({}, len(empty)), records, empty))
        table = parts[0] if len(parts) == 1 else pa.concat_tables(parts, promote_options="permissive")
        return _Made(table, len(found.faults), len(empty), first)

    def _placed(self, table: pa.Table, records: Records, rows: object) -> pa.Table:
        """Rows with the columns that say where they were."""
        import numpy as np
        import pyarrow as pa

        at = np.asarray(rows, dtype=np.int64)
        times = records.timestamps[at]
        columns = {
            "_partition": pa.array(records.partitions[at], pa.int32()),
            "_offset": pa.array(records.offsets[at], pa.int64()),
            "_timestamp": pa.array(times * 1000, pa.timestamp("us", "UTC"), mask=times < 0),
        }
        if self.key:
            keys = records.keys or []
            columns["_key"] = pa.array([text(keys[row]) for row in at.tolist()], pa.string())
        if self.headers:
            said = records.headers or []
            columns["_headers"] = pa.array([header_text(said[row]) for row in at.tolist()], pa.string())
        return pa.table({**dict(zip(table.column_names, table.columns, strict=True)), **columns})

    def _judge(self, made: _Made, read: int) -> None:
        poison, seen = made.poison, read
        for before, bad in reversed(self._recent):
            if seen >= _WINDOW:
                break
            poison, seen = poison + bad, seen + before
        if poison <= self.quarantine * max(seen, _JUDGED):
            return
        raise DataError(
            f"{poison:,} of {seen:,} messages of '{self.table.topic}' cannot be read: more than "
            f"`quarantine: {self.quarantine:.3g}` allows",
            why=f"the first is {made.first or self.counts.first}",
            fix="check `format`, `schema` and `registry`; nothing of this batch has landed",
        )

    def _count(self, made: _Made, read: int) -> None:
        counts = self.counts
        self._recent.append((read, made.poison))
        while sum(count for count, _ in self._recent) - self._recent[0][0] >= _WINDOW:
            self._recent.popleft()
        kept = made.tombstones if self.tombstones else 0
        counts.rows += made.table.num_rows - made.poison - kept
        counts.tombstones += made.tombstones
        counts.commits += 1
        if made.poison and not counts.poison:
            counts.first = made.first
            self.told(f"a message cannot be read and is set aside: {made.first}")
        counts.poison += made.poison
