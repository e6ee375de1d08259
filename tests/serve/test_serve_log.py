"""The prediction log in one process: what is taken is read, once, with its types and labels."""

from __future__ import annotations

import datetime as dt
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from serve_log_writer import ROW, entry

from bessemer.core.errors import UsageError
from bessemer.core.signature import MISSING_TIMESTAMP, Field, Signature
from bessemer.package.feeds import to_feeds
from bessemer.package.prediction_log import layout
from bessemer.package.prediction_log.read import read_log
from bessemer.package.prediction_log.sampling import in_sample, may_be_in_sample, request_of
from bessemer.serve.errors import RequestError
from bessemer.serve.log.entry import Entry, Label
from bessemer.serve.log.plugins import SINKS
from bessemer.serve.log.prediction_log import PredictionLog
from bessemer.serve.log.retention import retain
from bessemer.serve.log.roller import roll
from bessemer.serve.log.spec import LogSpec
from bessemer.testing.models import tiny_signature

BINARY = tiny_signature("binary")


@pytest.fixture
def make(tmp_path: Path) -> Any:
    """make(settings...) -> a log of the tiny model in `tmp_path / log`, closed without rolling at the end."""
    logs = []

    def make(**settings: Any) -> PredictionLog:
        logs.append(PredictionLog(spec(tmp_path, **settings)))
        logs[-1].register("tiny", "1.0.0", BINARY)
        return logs[-1]

    yield make
    for log in logs:
        log.close(wait=0)


def spec(tmp_path: Path, **settings: Any) -> LogSpec:
    return LogSpec(**{"folder": str(tmp_path / "log"), "keep": None} | settings)


def rows(tmp_path: Path, model: str = "tiny", **options: Any) -> list[dict[str, Any]]:
    return read_log(tmp_path / "log", model, **options).read_all().sort_by("prediction_id").to_pylist()


def rolled(tmp_path: Path, log: PredictionLog, **settings: Any) -> list[dict[str, Any]]:
    """The rows before rolling, which are those after it."""
    before = rows(tmp_path)
    log.close(wait=0)
    done = roll(spec(tmp_path, **settings))
    assert (done.failures, done.damaged) == (0, 0), done
    assert not layout.segments(tmp_path / "log")
    after = rows(tmp_path)
    assert after == before
    return after


def test_a_row_comes_back_with_its_types_and_names(make: Any, tmp_path: Path) -> None:
    log = make()
    log.take(entry(["a"], at=1_700_000_000.25))
    (row,) = rolled(tmp_path, log)
    assert row == {
        "prediction_id": "a", "time": dt.datetime(2023, 11, 14, 22, 13, 20, 250_000), "version": "1.0.0",
        "client": "me", "dialect": "plain", "latency_us": 1000, "in.tenure": 8, "in.monthly charges": 70.5,
        "in.autopay": True, "in.contract": "Month-to-month", "in.désactivé": dt.datetime(2024, 1, 31, 12),
        "out.prediction": "yes", "out.probability": 0.75, "out.score": 1.5, "label": None, "label_time": None,
    }  # fmt: skip
    (path,) = (tmp_path / "log" / "tiny" / "1.0.0").rglob("*.parquet")
    assert path.parent.name == "date=2023-11-14"
    assert pq.read_schema(path).field("in.tenure").type == pa.int64()


def test_missing_values_are_null_however_they_came(make: Any, tmp_path: Path) -> None:
    log = make()
    log.take(entry(["json"], rows=[(None, None, None, "", None)]))
    feeds = {
        "tenure": np.float32([[np.nan]]), "monthly charges": np.float32([[np.nan]]),
        "autopay": np.float32([[np.nan]]), "contract": np.array([[""]], dtype=object),
        "désactivé": np.array([[MISSING_TIMESTAMP]]),
    }  # fmt: skip
    log.take(entry(["tensor"], rows=None, feeds=feeds))
    for row in rolled(tmp_path, log):
        assert [value for name, value in row.items() if name.startswith("in.")] == [None] * 5


def test_values_no_type_has_are_kept_as_near_as_can_be(make: Any, tmp_path: Path) -> None:
    log = make()
    log.take(entry(["a"], rows=[(10**30, 10**30, 1, "half \ud800", 5)]))
    log.take(entry(["b"], rows=[(7.0, float("inf"), 0, "ok", MISSING_TIMESTAMP)]))
    one, other = rolled(tmp_path, log)
    assert list(one.values())[6:11] == [2**63 - 1, 1e30, True, "half ?", dt.datetime(1970, 1, 1, 0, 0, 0, 5)]
    assert list(other.values())[6:11] == [7, float("inf"), False, "ok", None]


KINDS = {
    "boolean": st.booleans(),
    "integer": st.integers(-(2**53), 2**53),
    "number": st.floats(allow_nan=False),
    "string": st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
    "timestamp": st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999),
}
FIELDS = tuple(
    Field(f"{kind} {tensor}", kind, tensor)  # type: ignore[arg-type]
    for kind in KINDS
    for tensor in {"string": ("string",), "timestamp": ("int64",)}.get(kind, ("float32", "float64"))
)
TYPES = {"boolean": pa.bool_(), "integer": pa.int64(), "number": pa.float64(), "string": pa.string()}


@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.lists(st.tuples(*(st.none() | KINDS[f.dtype] for f in FIELDS)), min_size=1, max_size=5))
def test_any_rows_come_back_as_json_and_as_tensors(data: list[Any], tmp_path_factory: Any) -> None:
    """Values as JSON come back unchanged; as tensors they come back as what the graph saw of them."""
    folder = tmp_path_factory.mktemp("round")
    signature = Signature(FIELDS, (Field("prediction", "number", "float32"),), "regression", "y")
    table = pa.table({f.name: pa.array(c, TYPES.get(f.dtype, pa.timestamp("us")))
                      for f, c in zip(FIELDS, zip(*data, strict=True), strict=True)})  # fmt: skip
    with np.errstate(over="ignore"):  # a double beyond float32 is infinite there
        feeds = to_feeds(table, FIELDS)
    n = len(data)
    said = {"prediction": np.arange(n, dtype=np.float32)}
    common = ([0.5] * n, ["c"] * n, ["v2"] * n)
    log = PredictionLog(LogSpec(folder=str(folder / "log")))
    log.register("m", "1", signature)
    log.take(Entry("m", "1", [f"j-{i}" for i in range(n)], data, None, said, 1e9, *common))
    log.take(Entry("m", "1", [f"t-{i}" for i in range(n)], None, feeds, said, 1e9, *common))
    log.close(wait=0)
    assert roll(LogSpec(folder=str(folder / "log"), keep=None)).rows == 2 * n
    found = read_log(folder / "log", "m").read_all()
    for which in ("j", "t"):
        mine = found.filter(pa.compute.starts_with(found["prediction_id"], which))
        mine = (
            mine.sort_by("prediction_id")
            .select([f"in.{f.name}" for f in FIELDS])
            .rename_columns(table.column_names)
        )
        if which == "j":
            assert mine.equals(table.cast(mine.schema))
        with np.errstate(over="ignore"):
            found_feeds = to_feeds(mine, FIELDS)
        for name, array in found_feeds.items():
            assert np.array_equal(array, feeds[name], equal_nan=array.dtype.kind == "f"), (which, name)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_other_tasks_have_their_own_outputs_and_labels(task: Any, tmp_path: Path) -> None:
    with PredictionLog(spec(tmp_path)) as log:
        log.register("tiny", "1.0.0", tiny_signature(task))
        said: dict[str, Any] = {"prediction": np.float32([2.5]), "score": np.float32([[2.5]])}
        if task == "multiclass":
            said = {
                "prediction": np.int64([3]),
                "probability": np.float32([[0.25, 0, 0.75]]),
                "score": np.float32([[1, 2, 3]]),
            }
        log.take(entry(["a"], outputs=said))
        log.feedback("tiny", [Label("a", 3, time.time())])
        with pytest.raises(RequestError, match="1 fault"):
            log.feedback("tiny", [Label("a", "3", 0.0)])
    (row,) = rows(tmp_path)
    outputs = {name: value for name, value in row.items() if name.startswith("out.")}
    if task == "multiclass":
        assert list(outputs.values()) == [3, 0.25, 0, 0.75, 1, 2, 3]
        assert list(outputs)[1:5] == [
            "out.probability_1",
            "out.probability_2",
            "out.probability_3",
            "out.score_1",
        ]
    else:
        assert outputs == {"out.prediction": 2.5}
    assert row["label"] == 3
    assert type(row["label"]) is (int if task == "multiclass" else float)


def test_the_last_label_wins_early_or_late(make: Any, tmp_path: Path) -> None:
    log, now = make(), time.time()
    log.feedback("tiny", [Label("early", "no", now)])
    log.take(entry(["early", "late", "twice", "never"], at=now))
    log.feedback(
        "tiny", [Label("twice", "yes", now + 5), Label("twice", "no", now), Label("unknown", "no", now)]
    )
    log.feedback("tiny", [Label("late", "no", now), Label("late", "yes", now)])
    found = {row["prediction_id"]: row["label"] for row in rolled(tmp_path, log)}
    assert found == {"early": "no", "late": "yes", "twice": "yes", "never": None}
    log = make()  # another process, later, with the first one's labels in Parquet already
    log.feedback("tiny", [Label("never", "no", now + 9), Label("twice", "no", now + 9)])
    found = {row["prediction_id"]: row["label"] for row in rows(tmp_path)}
    assert (found["never"], found["twice"]) == ("no", "no")


def test_labels_that_cannot_be_are_refused_whole(make: Any, tmp_path: Path) -> None:
    log = make()
    log.take(entry(["a"]))
    with pytest.raises(RequestError) as refused:
        log.feedback("tiny", [Label("a", "no", 1.0), Label("a", "noo", 1.0), Label("", "no", 1.0)])
    assert refused.value.status == 400
    assert [fault.row for fault in refused.value.faults] == [1, 2]
    assert "did you mean 'no'?" in refused.value.line
    with pytest.raises(RequestError) as unknown:
        log.feedback("other", [])
    assert unknown.value.status == 404
    assert rows(tmp_path)[0]["label"] is None


def test_sampling_keeps_whole_requests_and_is_stable(make: Any, tmp_path: Path) -> None:
    log = make(sample="30%")
    asked = [f"{i:08x}" for i in range(400)]
    for request in asked:
        log.take(entry([f"{request}-{row}" for row in range(3)]))
    kept = {request for request in asked if in_sample(request, 0.3)}
    assert 80 < len(kept) < 160
    found = rows(tmp_path)
    assert {request_of(row["prediction_id"]) for row in found} == kept
    assert len(found) == 3 * len(kept)
    assert (log.stats().rows, log.stats().outside) == (len(found), 1200 - len(found))
    assert kept <= {request for request in asked if in_sample(request, 0.6)}
    inside, outside = next(iter(kept)), next(r for r in asked if r not in kept)
    ids = [f"{inside}-0", f"{outside}-0"]
    said = log.feedback("tiny", [Label(each, "no", 1.0) for each in ids])
    assert said == [may_be_in_sample(each, 0.3) for each in ids]
    assert said[0]


def test_a_request_with_an_id_like_a_rows_is_sampled_by_its_own(make: Any, tmp_path: Path) -> None:
    log = make(sample=0.5)
    ids = [f"order-{i}" for i in range(100)]
    for each in ids:
        log.take(entry([each], requests=[each]))
    found = {row["prediction_id"] for row in rows(tmp_path)}
    assert found == {each for each in ids if in_sample(each, 0.5)}
    assert 20 < len(found) < 80


def test_private_columns_are_not_written_and_hashed_ones_join(make: Any, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_bytes(b"0123456789abcdef0123")
    columns = {"exclude": ["contract"], "hash": ["désactivé", "tenure", "monthly charges"], "key": str(key)}
    log = make(columns=columns)
    log.take(entry(["a"], rows=[(8, 0.1, True, "a secret", "2024-01-31T12:00:00Z")]))
    feeds = {
        "tenure": np.float32([[8]]), "monthly charges": np.float32([[0.1]]), "autopay": np.float32([[1]]),
        "contract": np.array([["a secret"]], dtype=object), "désactivé": np.array([[1_706_702_400_000_000]]),
    }  # fmt: skip
    log.take(entry(["b"], rows=None, feeds=feeds))
    for path in layout.segments(tmp_path / "log"):
        assert b"a secret" not in path.read_bytes()
        assert b"2024-01-31" not in path.read_bytes()
    one, other = rolled(tmp_path, log)
    assert "in.contract" not in one
    hashed = [f"in.{name}" for name in columns["hash"]]
    assert [one[name] for name in hashed] == [other[name] for name in hashed]
    assert all(len(one[name]) == 32 for name in hashed)
    assert one["in.autopay"] is True
    key.write_bytes(b"another key, 0123456789")
    log = make(columns=columns)
    log.take(entry(["c"]))
    assert one["in.tenure"] != rows(tmp_path)[2]["in.tenure"]


def test_columns_that_do_not_exist_and_keys_that_are_bad_are_refused(make: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'contract'"):
        make(columns={"exclude": ["contrct"]})
    with pytest.raises(ValueError, match="needs a `key`"):
        LogSpec(columns={"hash": ["contract"]})  # type: ignore[arg-type]
    (tmp_path / "short").write_bytes(b"short")
    with pytest.raises(UsageError, match="has 5 bytes"):
        make(columns={"hash": ["contract"], "key": str(tmp_path / "short")})


@pytest.mark.slow
def test_a_torn_tail_hides_nothing_before_it(make: Any, tmp_path: Path) -> None:
    """Whatever a write was cut at, all records before are read, from the journal and rolled."""
    log = make()
    log.take(entry(["a"]))
    (path,) = layout.segments(tmp_path / "log")
    whole = path.stat().st_size
    log.take(entry(["b"]))
    data = path.read_bytes()
    log.close(wait=0)
    for cut in range(whole, len(data), 7):
        path.write_bytes(data[:cut])
        assert [row["prediction_id"] for row in rows(tmp_path)] == ["a"]
    path.write_bytes(data[:whole] + bytes(100))
    done = roll(spec(tmp_path))
    assert (done.rows, done.damaged, done.failures) == (1, 0, 0)
    assert [row["prediction_id"] for row in rows(tmp_path)] == ["a"]


def test_damage_is_set_aside_and_counted(make: Any, tmp_path: Path) -> None:
    log = make()
    for each in "abc":
        log.take(entry([each]))
    (path,) = layout.segments(tmp_path / "log")
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    log.close(wait=0)
    path.write_bytes(data)
    done = roll(spec(tmp_path))
    assert (done.rows, done.damaged, done.segments) == (2, 1, 1)
    assert [row["prediction_id"] for row in rows(tmp_path)] == ["a", "b"]
    assert path.with_suffix(".damaged").exists()


def test_a_segment_delivered_twice_is_there_once(make: Any, tmp_path: Path) -> None:
    """A roller that dies between writing the files and deleting the segment duplicates nothing."""
    log = make()
    log.take(entry(["a", "b"]))
    log.take(entry(["c"], at=1e9))
    (path,) = layout.segments(tmp_path / "log")
    data = path.read_bytes()
    before = rolled(tmp_path, log)
    path.write_bytes(data)
    assert rows(tmp_path) == before
    assert roll(spec(tmp_path)).rows == 3
    assert rows(tmp_path) == before


def test_versions_and_a_changed_type_are_read_together(make: Any, tmp_path: Path) -> None:
    log = make()
    log.take(entry(["a"]))
    text = Signature((Field("tenure", "string", "string"),), BINARY.outputs, "binary", "y", BINARY.classes)
    log.register("tiny", "2.0.0", text)
    second = entry(["b"], rows=[("eight",)])
    second.version = "2.0.0"
    log.take(second)
    one, other = rolled(tmp_path, log)
    assert (one["in.tenure"], one["version"]) == ("8", "1.0.0")
    assert (other["in.tenure"], other["version"], other["in.contract"]) == ("eight", "2.0.0", None)
    (only,) = rows(tmp_path, version="1.0.0")
    assert only["in.tenure"] == 8
    with pytest.raises(UsageError, match="no version '3'"):
        read_log(tmp_path / "log", "tiny", version="3")


def test_times_and_the_newest(make: Any, tmp_path: Path) -> None:
    log = make()
    for day in range(5):
        log.take(entry([f"{day}"], at=86_400.0 * day + 10))
    log.close(wait=0)
    roll(spec(tmp_path, keep=None))
    ids = lambda **o: [row["prediction_id"] for row in rows(tmp_path, **o)]  # noqa: E731
    assert ids(since=86_410.0, until=3 * 86_400.0 + 10) == ["1", "2"]
    assert ids(since=dt.datetime(1970, 1, 4)) == ["3", "4"]
    newest = read_log(tmp_path / "log", "tiny", newest=2).read_all()
    assert newest["prediction_id"].to_pylist() == ["4", "3"]
    assert ids(since=9e9) == []
    with pytest.raises(UsageError, match="did you mean 'tiny'"):
        read_log(tmp_path / "log", "tini")


def test_old_days_go_and_then_the_oldest_files(make: Any, tmp_path: Path) -> None:
    log = make()
    for day in range(10):
        log.take(entry([str(day)], at=86_400.0 * day))
        log.feedback("tiny", [Label(str(day), "no", 86_400.0 * day)])
    log.close(wait=0)
    roll(spec(tmp_path, keep=None))
    folder = tmp_path / "log"
    gone = retain(folder, keep=3 * 86_400.0, max_disk=None, now=9.5 * 86_400)
    assert len(gone) == 12
    assert [row["prediction_id"] for row in rows(tmp_path)] == ["6", "7", "8", "9"]
    assert not (folder / "tiny" / "1.0.0" / "date=1970-01-01").exists()
    size = sum(path.stat().st_size for path in folder.rglob("*.parquet"))
    retain(folder, keep=None, max_disk=size // 2)
    left = [row["prediction_id"] for row in rows(tmp_path)]
    assert left == ["6", "7", "8", "9"][-len(left) :]
    assert 0 < len(left) < 4
    assert sum(path.stat().st_size for path in folder.rglob("*.parquet")) <= size // 2


@pytest.mark.slow
def test_names_never_leave_the_folder(tmp_path: Path) -> None:
    with PredictionLog(spec(tmp_path)) as log:
        for name in ("../out", "_labels", ".", "a b/ü"):
            log.register(name, "../1", BINARY)
            batch = entry(["a"])
            batch.model, batch.version = name, "../1"
            log.take(batch)
    assert layout.models(tmp_path / "log") == sorted(["../out", "_labels", ".", "a b/ü"])
    assert [path.name for path in tmp_path.iterdir()] == ["log"]
    assert rows(tmp_path, "../out")[0]["version"] == "../1"


def test_the_setting_is_a_switch_or_a_section() -> None:
    from pydantic import TypeAdapter

    from bessemer.serve.log.spec import LogSetting

    adapter: Any = TypeAdapter(LogSetting)
    assert adapter.validate_python(False) is None
    assert adapter.validate_python(True) == LogSpec()
    assert adapter.validate_python({"keep": "30d"}).keep == 30 * 86_400
    assert LogSpec.model_validate_json(LogSpec(max_disk="1GB").model_dump_json()).max_disk == 2**30  # type: ignore[arg-type]


def test_the_page_names_every_setting_sink_and_column() -> None:
    from bessemer.serve.log.spec import ColumnsSpec

    text = (Path(__file__).resolve().parents[2] / "docs" / "prediction-log.md").read_text("utf-8")
    columns = ["prediction_id", "time", "version", "client", "dialect", "latency_us", "label", "label_time"]
    names = [*LogSpec.model_fields, *ColumnsSpec.model_fields, *SINKS, *columns]
    assert not [name for name in names if f"`{name}`" not in text]


def test_an_unknown_sink_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="did you mean 'parquet'"):
        spec(tmp_path, sinks=["parket"])


def test_row_is_in_the_signatures_order() -> None:
    assert len(ROW) == len(BINARY.inputs)
