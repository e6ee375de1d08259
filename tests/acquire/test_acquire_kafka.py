"""A topic of Kafka as a source, over the wire: JSON with and without a schema, and Avro and Protobuf of a registry."""

from __future__ import annotations

import datetime as dt
import itertools
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.types as pt
import pytest

from bessemer.acquire.spec import AcquireSpec
from bessemer.acquire.stage import fingerprint
from bessemer.acquire.streams.client import login
from bessemer.acquire.streams.decoders.avro import AvroDecoder
from bessemer.acquire.streams.options import KafkaSource
from bessemer.acquire.streams.registry import Registry as Schemas
from bessemer.core.errors import BessemerError, DataError, UsageError
from bessemer.testing.sources import CHECKS, SECRET, Check, Options, read
from noida import Noida, running
from systems.kafka import Broker
from systems.schema_registry import Registry, registry

pytestmark = pytest.mark.slow
NUMBERS = itertools.count()
TIMED = {"schema": {"t": "timestamp"}}
WINDOWS = {"time": "t", "every": "5m", "columns": {"n": "count(*)"}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Noida]:
    with running("kafka", tmp_path_factory.mktemp("kafka")) as noida:
        yield noida


@pytest.fixture(scope="module")
def schemas() -> Iterator[Registry]:
    with registry("reader:right") as found:
        yield found


class Topics:
    """Tables as topics of JSON objects, whose types are said in the project file."""

    lacks = frozenset({"decimal", "infinite", "credentials", "schema change"})

    def __init__(self, server: Noida, folder: Path) -> None:
        self.server, self.broker, self.folder = server, Broker(server), folder
        self.names: dict[str, str] = {}

    def put(self, name: str, table: pa.Table) -> Options:
        self.names[name] = self.broker.topic(f"{name}-{next(NUMBERS)}", 2)
        self.add(name, table)
        self.given = {**self.options(self.names[name]), **self.told(table.schema)}
        return self.given

    def options(self, topic: str) -> Options:
        return {
            "kafka": self.server.address,
            "topic": topic,
            "land": str(self.folder / topic),
            "patience": 300,
        }

    def told(self, schema: pa.Schema) -> Options:
        return {"schema": {field.name: _type(field.type) for field in schema}}

    def add(self, name: str, table: pa.Table) -> None:
        for number, row in enumerate(table.to_pylist()):
            self.broker.send(self.names[name], [self.encode(name, row, table.schema)], number % 2, wait=False)
        self.broker.flush()

    def encode(self, name: str, row: Mapping[str, Any], schema: pa.Schema) -> bytes:
        return json.dumps(
            {key: value for key, value in row.items() if value is not None}, default=str, ensure_ascii=False
        ).encode()

    def missing(self, name: str) -> Options:
        return self.options(name)

    def refused(self, name: str) -> Options:
        raise NotImplementedError

    @contextmanager
    def interrupted(self) -> Iterator[None]:
        patient, self.given["patience"] = self.given["patience"], 3
        with self.broker.away(self.names["long"]):
            yield
        self.given["patience"] = patient


class UntypedTopics(Topics):
    """JSON objects that say their types themselves."""

    lacks = frozenset({"decimal", "infinite", "credentials", "date", "time", "zoned"})

    def told(self, schema: pa.Schema) -> Options:
        return {}


class AvroTopics(Topics):
    """Records as the official serializer writes them, with their schemas in a registry that wants a password."""

    lacks = frozenset({"nested"})

    def __init__(
        self, server: Noida, folder: Path, schemas: Registry, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from confluent_kafka.schema_registry import SchemaRegistryClient

        super().__init__(server, folder)
        self.schemas, self.monkeypatch = schemas, monkeypatch
        self.client = SchemaRegistryClient({"url": schemas.url, "basic.auth.user.info": schemas.login})
        self.serializers: dict[tuple[str, str], Any] = {}
        monkeypatch.setenv("REGISTRY_PASSWORD", "right")

    def told(self, schema: pa.Schema) -> Options:
        login = {"registry_username": "reader", "registry_password_env": "REGISTRY_PASSWORD"}
        return {"format": "avro", "registry": self.schemas.url, **login}

    def encode(self, name: str, row: Mapping[str, Any], schema: pa.Schema) -> bytes:
        from confluent_kafka.schema_registry.avro import AvroSerializer
        from confluent_kafka.serialization import MessageField, SerializationContext

        fields = [{"name": f.name, "type": ["null", _avro(f.type)], "default": None} for f in schema]
        text = json.dumps({"type": "record", "name": "Row", "fields": fields})
        topic = self.names[name]
        if (topic, text) not in self.serializers:
            self.serializers[topic, text] = AvroSerializer(self.client, text)
        found: bytes = self.serializers[topic, text](
            dict(row), SerializationContext(topic, MessageField.VALUE)
        )
        return found

    def refused(self, name: str) -> Options:
        self.monkeypatch.setenv("REGISTRY_PASSWORD", SECRET)
        return {**self.options(self.names[name]), **self.told(pa.schema([]))}


class ProtobufTopics(AvroTopics):
    """Messages as the official serializer writes them."""

    lacks = frozenset({"date", "decimal", "nested"})

    def told(self, schema: pa.Schema) -> Options:
        return {**super().told(schema), "format": "protobuf"}

    def encode(self, name: str, row: Mapping[str, Any], schema: pa.Schema) -> bytes:
        from confluent_kafka.schema_registry.protobuf import ProtobufSerializer
        from confluent_kafka.serialization import MessageField, SerializationContext
        from google.protobuf.message_factory import GetMessageClass

        from bessemer.acquire.streams.decoders.protobuf import compiled
        from bessemer.acquire.streams.registry import Text

        topic = self.names[name]
        text = _proto(schema)
        if (topic, text) not in self.serializers:
            kind = GetMessageClass(compiled(Text(text)).message_types_by_name["Row"])
            self.schemas.add(f"{topic}-value", text, "PROTOBUF")
            config = {"auto.register.schemas": False, "use.latest.version": True}
            self.serializers[topic, text] = kind, ProtobufSerializer(kind, self.client, config)
            self.client.clear_latest_caches()
        kind, serializer = self.serializers[topic, text]
        message = kind()
        for key, value in row.items():
            if isinstance(value, dt.datetime):
                getattr(message, key).FromDatetime(value)
            elif value is not None:
                setattr(message, key, value)
        found: bytes = serializer(message, SerializationContext(topic, MessageField.VALUE))
        return found


def _type(kind: pa.DataType) -> str:
    if pt.is_timestamp(kind) or pt.is_date(kind):
        return "date" if pt.is_date(kind) else "timestamp"
    if pt.is_integer(kind):
        return "integer"
    return "boolean" if pt.is_boolean(kind) else "number" if pt.is_floating(kind) else "string"


def _avro(kind: pa.DataType) -> Any:
    if pt.is_decimal(kind):
        return {"type": "bytes", "logicalType": "decimal", "precision": kind.precision, "scale": kind.scale}
    if pt.is_date(kind):
        return {"type": "int", "logicalType": "date"}
    if pt.is_timestamp(kind):
        return {"type": "long", "logicalType": f"{'' if kind.tz else 'local-'}timestamp-micros"}
    names = {"boolean": "boolean", "integer": "long", "number": "double", "string": "string"}
    return names[_type(kind)]


def _proto(schema: pa.Schema) -> str:
    names = {"boolean": "bool", "integer": "int64", "number": "double", "string": "string"}
    names["timestamp"] = "google.protobuf.Timestamp"
    fields = [f"optional {names[_type(f.type)]} {f.name} = {n};" for n, f in enumerate(schema, 1)]
    return (
        'syntax = "proto3"; import "google/protobuf/timestamp.proto"; message Row { '
        + " ".join(fields)
        + " }"
    )


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("kind", ["json", "untyped", "avro", "protobuf"])
def test_each_format_keeps_each_promise(
    check: Check, kind: str, server: Noida, schemas: Registry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    registered = {"avro": AvroTopics, "protobuf": ProtobufTopics}
    plain = {"json": Topics, "untyped": UntypedTopics}
    lake = tmp_path / "lake"
    system = (
        registered[kind](server, lake, schemas, monkeypatch)
        if kind in registered
        else plain[kind](server, lake)
    )
    check(system, tmp_path / "project")


@pytest.fixture
def broker(server: Noida) -> Broker:
    return Broker(server)


@pytest.fixture
def clicks(broker: Broker, tmp_path: Path) -> Options:
    """Options that read a topic of two partitions, without messages."""
    topic = broker.topic(f"clicks-{next(NUMBERS)}", 2)
    return {"kafka": broker.address, "topic": topic, "land": str(tmp_path / "lake"), "patience": 300}


def rows(*ids: int, **more: Any) -> list[bytes]:
    return [json.dumps({"id": number, "n": number / 2, **more}).encode() for number in ids]


def printed(options: Options, folder: Path) -> dict[str, str]:
    return fingerprint(AcquireSpec.model_validate({"sources": {"data": options}}), folder)


def test_a_run_lands_what_is_new_and_the_fingerprint_changes_with_it(
    broker: Broker, clicks: Options, tmp_path: Path
) -> None:
    from deltalake import DeltaTable

    broker.send(clicks["topic"], rows(0, 1, 2))
    before = printed(clicks, tmp_path)
    assert read(clicks, tmp_path / "p")["id"].to_pylist() == [0, 1, 2]
    version = DeltaTable(clicks["land"]).version()
    assert printed(clicks, tmp_path) == before
    assert read(clicks, tmp_path / "p").num_rows == 3
    assert DeltaTable(clicks["land"]).version() == version, "a run without new messages has committed"
    broker.send(clicks["topic"], rows(3, 4), 1)
    assert printed(clicks, tmp_path) != before
    assert read(clicks, tmp_path / "p")["id"].to_pylist() == [0, 1, 2, 3, 4]


def test_rows_come_in_the_order_of_partitions_and_offsets(
    broker: Broker, clicks: Options, tmp_path: Path
) -> None:
    spec = {**clicks, "metadata": ["partition", "offset", "timestamp", "key", "headers"], "batch": 3}
    for start in (0, 10, 20):
        broker.send(
            clicks["topic"], rows(*range(start, start + 5)), 1, key=b"\xff", headers=[("trace", b"7")]
        )
        broker.send(clicks["topic"], rows(*range(start + 5, start + 10)), 0, key=b"k")
    found = read({**spec}, tmp_path / "p").sort_by([("_partition", "ascending"), ("_offset", "ascending")])
    assert found["_offset"].to_pylist() == [*range(15), *range(15)]
    assert set(found["_key"].to_pylist()) == {"k", "base64:/w=="}
    assert set(found["_headers"].to_pylist()) == {None, '[["trace","7"]]'}
    age = dt.datetime.now(dt.UTC).replace(tzinfo=None) - found["_timestamp"].to_pylist()[0]
    assert dt.timedelta(0) <= age < dt.timedelta(hours=1)


def test_only_what_is_committed_lands(broker: Broker, clicks: Options, tmp_path: Path) -> None:
    broker.transaction(clicks["topic"], rows(0, 1), commit=True)
    broker.transaction(clicks["topic"], rows(90, 91), commit=False)
    assert read(clicks, tmp_path / "p")["id"].to_pylist() == [0, 1], "the end of the topic is an aborted one"
    broker.transaction(clicks["topic"], rows(2), commit=True)
    assert read(clicks, tmp_path / "p")["id"].to_pylist() == [0, 1, 2]


def test_poison_is_set_aside_with_its_bytes_and_its_reason(
    broker: Broker, clicks: Options, tmp_path: Path
) -> None:
    from deltalake import DeltaTable

    broker.send(clicks["topic"], [*rows(0), b"\xff{", b"[1]", *rows(1)])
    assert read(clicks, tmp_path / "p")["id"].to_pylist() == [0, 1]
    table = DeltaTable(clicks["land"]).to_pyarrow_table().sort_by("_offset").to_pylist()
    assert [(row["_offset"], row["_raw"]) for row in table if row["_error"]] == [(1, b"\xff{"), (2, b"[1]")]
    assert all("JSON" in row["_error"] or "object" in row["_error"] for row in table if row["_error"])


def test_too_much_poison_stops_the_run_and_nothing_of_it_lands(
    broker: Broker, clicks: Options, tmp_path: Path
) -> None:
    from deltalake import DeltaTable

    broker.send(clicks["topic"], [*rows(0), *[b"bad"] * 11])
    with pytest.raises(DataError, match="11 of 12 messages") as caught:
        read(clicks, tmp_path / "p")
    assert "offset 1: no JSON" in caught.value.why
    assert DeltaTable(clicks["land"]).to_pyarrow_table().num_rows == 0
    assert read({**clicks, "quarantine": 1.0}, tmp_path / "p")["id"].to_pylist() == [0]


def test_a_topic_of_poison_alone_says_so_whoever_has_landed_it(
    broker: Broker, clicks: Options, tmp_path: Path
) -> None:
    broker.send(clicks["topic"], [b"bad"])
    for _ in range(2):  # the second run lands nothing
        with pytest.raises(DataError, match="can be read: partition 0, offset 0: no JSON"):
            read(clicks, tmp_path / "p")


@pytest.mark.parametrize("tombstones", ["skip", "keep"])
def test_tombstones(tombstones: str, broker: Broker, clicks: Options, tmp_path: Path) -> None:
    broker.send(clicks["topic"], [*rows(0), None, *rows(1)], key=b"k")
    found = read({**clicks, "tombstones": tombstones, "metadata": ["key"]}, tmp_path / "p")
    assert found.num_rows == (2 if tombstones == "skip" else 3)
    assert [row["_key"] for row in found.to_pylist() if row["id"] is None] == ["k"] * (tombstones == "keep")


def test_a_new_field_is_a_new_column_and_a_misfit_is_poison(
    broker: Broker, clicks: Options, tmp_path: Path
) -> None:
    broker.send(clicks["topic"], rows(0))
    read(clicks, tmp_path / "p")
    broker.send(clicks["topic"], [*rows(1, late={"a": [1]}), b'{"id": "x"}', *rows(2)])
    found = read(clicks, tmp_path / "p")
    assert found["late"].to_pylist() == [None, '{"a":[1]}', None]
    assert found["id"].to_pylist() == [0, 1, 2]


def test_only_new_messages_from_the_latest_on(broker: Broker, clicks: Options, tmp_path: Path) -> None:
    options = {**clicks, "start": "latest"}
    broker.send(clicks["topic"], rows(0, 1))
    with pytest.raises(DataError, match="no messages"):
        read(options, tmp_path / "p")
    broker.send(clicks["topic"], rows(2, 3))
    assert read(options, tmp_path / "p")["id"].to_pylist() == [2, 3]


def test_a_table_of_another_topic_is_refused(broker: Broker, clicks: Options, tmp_path: Path) -> None:
    broker.send(clicks["topic"], rows(0))
    read(clicks, tmp_path / "p")
    other = broker.topic(f"other-{next(NUMBERS)}")
    broker.send(other, rows(0))
    with pytest.raises(DataError, match="something else") as caught:
        read({**clicks, "topic": other}, tmp_path / "p")
    assert clicks["topic"] in caught.value.why


def test_a_topic_that_was_made_anew_is_refused(broker: Broker, clicks: Options, tmp_path: Path) -> None:
    from confluent_kafka.admin import AdminClient

    broker.send(clicks["topic"], rows(0, 1))
    read(clicks, tmp_path / "p")
    admin = AdminClient({"bootstrap.servers": broker.address, "log_level": 0})
    for done in admin.delete_topics([clicks["topic"]]).values():
        done.result(120)
    broker.topic(clicks["topic"], 2)
    with pytest.raises(DataError, match="messages up to 2 have landed"):
        read(clicks, tmp_path / "p")


def test_windows_come_out_when_they_are_closed(broker: Broker, clicks: Options, tmp_path: Path) -> None:
    def event(minute: float, user: str, amount: float) -> bytes:
        at = dt.datetime(2026, 1, 1) + dt.timedelta(minutes=minute)
        return json.dumps({"ts": at.isoformat(), "user": user, "amount": amount}).encode()

    options = {
        **clicks,
        "schema": {"ts": "timestamp", "user": "string", "amount": "number"},
        "windows": {
            "time": "ts", "every": "5m", "by": ["user"], "late": "1m",
            "columns": {"clicks": "count(*)", "spent": "sum(amount)"},
        },
    }  # fmt: skip
    broker.send(
        clicks["topic"], [event(1, "a", 1), event(4, "b", 2), event(2.5, "a", 100), event(6.5, "a", 4)]
    )
    found = read(options, tmp_path / "p").to_pylist()
    start = dt.datetime(2026, 1, 1)
    assert [(row["user"], row["clicks"], row["spent"]) for row in found] == [("a", 1, 1.0), ("b", 1, 2.0)]
    assert {(row["window_start"], row["window_end"]) for row in found} == {
        (start, start + dt.timedelta(minutes=5))
    }
    broker.send(clicks["topic"], [event(3, "b", 8), event(30, "a", 1)], 1)
    again = read(options, tmp_path / "p").to_pylist()
    assert ("b", 2, 10.0) in [(row["user"], row["clicks"], row["spent"]) for row in again]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"kafka": "me:abc@host:9092", "format": "jsn"}, "format"),
        ({"username": "me"}, "password_env"),
        ({"settings": {"sasl.password": "abc"}}, "is a secret"),
        ({"settings": {"isolation.level": "x"}}, "set by Bessemer"),
        ({"settings": {"security.protocol": "SSL"}}, "use `tls`"),
        ({"settings": {"sasl.mechanisms": "PLAIN"}}, "use `tls`, `mechanism`"),
        ({"settings": {"group.protocol": "consumer"}}, "set by Bessemer"),
        ({"schema": {"_offset": "integer"}}, "a name that is kept"),
        ({"schema": {"user": "string", "User": "string"}}, "only by case from 'user'"),
        ({"schema": {"a": "nubmer"}}, "did you mean 'number'"),
        ({"format": "avro"}, "needs `registry`"),
        ({"windows": WINDOWS}, "need `schema`"),
        ({**TIMED, "windows": {**WINDOWS, "columns": {"n": "(select 1)"}}}, "may only have"),
        ({**TIMED, "windows": {**WINDOWS, "columns": {"n": "n"}}}, "is no aggregate"),
    ],
)
def test_options_that_cannot_be_are_refused_in_words(more: Options, words: str) -> None:
    options = {"kafka": "host:9092", "topic": "t", "land": "lake", **more}
    with pytest.raises(ValueError, match=words):
        AcquireSpec.model_validate({"sources": {"data": options}})


def test_the_client_is_told_the_login_and_the_certificates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_PASSWORD", SECRET)
    monkeypatch.setenv("KAFKA_USER", "ann")
    (tmp_path / "ca.pem").write_text("x")
    words = {
        "kafka": "host:9092", "topic": "t", "land": "lake", "ca": "ca.pem", "username": "${KAFKA_USER}",
        "password_env": "KAFKA_PASSWORD", "mechanism": "SCRAM-SHA-512", "settings": {"session.timeout.ms": 9000},
    }  # fmt: skip
    said = login(KafkaSource.model_validate(words), "host:9092", tmp_path, "acquire.sources.t")
    assert said == {
        "bootstrap.servers": "host:9092", "security.protocol": "SASL_SSL", "session.timeout.ms": 9000,
        "ssl.ca.location": str(tmp_path / "ca.pem"), "sasl.mechanism": "SCRAM-SHA-512", "sasl.username": "ann",
        "sasl.password": SECRET,
    }  # fmt: skip
    with pytest.raises(DataError, match=r"no file 'no\.pem'"):
        login(
            KafkaSource.model_validate({**words, "ca": "no.pem"}), "host:9092", tmp_path, "acquire.sources.t"
        )


@pytest.mark.parametrize(
    ("kafka", "more", "protocol"),
    [
        ("127.0.0.1:9092,localhost:9093,[::1]:9094", {}, "SASL_PLAINTEXT"),
        ("localhost:9092,host:9092", {}, ""),
        ("host", {}, ""),
        ("host:9092", {"tls": False}, "SASL_PLAINTEXT"),
        ("host:9092", {"tls": True}, "SASL_SSL"),
        ("host:9092", {"mechanism": "SCRAM-SHA-256"}, "SASL_PLAINTEXT"),
        ("host:9092", {"settings": {"ssl.cipher.suites": "DEFAULT"}}, "SASL_SSL"),
    ],
)
def test_a_password_goes_over_the_wire_in_clear_text_only_where_it_is_said(
    kafka: str, more: Options, protocol: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_PASSWORD", SECRET)
    words = {
        "kafka": kafka, "topic": "t", "land": "lake", "username": "me", "password_env": "KAFKA_PASSWORD", **more,
    }  # fmt: skip
    options = KafkaSource.model_validate(words)
    if protocol:
        assert login(options, kafka, tmp_path, "acquire.sources.t")["security.protocol"] == protocol
    else:
        with pytest.raises(UsageError, match="in clear text"):
            login(options, kafka, tmp_path, "acquire.sources.t")


def test_schemas_that_a_schema_imports_come_from_the_registry(schemas: Registry) -> None:
    """Each before the one that imports it, also where it is no record's; one that is not there is a fault."""
    colour = schemas.add("colour", '{"type":"enum","name":"Colour","symbols":["RED","BLUE"]}', "AVRO")
    car = '{"type":"record","name":"Car","fields":[{"name":"colour","type":"Colour"}]}'
    schemas.add("car", car, "AVRO", [{"name": "Colour", "subject": "colour", "version": 1}])
    owner = '{"type":"record","name":"Owner","fields":[{"name":"car","type":"Car"}]}'
    there = schemas.add("owner", owner, "AVRO", [{"name": "Car", "subject": "car", "version": 1}])
    gone = schemas.add("owner", owner, "AVRO", [{"name": "Car", "subject": "none", "version": 1}])
    values = [bytes([0]) + number.to_bytes(4, "big") + b"\2" for number in (there, gone, colour)]
    found = AvroDecoder(Schemas(schemas.url, ("reader", "right"))).decode(values, {})
    assert found.table.to_pylist() == [{"car": '{"colour":"BLUE"}'}]
    assert "version 1 of the subject 'none', which the schema imports" in found.faults[1]
    assert "no schema of a record" in found.faults[2]


def test_a_password_that_is_refused_shows_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that closes the connection to a client that logs in: no error, no log shows what was said to it."""
    monkeypatch.setenv("KAFKA_PASSWORD", SECRET)
    options = {
        "kafka": "127.0.0.1:1", "topic": "t", "land": str(tmp_path / "l"), "patience": 1,
        "username": "me", "password_env": "KAFKA_PASSWORD", "mechanism": "SCRAM-SHA-256",
    }  # fmt: skip
    with pytest.raises(BessemerError) as caught:
        read(options, tmp_path / "p")
    assert SECRET not in str(caught.value)
