"""Findings and windows in Elasticsearch: each once, with its types, and a dashboard whose every chart has an answer."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from alert_support import Listener, absent, at, drift, kept, listening, notice, text
from click.testing import CliRunner
from elasticsearch import Elasticsearch as Client
from log_support import Server, watching
from smtp_support import authority

import noida
from bessemer.cli import group
from bessemer.core.elastic.faults import ElasticFault, of_answer
from bessemer.core.elastic.setup import set_up
from bessemer.core.elastic.templates import KINDS, PROPERTIES, component_templates, index_templates, policies
from bessemer.core.errors import UsageError
from bessemer.monitor.alerts.courier import Couriers
from bessemer.monitor.alerts.open_alerts import window_notice
from bessemer.monitor.elastic.dashboard import ROWS, WIDTH, charts, saved_objects, to_ndjson
from bessemer.monitor.elastic.documents import documents
from bessemer.monitor.elastic.files import files, write
from bessemer.monitor.plugins import SINKS
from bessemer.monitor.sinks.settings import SinkFault
from bessemer.serve.log.catch_up import catch_up
from bessemer.serve.log.roller import roll
from bessemer.serve.log.spec import LogSpec

PAGE = (Path(__file__).parents[2] / "docs" / "elastic.md").read_text("utf-8")
COMMON = {"@timestamp", "model.name", "model.version"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[noida.Noida]:
    with noida.running("elasticsearch", tmp_path / "noida") as found:
        yield found


@pytest.fixture
def listener() -> Iterator[Listener]:
    with listening() as found:
        yield found


def sink(url: str, **settings: Any) -> Any:
    found = SINKS.load("elasticsearch")
    return found(found.Settings.model_validate({"url": url, "timeout": "300s", **settings}))


def there(server: noida.Noida, kind: str) -> list[dict[str, Any]]:
    client = Client(server.url, max_retries=0)
    client.indices.refresh(index="bessemer-*")
    return [hit["_source"] for hit in client.search(index=f"bessemer-{kind}-*", size=1000)["hits"]["hits"]]


def fields(kind: str) -> set[str]:
    """The fields that the templates of a kind know."""

    def leaves(properties: Any, path: str = "") -> Iterator[str]:
        for name, mapping in properties.items():
            if "properties" in mapping:
                yield from leaves(mapping["properties"], f"{path}{name}.")
            else:
                yield path + name

    return COMMON | set(leaves(PROPERTIES[kind]))


# documents ---------------------------------------------------------------------------------------------
def test_every_setting_kind_and_field_is_in_the_page() -> None:
    settings = SINKS.load("elasticsearch").Settings.model_fields
    names = [
        *settings,
        *(name for kind in KINDS for name in fields(kind)),
        *(f"bessemer-{kind}" for kind in KINDS),
    ]
    assert not [name for name in names if f"`{name}`" not in PAGE and f"`{name}-" not in PAGE]


def test_a_finding_is_one_document() -> None:
    (found,) = documents(notice(body={**notice().body, "value": float("inf"), "p_value": 0.001}), "b")
    assert (found.index, found.id) == ("b-findings-2026.03.01", notice().id)
    source = found.source
    assert source["@timestamp"] == "2026-03-01T02:00:00.000000Z"
    assert source["model"] == {"name": "tiny", "version": "1.0.0"}
    assert (source["column"], source["detector"], source["p_value"]) == ("tenure", "psi", 0.001)
    assert "value" not in source, "JSON has no infinity"
    json.dumps(source, allow_nan=False)
    assert {*source} - {"@timestamp", "model"} <= set(PROPERTIES["findings"])


def test_a_window_is_a_document_and_one_for_each_test() -> None:
    window = kept(1, drift("tenure", found=True), drift("contract", found=False), absent("autopay"))
    first, *tests = documents(window_notice(window, text(at(3))), "b")
    assert (first.index, {each.index for each in tests}) == ("b-windows-2026.03.01", {"b-tests-2026.03.01"})
    assert first.source["findings"] == 2
    assert first.source["alarm"] is True
    assert {(each.source["column"], each.source["found"]) for each in tests} == {
        ("tenure", True), ("contract", False), ("autopay", True),
    }  # fmt: skip
    for each in tests:
        assert {*each.source} - {"@timestamp", "model"} <= set(PROPERTIES["tests"])
    again = kept(1, drift("tenure", found=True), looks=2)
    assert next(iter(documents(window_notice(again, text(at(30))), "b"))).id == first.id, (
        "a later look replaces it"
    )
    other = kept(1, version="1.0.1")
    assert next(iter(documents(window_notice(other, text(at(3))), "b"))).id != first.id


# templates -----------------------------------------------------------------------------------------------
def test_templates_name_only_what_there_is() -> None:
    components = {name for name, _ in component_templates("b")}
    for name, body in index_templates("b"):
        assert set(body["composed_of"]) <= components, name
        assert body["index_patterns"] == [f"{name}-*"]
    named = {
        body["template"]["settings"]["index"]["lifecycle"]["name"]
        for name, body in component_templates("b")
        if name.endswith("settings")
    }
    assert named == {name for name, _ in policies("b")}
    assert "lifecycle" not in json.dumps(list(component_templates("b", lifecycle=False)))


def test_phases_of_a_policy_follow_each_other() -> None:
    """As the reference of index lifecycle management has them: phases, and the actions each allows."""
    allowed = {
        "hot": {"set_priority", "rollover", "unfollow", "readonly", "downsample", "shrink", "forcemerge"},
        "warm": {
            "set_priority",
            "unfollow",
            "readonly",
            "downsample",
            "allocate",
            "migrate",
            "shrink",
            "forcemerge",
        },
        "delete": {"wait_for_snapshot", "delete"},
    }
    for _, body in policies("b"):
        ages = []
        for phase, said in body["phases"].items():
            assert set(said["actions"]) <= allowed[phase]
            count, unit = re.fullmatch(r"(\d+)(ms|d)", said["min_age"]).groups()  # type: ignore[union-attr]
            ages.append(int(count) * {"ms": 1, "d": 86_400_000}[unit])
        assert ages == sorted(ages)


def test_a_policy_goes_where_the_server_has_them(listener: Listener) -> None:
    """A server with index lifecycle management gets the policies, and templates that name them."""
    seen: list[tuple[str, Any]] = []

    def answer(request: Any) -> tuple[int, bytes]:
        seen.append((request.path, json.loads(request.body)))
        return 200, b'{"acknowledged": true}'

    listener.answer = answer
    listener.headers = {"X-Elastic-Product": "Elasticsearch", "content-type": "application/json"}
    done = set_up(Client(listener.url, max_retries=0), "b")
    assert done.lifecycle
    assert len(done.put) == len(seen) == 2 + 3 + 5
    assert dict(seen)["/_ilm/policy/b-log"]["policy"] == dict(policies("b"))["b-log"]
    for path, body in files("b"):
        if path.startswith("_"):
            assert dict(seen)["/" + path.removesuffix(".json")] == json.loads(body), (
                "the files are what is put"
            )


# the dashboard -------------------------------------------------------------------------------------------
def test_objects_refer_to_each_other_only() -> None:
    objects = [json.loads(line) for line in to_ndjson(saved_objects("b")).splitlines()]
    ids = {(each["type"], each["id"]) for each in objects}
    assert len(ids) == len(objects)
    for each in objects:
        assert {(ref["type"], ref["id"]) for ref in each["references"]} <= ids
        names = [ref["name"] for ref in each["references"]]
        assert len(set(names)) == len(names)


def test_panels_fill_the_grid_and_name_their_charts() -> None:
    dashboard = saved_objects("b")[-1]
    panels = json.loads(dashboard["attributes"]["panelsJSON"])
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        grid = panel["gridData"]
        cells = {
            (x, y)
            for x in range(grid["x"], grid["x"] + grid["w"])
            for y in range(grid["y"], grid["y"] + grid["h"])
        }
        assert not cells & taken
        taken |= cells
        assert f"{panel['panelIndex']}:{panel['panelRefName']}" in {
            ref["name"] for ref in dashboard["references"]
        }
    assert {x for x, _ in taken} == set(range(WIDTH))
    assert len(taken) == WIDTH * sum(height for height, _ in ROWS)
    controls = json.loads(dashboard["attributes"]["controlGroupInput"]["panelsJSON"])
    assert {each["explicitInput"]["fieldName"] for each in controls.values()} <= fields("predictions")


@pytest.mark.parametrize("chart", list(charts()), ids=lambda chart: chart.name)
def test_a_chart_asks_for_fields_that_there_are(chart: Any) -> None:
    state = chart.saved("b")["attributes"]["state"]
    (layer,) = state["datasourceStates"]["formBased"]["layers"].values()
    asked = {column["sourceField"] for column in layer["columns"].values()} - {"___records___"}
    asked |= {name for name, _ in clauses(chart.where)}
    assert asked <= fields(chart.kind)
    assert layer["columnOrder"] == list(layer["columns"])
    shown = json.dumps(state["visualization"])
    assert all(f'"{name}"' in shown for name in layer["columns"]), "every column is shown"


def clauses(kql: str) -> list[tuple[str, str]]:
    """Field and value of `a : b and c : d`, which is all the KQL there is here."""
    return [tuple(part.split(" : ")) for part in kql.split(" and ")] if kql else []  # type: ignore[misc]


def query(kql: str) -> dict[str, Any]:
    found = [
        {"exists": {"field": name}} if value == "*" else {"term": {name: value}}
        for name, value in clauses(kql)
    ]
    return {"bool": {"filter": found}} if found else {"match_all": {}}


def asked(chart: Any) -> dict[str, Any]:
    """What Lens asks Elasticsearch for a chart: buckets within buckets, and the measures in the innermost."""
    aggregations: dict[str, Any] = {"measured": {"filter": {"match_all": {}}, "aggs": {}}}
    for number, measure in enumerate(chart.measures):
        inner: dict[str, Any] = {
            "average": {"avg": {"field": measure.field}},
            "max": {"max": {"field": measure.field}},
            "last_value": {"top_hits": {"size": 1, "sort": [{"@timestamp": "desc"}]}},
        }.get(measure.operation, {"filter": {"match_all": {}}})
        aggregations["measured"]["aggs"][f"m{number}"] = {
            "filter": query(measure.where),
            "aggs": {"value": inner},
        }
    for name, column in reversed(chart.columns().items()):
        if column["isBucketed"]:
            kind = {"terms": {"field": column["sourceField"], "size": 10}}
            if column["operationType"] == "date_histogram":
                kind = {"date_histogram": {"field": "@timestamp", "fixed_interval": "1h"}}
            aggregations = {name: {**kind, "aggs": aggregations}}
    return aggregations


def innermost(answer: Any) -> Iterator[dict[str, Any]]:
    for name, found in answer.items():
        if name == "measured":
            yield found
        elif isinstance(found, dict) and "buckets" in found:
            for bucket in found["buckets"]:
                yield from innermost(bucket)


@pytest.mark.slow
def test_all_of_it_on_a_log(server: noida.Noida, packages: dict[str, Path], tmp_path: Path) -> None:
    """A server's log and its monitor, both into Elasticsearch: every chart of the dashboard has something to show."""
    to = {"elasticsearch": {"url": server.url}}
    served = Server(tmp_path / "log")
    ids = served.answer(0, 300, 5)
    served.label(0.5, ids, 5, 0.0)
    served.answer(1, 300, 6, contract=["Two year"] * 300)
    served.log.close(wait=0)
    log = LogSpec(folder=str(tmp_path / "log"), keep=None, sinks=["parquet", to])
    assert roll(log).failures == catch_up(log, "elasticsearch").failures == 0
    watch = watching(tmp_path, packages["binary"], alerts=[to])
    assert len(list(watch.tick(at(3)))) == 2
    Couriers(watch.outbox).once()

    windows = there(server, "windows")
    assert [each["rows"] for each in windows] == [300, 300]
    assert {each["alarm"] for each in windows} == {True, False}
    scored = next(each for each in windows if each.get("labelled"))
    assert set(scored["performance"]) == {"reference", "measured", "estimated"}
    assert scored["measured"]["value"][scored["metric"]] == scored["performance"]["measured"]
    findings = there(server, "findings")
    assert "contract" in {each.get("column") for each in findings}
    assert len(there(server, "tests")) > 20
    assert len(there(server, "predictions")) == 600

    client = Client(server.url, max_retries=0)
    types = client.field_caps(index="bessemer-*", fields="*")["fields"]
    assert set(types["performance.measured"]) == set(types[f"measured.low.{scored['metric']}"]) == {"double"}
    assert set(types["value"]) == {"double"}
    assert set(types["title"]) == {"text"}
    for chart in charts():
        answer = client.search(
            index=f"bessemer-{chart.kind}-*", size=0, query=query(chart.where), aggs=asked(chart)
        ).body
        found = list(innermost(answer["aggregations"]))
        for number in range(len(chart.measures)):
            assert any(each[f"m{number}"]["doc_count"] for each in found), (chart.name, number)


@pytest.mark.slow
def test_what_is_sent_again_replaces_itself(server: noida.Noida) -> None:
    one = sink(server.url)
    window = window_notice(kept(1, drift("tenure", found=True)), text(at(3)))
    for _ in range(3):
        one.send([notice(0), notice(1), window])
    assert len(there(server, "findings")) == 2
    assert len(there(server, "windows")) == len(there(server, "tests")) == 1


@pytest.mark.slow
def test_one_that_is_refused_is_found_and_the_others_arrive(server: noida.Noida) -> None:
    """Somebody has made the index by hand, in which an event's title is a number."""
    wrong = {"properties": {"title": {"type": "integer"}}}
    Client(server.url, max_retries=0).indices.create(index="bessemer-findings-2026.03.01", mappings=wrong)
    other_day = {"at": "2026-03-02T00:00:00.000000"}
    with pytest.raises(SinkFault, match="refused a document") as told:
        sink(server.url).send(
            [notice(0, **other_day), notice(1, **other_day), notice(2), notice(3, **other_day)]
        )
    assert told.value.permanent
    assert told.value.delivered == 2
    assert len(there(server, "findings")) == 3


def test_a_server_that_is_away_gets_it_later() -> None:
    with pytest.raises(SinkFault, match="Connection refused") as told:
        sink("http://127.0.0.1:9").send([notice()])
    assert not told.value.permanent


@pytest.mark.parametrize(
    ("status", "permanent"), [(400, True), (401, False), (403, False), (429, False), (503, False)]
)
def test_what_an_answer_means(
    listener: Listener, status: int, permanent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ES_KEY", "bm90OnNlY3JldA==")
    said = {"error": {"type": "some_exception", "reason": "for a reason"}, "status": status}
    listener.answer = lambda request: (status, json.dumps(said).encode())
    listener.headers = {"X-Elastic-Product": "Elasticsearch", "content-type": "application/json"}
    one = sink(listener.url, api_key_env="ES_KEY")
    one._ready = True  # the templates are there
    with pytest.raises(SinkFault, match="for a reason") as told:
        one.send([notice()])
    assert told.value.permanent is permanent
    assert "bm90" not in str(told.value)
    assert {request.headers["authorization"] for request in listener.requests} == {"ApiKey bm90OnNlY3JldA=="}


def test_who_may_not_look_at_templates_may_write_all_the_same(listener: Listener) -> None:
    def answer(request: Any) -> tuple[int, bytes]:
        if "_index_template" in request.path:
            return 403, b""
        return 200, b'{"errors": false, "items": [{"index": {"status": 201}}]}'

    listener.answer = answer
    listener.headers = {"X-Elastic-Product": "Elasticsearch", "content-type": "application/json"}
    sink(listener.url).send([notice()])
    assert [request.path.partition("?")[0] for request in listener.requests][1:] == ["/_bulk"]


def test_certificates_are_checked(tmp_path: Path) -> None:
    trusted, context = authority(tmp_path)

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            said = b'{"errors": false, "items": [{"index": {"status": 201}}]}'
            self.send_response(200)
            self.send_header("x-elastic-product", "Elasticsearch")
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"https://127.0.0.1:{server.server_port}"
    try:
        good, bad = sink(url, ca=str(trusted)), sink(url)
        good._ready = bad._ready = True
        good.send([notice()])
        with pytest.raises(SinkFault, match=r"(?i)certificate") as told:
            bad.send([notice()])
        assert not told.value.permanent
        with pytest.raises(UsageError, match="no file"):
            sink(url, ca=str(tmp_path / "absent.pem"))
    finally:
        server.shutdown()
        server.server_close()


def test_another_server_is_told_from_elasticsearch(listener: Listener) -> None:
    listener.answer = lambda request: (200, b"{}")
    listener.headers = {"content-type": "application/json"}
    one = sink(listener.url)
    one._ready = True
    with pytest.raises(SinkFault, match="not Elasticsearch"):
        one.send([notice()])


def test_an_old_server_wants_an_old_client() -> None:
    fault = of_answer(
        400, {"error": {"type": "media_type_header_exception", "reason": "Invalid media-type value"}}
    )
    assert "elasticsearch<9" in fault.fix
    assert isinstance(fault, ElasticFault)


# the command ---------------------------------------------------------------------------------------------
def test_the_command_writes_files(tmp_path: Path) -> None:
    done = CliRunner().invoke(
        group, ["monitor", "elastic", "-o", str(tmp_path / "out"), "--prefix", "ml", "--json"]
    )
    assert done.exit_code == 0, done.output
    written = json.loads(done.output)["files"]
    assert len(written) == 2 + 3 + 5 + 1
    assert {Path(each).name for each in written} >= {"kibana.ndjson", "ml-log.json", "ml-predictions.json"}
    for each in written:
        whole = Path(each).read_text("utf-8")
        for document in whole.splitlines() if each.endswith(".ndjson") else [whole]:
            assert isinstance(json.loads(document), dict)


@pytest.mark.parametrize("prefix", ["../../../out", "a/b", "/tmp/a", "", "A", "a\n"])
def test_a_prefix_leads_out_of_no_folder(prefix: str, tmp_path: Path) -> None:
    folder = tmp_path / "one" / "two" / "three" / "four"
    done = CliRunner().invoke(group, ["monitor", "elastic", "-o", str(folder), "--prefix", prefix])
    assert isinstance(done.exception, UsageError), done.output
    assert "is no prefix" in str(done.exception)
    with pytest.raises(UsageError, match="is no prefix"):
        write(folder, prefix)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.slow
def test_the_command_applies_them(server: noida.Noida) -> None:
    for _ in range(2):
        done = CliRunner().invoke(group, ["monitor", "elastic", "--apply", server.url, "--json"])
        assert done.exit_code == 0, done.output
        assert json.loads(done.output)["lifecycle"] is False, "this server has none"
    client = Client(server.url, max_retries=0)
    names = {each["name"] for each in client.indices.get_index_template(name="bessemer-*")["index_templates"]}
    assert names == {f"bessemer-{kind}" for kind in KINDS}
