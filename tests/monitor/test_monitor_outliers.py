"""Outliers in a window: honest about chance, sure of what was planted, and right about whom to blame."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from window_support import reference_of

import bessemer
from bessemer.core.signature import Field
from bessemer.core.spec import Spec
from bessemer.monitor.plugins import USUAL_WATCHERS
from bessemer.monitor.reference import Reference, Sketch
from bessemer.monitor.spec import MonitorSpec
from bessemer.monitor.store import MonitorStore
from bessemer.monitor.watch import Watch
from bessemer.monitor.watchers.outliers import Outliers, OutliersSettings
from bessemer.monitor.watching.blame import blamed, typical
from bessemer.monitor.watching.logged import LoggedWindow
from bessemer.monitor.watching.watched import Said, Watched
from bessemer.package.model import Model
from bessemer.package.write import write_package
from bessemer.serve.log.entry import Entry
from bessemer.serve.log.prediction_log import PredictionLog
from bessemer.serve.log.spec import LogSpec
from bessemer.testing.models import INPUTS, tiny_model
from bessemer.testing.outliers import unusual_members, unusual_model, unusual_signature, usual_rows

NOW = dt.datetime(2026, 3, 1)
NAMES = tuple(field.name for field in INPUTS)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    types = {field.name: field.dtype for field in INPUTS}
    return reference_of(usual_rows(5000, 1), tmp_path_factory.mktemp("reference"), types)


@pytest.fixture(scope="module")
def model() -> Model:
    return unusual_model("binary")


def with_column(data: pa.Table, name: str, values: Any) -> pa.Table:
    place = data.column_names.index(name)
    return data.set_column(place, name, pa.array(values, data.schema.field(place).type))


def planted(n: int, share: float, seed: int) -> pa.Table:
    """Usual rows, of which a share has charges far out of what was usual."""
    data, rng = usual_rows(n, seed), np.random.default_rng(seed + 10**6)
    charges = data["monthly charges"].to_numpy().copy()
    charges[rng.random(n) < share] += 200
    return with_column(data, "monthly charges", charges)


def said(
    folder: Path,
    model: Model,
    reference: Reference,
    data: pa.Table,
    inputs: tuple[str, ...] = NAMES,
    **words: Any,
) -> Said:
    ids = pa.array([f"r{i}" for i in range(data.num_rows)])
    columns = {f"in.{name}": data[name] for name in data.column_names}
    pq.write_table(pa.table({"prediction_id": ids, **columns}), folder / "window.parquet")
    window = LoggedWindow(folder / "window.parquet", data.num_rows, inputs, NOW, NOW + dt.timedelta(hours=1))
    watched = Watched(
        model=model,
        reference=reference,
        name="tiny",
        window=window,
        log=folder,
        now=NOW,
        looks=1,
        memory={},
        false_alarm=0.01,
        rng=np.random.default_rng(0),
    )
    return Outliers(OutliersSettings(**words)).watch(watched)


@pytest.mark.slow
def test_rows_as_ever_alarm_as_often_as_was_asked_for(tmp_path: Path, reference: Reference) -> None:
    """Over 40 models and 5 windows each: the p-value is below 5 % in 5 % of them, give or take chance and ties.

    Each model has its own held-out rows: of one, all windows are judged by the same luck.
    """
    p = []
    for seed in range(40):
        model = _model_of(seed)
        for window in range(5):
            said_of = said(
                tmp_path, model, reference, usual_rows(1000, 1000 + 10 * seed + window), examined=0
            )
            p.append(said_of.tests[0].p_value)
    low = np.mean(np.array(p) < 0.05)
    assert 0.0 < low <= 0.10
    assert np.mean(np.array(p) < 0.001) <= 0.01
    assert np.mean(np.array(p) < 0.5) > 0.3, "it is no test that never finds anything"


def _model_of(seed: int) -> Model:
    from bessemer.package.manifest import Manifest, describe
    from bessemer.package.read import PackageContents

    members = unusual_members("binary", "ecod", seed)
    manifest = Manifest("tiny", "1", "", "", "binary", "", describe(members))
    content = {name: memoryview(data) for name, data in members.items()}
    return Model(PackageContents(manifest, unusual_signature("binary"), content, b"", 0))


@pytest.mark.parametrize("seed", range(5))
def test_a_few_planted_rows_are_found_and_the_right_column_blamed(
    tmp_path: Path, model: Model, reference: Reference, seed: int
) -> None:
    """40 of 1,000 rows are far out in one column."""
    answer = said(tmp_path, model, reference, planted(1000, 0.04, seed))
    (test,) = answer.tests
    assert test.p_value is not None
    assert test.p_value < 1e-3
    assert (test.detector, test.column, test.of, test.kind) == ("outliers", "outlier", "output", "drift")
    assert "'monthly charges'" in test.text
    assert max(answer.figures["columns"], key=answer.figures["columns"].get) == "monthly charges"
    examples = answer.figures["examples"]
    assert len(examples) == 20
    assert all(row["outlier"] >= 0.99 for row in examples)
    assert [row["outlier"] for row in examples] == sorted((row["outlier"] for row in examples), reverse=True)
    json.dumps(dict(answer.figures))


def test_it_counts_what_is_there(tmp_path: Path, model: Model, reference: Reference) -> None:
    data = planted(20_000, 0.02, 3)  # more than one batch
    answer = said(tmp_path, model, reference, data, rank=0.95, examined=3)
    rank = model.predict(data, outliers=True)["outlier"].to_numpy()
    assert answer.tests[0].value == answer.figures["beyond"] == (rank >= np.float32(0.95)).sum()
    assert answer.figures["rows"] == 20_000
    top = [int(row["prediction_id"][1:]) for row in answer.figures["examples"]]
    assert rank[top].tolist() == sorted(rank.tolist(), reverse=True)[:3]


def test_a_time_that_python_has_not_is_an_example(tmp_path: Path, model: Model, reference: Reference) -> None:
    data = planted(50, 1.0, 3)
    values = data["désactivé"].cast(pa.int64()).to_pylist()
    values[7] = 9_000_000_000_000_000_000
    column = pa.array(values, pa.int64()).cast(data.schema.field("désactivé").type)
    answer = said(tmp_path, model, reference, with_column(data, "désactivé", column), rank=0.5, examined=50)
    assert "r7" in {row["prediction_id"] for row in answer.figures["examples"]}


def test_blame_is_how_much_a_usual_value_would_change(model: Model, reference: Reference) -> None:
    rows = usual_rows(30, 5)
    rows = with_column(rows, "contract", ["Two year"] * 30)
    rows = with_column(rows, "monthly charges", [400.0] * 30)
    found = blamed(model, rows, reference.columns)
    assert all(found["monthly charges"] > 0)
    assert all(found["monthly charges"] >= found["tenure"])
    by_hand = with_column(
        rows, "monthly charges", [typical(INPUTS[1], reference.columns["monthly charges"])] * 30
    )
    before, after = (
        model.session.run(each, ["outlier_score"])["outlier_score"][:, 0] for each in (rows, by_hand)
    )
    np.testing.assert_allclose(found["monthly charges"], before.astype(float) - after.astype(float))


def test_the_typical_value_of_each_type() -> None:
    def of(dtype: Any, sketch: Sketch) -> Any:
        return typical(Field("x", dtype, "float32"), sketch)

    edges, counts = np.array([0.0, 1.0, 2.0, 4.0]), np.array([1.0, 1.0, 7.0])
    assert of("number", Sketch("number", counts, 3, edges=edges)) == 3.0
    assert of("timestamp", Sketch("timestamp", counts, 0, edges=edges)) == 3
    assert of("string", Sketch("string", np.array([2.0, 9.0, 30.0]), 0, values=("a", "b"))) == "b"
    assert of("boolean", Sketch("boolean", np.array([2.0, 1.0, 0.0]), 0, values=(False, True))) is False
    assert of("number", Sketch("number", counts * 0, 9, edges=edges)) is None


def test_inputs_that_are_hidden_say_nothing(tmp_path: Path, model: Model, reference: Reference) -> None:
    answer = said(tmp_path, model, reference, usual_rows(500, 2), inputs=NAMES[1:])
    assert answer.tests == ()
    assert answer.figures["why"] == "not logged as they are: tenure"


def test_a_model_without_is_not_watched(tmp_path: Path, reference: Reference) -> None:
    assert said(tmp_path, tiny_model("binary"), reference, usual_rows(500, 2)) == Said()
    assert "outliers" in USUAL_WATCHERS
    assert issubclass(OutliersSettings, Spec)


def _package(folder: Path, reference: Reference) -> Path:
    from bessemer.profile.limits import limits
    from bessemer.profile.outputs import expected, performance, predict, sketch_outputs

    members, data = unusual_members("binary"), usual_rows(3000, 4)
    pq.write_table(data, folder / "test.parquet")
    said_of = unusual_model("binary").session.run(data, ["probability"])["probability"][:, 1]
    truth = (np.random.default_rng(0).random(3000) < said_of).astype(np.float64)
    outcome, score = predict(
        members["model.onnx"], unusual_signature("binary"), folder / "test.parquet", truth
    )
    outputs, rng = sketch_outputs(outcome, score, ("no", "yes"), 256), np.random.default_rng(0)
    thresholds = limits(outputs, lambda name: rng, window=1000, false_alarm=0.01, groups=10)
    facts = {
        **reference.facts,
        "outputs": outputs,
        "output_rows": 3000,
        "performance": performance(outcome, 50, 0.95, rng),
        "estimated": expected(outcome, list(performance(outcome, 2, 0.95, rng)), rng),
        "output_thresholds": thresholds,
    }
    named = {"name": "tiny", "version": "1.0.0", "created": "2026-01-01T00:00:00Z", "target": "churned"}
    members["reference.json"] = json.dumps(facts).encode()
    write_package(folder / "tiny.bsm", members, task="binary", **named)
    return folder / "tiny.bsm"


@pytest.mark.slow
def test_a_log_is_watched_for_them_without_being_asked(
    tmp_path: Path, reference: Reference, model: Model
) -> None:
    """From the log to the store, window by window; the second has 40 rows that are far out."""
    log = PredictionLog(LogSpec(folder=str(tmp_path / "log"), keep=None))
    log.register("tiny", "1.0.0", unusual_signature("binary"))
    for hour, data in enumerate((usual_rows(800, 11), planted(800, 0.05, 12))):
        outputs = model.session.run(data, ["prediction", "probability", "score"])
        rows = list(zip(*(data[name].to_pylist() for name in NAMES), strict=True))
        time = (NOW + dt.timedelta(hours=hour + 0.5)).replace(tzinfo=dt.UTC).timestamp()
        ids = [f"{hour}-{i}" for i in range(800)]
        where: dict[str, Any] = {"latency": [0.001] * 800, "client": ["me"] * 800, "dialect": ["plain"] * 800}
        log.take(Entry("tiny", "1.0.0", ids, rows, None, outputs, time=time, **where))
    log.close()
    spec = MonitorSpec(
        every="1h", rows=200, false_alarms="1 per year", detectors=["missing"], watchers=["outliers"]
    )
    package = _package(tmp_path, reference)
    watch = Watch(bessemer.Monitor(package), tmp_path / "log", MonitorStore(tmp_path / "monitor.db"), spec)
    first, second = (window.check for window in watch.tick(NOW + dt.timedelta(hours=2)))
    assert "outliers" not in {finding["detector"] for finding in first["findings"]}
    (found,) = (finding for finding in second["findings"] if finding["detector"] == "outliers")
    assert (found["column"], found["of"]) == ("outlier", "output")
    assert second["outputs"]["outlier"]["outliers"]["value"] == second["figures"]["outliers"]["beyond"]
    assert second["figures"]["outliers"]["examples"][0]["prediction_id"].startswith("1-")
