"""Graphs as torch records them: operators that say where and how much, for any number of rows."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch

from bessemer.core.errors import FormatError
from bessemer.package.differentiable import recordable
from bessemer.package.graph import GraphBuilder, serialize
from bessemer.package.runtime import open_session

LAST = 2**63 - 1
#: Operator -> its whole numbers behind the first input, and its attributes. What it is given is (N, 4, 6).
CASES: dict[str, tuple[str, list[list[int]], dict[str, Any]]] = {
    "slice": ("Slice", [[1], [3], [2], [1]], {}),
    "to the end": ("Slice", [[1], [LAST], [-1], [2]], {}),
    "two axes": ("Slice", [[1, -4], [4, LAST], [1, 2], [1, 1]], {}),
    "backwards": ("Slice", [[-1], [-5], [2], [-2]], {}),
    "flatten": ("Flatten", [], {"axis": 1}),
    "flatten rows too": ("Flatten", [], {"axis": 2}),
    "reshape": ("Reshape", [[-1, 8, 3]], {}),
    "reshape keeps rows": ("Reshape", [[0, 24]], {}),
    "unsqueeze": ("Unsqueeze", [[1, -1]], {}),
    "expand": ("Expand", [[3, 1, 1, 1]], {}),
    "pad": ("Pad", [[0, 1, 0, 0, 0, 2]], {}),
    "tile": ("Tile", [[1, 2, 1]], {}),
    "split": ("Split", [[1, 3]], {"axis": 1}),
    "sum": ("ReduceSum", [[1]], {"keepdims": 0}),
    "largest": ("ReduceMax", [[-1, 1]], {}),
    "gather": ("Gather", [[3, -1, 0]], {"axis": 1}),
}

#: How many dimensions come out, where it is not three.
RANKS = {
    "flatten": 2,
    "flatten rows too": 2,
    "reshape keeps rows": 2,
    "unsqueeze": 5,
    "expand": 4,
    "sum": 2,
}


def graph_of(kind: str, numbers: list[list[int]], said: dict[str, Any], rank: int) -> bytes:
    g = GraphBuilder("one")
    x = g.input("x", "float32", ("N", 24))
    cube = g.op("Reshape", [x, g.constant(np.array([-1, 4, 6], dtype=np.int64))])
    takes = [cube, *(g.constant(np.array(each, dtype=np.int64)) for each in numbers)]
    made = g.op_many(kind, takes, 2 if kind == "Split" else 1, **said)[0]
    flat = g.op("Reshape", [made, g.constant(np.array([-1], dtype=np.int64))], name="score")
    g.output(flat, "float32", ("M",))
    g.output(g.op("Neg", [made], name="other"), "float32", [f"d{i}" for i in range(rank)])
    return serialize(g.model())


@pytest.mark.parametrize("case", list(CASES))
def test_recorded_with_two_rows_it_answers_for_any(case: str) -> None:
    graph = graph_of(*CASES[case], RANKS.get(case, 3))
    module = recordable(graph, "x", ["score", "other"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        recorded: Any = torch.jit.trace(module, (torch.zeros(2, 24),), check_trace=False)
    session = open_session(graph, 1)
    for rows in (1, 2, 5):
        x = np.random.default_rng(rows).normal(size=(rows, 24)).astype(np.float32)
        expected = session.run(["score", "other"], {"x": x})
        for one in (module, recorded):
            for a, b in zip(one(torch.from_numpy(x)), expected, strict=True):
                np.testing.assert_allclose(a.numpy(), b, rtol=1e-6)


def test_what_more_than_the_start_is_needed_for_is_refused() -> None:
    g = GraphBuilder("two")
    x, y = (g.input(name, "float32", ("N", 1)) for name in ("x", "y"))
    g.output(g.op("Add", [x, y], name="score"), "float32", ("N", 1))
    with pytest.raises(FormatError, match="needs 'y' beside 'x'"):
        recordable(serialize(g.model()), "x", ["score"])
