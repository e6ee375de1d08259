"""The model itself: is it the one that answers, as old and as quick as it should be, and are its outputs numbers."""

from __future__ import annotations

import datetime as dt
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from log_support import Server, at, seconds
from package_support import given
from watcher_support import logged, watch

import patience
from bessemer.monitor.watchers.age import Age, AgeSettings
from bessemer.monitor.watchers.nan import Nan, NanSettings
from bessemer.monitor.watchers.skew import Skew, SkewSettings
from bessemer.monitor.watchers.speed import Speed, SpeedSettings
from bessemer.monitor.watching.logged import read_window
from bessemer.package.model import Model, load
from bessemer.package.write import write_package
from bessemer.serve.log.entry import Entry
from bessemer.testing.models import INPUTS, TASKS, tiny_members, tiny_model
from patience import PATIENCE, UNHURRIED


@pytest.fixture(scope="module")
def models(packages: dict[str, Path]) -> dict[str, Model]:
    return {task: load(path) for task, path in packages.items()}


# skew ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("task", TASKS)
def test_what_the_package_says_is_what_was_logged(
    models: dict[str, Model], tmp_path: Path, task: str
) -> None:
    rows = logged(models[task], given(300, 1))
    said = watch(Skew(SkewSettings(rows=None)), models[task], rows, tmp_path)
    assert not said.tests
    assert (said.figures["provable"], said.figures["rows"], said.figures["same"]) == (True, 300, 300)


@pytest.mark.parametrize("task", TASKS)
def test_one_row_that_differs_is_a_fact(models: dict[str, Model], tmp_path: Path, task: str) -> None:
    """An input that was changed on its way: the log has what was asked, and the answer is to another question."""
    model, data = models[task], given(300, 1)
    asked = data.set_column(0, "tenure", pa.array([*data.column("tenure").to_pylist()[:-1], 999]))
    answers = logged(model, asked)
    rows = answers.set_column(answers.schema.get_field_index("in.tenure"), "in.tenure", data.column("tenure"))
    said = watch(Skew(SkewSettings(rows=None)), model, rows, tmp_path)
    assert said.tests
    assert all(test.p_value is None and test.of == "output" for test in said.tests)
    assert said.figures["same"] == 299
    assert "prediction" in {test.column for test in said.tests} or task != "regression"
    assert watch(Skew(SkewSettings(rows=None)), model, answers, tmp_path).figures["same"] == 300


def test_last_digits_are_shown_and_not_told(models: dict[str, Model], tmp_path: Path) -> None:
    model, rows = models["binary"], logged(models["binary"], given(300, 1))
    moved = np.nextafter(rows.column("out.probability").to_numpy(), np.float32(1))
    near = rows.set_column(rows.schema.get_field_index("out.probability"), "out.probability", pa.array(moved))
    said = watch(Skew(SkewSettings()), model, near, tmp_path)
    assert not said.tests
    assert said.figures["same"] < 10
    assert 0 < said.figures["worst"]["probability"] < 1e-6


def test_a_draw_says_how_many_rows_it_is_of(models: dict[str, Model], tmp_path: Path) -> None:
    said = watch(
        Skew(SkewSettings(rows=50)), models["binary"], logged(models["binary"], given(300, 1)), tmp_path
    )
    assert (said.figures["rows"], said.figures["same"]) == (50, 50)


def test_hidden_inputs_prove_nothing(models: dict[str, Model], tmp_path: Path) -> None:
    rows = logged(models["binary"], given(30, 1)).drop_columns(["in.tenure"])
    inputs = tuple(field.name for field in INPUTS if field.name != "tenure")
    said = watch(Skew(SkewSettings()), models["binary"], rows, tmp_path, inputs=inputs)
    assert said.figures == {"provable": False, "hidden": ["tenure"]}
    assert not said.tests


# nan ----------------------------------------------------------------------------------------------
def test_outputs_that_are_no_numbers(models: dict[str, Model], tmp_path: Path) -> None:
    model, watcher = models["binary"], Nan(NanSettings())
    assert not watch(watcher, model, logged(model, given(30, 1)), tmp_path).tests
    score = np.r_[np.nan, np.inf, np.zeros(28)].astype(np.float32)
    missing = ["yes"] * 29 + [None]
    bad = logged(model, given(30, 1), **{"out.score": score, "out.prediction": missing})
    found = {test.column: test.value for test in watch(watcher, model, bad, tmp_path).tests}
    assert found == {"score": 2, "prediction": 1}
    unasked = logged(model, given(30, 1), **{"out.score": pa.nulls(30, pa.float32())})
    assert not watch(watcher, model, unasked, tmp_path).tests, "a protocol may do without"


# age ----------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def aged(packages: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A package of 1 January, two months before the windows, made with another onnxruntime; data up to 2025-12-01."""
    reference = load(packages["binary"]).contents.json("reference.json")
    reference["columns"]["désactivé"] |= {"max": "2025-12-01T00:00:00"}
    libraries = {"onnxruntime": "1.0.0", "numpy": version("numpy")}
    members = tiny_members("binary") | {
        "reference.json": json.dumps(reference).encode(),
        "provenance.json": json.dumps({"libraries": libraries}).encode(),
    }
    path = tmp_path_factory.mktemp("aged") / "tiny.bsm"
    facts = {"name": "tiny", "version": "1.0.0", "created": "2026-01-01T00:00:00Z"}
    write_package(path, members, **facts, task="binary", target="churned")
    return load(path)


def test_ages_and_versions_are_found_while_they_hold(aged: Model, tmp_path: Path) -> None:
    watcher = Age(AgeSettings(package="65d", data="60d"))
    rows, memory, told = logged(aged, given(5, 1)), {}, []
    for day in range(16):
        said = watch(watcher, aged, rows, tmp_path, memory, start=24 * day)
        memory = json.loads(json.dumps(said.memory))
        told.append(sorted(test.column for test in said.tests))
    old = ["data", "onnxruntime", "package"]
    assert told == [[name for name in old if day > 5 or name != "package"] for day in range(16)]
    assert said.figures["package_days"] == pytest.approx(74, abs=0.1)
    assert said.figures["data_days"] == pytest.approx(105, abs=0.1)
    assert said.figures["libraries"]["onnxruntime"] == {"made_with": "1.0.0", "here": version("onnxruntime")}


def test_what_is_young_and_the_same_is_not_told(
    aged: Model, models: dict[str, Model], tmp_path: Path
) -> None:
    rows = logged(aged, given(5, 1))
    assert not watch(Age(AgeSettings(libraries=["numpy"])), aged, rows, tmp_path).tests
    assert not watch(Age(AgeSettings()), models["binary"], rows, tmp_path).tests, "it does not say with what"
    (told,) = watch(Age(AgeSettings()), aged, rows, tmp_path).tests
    assert (told.column, told.p_value) == ("onnxruntime", None)
    assert "was made with onnxruntime 1.0.0" in told.text


# speed --------------------------------------------------------------------------------------------
def requests(server: Server, release: str, hour: int, median: float, n: int = 60) -> None:
    """Requests of one row and of eight, with latencies that share the hour's load."""
    rng = np.random.default_rng([hour, len(release)])
    load_of_hour = float(np.exp(0.1 * rng.normal()))
    model = tiny_model("binary")
    for size in (1, 8):
        data = given(n * size, hour)
        ids = [
            f"{release}h{hour}r{i}" if size == 1 else f"{release}h{hour}s{i // 8}-{i % 8}"
            for i in range(n * size)
        ]
        each = median * load_of_hour * np.exp(0.4 * rng.normal(size=n)) * (1 + size / 8)
        entry = {
            "time": seconds(at(hour + 0.5)),
            "latency": np.repeat(each, size).tolist(),
            "client": [""] * len(ids),
            "dialect": ["plain"] * len(ids),
        }
        outputs = model.session.run(data, ["prediction", "probability", "score"])
        rows = list(zip(*(data.column(field.name).to_pylist() for field in INPUTS), strict=True))
        server.log.take(Entry("tiny", release, ids, rows, None, outputs, **entry))


@pytest.mark.slow
@pytest.mark.parametrize(("factor", "slower"), [(1.1, False), (1.6, True)])
def test_a_version_that_is_slower_than_the_one_before(
    models: dict[str, Model], tmp_path: Path, factor: float, slower: bool
) -> None:
    server = Server(tmp_path / "log")
    server.log.register("tiny", "0.9.0", models["binary"].signature)
    for hour in range(12):
        requests(server, "0.9.0", hour, 0.002)
    for hour in range(12, 24):
        requests(server, "1.0.0", hour, 0.002 * factor)
    server.log.close()
    model, watcher, memory = models["binary"], Speed(SpeedSettings()), {}
    p: dict[str, list[float]] = {}
    for hour in range(12, 24):
        span = (at(hour), at(hour + 1))
        read_window(tmp_path / "log", "tiny", "1.0.0", model.signature, *span, tmp_path / "one.parquet")
        said = watch(watcher, model, pq.read_table(tmp_path / "one.parquet"), tmp_path, memory, start=hour)
        memory = json.loads(json.dumps(said.memory))
        for test in said.tests:
            p.setdefault(test.column, []).append(test.p_value)
    assert said.figures["earlier"] == "0.9.0"
    assert set(p) == {"plain, 1 row", "plain, 8 to 15 rows"}
    assert {len(each) for each in p.values()} == {8}, "five hours are needed"
    assert all((each[-1] < 1e-3) == slower for each in p.values()), p
    assert len(json.dumps(memory)) < 4000
    assert said.figures["kinds"]["plain, 1 row"]["hours"] == 12


@pytest.mark.slow
def test_where_there_was_no_version_before(models: dict[str, Model], tmp_path: Path) -> None:
    server = Server(tmp_path / "log")
    server.answer(0.5, 50, 1)
    server.log.close()
    said: Any = watch(
        Speed(SpeedSettings()), models["binary"], logged(models["binary"], given(50, 1)), tmp_path
    )
    assert said.figures == {"earlier": None}
    again = watch(
        Speed(SpeedSettings()),
        models["binary"],
        logged(models["binary"], given(50, 1)),
        tmp_path,
        said.memory,
    )
    assert not again.tests


# a server -----------------------------------------------------------------------------------------
@contextmanager
def serving(package: Path, folder: Path) -> Iterator[str]:
    """`bessemer serve` with a log in `folder`; gives its URL."""
    settings = {"data": "x.csv", "target": "churned", "serve": {**UNHURRIED, "log": {"folder": "log"}}}
    (folder / "bessemer.yaml").write_text(json.dumps(settings))
    words = [
        "serve",
        str(package),
        "--json",
        "--port",
        "0",
        "--workers",
        "1",
        "--project",
        str(folder / "bessemer.yaml"),
    ]
    process = subprocess.Popen([sys.executable, "-m", "bessemer", *words], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    text = ""
    try:
        for line in process.stdout:
            text += line
            with suppress(ValueError):
                yield str(json.loads(text)["url"])
                break
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)


@pytest.mark.slow
def test_what_a_server_logs_is_proved_whatever_the_protocol(
    package: Path, models: dict[str, Model], tmp_path: Path
) -> None:
    """JSON rows, one and many, with what is missing in every way; columns; tensors; CSV: not one row differs."""
    model = models["binary"]
    rows: list[dict[str, Any]] = given(60, 5).to_pylist()
    rows += [
        {"tenure": 0},
        {"tenure": 8.0, "contract": "", "monthly charges": None},
        {"tenure": 3, "autopay": 1},
    ]
    rows += [{"tenure": 2, "désactivé": "2024-01-31T12:00:00+02:00", "contract": "Zwölf Monate"}]
    numbers = {"tenure": "FP32", "monthly charges": "FP64", "autopay": "FP32"}
    tensors = [
        {"name": name, "shape": [2, 1], "datatype": kind, "data": [1, 0]} for name, kind in numbers.items()
    ]
    tensors += [
        {"name": "contract", "shape": [2, 1], "datatype": "BYTES", "data": ["One year", ""]},
        {
            "name": "désactivé",
            "shape": [2, 1],
            "datatype": "INT64",
            "data": [1_700_000_000_000_000, -(2**63)],
        },
    ]
    with serving(package, tmp_path) as url, patience.Client(base_url=url) as http:
        answers = [http.post("/predict", json={"rows": rows})]
        answers += [http.post("/predict", json={"rows": [row]}) for row in rows]
        answers.append(http.post("/v2/models/tiny/infer", json={"inputs": tensors}))
        csv = "tenure,monthly charges\n7,70.1\n9,\n"
        answers.append(http.post("/invocations", content=csv, headers={"content-type": "text/csv"}))
        assert [answer.status_code for answer in answers] == [200] * len(answers), [a.text for a in answers]
    now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
    span = (now - dt.timedelta(hours=1), now + dt.timedelta(hours=1))
    window = read_window(tmp_path / "log", "tiny", "1.0.0", model.signature, *span, tmp_path / "one.parquet")
    assert window.rows == 2 * len(rows) + 4
    said = watch(
        Skew(SkewSettings(rows=None)), model, pq.read_table(window.path), tmp_path, inputs=window.inputs
    )
    assert not said.tests, said.tests
    mixed = pq.read_table(window.path).column("out.score").null_count
    assert 0 < mixed < window.rows, "some protocols ask for the score"
    assert (said.figures["provable"], said.figures["rows"], said.figures["same"]) == (
        True,
        window.rows,
        window.rows,
    )
