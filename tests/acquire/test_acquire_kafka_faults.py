"""Brokers that fail on order: leaders that move, timeouts, brokers that are down. Each message lands exactly once.

The brokers are librdkafka's mock ones, which do what Kafka does with produce, fetch, offsets and transactions; they do
not leave out what was aborted.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from bessemer.acquire.kafka_reasons import reasons
from bessemer.acquire.streams.bounded import land_to_end
from bessemer.acquire.streams.client import NoAnswer
from bessemer.acquire.streams.follow import Follower
from bessemer.acquire.streams.open import client_of, lander_of
from bessemer.acquire.streams.options import KafkaSource
from bessemer.core.errors import DataError, StoreError
from bessemer.predict.plugins import SINKS
from bessemer.predict.protocol import Progress
from bessemer.predict.target import target_of
from bessemer.testing.sinks import batch, job
from systems import kafka_mock as mock
from systems.kafka_mock import Cluster

pytestmark = pytest.mark.slow
PARTITIONS, ROWS = 3, 400


@pytest.fixture
def brokers() -> Iterator[Cluster]:
    with mock.cluster() as made:
        yield made


def produce(brokers: Cluster, topic: str, first: int, last: int) -> None:
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": brokers.address, "log_level": 0, "enable.idempotence": True})
    for number in range(first, last):
        for partition in range(PARTITIONS):
            producer.produce(topic, json.dumps({"seq": number, "part": partition}), partition=partition)
        producer.poll(0)
    assert producer.flush(300) == 0


def source(brokers: Cluster, topic: str, lake: Path, **more: Any) -> KafkaSource:
    settings = {"reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 100, "fetch.error.backoff.ms": 20,
                "retry.backoff.ms": 20, "log_level": 0, "fetch.wait.max.ms": 20}  # fmt: skip
    words = {
        "kafka": brokers.address,
        "topic": topic,
        "land": str(lake),
        "batch": 100,
        "patience": 300,
        **more,
    }
    return KafkaSource.model_validate({"settings": settings, **words})


def land(options: KafkaSource) -> None:
    with closing(client_of("faults", options, Path(), ends=True)) as client:
        land_to_end(client, lander_of("faults", options, Path()), options)


def landed_once(lake: Path, rows: int) -> None:
    found = (
        DeltaTable(lake).to_pyarrow_table().sort_by([("_partition", "ascending"), ("_offset", "ascending")])
    )
    for partition in range(PARTITIONS):
        mine = [row for row in found.to_pylist() if row["_partition"] == partition]
        assert [row["seq"] for row in mine] == list(range(rows)), f"partition {partition}"
        assert {row["part"] for row in mine} == {partition}


FAULTS: dict[str, Callable[[Cluster], None]] = {
    "the leader is another": lambda b: b.fail(mock.FETCH, *[mock.NOT_LEADER] * 4),
    "fetches time out": lambda b: b.fail(mock.FETCH, *[mock.TIMED_OUT] * 4),
    "connections end": lambda b: b.fail(mock.FETCH, *[mock.TRANSPORT] * 4),
    "metadata is late": lambda b: b.fail(mock.METADATA, mock.TIMED_OUT, mock.TRANSPORT),
    "the coordinator loads": lambda b: b.fail(mock.COORDINATOR, *[mock.LOADING] * 3),
    "answers are slow": lambda b: b.slow(150),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_run_goes_on_over(name: str, brokers: Cluster, tmp_path: Path) -> None:
    topic = brokers.topic("clicks", PARTITIONS)
    produce(brokers, topic, 0, ROWS)
    options = source(brokers, topic, tmp_path / "lake")
    FAULTS[name](brokers)
    land(options)
    landed_once(tmp_path / "lake", ROWS)
    produce(brokers, topic, ROWS, ROWS + 50)
    FAULTS[name](brokers)
    land(options)
    landed_once(tmp_path / "lake", ROWS + 50)


def test_a_run_that_is_not_told_the_end_lands_or_says_so_and_the_next_one_goes_on(
    brokers: Cluster, tmp_path: Path
) -> None:
    """Whether the client asks once more is its own affair, and takes it as long as it takes."""
    topic = brokers.topic("clicks", PARTITIONS)
    produce(brokers, topic, 0, ROWS)
    options = source(brokers, topic, tmp_path / "lake")
    brokers.fail(mock.LIST_OFFSETS, *[mock.NOT_LEADER, mock.TIMED_OUT] * 3)
    told: list[str] = []
    for _ in range(7):  # each run asks at least once, and there are six errors
        try:
            land(options)
            break
        except DataError as error:
            told.append(error.fix)
    assert all("run it again" in fix for fix in told)
    landed_once(tmp_path / "lake", ROWS)


def test_a_run_that_finds_a_broker_down_says_so_and_the_next_one_goes_on(
    brokers: Cluster, tmp_path: Path
) -> None:
    topic = brokers.topic("clicks", PARTITIONS)
    for partition in range(PARTITIONS):
        brokers.lead(topic, partition, partition + 1)
    produce(brokers, topic, 0, ROWS)
    options = source(brokers, topic, tmp_path / "lake", patience=2)
    brokers.down(2)
    with pytest.raises(DataError, match="cannot be read"):
        land(options)
    brokers.up(2)
    land(source(brokers, topic, tmp_path / "lake"))  # with all the time that it may need
    landed_once(tmp_path / "lake", ROWS)


def test_what_was_heard_before_is_not_the_reason_of_what_fails_now(brokers: Cluster, tmp_path: Path) -> None:
    topic, old = brokers.topic("clicks", PARTITIONS), "old: Authentication failed"
    produce(brokers, topic, 0, 10)
    options = source(brokers, topic, tmp_path / "lake")
    with closing(client_of("faults", options, Path(), ends=True)) as client:
        client.last = old
        with pytest.raises(DataError) as caught, reasons(client, options, Path()):
            raise client.away("Broker: Topic authorization failed")
        assert caught.value.why == f"Broker: Topic authorization failed; {old}"
        with pytest.raises(DataError) as caught, reasons(client, options, Path()):
            raise client.away("no answer in time", NoAnswer)
        assert caught.value.why == old
        assert "`password_env`" in caught.value.fix
        land_to_end(client, lander_of("faults", options, Path()), options)
        assert not client.last, "messages came: that is over"


def test_progress_that_cannot_be_asked_for_is_not_taken_for_none(brokers: Cluster) -> None:
    topic = brokers.topic("scores")
    sink = SINKS.load("kafka")(target_of({"kafka": brokers.address, "topic": topic}), job("g"))
    brokers.fail(mock.OFFSET_FETCH, mock.NOT_AUTHORIZED)
    with pytest.raises(StoreError, match="cannot write the topic") as caught:
        sink.open()
    sink.close()
    assert "authorization failed" in caught.value.why


def test_following_goes_on_while_brokers_come_and_go(brokers: Cluster, tmp_path: Path) -> None:
    """Leaders move, brokers go down, the coordinator of the group loads: all while messages come."""
    topic = brokers.topic("clicks", PARTITIONS)
    options = source(brokers, topic, tmp_path / "lake", every=0.05)
    stop, there = threading.Event(), threading.Condition()
    landed: dict[int, int] = {}

    def told(nexts: dict[int, int]) -> None:
        with there:
            landed.update(nexts)
            there.notify_all()

    def until(rows: int) -> None:
        with there:
            done = there.wait_for(
                lambda: [landed.get(p) for p in range(PARTITIONS)] == [rows] * PARTITIONS, 300
            )
        assert done, landed

    client, failed = client_of("faults", options, Path(), ends=False), []

    def follow() -> None:
        try:
            Follower(client, lander_of("faults", options, Path()), options, told).run(stop)
        except BaseException as error:
            failed.append(error)

    brokers.fail(mock.COORDINATOR, mock.LOADING, mock.NOT_COORDINATOR)
    thread = threading.Thread(target=follow)
    thread.start()
    try:
        for number, fault in enumerate(
            [
                lambda: None,
                lambda: [brokers.lead(topic, p, 3 - p) for p in range(PARTITIONS)],
                lambda: brokers.fail(mock.FETCH, *[mock.NOT_LEADER] * 5),
                lambda: (brokers.down(1), brokers.lead(topic, 2, 2)),
                lambda: brokers.up(1),
                lambda: brokers.fail(mock.OFFSET_FETCH, mock.LOADING, mock.NOT_COORDINATOR),
            ]
        ):
            fault()
            produce(brokers, topic, 50 * number, 50 * number + 50)
            until(50 * number + 50)
    finally:
        stop.set()
        thread.join(300)
        client.close()
    assert not failed, failed
    landed_once(tmp_path / "lake", 300)


TRANSACTIONS: dict[str, list[tuple[int, tuple[int, ...]]]] = {
    "the coordinator loads": [(mock.INIT_PRODUCER, (mock.LOADING,) * 2), (mock.ADD_OFFSETS, (mock.LOADING,))],
    "the coordinator is another": [(mock.END_TRANSACTION, (mock.NOT_COORDINATOR,)), (mock.COMMIT_OFFSETS, (16, 14))],
    "the answer to the commit is lost": [(mock.END_TRANSACTION, (mock.TRANSPORT,))],
    "the leader is another": [(mock.PRODUCE, (mock.NOT_LEADER,) * 2)],
}  # fmt: skip


@pytest.mark.parametrize("name", TRANSACTIONS)
def test_predictions_are_there_once_where(name: str, brokers: Cluster) -> None:
    topic = brokers.topic("scores")
    sink = SINKS.load("kafka")(target_of({"kafka": brokers.address, "topic": topic}), job("f"))
    faults = TRANSACTIONS[name]
    for request, errors in faults:
        if request == mock.INIT_PRODUCER:
            brokers.fail(request, *errors)
    sink.open()
    for number in range(3):
        if number == 1:
            for request, errors in faults:
                if request != mock.INIT_PRODUCER:
                    brokers.fail(request, *errors)
        sink.write(batch(number), Progress(number + 1, 4 * number + 4, 0, 4 * number + 4))
    sink.finish()
    sink.close()
    assert ids(brokers, topic) == list(range(12))


def ids(brokers: Cluster, topic: str) -> list[int]:
    from confluent_kafka import Consumer, KafkaError, TopicPartition

    config = {
        "bootstrap.servers": brokers.address,
        "group.id": "t",
        "enable.partition.eof": True,
        "log_level": 0,
    }
    found: list[int] = []
    with closing(Consumer(config)) as consumer:
        consumer.assign([TopicPartition(topic, 0, 0)])
        while (message := consumer.poll(120)) is not None:
            if message.error() is not None:
                assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
                return found
            found.append(json.loads(message.value())["id"])
    raise AssertionError("the brokers do not answer")
