"""Elasticsearch as a source, over the wire: a server that speaks it, the official client, and what goes wrong."""

from __future__ import annotations

import datetime as dt
import http.client
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from elasticsearch import Elasticsearch as Client
from elasticsearch import helpers
from pydantic import TypeAdapter, ValidationError

import bessemer
import noida
from bessemer.acquire.elastic_fields import Fields, fields_of
from bessemer.acquire.plugins import SOURCES
from bessemer.acquire.sources.elasticsearch import ElasticsearchSource
from bessemer.acquire.spec import SourceSpec
from bessemer.core.errors import DataError, UsageError

PAGE = (Path(__file__).parents[2] / "docs" / "elastic.md").read_text("utf-8")
MAPPING = {
    "properties": {
        "when": {"type": "date", "format": "dd/MM/yyyy HH:mm||strict_date_optional_time||epoch_millis"},
        "amount": {"type": "double"},
        "count": {"type": "integer"},
        "paid": {"type": "boolean"},
        "segment": {"type": "keyword", "ignore_above": 8},
        "note": {"type": "text", "fields": {"keyword": {"type": "keyword"}}},
        "customer": {
            "properties": {"id": {"type": "long"}, "address": {"properties": {"city": {"type": "keyword"}}}}
        },
        "items": {"type": "nested", "properties": {"price": {"type": "double"}}},
        "place": {"type": "geo_point"},
        "tags": {"type": "keyword"},
        "same": {"type": "alias", "path": "amount"},
        "kept": {"type": "object", "enabled": False},
        "never": {"type": "long"},
    }
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[noida.Noida]:
    with noida.running("elasticsearch", tmp_path_factory.mktemp("noida")) as found:
        yield found


@pytest.fixture
def client(server: noida.Noida) -> Iterator[Client]:
    with Client(server.url, max_retries=0) as found:
        yield found
        for name in found.indices.get_alias(index="*").body:
            found.indices.delete(index=name)


def fill(client: Client, index: str, documents: list[dict[str, Any]], mapping: Any = MAPPING) -> None:
    if not client.indices.exists(index=index):
        client.indices.create(index=index, mappings=mapping)
    actions = [{"_index": index, "_id": str(i), "_source": each} for i, each in enumerate(documents)]
    helpers.bulk(client, actions, refresh=True)


def batches(url: str, index: str, **options: Any) -> Iterator[pa.RecordBatch]:
    found: ElasticsearchSource = TypeAdapter(SourceSpec).validate_python(
        {"elasticsearch": url, "index": index, **options}
    )
    assert isinstance(found, ElasticsearchSource)
    relation = SOURCES.load("elasticsearch")("s", found).open(None, None)  # type: ignore[arg-type]
    assert relation.batches is not None
    return relation.batches


def read(url: str, index: str, **options: Any) -> pa.Table:
    return pa.Table.from_batches(list(batches(url, index, **options)))


def test_every_option_is_in_the_page() -> None:
    assert not [name for name in ElasticsearchSource.model_fields if f"`{name}`" not in PAGE]


def test_secrets_stand_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for wrong in ({"elasticsearch": "http://me:secret@c"}, {"elasticsearch": "http://c", "username": "me"}):
        with pytest.raises(ValidationError):
            TypeAdapter(SourceSpec).validate_python({"index": "a", **wrong})
    monkeypatch.delenv("NO_SUCH", raising=False)
    with pytest.raises(UsageError, match="NO_SUCH is not set"):
        read("http://127.0.0.1:9", "a", api_key_env="NO_SUCH")


def test_types_that_disagree_become_the_wider_one() -> None:
    one = {
        "properties": {
            "a": {"type": "long"},
            "b": {"type": "date"},
            "c": {"type": "integer"},
            "d": {"type": "ip"},
        }
    }
    two = {"properties": {"a": {"type": "half_float"}, "b": {"type": "long"}, "c": {"type": "unsigned_long"}}}
    assert fields_of([one, two]) == {"a": "number", "b": "text", "c": "number", "d": "text"}


def test_values_that_are_not_of_their_type_are_named() -> None:
    fields = Fields({"n": "integer", "w": "time", "u": "unsigned"}, [], "es/index")
    good = {"_id": "1", "fields": {"n": ["7"], "w": ["2026-01-01T02:00:00.123456+02:00"], "u": [2**64 - 1]}}
    row = fields.batch([good, {"_id": "2"}]).to_pylist()
    assert row == [
        {"n": 7, "w": dt.datetime(2026, 1, 1, 0, 0, 0, 123456), "u": 2**64 - 1}, {"n": None, "w": None, "u": None},
    ]  # fmt: skip
    for name, value in (("n", "many"), ("n", True), ("w", "soon"), ("w", [])):
        with pytest.raises(DataError, match=f"'{name}' of document 'x'"):
            fields.batch([{"_id": "x", "fields": {name: [value]}}])


@pytest.mark.slow
def test_every_type_of_the_mapping(server: noida.Noida, client: Client) -> None:
    whole = {
        "when": "31/12/2025 23:10", "amount": 1.5, "count": "7", "paid": "true", "segment": "a very long one",
        "note": "two words", "customer": {"id": 2**40 + 1, "address": {"city": "Łódź"}},
        "items": [{"price": 1.0}, {"price": 2.0}], "place": {"lat": 1, "lon": 2}, "tags": "x", "kept": {"a": 1},
    }  # fmt: skip
    fill(
        client,
        "all",
        [
            whole,
            {"when": 1_700_000_000_123, "paid": None, "customer": {"address": None}},
            {"when": "2026-01-01T00:00:00+02:00"},
        ],
    )
    table = read(server.url, "all")
    assert {field.name: str(field.type) for field in table.schema} == {
        "when": "timestamp[us]", "amount": "double", "count": "int64", "paid": "bool", "segment": "string",
        "note": "string", "customer.id": "int64", "customer.address.city": "string", "items": "string",
        "place": "string", "tags": "string", "never": "int64",
    }  # fmt: skip
    first, second, third = table.to_pylist()
    assert first["when"] == dt.datetime(2025, 12, 31, 23, 10)
    assert (first["amount"], first["count"], first["paid"]) == (1.5, 7, True)
    assert first["segment"] == "a very long one", "longer than is indexed, and still there"
    assert (first["customer.id"], first["customer.address.city"]) == (2**40 + 1, "Łódź")
    assert first["items"] == '[{"price": [1.0]}, {"price": [2.0]}]'
    assert '"coordinates": [2.0, 1.0]' in first["place"]
    assert second["when"] == dt.datetime(2023, 11, 14, 22, 13, 20, 123_000)
    assert third["when"] == dt.datetime(2025, 12, 31, 22)
    assert {name for name, value in second.items() if value is not None} == {"when"}
    assert {value for row in (first, second, third) if (value := row["never"])} == set()


@pytest.mark.slow
def test_pages_follow_each_other_and_each_document_comes_once(server: noida.Noida, client: Client) -> None:
    fill(client, "many", [{"count": i, "amount": i / 2} for i in range(2503)])
    found = list(batches(server.url, "many", page=100, sort=["-count"]))
    assert [batch.num_rows for batch in found] == [100] * 25 + [3]
    counts = pa.Table.from_batches(found)["count"].to_pylist()
    assert counts == list(range(2502, -1, -1))
    assert sorted(read(server.url, "many", page=7)["count"].to_pylist()) == list(range(2503))
    assert read(server.url, "many", page=2503).num_rows == 2503, "a last page that is full"


@pytest.mark.slow
def test_the_query_and_the_fields_are_those_of_the_file(server: noida.Noida, client: Client) -> None:
    fill(client, "some", [{"count": i, "segment": "ab"[i % 2], "customer": {"id": i}} for i in range(10)])
    query = {"bool": {"filter": [{"range": {"count": {"gte": 4}}}, {"term": {"segment": "b"}}]}}
    table = read(server.url, "some", query=query, fields=["count", "customer.*"], sort=["count"])
    assert set(table.column_names) == {"count", "customer.id", "customer.address.city"}
    assert table.column_names[0] == "count", "in the order of the file"
    assert table["customer.id"].to_pylist() == [5, 7, 9]
    with pytest.raises(DataError, match="no field 'coutn'") as told:
        read(server.url, "some", fields=["coutn"])
    assert "did you mean 'count'" in told.value.fix
    with pytest.raises(DataError, match="cannot be read") as told:
        read(server.url, "some", query={"rnage": {"count": {}}})
    assert "rnage" in told.value.why
    assert "`query`" in told.value.fix


@pytest.mark.slow
def test_several_values_are_lists_where_it_is_said(server: noida.Noida, client: Client) -> None:
    fill(client, "lists", [{"count": 1, "tags": "x"}, {"count": 2, "tags": ["y", "z"]}, {"count": 3}])
    with pytest.raises(DataError, match="'tags' of document '1' has 2 values") as told:
        read(server.url, "lists")
    assert "`lists: [tags]`" in told.value.fix
    table = read(server.url, "lists", lists=["tags"], sort=["count"])
    assert table["tags"].to_pylist() == [["x"], ["y", "z"], None]


@pytest.mark.slow
def test_indices_of_a_pattern_are_one_table(server: noida.Noida, client: Client) -> None:
    """As after a change of the mapping: a field has become another, and one is new."""
    before = {"count": {"type": "double"}, "old": {"type": "keyword"}}
    after = {"count": {"type": "integer"}, "old": {"type": "long"}, "new": {"type": "boolean"}}
    fill(client, "log-1", [{"count": 1.5, "old": "7"}], {"properties": before})
    fill(client, "log-2", [{"count": 2, "old": 8, "new": True}], {"properties": after})
    table = read(server.url, "log-*", sort=["count"])
    assert table.to_pylist() == [
        {"count": 1.5, "old": "7", "new": None}, {"count": 2.0, "old": "8", "new": True},
    ]  # fmt: skip


@pytest.mark.slow
def test_a_field_that_comes_while_it_is_read_is_not_a_column(server: noida.Noida, client: Client) -> None:
    fill(client, "grows", [{"count": i} for i in range(20)])
    reading = batches(server.url, "grows", page=5, sort=["count"])
    first = next(reading)
    client.indices.put_mapping(index="grows", properties={"fresh": {"type": "long"}})
    client.index(index="grows", id="fresh", document={"count": -1, "fresh": 1}, refresh=True)
    client.index(index="grows", id="19", document={"count": 19, "fresh": 1}, refresh=True)
    rest = list(reading)
    assert {batch.schema for batch in rest} == {first.schema}
    assert "fresh" not in first.schema.names
    counts = [value for batch in (first, *rest) for value in batch["count"].to_pylist()]
    assert counts == list(range(20))


@pytest.mark.slow
def test_what_is_not_there_is_told(server: noida.Noida, client: Client, tmp_path: Path) -> None:
    fill(client, "orders", [])
    client.indices.create(index="bare")
    client.indices.put_alias(index="orders", name="purchases")
    for wrong, right in (("order", "orders"), ("purchase", "purchases"), ("ordesr-*", "orders")):
        with pytest.raises(DataError, match=f"no index '{wrong[:-2]}") as told:
            read(server.url, wrong)
        assert f"did you mean '{right}'" in told.value.fix
    with pytest.raises(DataError, match="has no fields"):
        read(server.url, "bare")
    file = tmp_path / "bessemer.yaml"
    file.write_text(
        f"target: count\nacquire: {{sources: {{o: {{elasticsearch: '{server.url}', index: orders}}}}}}\n"
    )
    with pytest.raises(DataError, match="source 'o' gave no rows"):
        bessemer.Project(file).run(upto="acquire")


@pytest.mark.slow
def test_a_project_reads_it_with_other_sources(server: noida.Noida, client: Client, tmp_path: Path) -> None:
    fill(
        client,
        "shop-1",
        [{"when": 1_700_000_000_000 + i, "amount": i / 2, "segment": "ab"[i % 2]} for i in range(200)],
    )
    (tmp_path / "segments.csv").write_text("segment,share\na,0.5\nb,0.25\n")
    (tmp_path / "bessemer.yaml").write_text(
        f"""
target: amount
acquire:
  sources:
    orders: {{elasticsearch: "{server.url}", index: "shop-*", fields: [when, amount, segment], sort: [when], page: 64}}
    segments: {{csv: segments.csv}}
  sql: select o.*, s.share from orders o join segments s using (segment) order by amount
"""
    )
    project = bessemer.Project(tmp_path / "bessemer.yaml")
    project.run(upto="validate")
    meta = project.artifact("raw").meta
    assert meta["rows"] == 200
    assert {each["name"]: each["dtype"] for each in meta["columns"]} == {
        "when": "TIMESTAMP", "amount": "DOUBLE", "segment": "VARCHAR", "share": "DOUBLE",
    }  # fmt: skip
    assert meta["sources"]["orders"]["uri"] == f"{server.url}/shop-*"
    assert meta["sources"]["orders"]["rows"] == 200
    project.run(upto="validate")
    again = project.artifact("raw").meta["sources"]["orders"]["fingerprint"]
    assert again == meta["sources"]["orders"]["fingerprint"], "the same rows are the same data"


@pytest.mark.slow
def test_only_documents_that_are_new_are_read(server: noida.Noida, client: Client, tmp_path: Path) -> None:
    """By a date with a format of its own, with documents that come late and one that changes."""
    mapping = {
        "properties": {
            "at": {"type": "date", "format": "yyyy/MM/dd HH:mm:ss"},
            "n": {"type": "long"},
            "v": {"type": "double"},
        }
    }
    fill(
        client, "grown", [{"at": f"2024/05/01 10:00:{i:02d}", "n": i, "v": i / 2} for i in range(20)], mapping
    )
    (tmp_path / "bessemer.yaml").write_text(
        f"""
target: v
acquire:
  sources:
    orders:
      elasticsearch: "{server.url}"
      index: grown
      query: {{range: {{n: {{gte: 1}}}}}}
      incremental: {{cursor: at, key: [n], overlap: 5s}}
"""
    )
    project = bessemer.Project(tmp_path / "bessemer.yaml")
    first = project.run(upto="acquire")
    assert project.artifact("raw").meta["rows"] == 19
    changed = [
        {"at": "2024/05/01 10:00:21", "n": 3, "v": 9.0},
        {"at": "2024/05/01 10:00:16", "n": 30, "v": 1.0},
    ]
    for i, each in enumerate(changed):
        client.index(index="grown", id=f"new-{i}" if i else "3", document=each, refresh=True)
    second = project.run(upto="acquire")
    (said,) = (note["text"] for note in second.stages[0].notes if "since" in note["text"])
    assert said == "source 'orders': 2 new or changed rows since at 2024-05-01 10:00:14"
    found = project.snapshots.diff("v1", "v2", key=["n"])
    assert found["rows"] == {"before": 19, "after": 20, "added": 1, "removed": 0, "changed": 1, "same": 18}
    assert project.snapshots.find("v2").sources["orders"]["position"]["at"] == "2024-05-01 10:00:21"
    third = project.run(upto="acquire")
    assert (third.data["snapshot"], first.data["snapshot"]) == ("v2", "v1")


class Gate:
    """Stands before a server and wants a key, as one with security does; notes what was asked."""

    def __init__(self, to: noida.Noida, wants: str) -> None:
        gate = self
        self.asked: list[tuple[str, str]] = []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                gate.asked.append((self.command, self.path.partition("?")[0]))
                status, said, headers = (
                    401,
                    b'{"error": {"type": "security_exception", "reason": "no such key"}}',
                    {},
                )
                if self.headers.get("authorization") == wants:
                    through = http.client.HTTPConnection(to.address, timeout=300)
                    kept = {
                        name: self.headers[name]
                        for name in ("content-type", "accept")
                        if name in self.headers
                    }
                    through.request(self.command, self.path, body, kept)
                    found = through.getresponse()
                    status, said, headers = found.status, found.read(), dict(found.getheaders())
                self.send_response(status)
                self.send_header("x-elastic-product", "Elasticsearch")
                self.send_header("content-type", headers.get("Content-Type", "application/json"))
                self.send_header("content-length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            do_GET = do_POST = do_PUT = do_DELETE = answer

            def log_message(self, *_: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def gate(server: noida.Noida) -> Iterator[Gate]:
    found = Gate(server, "ApiKey a2V5")
    yield found
    found.server.shutdown()
    found.server.server_close()


@pytest.mark.slow
def test_wrong_credentials_are_told_and_right_ones_go_through(
    gate: Gate, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(client, "safe", [{"count": 1}])
    monkeypatch.setenv("ES_KEY", "d3Jvbmc=")
    monkeypatch.setenv("ES_PASSWORD", "wrong")
    for login in ({}, {"api_key_env": "ES_KEY"}, {"username": "me", "password_env": "ES_PASSWORD"}):
        with pytest.raises(DataError, match="cannot be read") as told:
            read(gate.url, "safe", **login)
        assert told.value.why == "no such key"
        assert "API key" in told.value.fix
        assert "d3Jvbmc" not in str(told.value)
    monkeypatch.setenv("ES_KEY", "a2V5")
    assert read(gate.url, "safe", api_key_env="ES_KEY").num_rows == 1


@pytest.mark.slow
def test_the_point_in_time_is_closed_whatever_happens(
    gate: Gate, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(client, "closed", [{"count": i, "tags": ["a", "b"] if i == 30 else "a"} for i in range(40)])
    monkeypatch.setenv("ES_KEY", "a2V5")
    with pytest.raises(DataError, match="has 2 values"):
        read(gate.url, "closed", api_key_env="ES_KEY", page=10)
    reading = batches(gate.url, "closed", api_key_env="ES_KEY", page=10)
    next(reading)
    reading.close()  # type: ignore[attr-defined]
    read(gate.url, "closed", api_key_env="ES_KEY", fields=["count"])
    assert gate.asked.count(("DELETE", "/_pit")) == 3
    assert gate.asked.count(("POST", "/closed/_pit")) == 3


@pytest.mark.slow
def test_a_server_that_goes_away_in_the_middle_ends_the_reading(tmp_path: Path) -> None:
    """Nothing is taken for the whole that is a part; started again, all of it is read."""
    with noida.running("elasticsearch", tmp_path / "noida") as server:
        with Client(server.url) as client:
            fill(client, "cut", [{"count": i} for i in range(50)])
            client.indices.flush(index="cut")
        reading = batches(server.url, "cut", page=10)
        next(reading)
        server.kill()
        with pytest.raises(DataError, match=r"'http://.*/cut' cannot be read"):
            list(reading)


@pytest.mark.slow
def test_a_reading_that_pauses_too_long_is_told_what_to_do(
    gate: Gate, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(client, "slow", [{"count": i} for i in range(50)])
    monkeypatch.setenv("ES_KEY", "a2V5")
    made: list[str] = []
    opened = Client.open_point_in_time

    def noted(self: Any, **arguments: Any) -> Any:
        answer = opened(self, **arguments)
        made.append(answer["id"])
        return answer

    monkeypatch.setattr(Client, "open_point_in_time", noted)
    reading = batches(gate.url, "slow", api_key_env="ES_KEY", page=10)
    next(reading)
    client.close_point_in_time(id=made[0])  # as the server does when nobody has asked for a time
    with pytest.raises(DataError) as told:
        list(reading)
    assert "keep_alive" in told.value.fix
