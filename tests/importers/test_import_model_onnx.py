"""ONNX of skl2onnx and onnxmltools (`onnx/make.py` makes the files), and graphs that are refused."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
from import_model_support import agree, imported
from onnx import TensorProto, helper

from bessemer.core.errors import BessemerError, FormatError
from bessemer.importers.models.assemble import _probes
from bessemer.importers.models.onnx_graph import opened

FILES = Path(__file__).parent / "onnx"
CLASSES: dict[str, Any] = {
    "logistic_zipmap": (0, 1), "logistic_words": ("low", "mid", "top"), "forest_tensor": ("low", "mid", "top"),
    "boosted_number": (), "linear_number": (), "perceptron": (0, 1, 2), "named_columns": (0, 1),
    "lightgbm_zipmap": (0, 1), "lightgbm_many": (0, 1, 2), "lightgbm_number": (),
}  # fmt: skip


@pytest.mark.parametrize("name", CLASSES)
def test_it_says_what_the_library_says(name: str, tmp_path: Path) -> None:
    kept = np.load(FILES / f"{name}.npz", allow_pickle=False)
    (tmp_path / "model").write_bytes((FILES / f"{name}.onnx").read_bytes())
    model = imported(tmp_path / "model")
    assert model.classes == CLASSES[name]
    names = [field.name for field in model.signature.inputs]
    assert names == (["a", "b"] if name == "named_columns" else [f"f{i}" for i in range(8)])
    agree(model, pd.DataFrame(kept["rows"][:, : len(names)], columns=names), kept["answers"])


def graph(
    *nodes: Any,
    x: Any = ("N", 2),
    y: Any = ("N", 1),
    element: int = TensorProto.FLOAT,
    opset: int = 18,
    **more: Any,
) -> bytes:
    inputs = [helper.make_tensor_value_info("x", element, list(x))]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, list(y))]
    made = helper.make_graph(list(nodes), "g", inputs, outputs, **more)
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(made, opset_imports=opsets, ir_version=8).SerializeToString()


def weights(values: Any) -> Any:
    return onnx.numpy_helper.from_array(np.array(values, dtype=np.float32), "w")


SUM = helper.make_node("MatMul", ["x", "w"], ["s"])


def test_what_a_graph_takes_is_counted_before_it_is_named(tmp_path: Path) -> None:
    """A few bytes say any number."""
    (tmp_path / "m").write_bytes(graph(helper.make_node("ReduceSum", ["x"], ["y"]), x=("N", 10**12)))
    tracemalloc.start()
    with pytest.raises(FormatError, match="takes 1,000,000,000,000 columns"):
        imported(tmp_path / "m")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**25
    (tmp_path / "m").write_bytes(graph(helper.make_node("ReduceSum", ["x"], ["y"]), x=("N", 3, 30000, 30000)))
    (tmp_path / "s.yaml").write_text("inputs: {photo: image}")
    with pytest.raises(FormatError, match="images of 2,700,000,000 numbers"):
        imported(tmp_path / "m", signature=tmp_path / "s.yaml")


def test_notes_of_an_exporter_are_left_out() -> None:
    """torch leaves a trace of its stack at each node, with paths of the machine that it ran on."""
    trace = "/home/somebody/lib/python3.11/site-packages/torch/nn.py"
    branch = helper.make_graph(
        [helper.make_node("Identity", ["s"], ["z"], doc_string=trace)], "b", [],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, ["N", 1], doc_string=trace)],
        doc_string=trace,
    )  # fmt: skip
    one = onnx.numpy_helper.from_array(np.array(True))
    one.doc_string = trace
    nodes = [
        SUM,
        helper.make_node("Constant", [], ["c"], value=one),
        helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch),
    ]
    tensor = weights([[1], [2]])
    tensor.doc_string = trace
    model = onnx.load_model_from_string(graph(*nodes, initializer=[tensor], opset=21, doc_string=trace))
    model.doc_string = trace
    model.ir_version = 10
    for noted in (model, model.graph, *model.graph.node, *model.graph.input, branch, tensor):
        noted.metadata_props.add(key="pkg.torch.onnx.stack_trace", value=trace)
    model.graph.node[2].attribute[0].doc_string = trace
    data = model.SerializeToString()
    assert b"site-packages" in data
    left = opened(data).SerializeToString()
    assert b"site-packages" not in left
    assert b"stack_trace" not in left


def test_a_sigmoid_at_the_end_is_a_probability(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(
        graph(SUM, helper.make_node("Sigmoid", ["s"], ["y"]), initializer=[weights([[1], [-2]])])
    )
    rows = pd.DataFrame({"f0": [0.5, 2.0, -9.0], "f1": [1.0, 0.0, 9.0]})
    p = 1 / (1 + np.exp(-(rows["f0"] - 2 * rows["f1"])))
    agree(imported(tmp_path / "m"), rows, np.stack([1 - p, p], axis=1))


def test_scores_of_classes_are_taken_where_these_are_named(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(
        graph(
            helper.make_node("MatMul", ["x", "w"], ["y"]),
            y=("N", 3),
            initializer=[weights([[1, 2, 3], [0, -1, 1]])],
        )
    )
    with pytest.raises(FormatError, match="3 numbers that are no probabilities"):
        imported(tmp_path / "m")
    rows = pd.DataFrame({"f0": [0.5, 2.0], "f1": [1.0, 0.0]})
    scores = rows.to_numpy() @ np.array([[1, 2, 3], [0, -1, 1]])
    chances = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    agree(imported(tmp_path / "m", classes=["a", "b", "c"]), rows, chances)


def test_older_operators_are_brought_to_ours(tmp_path: Path) -> None:
    squeezed = [SUM, helper.make_node("Squeeze", ["s"], ["y"], axes=[1])]
    (tmp_path / "m").write_bytes(graph(*squeezed, y=("N",), opset=11, initializer=[weights([[1], [-2]])]))
    rows = pd.DataFrame({"f0": [0.5, 2.0], "f1": [1.0, 0.0]})
    agree(imported(tmp_path / "m"), rows, rows["f0"] - 2 * rows["f1"])


SOFT = helper.make_node("Softmax", ["s"], ["y"], axis=1)
SIGMOID = helper.make_node("Sigmoid", ["s"], ["y"])
LINE = helper.make_node("Identity", ["s"], ["y"])


@pytest.mark.parametrize(
    ("end", "columns", "settings", "told"),
    [
        (LINE, 1, {}, "regression"),
        (LINE, 1, {"classes": ["no", "yes"]}, "logits"),
        (LINE, 1, {"scores": "probabilities"}, "probabilities"),
        (LINE, 1, {"scores": "logits"}, "logits"),
        (SIGMOID, 1, {}, "probabilities"),
        (SIGMOID, 1, {"scores": "values"}, "regression"),
        (SOFT, 2, {}, "probabilities"),
        (LINE, 2, {"classes": ["a", "b"]}, "logits"),
        (LINE, 2, {"scores": "logits"}, "logits"),
    ],
)
def test_what_the_numbers_are_is_said_by_the_graph_or_the_caller(
    end: Any, columns: int, settings: Any, told: str, tmp_path: Path
) -> None:
    """Each of these graphs answers the probed rows with numbers between 0 and 1."""
    kernel = np.array([[0.01, 0.02], [0.02, 0.01]])[:, :columns]
    (tmp_path / "m").write_bytes(graph(SUM, end, y=("N", columns), initializer=[weights(kernel)]))
    rows = pd.DataFrame({"f0": [0.5, 2.0], "f1": [1.0, 0.0]})
    s = rows.to_numpy() @ kernel
    raw = {
        "Identity": s,
        "Sigmoid": 1 / (1 + np.exp(-s)),
        "Softmax": np.exp(s) / np.exp(s).sum(1, keepdims=True),
    }[end.op_type]
    if told == "logits":
        raw = 1 / (1 + np.exp(-raw)) if columns == 1 else np.exp(raw) / np.exp(raw).sum(1, keepdims=True)
    if told != "regression" and columns == 1:
        raw = np.concatenate([1 - raw, raw], axis=1)
    agree(imported(tmp_path / "m", **settings), rows, raw[:, 0] if told == "regression" else raw)


@pytest.mark.parametrize(
    ("end", "columns", "settings", "said"),
    [
        (SIGMOID, 3, {"classes": ["a", "b", "c"]}, "Sigmoid of 3 numbers"),
        (LINE, 2, {}, "2 numbers that are no probabilities"),
        (LINE, 2, {"scores": "probabilities"}, "2 numbers that are no probabilities"),
        (LINE, 2, {"scores": "values"}, "2 numbers"),
        (LINE, 1, {"scores": "logit"}, "did you mean 'logits'"),
    ],
)
def test_numbers_that_could_be_anything_are_refused(
    end: Any, columns: int, settings: Any, said: str, tmp_path: Path
) -> None:
    kernel = np.array([[0.01, 0.02, 0.03], [0.02, 0.01, 0.0]])[:, :columns]
    (tmp_path / "m").write_bytes(graph(SUM, end, y=("N", columns), initializer=[weights(kernel)]))
    with pytest.raises(BessemerError, match=said):
        imported(tmp_path / "m", **settings)


def batch_mean() -> bytes:
    return graph(
        helper.make_node("ReduceMean", ["x", "rows"], ["m"], keepdims=1),
        helper.make_node("Sub", ["x", "m"], ["z"]),
        helper.make_node("MatMul", ["z", "w"], ["y"]),
        initializer=[weights([[1], [2]]), onnx.numpy_helper.from_array(np.array([0]), "rows")],
    )


def huge() -> bytes:
    """Eight gigabytes out of a hundred bytes."""
    return graph(
        SUM,
        helper.make_node("Expand", ["one", "many"], ["e"]),
        helper.make_node("Mul", ["e", "e"], ["f"]),
        helper.make_node("ReduceMax", ["f"], ["g"], keepdims=0),
        helper.make_node("Add", ["s", "g"], ["y"]),
        initializer=[
            weights([[1], [2]]),
            onnx.numpy_helper.from_array(np.array([1], dtype=np.float32), "one"),
            onnx.numpy_helper.from_array(np.array([2 * 10**9]), "many"),
        ],
    )


def endless() -> bytes:
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Identity", ["v"], ["u"])], "body",
        [value("i", TensorProto.INT64, []), value("go", TensorProto.BOOL, []), value("v", TensorProto.FLOAT, None)],
        [value("on", TensorProto.BOOL, []), value("u", TensorProto.FLOAT, None)],
    )  # fmt: skip
    constants = [weights([[1], [2]]), onnx.numpy_helper.from_array(np.array(True), "go on")]
    return graph(SUM, helper.make_node("Loop", ["", "go on", "s"], ["y"], body=body), initializer=constants)


def outside() -> bytes:
    tensor = weights([[1], [2]])
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    return graph(helper.make_node("MatMul", ["x", "w"], ["y"]), initializer=[tensor])


IDENTITY = helper.make_node("Identity", ["x"], ["y"])


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (outside(), "reads data outside"),
        (graph(helper.make_node("Anything", ["x"], ["y"], domain="evil")), "foreign operators"),
        (graph(helper.make_node("Nothing", ["x"], ["y"])), "onnxruntime cannot run|cannot be brought"),
        (graph(IDENTITY, x=("N", 3, 4)), "has 3 dimensions"),
        (graph(helper.make_node("Cast", ["x"], ["y"], to=1), element=TensorProto.STRING), "takes texts"),
        (graph(IDENTITY, x=("N", "K")), "does not say how many columns"),
        (graph(helper.make_node("ReduceSum", ["x"], ["y"], keepdims=1)), "answers 32 rows"),
        (graph(IDENTITY, opset=9999), "cannot be brought"),
        (graph(IDENTITY)[:40], "no ONNX model"),
        (endless(), "has a Loop"),
        (graph(helper.make_node("RandomNormalLike", ["x"], ["y"])), "has a RandomNormalLike"),
        (batch_mean(), "beside other rows"),
        (huge(), "cannot run the ONNX graph|cannot be run"),
    ],
    ids=[
        "outside",
        "domain",
        "operator",
        "images",
        "texts",
        "width",
        "rows",
        "newer",
        "cut",
        "loop",
        "random",
        "batch",
        "memory",
    ],
)
def test_what_is_not_understood_is_refused_with_words(data: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(data)
    with pytest.raises(BessemerError, match=said):
        imported(tmp_path / "m")


def test_half_of_the_probed_rows_miss_nothing() -> None:
    """A graph that has no answer to missing values is held to its answers to these, however wide it is."""
    rows = _probes(2000)
    assert np.isnan(rows).any()
    assert (~np.isnan(rows).any(axis=1)).sum() >= len(rows) // 2
