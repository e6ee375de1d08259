"""The prediction log in Elasticsearch: each prediction and label is there once, and nobody waits for it."""

from __future__ import annotations

import datetime as dt
import io
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from elasticsearch import Elasticsearch as Client
from killed_roller import killed_everywhere
from serve_log_writer import entry
from telemetry_tools import Telling

import noida
import patience
from bessemer.core.elastic.templates import PROPERTIES
from bessemer.core.errors import UsageError
from bessemer.package.prediction_log import layout
from bessemer.package.prediction_log.convert import convert
from bessemer.package.prediction_log.journal import Segment
from bessemer.package.prediction_log.read import read_log
from bessemer.serve.log.catch_up import catch_up
from bessemer.serve.log.entry import Label
from bessemer.serve.log.locks import locked
from bessemer.serve.log.prediction_log import PredictionLog
from bessemer.serve.log.rolled import Rolled
from bessemer.serve.log.roller import LOCK, roll
from bessemer.serve.log.sinks.elasticsearch import ElasticsearchSettings, documents
from bessemer.serve.log.spec import LogSpec
from bessemer.serve.log.waiting import lock_of, waiting, waits
from bessemer.testing.models import tiny_signature
from patience import until

PAGE = (Path(__file__).parents[2] / "docs" / "elastic.md").read_text("utf-8")
AT = 1_700_000_000.25


@pytest.fixture
def server(tmp_path: Path) -> Iterator[noida.Noida]:
    with noida.running("elasticsearch", tmp_path / "noida") as found:
        yield found


def client(server: noida.Noida) -> Client:
    return Client(server.url, max_retries=0)


def spec(folder: Path, url: str, **settings: Any) -> LogSpec:
    sink = {"elasticsearch": {"url": url, "timeout": "5s", **settings}}
    return LogSpec(folder=str(folder), keep=None, sinks=["parquet", sink])


@contextmanager
def held(log: LogSpec, lock: str) -> Iterator[None]:
    path = Path(log.folder) / lock
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path, os.O_RDWR | os.O_CREAT):
        yield


def delivered(log: LogSpec) -> Rolled:
    """Make files of what is there and then send it, as the server's two processes do."""
    done, sent = roll(log), catch_up(log, "elasticsearch")
    return Rolled(
        *(done.segments, done.rows, done.failures + sent.failures, done.damaged + sent.damaged),
        *(done.error or sent.error, done.lost or sent.lost),
    )


def logged(log: LogSpec, names: list[str], labels: int = 0, task: Any = "binary") -> None:
    """A segment with a prediction for each name, and labels for the first of them."""
    # so that the log starts no processes: those of a test are its own
    with held(log, LOCK), held(log, lock_of("elasticsearch")):
        with_log = PredictionLog(log)
        with_log.register("tiny", "1.0.0", tiny_signature(task))
        for name in names:
            with_log.take(entry([name], at=AT))
        if labels:
            with_log.feedback("tiny", [Label(name, "yes", AT + 60, "me") for name in names[:labels]])
        with_log.close(wait=0)


def rolled(log: LogSpec) -> None:
    """Deliver all there is; a roller that a server has left behind may be at it."""
    folder = Path(log.folder)

    def gone() -> bool:
        assert delivered(log).failures == 0
        return not layout.segments(folder) and not waiting(folder, "elasticsearch")

    until(gone)


def there(server: noida.Noida, kind: str) -> dict[str, dict[str, Any]]:
    """What is in the indices of a kind, by prediction; each is there once."""
    found = client(server)
    found.indices.refresh(index="bessemer-*")
    hits = found.search(index=f"bessemer-{kind}-*", size=10_000)["hits"]["hits"]
    by_name = {hit["_source"]["prediction_id"]: hit["_source"] for hit in hits}
    assert len(by_name) == len(hits)
    return by_name


def test_every_setting_and_field_is_in_the_page() -> None:
    fields = [*PROPERTIES["predictions"], *PROPERTIES["labels"]]
    assert not [name for name in [*ElasticsearchSettings.model_fields, *fields] if f"`{name}`" not in PAGE]


def test_secrets_are_not_in_the_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with pytest.raises(UsageError, match="NO_SUCH_KEY is not set"):
        PredictionLog(spec(tmp_path, "http://127.0.0.1:1", api_key_env="NO_SUCH_KEY"))
    for wrong in ({"url": "http://a:b@c"}, {"url": "c:9200"}, {"username": "me"}, {"prefix": "Upper"}):
        with pytest.raises(ValueError, match="settings of elasticsearch"):
            LogSpec(sinks=[{"elasticsearch": {"url": "http://c", **wrong}}])


def test_a_row_becomes_a_document_with_types_in_its_fields(tmp_path: Path) -> None:
    logged(LogSpec(folder=str(tmp_path)), ["a"], labels=1)
    (path,) = layout.segments(tmp_path)
    prediction, label = documents("S", convert(Segment(io.BytesIO(path.read_bytes()))), "b")
    assert (prediction.index, prediction.id) == ("b-predictions-2023.11.14", "S-0")
    assert prediction.source == {
        "@timestamp": "2023-11-14T22:13:20.250000Z", "prediction_id": "a", "client": "me", "dialect": "plain",
        "latency_us": 1000, "class": "yes", "model": {"name": "tiny", "version": "1.0.0"},
        "in": {"number": {"tenure": 8, "monthly charges": 70.5}, "boolean": {"autopay": True},
               "text": {"contract": "Month-to-month"}, "time": {"désactivé": "2024-01-31T12:00:00.000000Z"}},
        "out": {"text": {"prediction": "yes"}, "number": {"probability": 0.75, "score": 1.5}},
    }  # fmt: skip
    assert (label.index, label.id) == ("b-labels-2023.11.14", "S-1")
    assert label.source["class"] == "yes"
    json.dumps([prediction.source, label.source], allow_nan=False)


def test_values_that_json_has_not_are_left_out(tmp_path: Path) -> None:
    log = PredictionLog(LogSpec(folder=str(tmp_path)))
    log.register("tiny", "1.0.0", tiny_signature("binary"))
    log.take(entry(["a"], rows=[(None, float("inf"), None, "x" * 3000, None)]))
    log.close(wait=0)
    (path,) = layout.segments(tmp_path)
    (found,) = documents("S", convert(Segment(io.BytesIO(path.read_bytes()))), "b")
    assert found.source["in"] == {"text": {"contract": "x" * 3000}}


@pytest.mark.slow
def test_all_rows_arrive_with_their_types_and_can_be_counted(server: noida.Noida, tmp_path: Path) -> None:
    log = spec(tmp_path / "log", server.url)
    names = [f"p{i}" for i in range(2500)]  # more than a request takes
    logged(log, names, labels=40)
    assert delivered(log).failures == 0
    assert set(there(server, "predictions")) == set(names)
    assert set(there(server, "labels")) == set(names[:40])
    fields = client(server).field_caps(index="bessemer-predictions-*", fields="*")["fields"]
    types = {name: set(kinds) for name, kinds in fields.items()}
    assert types["@timestamp"] == types["in.time.désactivé"] == {"date"}
    assert types["in.number.tenure"] == types["out.number.probability"] == {"double"}
    assert types["in.text.contract"] == types["model.version"] == types["class"] == {"keyword"}
    answer = client(server).search(
        index="bessemer-predictions-*",
        size=0,
        aggs={
            "class": {
                "terms": {"field": "class"},
                "aggs": {"mean": {"avg": {"field": "in.number.monthly charges"}}},
            }
        },
    )
    (bucket,) = answer["aggregations"]["class"]["buckets"]
    assert (bucket["key"], bucket["doc_count"], bucket["mean"]["value"]) == ("yes", 2500, 70.5)
    assert not layout.segments(tmp_path / "log")
    assert len(read_log(tmp_path / "log", "tiny").read_all()) == 2500, "and the files have them too"


@pytest.mark.slow
def test_a_segment_that_is_sent_again_adds_nothing(server: noida.Noida, tmp_path: Path) -> None:
    """As after a kill between the answer and the end of the segment."""
    log = spec(tmp_path / "log", server.url)
    logged(log, ["a", "b"], labels=2)
    (path,) = layout.segments(tmp_path / "log")
    copy = tmp_path / path.name
    shutil.copy(path, copy)
    for _ in range(3):
        shutil.copy(copy, path)
        assert delivered(log).failures == 0
        assert set(there(server, "predictions")) == set(there(server, "labels")) == {"a", "b"}


@pytest.mark.slow
def test_rollers_may_be_killed_at_any_moment(server: noida.Noida, tmp_path: Path) -> None:
    """Before any change they make when a segment was sent: in the end each document is there, once."""
    log = spec(tmp_path / "log", server.url)
    names = []
    for segment in range(8):
        names += [f"{segment}-{i}" for i in range(400)]
        logged(log, names[-400:], labels=100)
    assert roll(log).segments == 8
    before = waiting(tmp_path / "log", "elasticsearch")
    assert killed_everywhere(3, log.model_dump_json(), "elasticsearch") == 3
    assert 0 < len(waiting(tmp_path / "log", "elasticsearch")) < len(before)
    assert delivered(log).failures == 0
    assert set(there(server, "predictions")) == set(names)
    assert len(there(server, "labels")) == 800
    assert len(read_log(tmp_path / "log", "tiny").read_all()) == 3200


@pytest.mark.slow
def test_a_sink_that_is_no_longer_named_starts_no_rollers(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    logged(spec(folder, "http://127.0.0.1:9"), ["a"])
    assert delivered(spec(folder, "http://127.0.0.1:9")).failures == 1
    assert waits(folder, ["parquet", "elasticsearch"])
    assert not waits(folder, ["parquet"])


@pytest.mark.slow
def test_nobody_waits_for_a_server_that_is_away(server: noida.Noida, tmp_path: Path) -> None:
    folder = tmp_path / "log"
    log = spec(folder, server.url)
    server.kill()
    for name in "abc":
        logged(log, [name])
        done = delivered(log)
        assert (done.segments, done.rows) == (1, 1)
        assert done.failures == 1, "the next ones would fail as well"
        assert "elasticsearch" in done.error
        assert "Connection refused" in done.error
    assert not layout.segments(folder), "the journal is not kept for it"
    assert len(read_log(folder, "tiny").read_all()) == 3
    assert len(waiting(folder, "elasticsearch")) == 3
    server.start()
    assert delivered(log) == Rolled(), "nothing new, and nothing fails"
    assert set(there(server, "predictions")) == {"a", "b", "c"}
    assert not waiting(folder, "elasticsearch")


@pytest.mark.slow
def test_what_waits_is_bounded_and_what_is_given_up_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    log = spec(folder, "http://127.0.0.1:9", waiting="64KB")
    lost = ""
    for number in range(12):
        logged(log, [f"{number}-{i}" for i in range(50)])
        lost = roll(log).lost or lost
    assert sum(path.stat().st_size for path in waiting(folder, "elasticsearch")) <= 65_536
    assert "segments for elasticsearch" in lost
    assert len(read_log(folder, "tiny").read_all()) == 600, "the files have all of it"


@pytest.mark.slow
def test_a_segment_that_cannot_be_read_does_not_hold_up_the_others(
    server: noida.Noida, tmp_path: Path
) -> None:
    folder = tmp_path / "log"
    log = spec(folder, server.url)
    bad = folder / "_waiting" / "elasticsearch" / "0.journal"
    bad.parent.mkdir(parents=True)
    bad.write_bytes(b"BSMLOG9\n")  # of a format that is to come
    for name in "ab":
        logged(log, [name])
    done = delivered(log)
    assert done.failures == 1
    assert "later format" in done.error
    assert set(there(server, "predictions")) == {"a", "b"}
    assert waiting(folder, "elasticsearch") == [bad], "kept for a version that can read it"


@pytest.mark.slow
def test_documents_that_are_refused_do_not_stop_the_others(
    server: noida.Noida, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody has made an index by hand, in which classes are numbers."""
    wrong = {"properties": {"class": {"type": "integer"}}}
    client(server).indices.create(index="bessemer-predictions-2023.11.14", mappings=wrong)
    log = spec(tmp_path / "log", server.url)
    logged(log, ["a"], labels=1)
    assert delivered(log).failures == 0
    assert there(server, "predictions") == {}
    assert set(there(server, "labels")) == {"a"}
    assert "has refused 1 of" in caplog.text
    assert not waiting(tmp_path / "log", "elasticsearch")


@pytest.mark.slow
def test_a_real_server_predicts_and_keeps_feedback_while_elasticsearch_is_away(
    tell: Any, server: noida.Noida, tmp_path: Path
) -> None:
    folder = tmp_path / "log"
    settings = {
        "folder": str(folder),
        "roll_age": "1s",
        "sinks": ["parquet", {"elasticsearch": {"url": server.url}}],
    }
    server.kill()
    served: Telling = tell({}, log=settings)
    names, begun = [], dt.datetime.now(dt.UTC)
    for _ in range(20):
        answer = served.predict()
        assert answer.is_success
        names.append(answer.headers["x-request-id"])
    said = {"labels": [{"prediction_id": f"{name}-0", "label": "yes"} for name in names]}
    assert patience.post(f"{served.client.base_url}/feedback", json=said).is_success
    until(lambda: waiting(folder, "elasticsearch"))
    until(lambda: list(folder.rglob("*.parquet")))
    assert served.predict().is_success
    errors = served.end()
    assert "could not be delivered" in errors
    server.start()
    rolled(LogSpec.model_validate(settings))
    found = there(server, "predictions")
    assert len(found) == 42
    assert set(there(server, "labels")) == {f"{name}-0" for name in names}
    when = dt.datetime.fromisoformat(next(iter(found.values()))["@timestamp"])
    assert begun <= when <= dt.datetime.now(dt.UTC)
