"""From the client to the lander: batches are filled while the one before is committed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from bessemer.acquire.streams.records import Records, joined, records_of

if TYPE_CHECKING:
    from bessemer.acquire.streams.lander import Lander

#: Messages that are asked of the client at once.
CHUNK = 10_000


class Pump:
    """Takes messages, and lands them in batches by a thread beside.

    At most two batches are held: one that fills and one that is being committed.

    Args:
        batch, size: the messages and the bytes that make a batch full.
        moved: told which partitions another writer has moved, and to where: their messages have to be read anew.
        landed: told the next offsets of every commit.
    """

    def __init__(
        self,
        lander: Lander,
        batch: int,
        size: int,
        moved: Callable[[Mapping[int, int | None]], None],
        landed: Callable[[Mapping[int, int]], None] = lambda nexts: None,
    ) -> None:
        self._lander, self._batch, self._size = lander, batch, size
        self._moved, self._landed = moved, landed
        self._parts: list[Records] = []
        self._nexts: dict[int, int] = {}
        self._rows = self._bytes = 0
        self.since = time.monotonic()
        self._thread = ThreadPoolExecutor(1, "bessemer-land")
        self._running: tuple[Future[dict[int, int | None]], dict[int, int]] | None = None

    def __enter__(self) -> Pump:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown(wait=True)
        self.drop(
            list(self._nexts)
        )  # after a fault nothing lands any more: what is left is read by the next reader
        self._running = None

    def take(self, records: Records) -> None:
        """Messages in the order of their partitions."""
        if not len(records):
            return
        self._parts.append(records)
        self._nexts.update(records.ends())
        self._rows += len(records)
        self._bytes += records.size()
        if self._rows >= self._batch or self._bytes >= self._size:
            self.flush()

    def reached(self, partition: int, offset: int) -> None:
        """A partition is at this offset, though the last ones before it are no messages (ends of transactions)."""
        self._nexts[partition] = max(offset, self._nexts.get(partition, 0))

    def flush(self) -> None:
        """Begin to land what is there; waits for the batch before, and does not for this one."""
        self.settle()
        self.since = time.monotonic()
        if not self._nexts:
            return
        records = joined(self._parts) if self._parts else records_of([])
        nexts = self._nexts
        self._parts, self._nexts = [], {}
        self._rows = self._bytes = 0
        self._running = self._thread.submit(self._lander.land, records, nexts), nexts

    def settle(self) -> None:
        """Wait for the batch that is being landed; what another writer has moved is dropped here too."""
        if self._running is None:
            return
        (running, nexts), self._running = self._running, None
        moved = running.result()
        self._landed({partition: there for partition, there in nexts.items() if partition not in moved})
        if moved:
            self.drop(list(moved))
            self._moved(moved)

    def drop(self, partitions: Sequence[int]) -> None:
        """Forget the messages of partitions that were not landed yet."""
        import numpy as np

        if not partitions:
            return
        kept = [part.only(~np.isin(part.partitions, partitions)) for part in self._parts]
        self._parts = [part for part in kept if len(part)]
        self._rows = sum(map(len, self._parts))
        self._bytes = sum(part.size() for part in self._parts)
        for partition in partitions:
            self._nexts.pop(partition, None)
