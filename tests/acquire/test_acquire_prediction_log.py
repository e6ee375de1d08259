"""The labelled rows of a log that the server's own writer has written, as a source."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from bessemer.acquire.protocol import Place
from bessemer.acquire.sources.prediction_log import PredictionLog as Source
from bessemer.acquire.spec import AcquireSpec
from bessemer.acquire.stage import run
from bessemer.core.errors import DataError
from bessemer.core.stage import Context
from bessemer.core.store import Store
from bessemer.package.prediction_log.layout import models
from bessemer.serve.log.entry import Entry, Label
from bessemer.serve.log.prediction_log import PredictionLog
from bessemer.serve.log.spec import LogSpec
from bessemer.testing.models import tiny_signature

SOURCE = {"prediction_log": "log", "model": "tiny", "label": "price"}
NOON = 1_800_000_000.0


def logged(folder: Path, versions: tuple[str, ...] = ("1",), labels: int = 3) -> None:
    """Five predictions by each version, with the same ids; the first `labels` of them are labelled."""
    with PredictionLog(LogSpec(folder=str(folder), keep=None)) as log:
        for version in versions:
            log.register("tiny", version, tiny_signature("regression"))
            rows = [(i, 70.5, None, "One year", None) for i in range(5)]
            outputs = {"prediction": np.arange(5, dtype=np.float32)}
            ids = [f"{version if version == 'own' else 'r'}-{i}" for i in range(5)]
            log.take(
                Entry("tiny", version, ids, rows, None, outputs, NOON, [0.001] * 5, [""] * 5, ["plain"] * 5)
            )
        log.feedback("tiny", [Label(f"r-{i}", i + 0.5, time.time()) for i in range(labels)])


def acquire(
    folder: Path, source: dict[str, Any], sql: str | None = None, emit: Any = lambda kind, data: None
) -> list[dict[str, Any]]:
    section: dict[str, Any] = {"sources": {"served": source}} | ({"sql": sql} if sql else {})
    (folder / "work").mkdir(exist_ok=True)
    store = Store(folder / "store")
    ctx = Context(
        store=store,
        stage="acquire",
        shared={},
        seed=7,
        project_dir=folder,
        workdir=folder / "work",
        emit=emit,
    )
    found = store.get(run(AcquireSpec.model_validate(section), {}, ctx)["raw"])
    rows: list[dict[str, Any]] = pq.read_table(found.path("data.parquet")).to_pylist()
    return rows


@pytest.mark.slow
def test_labelled_rows_come_in_order_under_the_names_of_the_inputs(tmp_path: Path) -> None:
    logged(tmp_path / "log")
    rows = acquire(tmp_path, SOURCE)
    assert [row["price"] for row in rows] == [0.5, 1.5, 2.5]
    assert [row["tenure"] for row in rows] == [0, 1, 2]
    assert rows[0]["monthly charges"] == 70.5
    assert rows[0]["autopay"] is None
    assert rows[0]["predicted_at"].timestamp() is not None


@pytest.mark.slow
def test_what_a_shadow_was_asked_too_is_there_once(tmp_path: Path) -> None:
    logged(tmp_path / "log", ("1", "2"))
    assert len(acquire(tmp_path, SOURCE)) == 3


def test_a_log_that_is_not_there_yet_adds_no_rows(tmp_path: Path) -> None:
    sql = "select 1.5 as price, 'x' as contract union all by name select * exclude (predicted_at) from served"
    assert acquire(tmp_path, SOURCE, sql) == [{"price": 1.5, "contract": "x"}]


@pytest.mark.slow
def test_inputs_can_be_left_out(tmp_path: Path) -> None:
    logged(tmp_path / "log")
    assert "contract" not in acquire(tmp_path, {**SOURCE, "exclude": ["contract"]})[0]


@pytest.mark.slow
@pytest.mark.parametrize("change", ["predictions", "labels"])
def test_the_fingerprint_changes_with_what_is_logged(tmp_path: Path, change: str) -> None:
    (spec,) = AcquireSpec.model_validate({"sources": {"served": SOURCE}}).sources.values()
    source, place = Source("served", spec), Place(tmp_path)  # type: ignore[arg-type]
    before = source.fingerprint(place)
    logged(tmp_path / "log", labels=0)
    after = source.fingerprint(place)
    assert before != after == source.fingerprint(place)
    with PredictionLog(LogSpec(folder=str(tmp_path / "log"), keep=None)) as log:
        log.register("tiny", "1", tiny_signature("regression"))
        if change == "labels":
            log.feedback("tiny", [Label("r-1", 1.0, time.time())])
        else:
            entry = (
                ["more"],
                [(1, 1.0, None, "x", None)],
                None,
                {"prediction": np.float32([1])},
                NOON,
                [0.001],
                [""],
                ["plain"],
            )
            log.take(Entry("tiny", "1", *entry))
    assert source.fingerprint(place) != after


def spoken(folder: Path, **changes: Any) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows of the source, put together with one of one's own, and what the run said."""
    said: list[str] = []
    sql = "select 1.5 as price, 1 as a union all by name select price from served"
    rows = acquire(
        folder, {**SOURCE, **changes}, sql, lambda _, event: said.append(str(event.get("text", "")))
    )
    return rows, [text for text in said if "served" in text]


def test_a_log_that_is_not_there_yet_is_said(tmp_path: Path) -> None:
    rows, said = spoken(tmp_path)
    assert rows == [{"price": 1.5, "a": 1}]
    assert said == ["source 'served' has no rows: 'log': there is no such folder yet"]


@pytest.mark.slow
def test_a_folder_that_is_called_otherwise_is_said(tmp_path: Path) -> None:
    logged(tmp_path / "prediction-log")
    rows, (said,) = spoken(tmp_path, prediction_log="predction-log")
    assert len(rows) == 1
    assert said.endswith("did you mean 'prediction-log'?")


@pytest.mark.slow
@pytest.mark.parametrize("rolled", [True, False], ids=["in Parquet", "in a journal"])
def test_a_model_that_is_called_otherwise_is_an_error(tmp_path: Path, rolled: bool) -> None:
    if rolled:
        logged(tmp_path / "log")
    else:
        with PredictionLog(LogSpec(folder=str(tmp_path / "open"), keep=None)) as log:
            log.register("tiny", "1", tiny_signature("regression"))
            log.feedback("tiny", [Label("r-1", 1.0, time.time())])
            shutil.copytree(tmp_path / "open", tmp_path / "log")  # as one finds it while the server runs
        assert models(tmp_path / "log") == []
    with pytest.raises(DataError, match="has no model 'tinny'") as caught:
        acquire(tmp_path, {**SOURCE, "model": "tinny"})
    assert "did you mean 'tiny'?" in str(caught.value)


@pytest.mark.slow
def test_clients_that_are_not_to_be_believed_are_left_out(tmp_path: Path) -> None:
    """Mallory asked two of the rows, and gave the last label of another that somebody else had given before."""
    with PredictionLog(LogSpec(folder=str(tmp_path / "log"), keep=None)) as log:
        log.register("tiny", "1", tiny_signature("regression"))
        for client, first in (("mallory", 0), ("ann", 2), ("", 4)):
            rows = [(i, 70.5, None, "One year", None) for i in (first, first + 1)]
            ids = [f"r-{row[0]}" for row in rows]
            outputs = {"prediction": np.zeros(2, dtype=np.float32)}
            log.take(
                Entry("tiny", "1", ids, rows, None, outputs, NOON, [0.001] * 2, [client] * 2, ["plain"] * 2)
            )
        log.feedback("tiny", [Label(f"r-{i}", float(i), NOON + 1, client="ann") for i in range(5)])
        log.feedback("tiny", [Label(f"r-{i}", 99.0, NOON + 2, client="mallory") for i in (2, 5)])
    everybody = [(row["tenure"], row["price"]) for row in acquire(tmp_path, SOURCE)]
    assert everybody == [(0, 0.0), (1, 1.0), (2, 99.0), (3, 3.0), (4, 4.0), (5, 99.0)]
    rows = acquire(tmp_path, {**SOURCE, "exclude_clients": ["mallory", "o'hara"]})
    assert [(row["tenure"], row["price"]) for row in rows] == [(2, 2.0), (3, 3.0), (4, 4.0)]
