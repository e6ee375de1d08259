"""Each message lands exactly once: over kills, freezes, rebalances, rivals, and a broker that goes away."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from deltalake import DeltaTable, QueryBuilder

from bessemer.acquire.streams.bodies import packed
from bessemer.acquire.streams.bounded import land_to_end
from bessemer.acquire.streams.client import Client
from bessemer.acquire.streams.follow import Follower
from bessemer.acquire.streams.lander import Lander
from bessemer.acquire.streams.open import client_of, lander_of
from bessemer.acquire.streams.options import KafkaSource
from bessemer.acquire.streams.records import Records
from bessemer.acquire.streams.table import Overtaken
from bessemer.core.errors import DataError
from noida import running
from patience import PATIENCE, until
from systems.kafka import Broker
from systems.kafka_kills import options_of
from systems.moto import moto

pytestmark = pytest.mark.slow
PARTITIONS, ROUNDS = 4, 100


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with running("kafka", tmp_path_factory.mktemp("kafka")) as server:
        yield Broker(server)


def landed(lake: Path) -> list[dict[str, Any]]:
    table = QueryBuilder().register("landed", DeltaTable(lake))
    found = table.execute("SELECT * FROM landed ORDER BY _partition, _offset")
    rows: list[dict[str, Any]] = pa.RecordBatchReader.from_stream(found).read_all().to_pylist()
    return rows


def test_no_row_is_lost_and_none_is_there_twice(broker: Broker, tmp_path: Path) -> None:
    topic, lake = broker.topic("kills", PARTITIONS), tmp_path / "lake"
    arguments = [broker.address, topic, str(PARTITIONS), str(lake), str(ROUNDS), "20261127"]
    done = subprocess.run(
        [sys.executable, "-m", "systems.kafka_kills", *arguments],
        cwd=Path(__file__).parents[1], capture_output=True, text=True, timeout=1800,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    sent, rounds = (json.loads(line) for line in done.stdout.splitlines())
    assert sum(rounds.values()) == ROUNDS, rounds
    assert all(rounds.values()), rounds
    before = DeltaTable(lake)
    assert before.version() >= ROUNDS - 1, "each round has waited for a commit"
    options = options_of(broker.address, topic, str(lake), "end")
    with closing(client_of("kills", options, tmp_path, ends=True)) as client:
        land_to_end(client, lander_of("kills", options, tmp_path), options)
    rows = landed(lake)
    for partition in range(PARTITIONS):
        found = [row["seq"] for row in rows if row["_partition"] == partition]
        assert found == list(range(sent["sent"])), f"partition {partition}: {len(found)} of {sent['sent']}"
    assert all(row["part"] == row["_partition"] for row in rows)


def parts(broker: Broker, tmp_path: Path, *, ends: bool, **more: Any) -> tuple[KafkaSource, Client, Lander]:
    words = {
        "kafka": broker.address, "topic": broker.topic(f"parts-{time.time_ns()}"), "land": "lake", "patience": 300,
        **more,
    }  # fmt: skip
    options = KafkaSource.model_validate(words)
    return (
        options, client_of("parts", options, tmp_path, ends=ends), lander_of("parts", options, tmp_path),
    )  # fmt: skip


def test_a_run_loses_nothing_where_another_writer_was_first(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rival lands the first messages while they are read here, and the end is read before that is known."""
    monkeypatch.setattr("bessemer.acquire.streams.reader.CHUNK", 20)
    options, client, lander = parts(broker, tmp_path, ends=True, batch=10)
    broker.send(options.topic, values(0, 30))
    rival, land = lander_of("rival", options, tmp_path), lander.land

    def beaten(records: Records, nexts: dict[int, int]) -> dict[int, int | None]:
        if rival.begin([0]) == {0: None}:
            rival.land(records.only(records.offsets < 5), {0: 5})
        return land(records, nexts)

    monkeypatch.setattr(lander, "land", beaten)
    with closing(client):
        assert land_to_end(client, lander, options) == {0: 30}
    assert lander.counts.lost
    assert [row["id"] for row in landed(tmp_path / "lake")] == list(range(30))


def test_a_follower_that_stops_says_why(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its partitions are taken from it when it goes, and what it had not landed stays where it was."""
    monkeypatch.setattr("bessemer.acquire.streams.reader.CHUNK", 100)
    options, client, lander = parts(broker, tmp_path, ends=False, batch=500, every=3600)
    broker.send(options.topic, [b"{"] * 1500)
    with pytest.raises(DataError, match="500 of 500 messages"), closing(client):
        Follower(client, lander, options, lambda nexts: None).run(Event())
    assert landed(tmp_path / "lake") == []


def test_what_the_brokers_have_deleted_is_told_and_the_rest_lands(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deleted after the reader has looked where the partition begins."""
    told: list[str] = []
    options, client, lander = parts(broker, tmp_path, ends=True)
    lander.told = told.append
    broker.send(options.topic, values(0, 10))
    with closing(client):
        land_to_end(client, lander, options)
        for start in (10, 20):  # noida keeps whole batches
            broker.send(options.topic, values(start, start + 10))
        look = client.watermarks

        def overtaken(topic: str, partition: int, timeout: float) -> tuple[int, int]:
            found = look(topic, partition, timeout)
            broker.delete(topic, before=20)
            return found

        monkeypatch.setattr(client, "watermarks", overtaken)
        land_to_end(client, lander, options)
    assert told == ["Kafka has deleted 10 messages of partition 0 before they were landed"]
    assert [row["id"] for row in landed(tmp_path / "lake")] == [*range(10), *range(20, 30)]


@pytest.fixture
def project(broker: Broker, tmp_path: Path) -> Path:
    topic = broker.topic(f"clicks-{time.time_ns()}", 2)
    source = {
        "kafka": broker.address,
        "topic": topic,
        "land": "lake",
        "every": 0.1,
        "batch": 50,
        "metadata": ["offset"],
    }
    file = {"target": "id", "acquire": {"sources": {"clicks": source}}}
    (tmp_path / "bessemer.yaml").write_text(json.dumps(file))
    return tmp_path


def topic_of(project: Path) -> str:
    found: str = json.loads((project / "bessemer.yaml").read_text())["acquire"]["sources"]["clicks"]["topic"]
    return found


def follow(project: Path, *more: str) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-c",
        "from bessemer.cli import main; main()",
        "data",
        "follow",
        "--json",
        *more,
    ]
    return subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> dict[str, Any]:
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    told: dict[str, Any] = json.loads(out)
    return told


def wait_for(lake: Path, rows: int) -> None:
    until(lambda: DeltaTable.is_deltatable(str(lake)) and len(landed(lake)) >= rows, f"row {rows}")


def values(start: int, end: int) -> list[bytes]:
    return [json.dumps({"id": number}).encode() for number in range(start, end)]


def test_following_goes_on_when_the_broker_was_away_and_ends_well(broker: Broker, project: Path) -> None:
    topic = topic_of(project)
    broker.send(topic, values(0, 120))
    process = follow(project, "clicks")
    try:
        wait_for(project / "lake", 120)
        with broker.away(topic):
            time.sleep(0.5)
        broker.send(topic, values(120, 250))
        broker.send(topic, values(250, 300), 1)
        wait_for(project / "lake", 300)
        told = ended(process)
    finally:
        process.kill()
    assert (told["rows"], told["poison"], told["source"]) == (300, 0, "clicks")
    assert sorted(row["id"] for row in landed(project / "lake")) == list(range(300))


def members(broker: Broker, topic: str) -> int:
    """How many members of the group have partitions."""
    from confluent_kafka.admin import AdminClient

    admin = AdminClient({"bootstrap.servers": broker.address, "log_level": 0})
    (asked,) = admin.describe_consumer_groups([f"bessemer-{topic}"]).values()
    there = asked.result(120).members
    return sum(1 for each in there if each.assignment and each.assignment.topic_partitions)


def test_two_processes_share_the_partitions(broker: Broker, project: Path) -> None:
    topic = topic_of(project)
    both = [follow(project), follow(project)]
    try:
        until(lambda: members(broker, topic) == 2, "a partition for both")
        for partition in range(2):
            broker.send(topic, values(partition * 100, partition * 100 + 100), partition)
        wait_for(project / "lake", 200)
        told = [ended(each) for each in both]
    finally:
        for each in both:
            each.kill()
    assert [each["rows"] for each in told] == [100, 100]
    assert sorted(row["id"] for row in landed(project / "lake")) == list(range(200))


def test_a_wrong_name_is_refused_in_words(project: Path) -> None:
    process = follow(project, "clickz")
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    assert "did you mean 'clicks'" in err


def test_in_a_bucket_too_the_second_writer_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import boto3

    with moto(tmp_path / "moto") as url:
        for name, value in {
            "AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "me", "AWS_SECRET_ACCESS_KEY": "x" * 16,
            "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1",
        }.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        boto3.client("s3").create_bucket(Bucket="lake")
        words = {"kafka": "nowhere:1", "topic": "clicks", "land": "s3://lake/clicks"}
        first, second = (lander_of("s3", KafkaSource.model_validate(words), tmp_path) for _ in range(2))
        first.begin([0])
        second.begin([0])
        value = Records(np.zeros(1, int), np.zeros(1, int), np.zeros(1, int), packed([b'{"a":1}']))
        assert first.land(value, {0: 1}) == {}
        assert second.land(value, {0: 1}) == {0: 1}
        held = second.table
        first.land(Records(np.zeros(1, int), np.ones(1, int), np.zeros(1, int), packed([b'{"a":2}'])), {0: 2})
        with pytest.raises(Overtaken):  # the other's commit is behind the version that it holds
            held.append(pa.table({"a": pa.array([3], pa.int64())}), {0: 2})
        assert sorted(first.table.rows(["a"]).read_all()["a"].to_pylist()) == [1, 2]
