"""Versions of packages: what they say, what they lose, which one is taken."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.csv
import pyarrow.parquet
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "export"))
from packages_support import SHARED, model, package

from bessemer.api.optimizing import optimize
from bessemer.core.errors import DataError, UsageError
from bessemer.optimize.choose import Tried, fastest, pareto
from bessemer.optimize.judge import Loss, Said, loss_of
from bessemer.optimize.measure import Cost, Setting
from bessemer.optimize.plugins import WAYS
from bessemer.optimize.rows import rows_of
from bessemer.optimize.variant import Parent, UnsuitedError, Variant, with_head
from bessemer.package.model import load
from bessemer.package.session import GraphSession
from bessemer.testing.optimizations import check_way


def parent(kind: str) -> Parent:
    return Parent(model(kind), rows_of(model(kind), None, 0).learn_features, 0)


def variants(way: str, kind: str) -> list[Variant]:
    found: Any = WAYS.load(way)
    return found(found.Settings()).variants(parent(kind))


@pytest.mark.slow
@pytest.mark.parametrize(("way", "kind"), [
    ("fewer_trees", "lightgbm"), ("fewer_trees", "forest"), ("student", "lightgbm"), ("student", "logistic"),
    ("folded", "regression"),
])  # fmt: skip
def test_it_keeps_what_it_says(way: str, kind: str) -> None:
    found: Any = WAYS.load(way)
    check_way(found, found.Settings(), model(kind))


@pytest.mark.slow
@pytest.mark.parametrize(("way", "kind"), [
    ("int8", "table_net"), ("int8", "convnet"), ("weights16", "table_net"), ("weights16", "convnet"),
    ("student", "table_net"), ("folded", "table_net"),
])  # fmt: skip
def test_networks_too(way: str, kind: str) -> None:
    found: Any = WAYS.load(way)
    made = check_way(found, found.Settings(), model(kind))
    whole = len(model(kind).contents.bytes("model.onnx"))
    if way in ("int8", "weights16"):
        assert min(len(variant.graph) for variant in made) < 0.6 * whole


def test_the_same_head_in_its_place_answers_the_same() -> None:
    from bessemer.package.trees.codec import decode
    from bessemer.package.trees.onnx import to_onnx

    one = model("lightgbm")
    same = with_head(parent("lightgbm").graph, to_onnx(decode(parent("lightgbm").native.content)))
    feeds = rows_of(one, None, 0).judge
    for name in ("prediction", "probability", "score"):
        ours, theirs = (
            GraphSession(graph, one.signature.inputs).run_feeds(dict(feeds), [name])[name]
            for graph in (same, one.contents.bytes("model.onnx"))
        )
        assert np.array_equal(ours, theirs)


def test_folding_changes_no_bit() -> None:
    (folded,) = variants("folded", "lightgbm")
    one = model("lightgbm")
    feeds = dict(rows_of(one, None, 0).judge)
    session = GraphSession(folded.graph, one.signature.inputs)
    wanted = ["prediction", "probability", "score", "features"]
    ours, theirs = session.run_feeds(feeds, wanted), one.session.run_feeds(feeds, wanted)
    assert all(np.array_equal(ours[name], theirs[name], equal_nan=name == "features") for name in wanted)


@pytest.mark.parametrize(("way", "kind", "why"), [
    ("fewer_trees", "logistic", "no single sum"), ("int8", "lightgbm", "only networks"),
    ("weights16", "forest", "only networks"),
])  # fmt: skip
def test_what_does_not_suit_says_why(way: str, kind: str, why: str) -> None:
    with pytest.raises(UnsuitedError, match=why):
        variants(way, kind)


def test_a_student_needs_rows() -> None:
    kind: Any = WAYS.load("student")
    few = Parent(model("lightgbm"), parent("lightgbm").X[:100], 0)
    with pytest.raises(UnsuitedError, match="500 rows"):
        kind(kind.Settings()).variants(few)


def test_rows_to_learn_from_are_not_those_to_judge_on() -> None:
    table = pyarrow.csv.read_csv(SHARED / "adult" / "train.csv").slice(2000, 600)
    rows = rows_of(model("lightgbm"), table, 0)
    judged = model("lightgbm").session.run_feeds(dict(rows.judge), ["features"])["features"]
    assert len(rows.learn_features) == len(judged) == 300
    assert rows.truth is not None
    seen = {row.tobytes() for row in rows.learn_features}
    assert sum(row.tobytes() in seen for row in judged) < 10  # no more than rows that are alike


def cost(micros: float, size: int = 1000) -> Cost:
    return Cost(size, 1.0, {1: micros, 64: micros * 10})


def tried(
    name: str, micros: float, lost: float, high: float, *, size: int = 1000, same: bool = False
) -> Tried:
    return Tried(Variant(name, b"", same=same), Setting(), cost(micros, size), Loss(100, 0.1, lost, high))


def test_the_front_and_the_choice() -> None:
    whole = tried("as it is", 100, 0, 0.03, same=True)
    quick = tried("quick", 50, 0.01, 0.04)
    wild = tried("wild", 10, 0.5, 0.6)
    worse = tried("worse", 60, 0.02, 0.05)
    noise = tried("noise", 99, 0, 0.03, same=True)
    every = [whole, quick, wild, worse, noise]
    assert [one.variant.name for one in pareto(every)] == ["as it is", "quick", "wild"]
    assert fastest(every, 1, 0.01) is whole  # its upper end is beyond
    assert fastest(every, 1, 0.04) is quick
    assert fastest([quick], 1, 0.001) is None
    assert fastest(every, 1, 0.04, changed=0.03) is whole


def test_a_loss_has_an_upper_end() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 400)
    good = np.where(truth[:, None] == [0, 1], 0.8, 0.2) + rng.normal(0, 0.1, (400, 1)) * [1, -1]
    bad = good[rng.permutation(400)]
    before, after = (Said(p.astype(np.float32), (p[:, 1] >= 0.5).astype(np.int64)) for p in (good, bad))
    same = loss_of("binary", before, before, truth, "", 0.95, np.random.default_rng(0))
    assert same.worse == 0
    assert same.difference == 0
    assert 0 < same.other_high < 0.01
    lost = loss_of("binary", before, after, truth, "accuracy", 0.95, np.random.default_rng(0))
    assert lost.worse is not None
    assert lost.worse_high is not None
    assert 0.3 < lost.worse < lost.worse_high < 0.7
    blind = loss_of("binary", before, after, None, "", 0.95, rng)
    assert blind.bound == blind.other_high > blind.other > 0.3


def test_the_child_is_a_package_and_names_its_parent(tmp_path: Path) -> None:
    ways = {"fewer_trees": {"keep": [0.5]}}
    made = optimize(package("lightgbm"), tmp_path / "child.bsm", ways=ways, loss=0.9)
    child = load(made.path)
    told = child.contents.json("optimization.json")
    assert child.version == "1.opt"
    assert told["parent"]["manifest_sha256"] == model("lightgbm").manifest.digest
    assert child.provenance["parent"] == told["parent"]
    assert len(told["pareto"]) >= 1
    assert "optimised" in child.card
    rows = model("lightgbm").sample
    for row in child.predict_rows(rows, explain=True):
        parts = sum(value for name, value in row.items() if name.startswith("contribution_"))
        assert abs(parts + row["base"] - row["score"]) < 1e-4
    if told["taken"]["version"] != "as it is":
        assert "evaluation.json" not in child.contents


@pytest.mark.slow
def test_right_answers_are_used(tmp_path: Path) -> None:
    rows = tmp_path / "rows.parquet"
    pyarrow.parquet.write_table(pyarrow.csv.read_csv(SHARED / "adult" / "train.csv").slice(2000, 1500), rows)
    made = optimize(
        package("logistic"), tmp_path / "c.bsm", data=str(rows), ways={"student": {"trees": [20]}}, loss=0.2
    )
    losses = [one.loss for one in made.found.tried]
    assert all(loss.metric == "roc_auc" and loss.rows == 750 for loss in losses)
    assert losses[0].worse == 0


def test_faults_are_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="studnt"):
        optimize(package("logistic"), tmp_path / "c.bsm", ways={"studnt": {}})
    with pytest.raises(UsageError, match="cannot be set so"):
        optimize(package("logistic"), tmp_path / "c.bsm", ways={"student": {"leafs": 3}})
    with pytest.raises(UsageError, match="the package itself"):
        optimize(package("logistic"), package("logistic"))
    nowhere = tmp_path / "none.csv"
    with pytest.raises(DataError):
        optimize(package("logistic"), tmp_path / "c.bsm", data=str(nowhere))
    assert not (tmp_path / "c.bsm").exists()


@pytest.mark.slow
def test_the_command_line(tmp_path: Path) -> None:
    program = str(Path(sys.executable).with_name("bessemer"))
    out = tmp_path / "child.bsm"
    words = [program, "optimize", str(package("logistic")), "-o", str(out), "--way", "folded"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "taken:" in done.stdout
    assert load(out).name == "logistic"
    said = subprocess.run([*words, "--json", "--changed", "10%"], capture_output=True, text=True)
    assert json.loads(said.stdout)["taken"]["version"]
    assert json.loads(said.stdout)["limits"]["changed"] == 0.1
    wrong = subprocess.run([*words, "--loss", "much"], capture_output=True, text=True)
    assert wrong.returncode == 2
    assert "--loss" in wrong.stderr


def test_tables_of_no_rows_are_refused(tmp_path: Path) -> None:
    empty = tmp_path / "empty.parquet"
    table = pyarrow.csv.read_csv(SHARED / "adult" / "train.csv").slice(0, 0)
    pyarrow.parquet.write_table(table, empty)
    with pytest.raises(DataError):
        optimize(package("logistic"), tmp_path / "c.bsm", data=str(empty))
