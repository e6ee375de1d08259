"""A topic of Kafka as sink, over the wire."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from bessemer.core.errors import DataError, EnvironmentFault, StoreError, UsageError
from bessemer.predict.plugins import SINKS
from bessemer.predict.protocol import Progress, Target
from bessemer.predict.target import target_of
from bessemer.testing.sinks import CHECKS, batch, job
from noida import running
from systems.kafka import Broker

pytestmark = pytest.mark.slow
NAMES = (f"scores-{number}" for number in itertools.count())


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with running("kafka", tmp_path_factory.mktemp("kafka")) as server:
        yield Broker(server)


@pytest.fixture
def target(broker: Broker) -> Target:
    return target_of({"kafka": broker.address, "topic": broker.topic(next(NAMES))})


def rows(broker: Broker, target: Target) -> list[dict[str, Any]]:
    return [json.loads(message.value()) for message in broker.messages(target.options["topic"])]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_sink_keeps_each_promise(check: Any, broker: Broker, target: Target) -> None:
    check(SINKS.ref("kafka").target, target, lambda target: rows(broker, target))


def test_two_processes_with_one_job_write_each_row_once(broker: Broker, target: Target) -> None:
    first = SINKS.load("kafka")(target, job("twice"))
    first.open()
    first.write(batch(0), Progress(1, 4, 0, 4))
    second = SINKS.load("kafka")(target, job("twice"))
    assert second.open().batches == 1
    second.write(batch(1), Progress(2, 8, 0, 8))
    with pytest.raises(EnvironmentFault, match="another"):
        first.write(batch(1), Progress(2, 8, 0, 8))
    first.close()
    second.finish()
    second.close()
    assert [row["id"] for row in rows(broker, target)] == list(range(8))


def test_keys_are_the_values_of_a_column(broker: Broker, target: Target) -> None:
    keyed = Target("kafka", target.where, options={**target.options, "key": "id"})
    sink = SINKS.load("kafka")(keyed, job("keyed"))
    sink.open()
    sink.write(batch(0), Progress(1, 4, 0, 4))
    sink.finish()
    sink.close()
    assert [message.key() for message in broker.messages(target.options["topic"])] == [b"0", b"1", b"2", b"3"]


def test_restart_does_not_write_twice(broker: Broker, target: Target) -> None:
    for restart in (False, True):
        sink = SINKS.load("kafka")(target, job("restart", restart=restart))
        if restart:
            with pytest.raises(UsageError, match="already"):
                sink.open()
        else:
            sink.open()
            sink.write(batch(0), Progress(1, 4, 0, 4))
        sink.close()
    assert len(rows(broker, target)) == 4


def test_an_offset_without_a_note_is_not_taken_for_a_beginning(broker: Broker, target: Target) -> None:
    topic = target.options["topic"]
    sink = SINKS.load("kafka")(target, job("moved"))
    sink.open()
    sink.write(batch(0), Progress(1, 4, 0, 4))
    sink.close()
    group = f"bessemer-{topic}-{job('moved').key}"
    said = {"bootstrap.servers": broker.address, "group.id": group}
    with closing(Consumer(said)) as consumer:  # as tools do that move a group
        consumer.commit(offsets=[TopicPartition(topic, 0, 4)], asynchronous=False)
    again = SINKS.load("kafka")(target, job("moved"))
    with pytest.raises(StoreError, match="not known any more") as caught:
        again.open()
    again.close()
    assert group in caught.value.why
    assert len(rows(broker, target)) == 4


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"topic": "scorez"}, DataError),
        ({"topic": "scores-0", "key": "idd"}, UsageError),
        ({"topic": "scores-0", "tpoic": "x"}, UsageError),
        ({"topic": "scores-0", "settings": {"sasl.password": "x"}}, UsageError),
        ({}, UsageError),
    ],
)
def test_what_cannot_be_is_refused_in_words(
    options: dict[str, Any], error: type[Exception], broker: Broker
) -> None:
    with pytest.raises(error) as caught:
        SINKS.load("kafka")(Target("kafka", broker.address, options=options), job("bad")).open()
    assert caught.value.fix  # type: ignore[attr-defined]


def test_brokers_that_take_no_message_are_told_of_in_time(broker: Broker, target: Target) -> None:
    options = {**target.options, "timeout": 300.0, "settings": {"queue.buffering.max.messages": 2}}
    sink = SINKS.load("kafka")(Target("kafka", target.where, options=options), job("away"))
    sink.open()
    sink._options = sink._options.model_copy(update={"timeout": 2.0})  # they were there in any time
    with broker.away(target.options["topic"]):
        with pytest.raises(StoreError, match="cannot write the topic") as caught:
            sink.write(batch(0), Progress(1, 4, 0, 4))
        sink.close()
    assert "took no message for 2 s" in caught.value.why


def test_a_variable_of_an_output_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BROKERS", raising=False)
    sink = SINKS.load("kafka")(Target("kafka", "${BROKERS}", options={"topic": "t"}), job("unset"))
    with pytest.raises(UsageError, match="BROKERS is not set"):
        sink.open()
