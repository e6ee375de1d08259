"""The threshold in a package: the quick tail, the parity check, and models that know of none."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from test_package_walker import random_trees

from bessemer.core.grouping import group
from bessemer.core.signature import Field
from bessemer.package.decision import Decision
from bessemer.package.graph import GraphBuilder, serialize
from bessemer.package.head import TreesHead
from bessemer.package.onnx_format import parse
from bessemer.package.parity import _flips
from bessemer.package.runtime import open_session
from bessemer.package.session import GraphSession
from bessemer.package.tail import find_tail
from bessemer.package.trees.onnx import to_onnx
from bessemer.train.assemble import assemble
from bessemer.train.calibrate import Calibration
from bessemer.train.group_threshold import fields_of

NUMBERS = ("a", "b", "c")


def model(decision: Decision) -> tuple[bytes, list[Field]]:
    """Trees over three numbers with a decision, as training writes them."""
    prepare = GraphBuilder("prepare")
    fields = [Field(name, "number", "float32") for name in NUMBERS]
    for field in fields:
        prepare.input(field.name, "float32", ("N", 1))
    prepare.output(prepare.op("Concat", list(NUMBERS), axis=1, name="features"), "float32", ("N", 3))
    more = fields_of(decision, NUMBERS)
    head = to_onnx(random_trees(12, 50, 3, 1, False))
    made = assemble(
        prepare.model(), head, Calibration("sigmoid", 0.02, 0.1), "binary", ["no", "yes"], decision, more
    )
    return serialize(made), [*fields, *more]


def rows(count: int = 2000) -> pa.Table:
    rng = np.random.default_rng(0)
    table = pa.table({name: rng.normal(size=count).astype(np.float32) for name in NUMBERS})
    return table.append_column("sex", pa.array(np.array(["m", "f", ""])[rng.integers(0, 3, count)]))


def by_onnxruntime(content: bytes, fields: list[Field], table: pa.Table) -> list[str]:
    feeds = {
        f.name: np.array(table[f.name].to_pylist(), dtype=object if f.tensor == "string" else np.float32)[
            :, None
        ]
        for f in fields
    }
    found: list[str] = open_session(content, 1).run(["prediction"], feeds)[0].tolist()
    return found


@pytest.mark.parametrize("threshold", [0.5, float(np.float32(0.3)), float(np.float32(0.9))])
def test_the_quick_way_keeps_the_threshold(threshold: float) -> None:
    content, fields = model(Decision(threshold))
    table = rows()
    session = GraphSession(content, fields)
    made = session.run(table, ["prediction", "probability"])
    assert made["prediction"].tolist() == by_onnxruntime(content, fields, table)
    said = made["probability"][:, 1] >= np.float32(threshold)
    assert (made["prediction"] == np.where(said, "yes", "no")).all()
    assert 0 < said.mean() < 1
    halves = session._two
    assert halves is not None
    assert isinstance(halves._head, TreesHead)
    assert halves._head._tail is not None  # without onnxruntime behind the trees
    assert halves._head._tail.threshold == np.float32(threshold)


def test_a_tail_with_a_threshold_a_row_is_left_to_onnxruntime() -> None:
    table = rows()
    decision = Decision(0.5, groups=(group("sex", table["sex"]),), table=(0.2, 0.7, 0.5), rows=(1, 1, 0))
    content, fields = model(decision)
    graph = parse(content)
    trees = next(n for n in graph.graph.node if n.op_type == "TreeEnsembleRegressor")
    assert find_tail(graph, trees.output[0], ["prediction", "probability", "score"]) is None
    made = GraphSession(content, fields).run(table, ["prediction", "probability"])
    assert made["prediction"].tolist() == by_onnxruntime(content, fields, table)
    said = made["probability"][:, 1] >= decision.thresholds(table, len(table))
    assert (made["prediction"] == np.where(said, "yes", "no")).all()
    assert (said != (made["probability"][:, 1] >= 0.5)).any()


def test_flips_are_counted_at_the_threshold() -> None:
    probability = np.array([[0.6, 0.4], [0.4, 0.6]])
    labels = np.array(["yes", "yes"])
    assert _flips(labels, probability, ["no", "yes"], np.full(2, 0.3, dtype=np.float32)) == 0
    assert _flips(labels, probability, ["no", "yes"], np.full(2, 0.5, dtype=np.float32)) == 1


def test_a_decision_survives_json_and_an_older_model_has_the_usual_one() -> None:
    table = rows(50)
    groups = (group("sex", table["sex"]), group("a", table["a"]))
    decision = Decision(0.4, "f1", None, groups, "equalised_odds", 0.1, tuple([0.5] * 15), tuple([0] * 15))
    assert Decision.from_json(decision.to_json()) == decision
    assert decision.names()[0] == [groups[0].names[0], groups[1].names[0]]
    assert decision.names()[-1] == ["others", "others"]
    assert Decision.from_json(None).thresholds(table, 3).tolist() == [0.5] * 3
