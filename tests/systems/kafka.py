"""A real broker for a test, topics in it, and messages."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from typing import Any

from noida import Noida

_LARGEST = 8_000_000
#: Seconds for what takes a few milliseconds where the machine is not shared.
_PATIENCE = 120.0


def _delivered(error: Any, message: Any) -> None:
    assert error is None, f"a message was not delivered: {error}"


class Broker:
    """What tests do with a broker that runs."""

    def __init__(self, server: Noida) -> None:
        self.server = server
        self._producers: dict[str, Any] = {}

    @property
    def address(self) -> str:
        return self.server.address

    def topic(self, name: str, partitions: int = 1) -> str:
        """Make a topic."""
        from confluent_kafka.admin import AdminClient, NewTopic

        admin = AdminClient({"bootstrap.servers": self.address, "log_level": 0})
        config = {"max.message.bytes": str(_LARGEST)}
        for made in admin.create_topics([NewTopic(name, partitions, 1, config=config)]).values():
            made.result(_PATIENCE)
        return name

    def delete(self, topic: str, before: int) -> None:
        """Delete a partition's first messages, as retention does."""
        from confluent_kafka import TopicPartition
        from confluent_kafka.admin import AdminClient

        admin = AdminClient({"bootstrap.servers": self.address, "log_level": 0})
        for done in admin.delete_records([TopicPartition(topic, 0, before)]).values():
            done.result(_PATIENCE)

    def ends(self, topic: str) -> dict[int, int]:
        """The offset behind the last message of each partition that the broker knows."""
        from confluent_kafka import Consumer, TopicPartition

        config = {"bootstrap.servers": self.address, "group.id": "tests", "log_level": 0}
        with closing(Consumer(config)) as consumer:
            partitions = consumer.list_topics(topic, _PATIENCE).topics[topic].partitions
            return {
                p: consumer.get_watermark_offsets(TopicPartition(topic, p), _PATIENCE)[1] for p in partitions
            }

    @contextmanager
    def away(self, topic: str) -> Iterator[None]:
        """Within it the broker is not there. It was asked to end, as noida has its last second in memory alone.

        It listens again before it knows a topic and its messages: that is waited for.
        """
        before, process = self.ends(topic), self.server.process
        assert process is not None
        process.terminate()
        process.wait(_PATIENCE)
        self.server.process = None
        try:
            yield
        finally:
            self.server.start()
            end = time.monotonic() + _PATIENCE
            while self.ends(topic) != before:
                assert time.monotonic() < end, f"messages of {topic} are gone"
                time.sleep(0.1)

    def send(
        self,
        topic: str,
        values: Iterable[bytes | None],
        partition: int = 0,
        *,
        wait: bool = True,
        **more: Any,
    ) -> None:
        """Put messages at the end of a partition; they are there when it returns, or when `flush` does."""
        from confluent_kafka import Producer

        if "plain" not in self._producers:
            config = {
                "bootstrap.servers": self.address,
                "linger.ms": 5,
                "log_level": 0,
                "message.max.bytes": _LARGEST,
            }
            self._producers["plain"] = Producer(config)
        for value in values:
            self._producers["plain"].produce(
                topic, value, partition=partition, on_delivery=_delivered, **more
            )
            self._producers["plain"].poll(0)
        if wait:
            self.flush()

    def flush(self) -> None:
        if "plain" in self._producers:
            assert self._producers["plain"].flush(_PATIENCE) == 0, "messages were not delivered"

    def transaction(self, topic: str, values: Iterable[bytes], *, commit: bool, partition: int = 0) -> None:
        """Put messages in one transaction, which is committed or aborted.

        Those that abort and those that commit are different producers: noida tells a reader that begins behind an
        aborted transaction of it still, and the client then leaves out what the same producer has committed after it.
        """
        from confluent_kafka import Producer

        name = f"tests-{commit}"
        if name not in self._producers:
            made = Producer({"bootstrap.servers": self.address, "transactional.id": name, "log_level": 0})
            made.init_transactions(_PATIENCE)
            self._producers[name] = made
        producer = self._producers[name]
        producer.begin_transaction()
        for value in values:
            producer.produce(topic, value, partition=partition)
        producer.flush(_PATIENCE)
        if commit:
            producer.commit_transaction(_PATIENCE)
        else:
            producer.abort_transaction(_PATIENCE)

    def messages(self, topic: str, partitions: int = 1) -> list[Any]:
        """All committed messages, partition by partition."""
        from confluent_kafka import Consumer, KafkaError, TopicPartition

        config = {
            "bootstrap.servers": self.address, "group.id": "tests", "isolation.level": "read_committed",
            "enable.partition.eof": True, "auto.offset.reset": "earliest", "log_level": 0,
        }  # fmt: skip
        found: list[Any] = []
        with closing(Consumer(config)) as consumer:
            consumer.assign([TopicPartition(topic, number, 0) for number in range(partitions)])
            left = set(range(partitions))
            while left:
                message = consumer.poll(_PATIENCE)
                assert message is not None, "the broker does not answer"
                if message.error() is None:
                    found.append(message)
                else:
                    assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
                    left.discard(message.partition())
        return sorted(found, key=lambda message: (message.partition(), message.offset()))
