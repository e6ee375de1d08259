"""Landing without an end, several processes sharing the partitions of a topic."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import Event
from typing import TYPE_CHECKING, Any

from bessemer.acquire.streams.reader import Reader, uncollected

if TYPE_CHECKING:
    from bessemer.acquire.streams.client import Client
    from bessemer.acquire.streams.lander import Lander
    from bessemer.acquire.streams.options import KafkaSource


class Follower(Reader):
    """A member of a consumer group that lands the partitions that it is given.

    Kafka says who reads what; the table says from where. A partition that is taken away is landed as far as it was
    read, if there is time, and what was not is read by its next reader.

    Args:
        said: is told of every commit, for people.
    """

    def __init__(
        self, client: Client, lander: Lander, options: KafkaSource, said: Callable[[Mapping[int, int]], None]
    ) -> None:
        super().__init__(client, lander, options)
        self._said = said
        self._changes = 0

    def run(self, stop: Event) -> None:
        """Land until it is stopped; then what was read is landed too.

        Raises:
            DataError: the brokers refuse to go on, or too much cannot be read.
        """
        self.client.partitions(self.options.topic, self.options.patience)
        topics = [self.options.topic]
        self.client.consumer.subscribe(topics, self._given, self._taken, self._lost)
        with self.pump:
            while not stop.is_set():
                self._step()
            self.pump.flush()
            self.pump.settle()

    def _step(self) -> None:
        changes = self._changes
        with uncollected():
            given = self.read(min(0.1, self.options.every))
            if changes != self._changes:  # what came across a change of hands is read anew
                self.assign(self.positions)
                return
            taken, _ = self.sort(given)
            del given
        if self.restart():
            return
        self.pump.take(taken)
        if time.monotonic() - self.pump.since >= self.options.every:
            self.pump.flush()

    def _given(self, consumer: Any, partitions: list[Any]) -> None:
        self._changes += 1
        self.pump.settle()
        self.assign(self.starts(each.partition for each in partitions))

    def _taken(self, consumer: Any, partitions: list[Any]) -> None:
        self._changes += 1
        self.pump.flush()
        self.pump.settle()
        self.drop([each.partition for each in partitions])
        consumer.unassign()

    def _lost(self, consumer: Any, partitions: list[Any]) -> None:
        """Somebody else may have them already: what was not landed is theirs."""
        self._changes += 1
        self.pump.settle()
        self.drop([each.partition for each in partitions])
        consumer.unassign()

    def _landed(self, nexts: Mapping[int, int]) -> None:
        from confluent_kafka import KafkaException, TopicPartition

        hints = [TopicPartition(self.options.topic, p, at) for p, at in nexts.items() if p in self.positions]
        with suppress(KafkaException):  # who watches the group's lag sees less, nobody else does
            if hints:
                self.client.consumer.commit(offsets=hints, asynchronous=True)
        self._said(nexts)
