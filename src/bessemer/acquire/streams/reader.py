"""Reading partitions from where the table is: the positions, the ends, and what the client says beside messages."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bessemer.acquire.streams.client import Client, retriable
from bessemer.acquire.streams.pump import CHUNK, Pump
from bessemer.acquire.streams.records import Records, records_of
from bessemer.core.errors import DataError

if TYPE_CHECKING:
    from bessemer.acquire.streams.lander import Lander
    from bessemer.acquire.streams.options import KafkaSource

#: Behind every offset: where a partition is read that nobody wants any more.
_NEVER = 2**63 - 1


@contextmanager
def uncollected() -> Iterator[None]:
    """Nobody looks for cycles among objects meanwhile: for messages that come by the thousand and go again.

    They are what makes Python look, again and again through all objects that there are, which takes longer than to read
    them; and none of them is in a cycle.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


class Reader:
    """Reads a topic's partitions into a lander.

    positions: partition -> the next offset that is wanted of the client. What comes before it is not taken twice.
    """

    def __init__(self, client: Client, lander: Lander, options: KafkaSource) -> None:
        self.client, self.lander, self.options = client, lander, options
        self.positions: dict[int, int] = {}
        self.pump = Pump(lander, options.batch, options.batch_bytes, self._moved, self._landed)
        #: Seconds for which the client was asked, and gave neither a message nor an end.
        self.silence = 0.0
        self._overtaken: set[int] = set()

    def starts(self, partitions: Iterable[int], ends: dict[int, int] | None = None) -> dict[int, int]:
        """Where partitions go on: by the table, else where the options say.

        Args:
            ends: is given the offset behind the last committed message of each, where somebody wants it.

        Raises:
            DataError: the topic is not the one that landed before.
        """
        found: dict[int, int] = {}
        for partition, there in self.lander.begin(partitions).items():
            low, high = self.client.watermarks(self.options.topic, partition, self.options.patience)
            if ends is not None:
                ends[partition] = high
            if there is None:
                found[partition] = low if self.options.start == "earliest" else high
                if self.options.start == "latest":
                    self.pump.reached(partition, high)  # put down, though there are no messages yet
                continue
            if there > high:
                raise DataError(
                    f"partition {partition} of '{self.options.topic}' ends at {high:,}, and messages up to {there:,} "
                    "have landed",
                    why="the topic was deleted and made anew, or it is another cluster",
                    fix="`land:` another folder",
                )
            if there < low:
                self.lander.told(
                    f"Kafka has deleted {low - there:,} messages of partition {partition} before they were landed"
                )
            found[partition] = max(low, there)
        return found

    def assign(self, positions: Mapping[int, int]) -> None:
        """Read these partitions from these offsets on, and no others."""
        from confluent_kafka import TopicPartition

        self.positions = dict(positions)
        given = [TopicPartition(self.options.topic, p, at) for p, at in positions.items()]
        self.client.consumer.assign(given)
        if given:
            self.client.consumer.resume(given)  # one that was paused stays so else

    def pause(self, partitions: Iterable[int]) -> None:
        """Ask for no more messages of partitions; what was fetched ahead of the others stays."""
        from confluent_kafka import TopicPartition

        self.client.consumer.pause(
            [TopicPartition(self.options.topic, partition) for partition in partitions]
        )

    def drop(self, partitions: Iterable[int]) -> None:
        """Forget partitions, and what was not landed of them."""
        gone = list(partitions)
        self.pump.drop(gone)
        for partition in gone:
            self.positions.pop(partition, None)

    def read(self, timeout: float, most: int = CHUNK) -> list[Any]:
        """What the client gives, messages and what it says beside: when `most` are there, or after the timeout."""
        began = time.monotonic()
        given = list(self.client.consumer.consume(min(most, CHUNK), timeout))
        self.silence += time.monotonic() - began
        return given

    def sort(
        self, given: Sequence[Any], ends: Mapping[int, int] | None = None
    ) -> tuple[Records, dict[int, int]]:
        """Messages to take, and the partitions that have reached their end.

        Args:
            ends: messages from these offsets on are not taken.

        Raises:
            DataError: the brokers refuse to go on.
        """
        import numpy as np
        from confluent_kafka import Message

        reached: dict[int, int] = {}
        if any(map(Message.error, given)):
            given = [message for message in given if not self._odd(message, reached)]
        records = records_of(given, keys=self.lander.key, headers=self.lander.headers)
        taken = np.zeros(len(records), bool)
        for partition in records.there():
            offsets = records.offsets
            wanted = (records.partitions == partition) & (offsets >= self.positions.get(partition, _NEVER))
            if ends is not None:
                behind = wanted & (offsets >= ends[partition])
                if behind.any():
                    reached[partition] = int(offsets[behind][0])
                wanted &= ~behind
            if wanted.any():
                self.positions[partition] = int(offsets[wanted].max()) + 1
                taken |= wanted
        if taken.any() or reached:
            self.silence = 0.0
            self.client.last = ""  # what was wrong before is over
        return records.only(taken), reached

    def _odd(self, message: Any, reached: dict[int, int]) -> bool:
        """Whether it is no message but something that the client says; an end is put into `reached`."""
        from confluent_kafka import KafkaError

        error = message.error()
        if error is None:
            return False
        if error.code() == KafkaError._PARTITION_EOF:
            reached[message.partition()] = message.offset()
        elif error.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError._LOG_TRUNCATION):
            self._overtaken.add(message.partition())
        elif retriable(error):
            self.client.last = error.str()
        else:
            raise self.client.failed(error)
        return True

    def restart(self) -> bool:
        """Where the brokers do not have the offsets that are wanted: land what was read, and begin from the table.

        Messages of this call of `sort` are read anew.

        Returns:
            Whether partitions were assigned anew.

        Raises:
            DataError: the topic is not the one that landed before.
        """
        gone, self._overtaken = self._overtaken & set(self.positions), set()
        if not gone:
            return False
        self.pump.flush()
        self.pump.settle()
        self.assign(self.starts(self.positions))
        return True

    def _moved(self, moved: Mapping[int, int | None]) -> None:
        """Another writer has landed these partitions: read them from where the table is now."""
        again = {p: 0 if there is None else there for p, there in moved.items() if p in self.positions}
        self.assign({**self.positions, **again})

    def _landed(self, nexts: Mapping[int, int]) -> None:
        """A hint for those who watch the group's lag; nothing depends on it."""
