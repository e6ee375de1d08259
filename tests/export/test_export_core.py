"""The numeric core and its encoder: the package's answers, without texts, trees or NaN."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from packages_support import model

from bessemer.core.signature import Field
from bessemer.export.numeric import core_of, trees
from bessemer.export.numeric.program import program_of
from bessemer.export.numeric.refusal import UncarriedError
from bessemer.export.numeric.trees import MOST_BRANCHES, add_trees
from bessemer.export.protocol import NoSettings, Source
from bessemer.export.readers.encoder import Encoder
from bessemer.export.samples import UNSEEN, samples_of
from bessemer.export.targets import onnx_core
from bessemer.export.targets.onnx_core import OnnxCore
from bessemer.package.graph import GraphBuilder, serialize
from bessemer.package.onnx_format import parse
from bessemer.package.runtime import open_session
from bessemer.package.trees.kernel import arrays_of
from bessemer.package.trees.model import Tree, Trees
from bessemer.package.trees.onnx import to_onnx
from bessemer.testing.models import TASKS, tiny_model

KINDS = ("lightgbm", "logistic", "forest", "regression")


def answers(core: Any, encoded: np.ndarray) -> np.ndarray:
    (found,) = open_session(core.graph, 1).run([core.outputs[-1]], {"encoded": encoded})
    return found


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_it_answers_as_the_package_does(kind: str) -> None:
    package = model(kind)
    core, samples = core_of(package), samples_of(package)
    encoded = core.encoded(samples.features)
    assert np.isfinite(encoded).all()
    away = np.abs(answers(core, encoded) - samples.values) / np.maximum(1, np.abs(samples.values))
    assert away.max() < 1e-6
    used = {(node.domain, node.op_type) for node in parse(core.graph).graph.node}
    assert all(domain == "" for domain, _ in used)
    assert not {name for _, name in used} & {"IsNaN", "Loop", "If", "StringNormalizer"}


@pytest.mark.parametrize("kind", KINDS)
def test_the_encoder_gives_the_very_features(kind: str) -> None:
    package = model(kind)
    core, samples = core_of(package), samples_of(package)
    told = json.loads(core.encoder_json)
    encoder = Encoder(told)
    assert np.array_equal(encoder.features(samples.rows), samples.features, equal_nan=True)
    assert np.array_equal(encoder.encode(samples.rows), core.encoded(samples.features))
    assert encoder.width == core.width
    assert len(set(told["columns"])) == core.width


def test_what_it_decides_is_what_the_package_says() -> None:
    for kind in KINDS:
        samples = samples_of(model(kind))
        decided = Encoder(json.loads(core_of(model(kind)).encoder_json)).decide(samples.scores)
        if kind == "regression":
            assert decided == pytest.approx(samples.labels)
        else:
            assert decided == samples.labels


@pytest.mark.parametrize("task", TASKS)
def test_moments_booleans_and_names_of_all_kinds(task: Any) -> None:
    package = tiny_model(task)
    core, samples = core_of(package), samples_of(package)
    encoder = Encoder(json.loads(core.encoder_json))
    assert np.array_equal(encoder.features(samples.rows), samples.features, equal_nan=True)
    assert np.abs(answers(core, encoder.encode(samples.rows)) - samples.values).max() < 1e-6


def test_samples_have_missing_and_unseen_values() -> None:
    package = model("lightgbm")
    rows = samples_of(package).rows
    for field in package.signature.inputs:
        if field.nullable:
            assert any(row[field.name] is None for row in rows)
        if field.dtype == "string":
            assert any(row[field.name] == UNSEEN for row in rows)
    assert samples_of(package).rows == rows


def test_imputation_moves_into_the_encoder() -> None:
    """A linear model only fills missing numbers in: it needs no flags."""
    core = core_of(model("logistic"))
    assert core.flags == ()
    assert np.any(core.fill != 0)


def test_trees_are_told_what_is_missing() -> None:
    core = core_of(model("lightgbm"))
    names = [feature["kind"] for feature in model("lightgbm").info["features"]]
    assert core.flags
    assert all(names[i] not in ("indicator", "rank") for i in core.flags)


def _grown(rng: np.random.Generator, branches: int, features: int, targets: int) -> Tree:
    """A tree of random shape: each new branch takes the place of a leaf."""
    left, right = np.full(branches, 0), np.full(branches, 0)
    open_sides = [(0, 0), (0, 1)]
    for branch in range(1, branches):
        at, side = open_sides.pop(rng.integers(len(open_sides)))
        (left if side == 0 else right)[at] = branch
        open_sides += [(branch, 0), (branch, 1)]
    for leaf, (at, side) in enumerate(open_sides):
        (left if side == 0 else right)[at] = -1 - leaf
    edges = np.float32([-1e38, -1, -0.5, 0, 0.5, 1, np.finfo(np.float32).max, np.inf])
    return Tree(
        rng.integers(features, size=branches).astype(np.int32),
        rng.choice(edges, branches),
        rng.random(branches) < 0.5,
        left.astype(np.int32),
        right.astype(np.int32),
        rng.normal(size=(branches + 1, targets)),
        np.ones(branches + 1),
    )


@pytest.mark.slow
@given(
    seed=st.integers(0, 2**32 - 1),
    branches=st.sampled_from([1, 2, 7, 40, MOST_BRANCHES + 30]),
    wide=st.booleans(),
)
def test_trees_of_any_shape_as_tensors(seed: int, branches: int, wide: bool) -> None:
    rng = np.random.default_rng(seed)
    features, targets = 5, 3 if wide else 1
    trees = Trees(
        tuple(_grown(rng, int(rng.integers(1, branches + 1)), features, targets) for _ in range(4)),
        rng.normal(size=targets),
        features,
    )
    x = rng.choice(np.float32([-2, -1, -0.5, 0, 0.25, 0.5, 1, 7, np.nan]), (50, features)).astype(np.float32)
    g = GraphBuilder("tensors")
    filled, missing = (g.input(name, "float32", ("N", features)) for name in ("x", "missing"))
    (node,) = [n for n in to_onnx(trees).graph.node if n.op_type == "TreeEnsembleRegressor"]
    total = add_trees(g, arrays_of(node), filled, missing, features)
    g.output(g.op("Identity", [total], name="sum"), "float32", ("N", targets))
    feeds = {"x": np.nan_to_num(x), "missing": np.isnan(x).astype(np.float32)}
    (found,) = open_session(serialize(g.model()), 1).run(["sum"], feeds)
    assert np.allclose(found, trees.sums(x) - trees.base, atol=1e-5)


def test_an_operator_that_readers_do_not_know_is_named() -> None:
    g = GraphBuilder("odd")
    x = g.input("x", "float32", ("N", 1))
    g.output(g.op("Erf", [x], name="features"), "float32", ("N", 1))
    with pytest.raises(UncarriedError, match="Erf"):
        program_of(g.model(), [Field("x", "number", "float32")])


def test_missing_values_that_go_through_a_model_are_refused() -> None:
    """A head that lets NaN through would answer a number instead."""
    from bessemer.export.numeric.missing import Rewritten

    g = GraphBuilder("core")
    made = Rewritten(g, {"features": g.input("x", "float32", ("N", 2))}, {}, 2)
    made.masks["features"] = g.input("missing", "float32", ("N", 2))
    head = GraphBuilder("head")
    x = head.input("features", "float32", ("N", 2))
    head.op("MatMul", [x, head.constant(np.ones((2, 1), dtype=np.float32))], name="score")
    made.constant("const", np.ones((2, 1), dtype=np.float32))
    (node,) = head.model().graph.node
    with pytest.raises(UncarriedError, match="MatMul"):
        made.add(node)


def test_the_reader_refuses_another_format() -> None:
    told = json.loads(core_of(model("logistic")).encoder_json)
    with pytest.raises(ValueError, match="format 1"):
        Encoder({**told, "format": 2})


def test_rows_are_made_up_where_there_is_no_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    """They lie on both sides of what the model decides by, so they find more leaves than a few rows do."""
    one = model("regression")
    monkeypatch.setitem(one.__dict__, "reference", {})
    monkeypatch.setitem(one.__dict__, "sample", [])
    samples = samples_of(one)
    assert len(samples) > 150
    assert len(np.unique(samples.scores)) > 100
    rows = samples_of(tiny_model("multiclass")).rows
    assert len({row["contract"] for row in rows}) > 3


def _operators(graph: bytes) -> set[str]:
    return {node.op_type for node in parse(graph).graph.node}


def test_trees_that_tables_have_no_room_for_are_walked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A protobuf holds no more than 2 GB: thousands of full trees would be beyond it."""
    package = model("lightgbm")
    samples, large = samples_of(package), core_of(package)
    assert "GatherElements" not in _operators(large.graph)
    monkeypatch.setattr(trees, "MOST_WAYS", 10_000)
    small = core_of(package)
    assert "GatherElements" in _operators(small.graph)
    assert len(small.graph) < len(large.graph)
    encoded = small.encoded(samples.features)
    assert np.abs(answers(small, encoded) - samples.values).max() < 1e-6


def test_a_check_computes_some_rows_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand rows of some hundred trees at once would take gigabytes."""
    seen: list[int] = []

    class Watched:
        def __init__(self, session: Any) -> None:
            self.session = session

        def run(self, asked: Any, feeds: Any) -> Any:
            seen.append(len(feeds["encoded"]))
            return self.session.run(asked, feeds)

    opened = onnx_core.open_session
    monkeypatch.setattr(onnx_core, "open_session", lambda *given: Watched(opened(*given)))
    source, target = Source(model("lightgbm")), OnnxCore(NoSettings())
    samples = samples_of(source.model, source.model.sample * 30)
    target.export(source, tmp_path)
    found = target.check(source, tmp_path, samples)
    assert sum(seen) == len(samples) > 300
    assert max(seen) <= 256
    assert np.abs(found.values - samples.values).max() < 1e-6


@pytest.mark.slow
def test_an_ensemble_with_pairs_of_categories_and_missing_numbers() -> None:
    """Its members look at the features and at more that they make of them."""
    from bessemer.package.cut import behind

    package = model("ensemble")
    core, samples = core_of(package), samples_of(package)
    features = samples.features.copy()
    rng = np.random.default_rng(0)
    for feature in core.flags:
        features[rng.random(len(features)) < 0.3, feature] = np.nan
    head = behind(parse(package.contents.bytes("model.onnx")), "features", ["probability"])
    (expected,) = open_session(serialize(head), 1).run(["probability"], {"features": features})
    assert np.isnan(features).any()
    assert np.abs(answers(core, core.encoded(features)) - expected).max() < 2e-6
