"""The torch twin of a graph: every operator against onnxruntime, gradients against finite differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from bessemer.core.blocks import Block
from bessemer.core.errors import FormatError
from bessemer.package.differentiable import twin
from bessemer.package.differentiable.twin import OPERATORS
from bessemer.package.graph import GraphBuilder
from bessemer.package.runtime import open_session
from bessemer.train.networks.export import to_onnx
from bessemer.train.networks.plugins import ENCODERS
from bessemer.train.networks.protocol import Table

N, F = 5, 48
Case = Callable[[GraphBuilder, str], str]


def ints(g: GraphBuilder, *values: int) -> str:
    return g.constant(np.array(values, dtype=np.int64))


def floats(g: GraphBuilder, *shape: int, seed: int = 1, low: float = -1) -> str:
    values = np.random.default_rng(seed).uniform(low, 1, shape).astype(np.float32)
    return g.constant(values)


def image(g: GraphBuilder, x: str) -> str:
    """(N, 48) as (N, 3, 4, 4)."""
    return g.op("Reshape", [x, ints(g, 0, 3, 4, 4)])


def number(g: GraphBuilder, flag: str) -> str:
    return g.op("Cast", [flag], to=1)


def simple(kind: str, **attributes: Any) -> Case:
    return lambda g, x: g.op(kind, [x], **attributes)


def positive(kind: str) -> Case:
    return lambda g, x: g.op(kind, [g.op("Add", [g.op("Abs", [x]), floats(g, 1, low=0.5)])])


def binary(kind: str) -> Case:
    return lambda g, x: g.op(kind, [x, floats(g, F)])


def compared(kind: str) -> Case:
    return lambda g, x: number(g, g.op(kind, [x, floats(g, F)]))


def logical(kind: str) -> Case:
    def build(g: GraphBuilder, x: str) -> str:
        flags = [g.op("Less", [x, floats(g, F, seed=i)]) for i in range(1 if kind == "Not" else 2)]
        return number(g, g.op(kind, flags))

    return build


def over_image(kind: str, *weights: tuple[int, ...], **attributes: Any) -> Case:
    def build(g: GraphBuilder, x: str) -> str:
        constants = [floats(g, *shape, seed=i, low=0.1) for i, shape in enumerate(weights)]
        return g.op(kind, [image(g, x), *constants], **attributes)

    return build


def reduced(kind: str) -> Case:
    return lambda g, x: g.op(kind, [image(g, x), ints(g, 2, 3)], keepdims=0)


def resized(**attributes: Any) -> Case:
    return lambda g, x: g.op("Resize", [image(g, x), "", "", ints(g, N, 3, 7, 9)], **attributes)


def sliced(g: GraphBuilder, x: str) -> str:
    return g.op("Slice", [x, ints(g, -2), ints(g, 3), ints(g, 1), ints(g, -2)])


def split(g: GraphBuilder, x: str) -> str:
    a, b, c = g.op_many("Split", [x, ints(g, 8, 30, 10)], 3, axis=1)
    return g.op("Concat", [c, a, b], axis=1)


def evenly_split(g: GraphBuilder, x: str) -> str:
    return g.op("Mul", g.op_many("Split", [x], 2, axis=1, num_outputs=2))


def shaped(g: GraphBuilder, x: str) -> str:
    shape = g.op("Shape", [x], start=0, end=1)
    whole = g.op("Concat", [shape, ints(g, 3)], axis=0)
    return g.op("ConstantOfShape", [whole])


def ranged(g: GraphBuilder, x: str) -> str:
    width = g.op("Squeeze", [g.op("Shape", [x], start=1)])
    zero, one = (g.constant(np.array(v, dtype=np.int64)) for v in (0, 1))
    return g.op("Add", [x, number(g, g.op("Range", [zero, width, one]))])


def hot(g: GraphBuilder, x: str) -> str:
    places = g.op("ArgMax", [x], axis=1, keepdims=0)
    return g.op("OneHot", [places, ints(g, F), g.constant(np.array([0, 2], dtype=np.float32))], axis=-1)


def elements(g: GraphBuilder, x: str) -> str:
    places = g.op("Expand", [g.op("ArgMin", [x], axis=1), ints(g, 1, 2)])
    return g.op("GatherElements", [x, places], axis=1)


PLAIN = (
    "Abs", "Ceil", "Cos", "Elu", "Erf", "Exp", "Flatten", "Floor", "Gelu", "HardSigmoid", "HardSwish", "Identity",
    "LeakyRelu", "Mish", "Neg", "Relu", "Round", "Selu", "Sigmoid", "Sign", "Sin", "Softplus", "Softsign", "Tanh",
)  # fmt: skip
REDUCTIONS = [f"Reduce{what}" for what in ("L2", "LogSumExp", "Max", "Mean", "Min", "Sum", "SumSquare")]

CASES: dict[str, list[Case]] = {
    **{kind: [simple(kind)] for kind in PLAIN},
    **{kind: [positive(kind)] for kind in ("Log", "Reciprocal", "Sqrt")},
    **{kind: [binary(kind)] for kind in ("Add", "Div", "Max", "Mean", "Min", "Mul", "PRelu", "Sub", "Sum")},
    **{kind: [compared(kind)] for kind in ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")},
    **{kind: [logical(kind)] for kind in ("And", "Or", "Not")},
    **{kind: [reduced(kind), lambda g, x, kind=kind: g.op(kind, [x])] for kind in REDUCTIONS},
    "ArgMax": [hot],
    "ArgMin": [elements],
    "AveragePool": [
        over_image("AveragePool", kernel_shape=[2, 2], strides=[2, 2]),
        over_image("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        over_image("AveragePool", kernel_shape=[3, 3], pads=[1, 0, 1, 0], count_include_pad=1),
    ],
    "BatchNormalization": [over_image("BatchNormalization", (3,), (3,), (3,), (3,))],
    "Cast": [
        lambda g, x: number(g, g.op("Cast", [x], to=7)),
        lambda g, x: number(g, g.op("Cast", [x], to=9)),
    ],
    "Clip": [lambda g, x: g.op("Clip", [x, g.constant(np.float32(-0.5)), g.constant(np.float32(0.7))])],
    "Concat": [split],
    "Constant": [lambda g, x: g.op("Mul", [x, g.op("Constant", [], value_float=2.5)])],
    "ConstantOfShape": [shaped],
    "Conv": [
        over_image("Conv", (6, 3, 3, 3), (6,), pads=[1, 1, 1, 1]),
        over_image("Conv", (6, 1, 2, 3), group=3, strides=[2, 1], pads=[0, 1, 1, 0]),
        over_image("Conv", (4, 3, 2, 2), dilations=[2, 2]),
        over_image("Conv", (4, 3, 3, 3), auto_pad="SAME_UPPER", strides=[2, 2]),
        lambda g, x: g.op(
            "Conv", [g.op("Reshape", [x, ints(g, 0, 4, 12)]), floats(g, 2, 4, 3)], auto_pad="SAME_LOWER"
        ),
    ],
    "Dropout": [simple("Dropout")],
    "Einsum": [lambda g, x: g.op("Einsum", [x, floats(g, F, 3)], equation="nf,fk->nk")],
    "Expand": [lambda g, x: g.op("Expand", [g.op("Unsqueeze", [x, ints(g, 1)]), ints(g, 1, 3, 1)])],
    "Gather": [
        lambda g, x: g.op("Gather", [x, ints(g, 3, -1, 3)], axis=1),
        lambda g, x: g.op("Gather", [x, g.constant(np.array([[0, 1], [-2, 5]], dtype=np.int64))], axis=1),
    ],
    "GatherElements": [elements],
    "Gemm": [
        lambda g, x: g.op("Gemm", [x, floats(g, F, 3), floats(g, 3)]),
        lambda g, x: g.op("Gemm", [x, floats(g, 3, F), floats(g, 3)], transB=1, alpha=0.5, beta=2.0),
    ],
    "GlobalAveragePool": [over_image("GlobalAveragePool")],
    "GlobalMaxPool": [over_image("GlobalMaxPool")],
    "GroupNormalization": [over_image("GroupNormalization", (3,), (3,), num_groups=3)],
    "InstanceNormalization": [over_image("InstanceNormalization", (3,), (3,))],
    "IsInf": [lambda g, x: number(g, g.op("IsInf", [g.op("Exp", [g.op("Exp", [g.op("Exp", [x])])])]))],
    "IsNaN": [lambda g, x: number(g, g.op("IsNaN", [g.op("Sqrt", [x])]))],
    "LayerNormalization": [
        lambda g, x: g.op("LayerNormalization", [x, floats(g, F), floats(g, F, seed=2)], axis=-1),
        lambda g, x: g.op("LayerNormalization", [image(g, x), floats(g, 4)], axis=2, epsilon=0.01),
    ],
    "LogSoftmax": [simple("LogSoftmax", axis=1)],
    "LpNormalization": [
        simple("LpNormalization", axis=1, p=2),
        lambda g, x: g.op("LpNormalization", [g.op("Mul", [x, g.constant(np.float32(0))])], axis=1, p=1),
    ],
    "MatMul": [lambda g, x: g.op("MatMul", [x, floats(g, F, 3)])],
    "MaxPool": [
        over_image("MaxPool", kernel_shape=[2, 2], strides=[2, 2]),
        over_image("MaxPool", kernel_shape=[3, 3], pads=[1, 1, 0, 0], ceil_mode=1, strides=[2, 2]),
    ],
    "Mod": [
        lambda g, x: g.op("Mod", [x, g.constant(np.float32(0.3))], fmod=1),
        lambda g, x: number(g, g.op("Mod", [g.op("Cast", [x], to=7), ints(g, 3)])),
    ],
    "OneHot": [hot],
    "Pad": [
        lambda g, x: g.op("Pad", [x, ints(g, 0, 2, 0, 1), g.constant(np.float32(3))]),
        lambda g, x: g.op("Pad", [image(g, x), ints(g, 0, 0, 1, 2, 0, 0, 2, 1)], mode="reflect"),
        lambda g, x: g.op("Pad", [image(g, x), ints(g, 1, 2, 0, 1), "", ints(g, 2, 3)], mode="edge"),
    ],
    "Pow": [lambda g, x: g.op("Pow", [x, g.constant(np.float32(3))])],
    "Range": [ranged],
    "Reshape": [lambda g, x: g.op("Reshape", [x, ints(g, 0, 2, -1)])],
    "Resize": [
        resized(mode="linear"),
        resized(mode="linear", coordinate_transformation_mode="align_corners"),
        resized(mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"),
        lambda g, x: g.op(
            "Resize", [image(g, x), "", g.constant(np.array([1, 1, 2, 2], dtype=np.float32))], mode="linear"
        ),
    ],
    "Shape": [shaped],
    "Slice": [sliced],
    "Softmax": [simple("Softmax", axis=1), lambda g, x: g.op("Softmax", [image(g, x)], axis=2)],
    "Split": [split, evenly_split],
    "Squeeze": [lambda g, x: g.op("Squeeze", [g.op("Unsqueeze", [x, ints(g, 0, 2)]), ints(g, 2, 0)])],
    "Tile": [lambda g, x: g.op("Tile", [x, ints(g, 2, 3)])],
    "Transpose": [simple("Transpose"), lambda g, x: g.op("Transpose", [image(g, x)], perm=[0, 2, 3, 1])],
    "Trilu": [simple("Trilu"), lambda g, x: g.op("Trilu", [x, g.constant(np.int64(-1))], upper=0)],
    "Unsqueeze": [lambda g, x: g.op("Unsqueeze", [x, ints(g, -1, 1)])],
    "Where": [lambda g, x: g.op("Where", [g.op("Less", [x, floats(g, F)]), x, floats(g, F, seed=2)])],
}


def graph(case: Case) -> bytes:
    g = GraphBuilder("case")
    x = g.input("features", "float32", ("N", F))
    g.output(g.op("Identity", [case(g, x)], name="score"), "float32", ())
    model = g.model()
    model.graph.output[0].type.tensor_type.ClearField("shape")
    data: bytes = model.SerializeToString()
    return data


def test_every_operator_has_a_case() -> None:
    assert set(CASES) == set(OPERATORS)


@pytest.mark.parametrize("kind", sorted(CASES))
def test_an_operator_gives_what_onnxruntime_gives(kind: str) -> None:
    x = np.random.default_rng(0).normal(size=(N, F)).astype(np.float32)
    for case in CASES[kind]:
        data = graph(case)
        expected = open_session(data, 1).run(["score"], {"features": x})[0]
        module = twin(data)
        assert module.operators[kind] >= 1
        found = module(torch.from_numpy(x)).numpy()
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


SMOOTH = [
    "Conv",
    "Gelu",
    "GroupNormalization",
    "LayerNormalization",
    "Mish",
    "Selu",
    "Softmax",
    "Resize",
    "Split",
]


@pytest.mark.parametrize("kind", SMOOTH)
def test_gradients_are_those_of_finite_differences(kind: str) -> None:
    module = twin(graph(CASES[kind][0]), dtype=torch.float64)
    x = torch.from_numpy(np.random.default_rng(3).normal(size=(N, F))).requires_grad_(True)
    assert torch.autograd.gradcheck(module, (x,), fast_mode=True)


@pytest.mark.parametrize("kind", ["Ceil", "Floor", "Round", "Sign"])
def test_a_staircase_hides_nothing_from_gradients(kind: str) -> None:
    x = torch.linspace(-2, 2, N * F).reshape(N, F).requires_grad_(True)
    twin(graph(simple(kind)))(x).sum().backward()
    assert x.grad is not None
    assert bool((x.grad == 1).all())


@pytest.mark.parametrize("kind", ["Ceil", "Floor", "Round", "Sign"])
def test_a_staircase_leaves_what_is_infinite_as_the_graph_does(kind: str) -> None:
    x = np.full((N, F), np.inf, dtype=np.float32)
    x[:, ::2] *= -1
    data = graph(simple(kind))
    expected = open_session(data, 1).run(["score"], {"features": x})[0]
    np.testing.assert_array_equal(twin(data)(torch.from_numpy(x)).numpy(), expected)


def test_a_value_that_is_missing_keeps_its_imputed_answer_and_gives_no_gradient() -> None:
    def imputed(g: GraphBuilder, x: str) -> str:
        known = g.op("Where", [g.op("IsNaN", [x]), floats(g, F), x])
        return g.op("MatMul", [known, floats(g, F, 2)])

    data = graph(imputed)
    x = np.random.default_rng(5).normal(size=(N, F)).astype(np.float32)
    x[:, 4] = np.nan
    given = torch.from_numpy(x).requires_grad_(True)
    score = twin(data)(given)
    np.testing.assert_allclose(
        score.detach().numpy(), open_session(data, 1).run(["score"], {"features": x})[0], atol=1e-5
    )
    score.sum().backward()
    assert given.grad is not None
    assert not given.grad[:, 4].any()
    assert given.grad[:, :4].all()


@pytest.mark.parametrize(
    ("case", "named"),
    [
        (simple("Acos"), "Acos"),
        (resized(mode="cubic"), "Resize with mode 'cubic'"),
        (resized(mode="nearest", coordinate_transformation_mode="half_pixel"), "half_pixel"),
        (over_image("AveragePool", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1), "AveragePool"),
    ],
)
def test_what_is_not_known_is_named(case: Case, named: str) -> None:
    with pytest.raises(FormatError, match=named):
        twin(graph(case))(torch.zeros(N, F))


def test_trees_are_refused_by_name() -> None:
    def trees(g: GraphBuilder, x: str) -> str:
        return g.op(
            "TreeEnsembleRegressor",
            [x],
            domain="ai.onnx.ml",
            nodes_treeids=[0],
            nodes_nodeids=[0],
            nodes_featureids=[0],
            nodes_values=[0.0],
            nodes_modes=[b"LEAF"],
            nodes_truenodeids=[0],
            nodes_falsenodeids=[0],
            target_treeids=[0],
            target_nodeids=[0],
            target_ids=[0],
            target_weights=[1.0],
        )

    with pytest.raises(FormatError, match="TreeEnsembleRegressor"):
        twin(graph(trees))


def test_an_output_that_needs_more_than_the_features_is_refused() -> None:
    g = GraphBuilder("two")
    x, y = g.input("features", "float32", ("N", 2)), g.input("other", "float32", ("N", 2))
    g.output(g.op("Add", [x, y], name="score"), "float32", ("N", 2))
    with pytest.raises(FormatError, match="needs 'other' beside"):
        twin(g.model().SerializeToString())


def test_an_old_set_of_operators_is_refused() -> None:
    g = GraphBuilder("old")
    g.output(g.op("Softmax", [g.input("features", "float32", ("N", 2))], name="score"), "float32", ("N", 2))
    model = g.model()
    for opset in model.opset_import:
        if not opset.domain:
            opset.version = 11
    with pytest.raises(FormatError, match="11, older than 13"):
        twin(model.SerializeToString())


SOURCES = {
    "image": Block("photo", "image", 0, 2 * 16 * 16, (2, 16, 16)),
    "tokens": Block("review", "tokens", 0, 12, (12,), 30),
    "embedding": Block("about", "embedding", 0, 6, (6,)),
    "table": Table((True, False, True, True), (2,)),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "kind"),
    [(name, kind) for name in ENCODERS for kind in SOURCES if kind in ENCODERS.load(name).KINDS],
)
def test_every_encoder_has_a_twin(name: str, kind: str) -> None:
    """What a graph of ours is made of is known here: scores within 1e-5, and gradients where there can be some."""
    encoder = ENCODERS.load(name)
    source: Any = SOURCES[kind]
    module = encoder(encoder.Settings()).build(source, torch.Generator().manual_seed(3))
    head = to_onnx(module, source.width).SerializeToString()
    rng = np.random.default_rng(0)
    X = rng.integers(0, 30, (4, 12)) if kind == "tokens" else rng.uniform(0, 1, (4, source.width))
    features = X.astype(np.float32)
    given = torch.from_numpy(features).requires_grad_(True)
    found = twin(head)(given)
    expected = open_session(head, 1).run(None, {"features": features})[0]
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-5, atol=1e-5)
    if kind != "tokens":
        found.square().sum().backward()
        assert given.grad is not None
        assert given.grad.abs().sum() > 0
