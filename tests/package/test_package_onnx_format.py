"""Our own description of ONNX's messages is that of the `onnx` package, and what is refused is the same with either."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from bessemer.core.errors import FormatError
from bessemer.core.signature import Signature
from bessemer.package import onnx_format as ours
from bessemer.package import safety
from bessemer.package.onnx_format.__main__ import compiled
from bessemer.package.onnx_format.tensors import fill, values_of
from bessemer.testing.models import INPUTS, tiny_graph

CONTENT = tiny_graph("binary")


def test_the_description_is_that_of_the_onnx_package() -> None:
    mine, theirs = (FileDescriptorProto.FromString(data) for data in (ours.COMPILED.read_bytes(), compiled()))
    assert mine == theirs, "run: python -m bessemer.package.onnx_format"


def test_the_constants_are_those_of_the_onnx_package() -> None:
    for name in ("FLOAT", "INT64", "STRING", "BOOL", "DOUBLE", "EXTERNAL"):
        assert getattr(ours, name) == getattr(TensorProto, name)
    for name, number in TensorProto.DataType.items():
        assert ours.element_type(f"tensor({name.lower()})") == number
    with pytest.raises(ValueError, match="no element type"):
        ours.element_type("tensor(nothing)")


def test_a_model_reads_and_writes_as_with_the_onnx_package() -> None:
    assert (
        ours.serialize(ours.parse(CONTENT)) == ours.serialize(onnx.load_model_from_string(CONTENT)) == CONTENT
    )
    made = ours.message("ValueInfoProto")()
    ours.describe(made, "x", ours.FLOAT, ["N", None, 3])
    expected = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", None, 3])
    assert ours.serialize(made) == ours.serialize(expected)


ARRAYS = [
    np.float32([[1.5, np.nan]]), np.float64([]), np.int64(7), np.int32([1, -2]), np.array([True, False]),
    np.array([["a", "é"], ["", "東京"]], dtype=object),
]  # fmt: skip


@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: str(a.dtype))
@pytest.mark.parametrize("raw", [True, False])
def test_constants_are_read_as_the_onnx_package_reads_them(array: Any, raw: bool) -> None:
    array = np.asarray(array)
    if raw:
        tensor = numpy_helper.from_array(array, "t")
    else:
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        tensor = helper.make_tensor("t", kind, array.shape, array.reshape(-1).tolist())
    expected = numpy_helper.to_array(tensor)
    for family in (tensor, ours.message("TensorProto").FromString(tensor.SerializeToString())):
        found = values_of(family)
        assert found is not None
        np.testing.assert_array_equal(found, expected, strict=True)


def test_constants_that_are_no_constants() -> None:
    assert values_of(numpy_helper.from_array(np.float16([1]))) is None
    with pytest.raises(ValueError, match="reshape"):
        values_of(TensorProto(data_type=TensorProto.FLOAT, dims=[3], float_data=[1]))
    made = TensorProto()
    fill(made, "sizes", np.ones(3, dtype=np.int64))
    assert made == numpy_helper.from_array(np.ones(3, dtype=np.int64), "sizes")


def verdict(data: bytes) -> str:
    """What is said of a graph; '' where it is taken."""
    try:
        safety.check_signature_of(safety.check_graph(data), Signature(INPUTS, (), task="binary"))
    except FormatError as error:
        return str(error)
    return ""


def both(data: bytes, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    mine = verdict(data)
    with monkeypatch.context() as patch:
        patch.setattr(safety, "parse", onnx.load_model_from_string)
        return mine, verdict(data)


def _with(change: Any) -> bytes:
    model = onnx.load_model_from_string(CONTENT)
    change(model)
    return model.SerializeToString()


def _external(model: Any) -> None:
    model.graph.initializer[0].data_location = TensorProto.EXTERNAL
    model.graph.initializer[0].external_data.add(key="location", value="/etc/passwd")


def _inner(model: Any) -> None:
    inner = helper.make_graph([helper.make_node("Evil", [], ["y"], domain="x.evil")], "inner", [], [])
    model.graph.node.append(helper.make_node("If", ["c"], ["z"], then_branch=inner, else_branch=inner))


def _attribute(model: Any) -> None:
    tensor = TensorProto(name="t", data_type=1, dims=[1], data_location=TensorProto.EXTERNAL)
    model.graph.node.append(helper.make_node("Constant", [], ["k"], value=tensor))


def _sparse(model: Any) -> None:
    model.graph.sparse_initializer.add().values.external_data.add(key="location", value="x")


CHANGES: dict[str, tuple[Any, str]] = {
    "newer": (lambda m: setattr(m, "ir_version", 99), "newer ONNX version"),
    "opset": (lambda m: setattr(m.opset_import[0], "version", 99), "newer operator set"),
    "foreign opset": (lambda m: m.opset_import.add(domain="com.evil", version=1), "foreign operators"),
    "foreign node": (lambda m: setattr(m.graph.node[0], "domain", "com.evil"), "'com.evil'"),
    "functions": (lambda m: m.functions.add(name="f"), "local functions"),
    "training": (lambda m: m.training_info.add(), "local functions"),
    "external": (_external, "outside the package"),
    "inner graph": (_inner, "x.evil"),
    "attribute": (_attribute, "outside the package"),
    "sparse": (_sparse, "outside the package"),
    "inputs": (lambda m: m.graph.input.pop(), "takes other inputs"),
    "outputs": (lambda m: m.graph.ClearField("output"), "no output"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_the_same_is_refused_with_the_same_words(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    change, words = CHANGES[name]
    mine, theirs = both(_with(change), monkeypatch)
    assert mine == theirs
    assert words in mine


def test_the_graph_itself_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    assert both(CONTENT, monkeypatch) == ("", "")


@pytest.mark.slow
@settings(max_examples=600, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, len(CONTENT) - 1), st.integers(1, 255)), min_size=1, max_size=4),
    st.integers(0, len(CONTENT)),
    st.binary(max_size=4),
)
def test_damaged_graphs_have_one_verdict(flips: list[tuple[int, int]], end: int, more: bytes) -> None:
    changed = bytearray(CONTENT)
    for place, flip in flips:
        changed[place] ^= flip
    with pytest.MonkeyPatch.context() as patch:
        for data in (bytes(changed), bytes(changed[:end]), bytes(changed) + more):
            mine, theirs = both(data, patch)
            assert mine == theirs
