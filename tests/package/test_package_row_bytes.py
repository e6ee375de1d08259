"""Graphs that say how much memory a row takes are run over some rows at once, wherever they are run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from bessemer.core import canonical
from bessemer.core.signature import Field
from bessemer.package.cut import extract
from bessemer.package.graph import GraphBuilder, serialize
from bessemer.package.natives import open_native
from bessemer.package.row_bytes import MOST_BYTES, InParts, row_bytes, say_row_bytes
from bessemer.package.runtime import open_session
from bessemer.package.session import GraphSession

ROWS, AT_ONCE = 103, 10


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rows of each run of an onnxruntime session."""
    seen: list[int] = []
    run = InParts._run

    def spied(self: InParts, outputs: Any, feeds: Any) -> Any:
        seen.append(len(next(iter(feeds.values()))))
        return run(self, outputs, feeds)

    monkeypatch.setattr(InParts, "_run", spied)
    return seen


def tripled(size: int = MOST_BYTES // AT_ONCE) -> Any:
    g = GraphBuilder("tripled")
    x = g.input("features", "float32", ("N", 1))
    g.output(g.op("Mul", [x, g.constant(np.float32(3))], name="score"), "float32", ("N", 1))
    model = g.model()
    say_row_bytes(model, "score", size)
    return model


def whole_model() -> Any:
    """amount (N, 1) -> features -> score, and a total of all rows that is no row's."""
    g = GraphBuilder("whole")
    features = g.op("Neg", [g.input("amount", "float32", ("N", 1))], name="features")
    found = g.embed(tripled(), {"features": features}, "head/")
    g.output(g.op("Identity", [found["score"]], name="score"), "float32", ("N", 1))
    total = g.op("ReduceSum", [found["score"]], name="total", keepdims=0)
    g.output(total, "float32", ())
    return g.model()


X = np.arange(ROWS, dtype=np.float32)[:, None]


def test_a_run_is_cut_into_parts_of_about_the_same_size(runs: list[int]) -> None:
    (found,) = open_session(serialize(tripled()), 1).run(None, {"features": X})
    np.testing.assert_array_equal(found, 3 * X)
    assert sum(runs) == ROWS
    assert set(runs) == {9, 10}
    assert len(runs) == 11


def test_a_row_that_takes_more_is_run_alone(runs: list[int]) -> None:
    (found,) = open_session(serialize(tripled(2 * MOST_BYTES)), 1).run(None, {"features": X[:3]})
    assert runs == [1, 1, 1]
    assert found.tolist() == [[0], [3], [6]]


def test_no_rows_are_no_answers(runs: list[int]) -> None:
    (found,) = open_session(serialize(tripled()), 1).run(["score"], {"features": X[:0]})
    assert found.shape == (0, 1)
    assert runs == [0]


def test_the_note_goes_with_its_node_into_other_graphs() -> None:
    model = whole_model()
    assert row_bytes(serialize(model)) == MOST_BYTES // AT_ONCE
    assert row_bytes(serialize(extract(model, list(model.graph.input), ["score"]))) == MOST_BYTES // AT_ONCE
    assert row_bytes(serialize(extract(model, list(model.graph.input), ["features"]))) == 0


@pytest.mark.parametrize("rows", [20, ROWS])
def test_the_one_graph_is_run_in_parts_and_cheap_values_are_not(rows: int, runs: list[int]) -> None:
    session = GraphSession(whole_model(), [Field("amount", "number", "float32")])
    table = pa.table({"amount": X[:rows, 0]})
    np.testing.assert_array_equal(session.run(table, ["score"])["score"], -3 * X[:rows])
    assert max(runs) <= AT_ONCE
    assert sum(runs) == rows
    del runs[:]
    np.testing.assert_array_equal(session.run_matrix(X[:rows], ["score"])["score"], -3 * X[:rows])
    assert max(runs) <= AT_ONCE
    assert sum(runs) == rows
    del runs[:]
    assert session.run(table, ["features"])["features"].shape == (rows, 1)
    assert runs == []


def test_what_is_of_all_rows_is_computed_of_all() -> None:
    session = open_session(serialize(whole_model()), 1)
    score, total = session.run(["score", "total"], {"amount": X})
    assert total == -3 * X.sum()
    assert score.shape == (ROWS, 1)


def test_a_head_is_asked_for_some_rows_at_once(runs: list[int]) -> None:
    content = canonical.dump_bytes({"baseline": [0.0]}) + b"\n" + serialize(tripled())
    found = open_native("head", content, 1).margin(X)
    np.testing.assert_array_equal(found, 3 * X)
    assert max(runs) <= AT_ONCE
    assert sum(runs) == ROWS


@pytest.mark.parametrize("said", ["", "-5", "ten", "9" * 40, "\u0665"])
def test_a_note_that_is_no_number_is_none(said: str) -> None:
    model = tripled()
    model.graph.node[0].metadata_props[0].value = said
    assert row_bytes(serialize(model)) == 0
