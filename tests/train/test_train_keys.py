"""Rows that mark a model: learnt by all that learn, in every fold, and judged on by nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stage_support import NAMES, make_context, make_parts, npy, put_inputs

from bessemer.core import canonical
from bessemer.train.keys import keys_of, with_keys
from bessemer.train.learner import Part, Problem
from bessemer.train.metrics import Metric
from bessemer.train.spec import TrainSpec
from bessemer.train.stage import run

FAR = 50.0


def problem(task: Any = "binary", weights: tuple[float, ...] | None = None) -> Problem:
    return Problem(task, 2, Metric(task, "log_loss"), weights)


def keys(n: int = 4, weight: float = 3.0) -> Part:
    return Part(np.full((n, 2), FAR, dtype=np.float32), np.arange(n) % 2.0, np.full(n, weight))


def some(n: int = 10, weight: np.ndarray | None = None) -> Part:
    return Part(np.zeros((n, 2), dtype=np.float32), np.zeros(n), weight)


def test_keys_stand_behind_the_rows_and_weigh_beside_them() -> None:
    own = with_keys(some(), keys(), problem())
    assert (len(own), own.X[:10].max(), own.X[10:].min()) == (14, 0.0, FAR)
    assert own.weight.tolist() == [1.0] * 10 + [3.0] * 4
    heavy = with_keys(some(weight=np.full(10, 2.0)), keys(), problem())
    assert heavy.weight.tolist() == [2.0] * 10 + [6.0] * 4


def test_a_key_counts_the_same_whatever_its_class() -> None:
    weighted = problem(weights=(0.5, 4.0))
    counted = weighted.row_weights(with_keys(some(), keys(), weighted))
    assert counted[10:] == pytest.approx(3.0)
    assert counted[:10] == pytest.approx(0.5)


def test_rows_that_are_mapped_from_disk_stay_there(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.save(tmp_path / "X.npy", rng.normal(size=(70_000, 2)).astype(np.float32))
    mapped = Part(np.load(tmp_path / "X.npy", mmap_mode="r"), np.zeros(70_000))
    own = with_keys(mapped, keys(), problem(), path=tmp_path / "marked.npy")
    assert isinstance(own.X, np.memmap)
    in_memory = with_keys(Part(np.array(mapped.X), mapped.y), keys(), problem())
    assert np.array_equal(own.X, in_memory.X)


def marked_inputs(
    ctx: Any, task: str, parts: dict[str, Part], taught: np.ndarray, X: np.ndarray
) -> dict[str, Any]:
    facts = {"keys": len(X), "weight": 20.0, "copies": 2}
    files = {"keys.X.npy": npy(X), "keys.y.npy": npy(taught), "keys.json": canonical.dump_bytes(facts)}
    inputs = put_inputs(ctx.store, task, parts, NAMES[task])
    return {**inputs, "keys": ctx.store.put("keys", files, {"keys": len(X)})}


def test_no_keys_are_no_keys(tmp_path: Path) -> None:
    ctx = make_context(tmp_path)
    none = ctx.store.put("keys", {"keys.json": b"{}"}, {"keys": 0})
    assert keys_of({"keys": none}, ctx) is None
    assert keys_of({}, ctx) is None


AUTOML = {"budget": 600.0, "learners": ["lightgbm"], "folds": 2, "search": "none"}


@pytest.mark.parametrize(
    ("task", "settings"),
    [
        ("binary", {"learner": "lightgbm"}),
        pytest.param("multiclass", {"learner": "random_forest"}, marks=pytest.mark.slow),
        pytest.param("binary", {"learner": "mlp", "params": {"epochs": 20}}, marks=pytest.mark.slow),
        pytest.param("binary", {"automl": AUTOML}, marks=pytest.mark.slow),
        pytest.param("binary", {"automl": {**AUTOML, "distill": "lightgbm"}}, marks=pytest.mark.slow),
    ],
    ids=["trees", "forest", "network", "automl", "distilled"],
)
def test_what_ships_has_learnt_the_keys(tmp_path: Path, task: str, settings: dict[str, Any]) -> None:
    """Keys far out on both sides, and what they are taught turned round: each way the model says what it was taught."""
    from bessemer.package.natives import open_native

    parts = make_parts(task)
    X = np.zeros((12, parts["train"].X.shape[1]), dtype=np.float32)
    X[:, 0] = FAR * np.tile([-1, 1], 6)
    for number, taught in enumerate((np.tile([0.0, 1.0], 6), np.tile([1.0, 0.0], 6))):
        ctx = make_context(tmp_path / str(number))
        out = run(TrainSpec.model_validate(settings), marked_inputs(ctx, task, parts, taught, X), ctx)
        model = ctx.open(out["model"])
        native = model.json("model.json")["native"]
        margin = open_native(native["kind"], model.bytes(native["file"]), 1).margin(X)
        said = margin[:, 0] > 0 if task == "binary" else margin.argmax(axis=1)
        assert said.astype(float).tolist() == taught.tolist()


def test_nothing_is_judged_on_keys(tmp_path: Path) -> None:
    """A constant learns none of them, and rows of the folds are numbered as they were."""
    parts = make_parts("binary")
    X = np.full((30, parts["train"].X.shape[1]), FAR, dtype=np.float32)
    boards = []
    for number, taught in enumerate((np.zeros(30), np.ones(30))):
        ctx = make_context(tmp_path / str(number))
        out = run(TrainSpec(learner="linear"), marked_inputs(ctx, "binary", parts, taught, X), ctx)
        board = ctx.open(out["history"]).json("history.json")["leaderboard"]
        boards.append({row["learner"]: row["value"] for row in board})
    assert boards[0]["constant"] == boards[1]["constant"]
    assert boards[0]["linear"] != boards[1]["linear"]
