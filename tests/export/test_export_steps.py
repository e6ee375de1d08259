"""A core as plain steps: what does nothing is gone, and a group norm is one again."""

from __future__ import annotations

import numpy as np
import pytest

from bessemer.export.numeric.steps import steps_of
from bessemer.package.graph import GraphBuilder, serialize
from bessemer.package.runtime import open_session


def graph_of(groups: int, *, shared: bool = False) -> bytes:
    """`encoded` (N, 8) -> a group norm of (N, 4, 2), as torch exports it; shared: something else looks inside."""
    g = GraphBuilder("core")
    x = g.input("encoded", "float32", ("N", 8))
    never = g.op("Less", [x, x])
    x = g.op("Where", [never, g.constant(np.float32(0)), g.op("Identity", [x])])
    image = g.op("Reshape", [x, g.constant(np.array([0, 4, 2], dtype=np.int64))])
    grouped = g.op("Reshape", [image, g.constant(np.array([0, groups, -1], dtype=np.int64))])
    scale, bias = (g.constant(np.arange(start, start + groups, dtype=np.float32)) for start in (1, -1))
    norm = g.op("InstanceNormalization", [grouped, scale, bias], epsilon=1e-5)
    back = g.op("Reshape", [norm, g.constant(np.array([0, 4, 2], dtype=np.int64))])
    scaled = g.op("Mul", [back, g.constant(np.array([[1], [2], [3], [4]], dtype=np.float32))])
    made = g.op("Add", [scaled, g.constant(np.array([[5], [6], [7], [8]], dtype=np.float32))])
    if shared:
        made = g.op("Add", [made, back])
    g.output(g.op("Flatten", [made], name="score", axis=1), "float32", ("N", 8))
    return serialize(g.model())


def test_what_does_nothing_is_gone_and_a_group_norm_is_one() -> None:
    steps = steps_of(graph_of(2))
    assert [step["op"] for step in steps.steps] == ["Reshape", "GroupNormalization", "Flatten"]
    image, norm, _ = steps.steps
    assert image["takes"][0] == "encoded"
    assert norm["said"] == {"num_groups": 2, "epsilon": pytest.approx(1e-5)}
    used = {name for step in steps.steps for name in step["takes"]}
    assert set(steps.constants) == used - {"encoded"} - {step["gives"][0] for step in steps.steps}


def test_the_group_norm_gives_the_same_numbers() -> None:
    rows = np.random.default_rng(0).normal(size=(3, 8)).astype(np.float32)
    (wanted,) = open_session(graph_of(2), 1).run(["score"], {"encoded": rows})
    steps = steps_of(graph_of(2))
    _, size, shift = steps.steps[1]["takes"]
    parts = rows.reshape(3, 2, 4).astype(np.float64)
    spread = np.sqrt(parts.var(axis=2, keepdims=True) + 1e-5)
    normed = ((parts - parts.mean(axis=2, keepdims=True)) / spread).reshape(3, 4, 2)
    found = normed * steps.constants[size][:, None] + steps.constants[shift][:, None]
    np.testing.assert_allclose(found.reshape(3, 8), wanted, atol=1e-5)


def test_one_whose_inside_is_used_stays_as_it_is() -> None:
    kinds = [step["op"] for step in steps_of(graph_of(2, shared=True)).steps]
    assert "InstanceNormalization" in kinds
    assert "GroupNormalization" not in kinds
