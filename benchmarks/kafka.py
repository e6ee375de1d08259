"""Landing a topic in Delta, exactly once, beside a bare consumer that throws the messages away.

    .venv/bin/python benchmarks/kafka.py [--format json] [--messages 600000] [--partitions 12] [--rounds 5]
        [--batch 100000]

JSON messages of about 160 bytes, or the same in Avro without a registry, lz4, in a broker on this machine (noida, the
one of the tests; it sends a whole partition in one answer, so partitions are kept small). The bare consumer is
confluent-kafka's with the same settings: it asks for 10,000 messages at once, and takes their values. Each round reads
everything with both, one after the other; both clocks run from before the client is made to behind the last message,
which for the lander is in its last commit. CPU is that of this process, without the broker's: where other work shares
the machine, it says more than the clock.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from bessemer.acquire.streams.bounded import land_to_end
from bessemer.acquire.streams.open import client_of, lander_of
from bessemer.acquire.streams.options import KafkaSource
from bessemer.acquire.streams.pump import CHUNK
from noida import running
from systems.kafka import Broker

AVRO = {
    "type": "record",
    "name": "Click",
    "fields": [
        {"name": name, "type": kind}
        for name, kind in {
            "id": "long",
            "user": "string",
            "amount": "double",
            "page": "string",
            "ok": "boolean",
            "at": {"type": "long", "logicalType": "timestamp-millis"},
            "session": "string",
        }.items()
    ],
}


def json_values(messages: int) -> Iterator[bytes]:
    """Clicks in JSON."""
    for number in range(messages):
        yield (
            b'{"id":%d,"user":"user-%d","amount":%.2f,"page":"/catalogue/item/%d","ok":true,'
            b'"at":"2026-01-01T00:00:%02d.123","session":"%032x"}'
        ) % (number, number % 5000, number / 7, number % 977, number % 60, number * 7919)


def avro_values(messages: int) -> Iterator[bytes]:
    """The same clicks in Avro."""
    from fastavro import parse_schema, schemaless_writer

    schema = parse_schema(AVRO)
    for number, text in enumerate(json_values(messages)):
        buffer = io.BytesIO()
        schemaless_writer(buffer, schema, {**json.loads(text), "at": 1_767_225_600_000 + number % 60 * 1000})
        yield buffer.getvalue()


VALUES = {"json": json_values, "avro": avro_values}


def fill(broker: Broker, topic: str, messages: int, partitions: int, kind: str = "json") -> int:
    """Send the messages; gives the bytes of their values."""
    from confluent_kafka import Producer

    config = {"bootstrap.servers": broker.address, "linger.ms": 20, "compression.type": "lz4"}
    producer, size = Producer({**config, "queue.buffering.max.messages": 1_000_000}), 0
    for number, value in enumerate(VALUES[kind](messages)):
        size += len(value)
        while True:
            try:
                producer.produce(topic, value, partition=number % partitions)
                break
            except BufferError:
                producer.poll(0.05)
        if number % 1000 == 0:
            producer.poll(0)
    producer.flush(60)
    return size


def bare(options: KafkaSource, messages: int) -> None:
    """A consumer that takes the values, and does nothing with them."""
    from confluent_kafka import TopicPartition

    seen = 0
    with closing(client_of("bare", options, Path(), ends=False)) as client:
        partitions = client.partitions(options.topic, 30)
        client.consumer.assign([TopicPartition(options.topic, number, 0) for number in partitions])
        while seen < messages:
            seen += len([message.value() for message in client.consumer.consume(CHUNK, 1.0)])


def landing(options: KafkaSource, messages: int) -> None:
    """The lander, as `bessemer run` has it."""
    lander = lander_of("landing", options, Path())
    with closing(client_of("landing", options, Path(), ends=True)) as client:
        land_to_end(client, lander, options)
    assert lander.counts.rows == messages, lander.counts


def timed(
    work: Callable[[KafkaSource, int], None], options: KafkaSource, messages: int
) -> tuple[float, float]:
    """Messages a second, and microseconds of CPU a message."""
    start, spent = time.perf_counter(), time.process_time()
    work(options, messages)
    return messages / (time.perf_counter() - start), (time.process_time() - spent) / messages * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--format", choices=VALUES, default="json")
    parser.add_argument("--messages", type=int, default=600_000)
    parser.add_argument("--partitions", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=100_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, running("kafka", Path(name) / "kafka") as server:
        broker = Broker(server)
        topic = broker.topic("clicks", asked.partitions)
        size = fill(broker, topic, asked.messages, asked.partitions, asked.format)
        (Path(name) / "click.avsc").write_text(json.dumps(AVRO), "utf-8")
        print(
            f"{asked.messages:,} messages of {size / asked.messages:.0f} bytes, {asked.partitions} partitions"
        )
        found = []
        for number in range(asked.rounds):
            words = {
                "kafka": broker.address,
                "topic": topic,
                "land": f"{name}/{number}",
                "batch": asked.batch,
                "format": asked.format,
                "schema": f"{name}/click.avsc" if asked.format == "avro" else None,
            }
            options = KafkaSource.model_validate(words)
            plain, landed = timed(bare, options, asked.messages), timed(landing, options, asked.messages)
            found.append((*plain, *landed, landed[0] / plain[0]))
            show(f"round {number + 1}", found[-1])
        show("median", tuple(map(statistics.median, zip(*found, strict=True))))


def show(what: str, figures: tuple[float, ...]) -> None:
    plain, plain_cpu, landed, landed_cpu, ratio = figures
    print(
        f"{what:8} bare {plain:>9,.0f}/s, {plain_cpu:.2f} us of CPU each; "
        f"landed {landed:>9,.0f}/s, {landed_cpu:.2f} us; {ratio:.0%}",
        flush=True,
    )


if __name__ == "__main__":
    main()
