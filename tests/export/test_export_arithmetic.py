"""The core without comparisons and look-ups answers as the core does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bessemer.export.numeric import core_of
from bessemer.export.numeric.arithmetic import arithmetic
from bessemer.export.numeric.refusal import UncarriedError
from bessemer.export.numeric.trees import MOST_BRANCHES, add_trees
from bessemer.export.samples import samples_of
from bessemer.package.graph import GraphBuilder, serialize
from bessemer.package.onnx_format import parse
from bessemer.package.runtime import open_session
from bessemer.package.trees.kernel import arrays_of
from bessemer.package.trees.model import Tree, Trees
from bessemer.package.trees.onnx import to_onnx
from bessemer.testing.models import TASKS, tiny_model

GONE = {
    "Cast",
    "Equal",
    "Gather",
    "GatherElements",
    "Greater",
    "IsNaN",
    "Less",
    "LessOrEqual",
    "Transpose",
    "Where",
}


def run(graph: bytes, rows: np.ndarray) -> np.ndarray:
    session = open_session(graph, 1)
    (found,) = session.run([session.get_outputs()[-1].name], {session.get_inputs()[0].name: rows})
    return found


def comb(branches: int, rng: np.random.Generator) -> Tree:
    """A tree whose every left side is a leaf."""
    at = np.arange(branches, dtype=np.int32)
    right = np.where(at + 1 < branches, at + 1, -1 - branches).astype(np.int32)
    thresholds = rng.choice(np.float32([-1, 0, 0.25, 1e-3, 1e-3 + 1e-10, 3e38]), branches)
    value = rng.normal(size=(branches + 1, 1))
    return Tree(at % 3, thresholds, rng.random(branches) < 0.5, -1 - at, right, value, np.ones(branches + 1))


def core_of_trees(trees: Trees) -> bytes:
    g = GraphBuilder("core")
    x = g.input("encoded", "float32", ("N", 3))
    (node,) = [n for n in to_onnx(trees).graph.node if n.op_type == "TreeEnsembleRegressor"]
    total = add_trees(g, arrays_of(node), x, "", 3)
    g.output(g.op("Identity", [total], name="score"), "float32", ("N", 1))
    return serialize(g.model())


@pytest.mark.parametrize("task", TASKS)
def test_it_answers_as_the_core_does(task: Any) -> None:
    package = tiny_model(task)
    core = core_of(package)
    rows = core.encoded(samples_of(package).features)
    written = arithmetic(core.graph)
    assert np.abs(run(written, rows) - run(core.graph, rows)).max() < 1e-6
    assert not {node.op_type for node in parse(written).graph.node} & GONE


def test_thresholds_are_exact() -> None:
    """A row at a threshold, and the next float32 on either side of it."""
    rng = np.random.default_rng(0)
    trees = Trees(tuple(comb(n, rng) for n in (1, 4, 30)), np.zeros(1), 3)
    edges = np.unique(np.concatenate([tree.threshold for tree in trees.trees]))
    near = [np.nextafter(edges, np.float32(to), dtype=np.float32) for to in (-np.inf, np.inf)]
    values = np.concatenate([edges, *near])
    rows = rng.choice(values, (500, 3)).astype(np.float32)
    assert np.abs(run(arithmetic(core_of_trees(trees)), rows)[:, 0] - trees.sums(rows)[:, 0]).max() < 1e-5


def test_large_trees_are_refused() -> None:
    trees = Trees((comb(MOST_BRANCHES + 1, np.random.default_rng(0)),), np.zeros(1), 3)
    with pytest.raises(UncarriedError, match="255 branches"):
        arithmetic(core_of_trees(trees))
