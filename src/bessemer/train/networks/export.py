"""A torch module as an ONNX head: `features` (N, F) float32 -> `score` (N, K') float32, of several targets one each.

The module is traced by torch.fx, and each step of the trace becomes a few nodes of the standard operator set
(`export_layers.py` and `export_functions.py` are the tables), so an encoder says once, in `forward`, what it does.
`torch.onnx.export` would do the same through `torch.export`, but it needs onnxscript, takes 4 to 10 seconds for what
takes a twentieth of one here, and writes the paths of source files into the graph.

What a traced module keeps to: rows are axis 0 of its input and shapes do not depend on their number (`reshape(-1, 3)`,
not `reshape(len(x), 3)`); no branch looks at values; only steps of the tables.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from bessemer.core.errors import UsageError, did_you_mean
from bessemer.package.graph import GraphBuilder, serialize
from bessemer.package.row_bytes import say_row_bytes
from bessemer.package.runtime import open_session
from bessemer.train.networks.export_functions import FUNCTIONS, METHODS
from bessemer.train.networks.export_layers import MODULES
from bessemer.train.networks.export_size import largest_step
from bessemer.train.networks.export_step import Step

#: Rows of the batch that shapes are found with; sizes that are equal to it all the same are told apart by their axis.
_ROWS = 2
#: Rows that graph and module are compared on, and how far apart they may be, beside the largest answer.
_CHECKED, _TOLERANCE = 4, 1e-4


class _Tracer(fx.Tracer):  # type: ignore[misc]
    """Stops at the modules that are steps."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return type(m) in MODULES


def to_onnx(
    module: nn.Module, features: int, name: str = "network", scores: Sequence[str] = ("score",)
) -> Any:
    """The module, as it is in evaluation, as an ONNX model. The same values give the same bytes.

    Args:
        module: maps (N, features) float32 to (N, K') float32, or to a tuple of such.
        features: F, how many features there are.
        scores: names of what it maps to.

    Raises:
        UsageError: the module does something that the tables of steps do not have.

    >>> model = to_onnx(nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 1)), 3)
    >>> [node.op_type for node in model.graph.node]
    ['Gemm', 'Relu', 'Gemm', 'Identity']
    """
    was_training = module.training
    module.eval()
    try:
        traced = fx.GraphModule(module, _Tracer().trace(module))
        with torch.no_grad():
            ShapeProp(traced).propagate(torch.zeros(_ROWS, features))
        model = _Writer(traced, features, name, scores).model()
        size = largest_step(model)
        for score in scores:
            say_row_bytes(model, score, size)
        _check(module, model, features, scores)
        return model
    finally:
        module.train(was_training)


def _check(module: nn.Module, model: Any, features: int, scores: Sequence[str]) -> None:
    """Whether the graph says what the module says: a layer with a setting that its step does not know would show.

    The rows are of zeros and ones, which are pixels, numbers and ids alike.
    """
    rows = np.random.default_rng(0).integers(0, 2, (_CHECKED, features)).astype(np.float32)
    with torch.no_grad():
        wanted = np.concatenate([_array(one) for one in _several(module(torch.from_numpy(rows)))], axis=1)
    found = np.concatenate(open_session(serialize(model), 1).run(list(scores), {"features": rows}), axis=1)
    apart, size = float(np.abs(found - wanted).max()), max(1.0, float(np.abs(wanted).max()))
    if not apart <= _TOLERANCE * size:
        raise UsageError(
            f"the graph of a network answers otherwise than the network: by {apart:.2g}, of {size:.2g}",
            why="an encoder uses a layer or a function with a setting that has no ONNX nodes yet",
            fix="write the encoder with plainer layers, or add the setting in train/networks/export_layers.py",
        )


class _Writer:
    """Walks a trace and adds the nodes of each step."""

    def __init__(self, traced: fx.GraphModule, features: int, name: str, scores: Sequence[str]) -> None:
        self._traced, self._features, self._scores = traced, features, scores
        self._builder = GraphBuilder(name)
        self._modules = dict(traced.named_modules())

    def model(self) -> Any:
        known = _known(self._traced)
        made: dict[fx.Node, Any] = {}
        for node in self._traced.graph.nodes:
            if node.op == "placeholder":
                made[node] = self._builder.input("features", "float32", ("N", self._features))
            elif node.op == "output":
                for score, answer in zip(self._scores, _several(node.args[0]), strict=True):
                    self._finish(score, answer, made)
            elif node not in known:
                for constant in node.all_input_nodes:
                    if constant in known and constant not in made:
                        made[constant] = self._builder.constant(_array(known[constant]))
                made[node] = self._step(node, made)
        return self._builder.model()

    def _finish(self, score: str, node: fx.Node, made: dict[fx.Node, Any]) -> None:
        value = self._builder.op("Identity", [made[node]], name=score)
        self._builder.output(value, "float32", ("N", node.meta["tensor_meta"].shape[1]))

    def _step(self, node: fx.Node, made: dict[fx.Node, Any]) -> Any:
        arguments = fx.node.map_arg(node.args, lambda one: made[one])
        named = fx.node.map_arg(node.kwargs, lambda one: made[one])
        step = Step(self._builder, node, arguments, named)
        if node.op == "call_module":
            layer = self._modules[node.target]
            return MODULES[type(layer)](step, layer)
        table: Any = METHODS if node.op == "call_method" else FUNCTIONS
        if node.target not in table:
            word = node.target if isinstance(node.target, str) else node.target.__name__
            raise UsageError(
                f"no ONNX nodes are known for '{word}', which a network uses",
                why="what ships is its ONNX graph, written step by step",
                fix=did_you_mean(word, [str(getattr(key, "__name__", key)) for key in table])
                or "write the encoder with the steps of train/networks/export_functions.py, or add one there",
            )
        return table[node.target](step)


def _known(traced: fx.GraphModule) -> dict[fx.Node, torch.Tensor]:
    """The values that no row changes: parameters, and what is computed from them alone."""
    known: dict[fx.Node, torch.Tensor] = {}
    for node in traced.graph.nodes:
        inputs = node.all_input_nodes
        if node.op == "get_attr":
            known[node] = operator.attrgetter(node.target)(traced)
        elif node.op in ("call_function", "call_method") and inputs and all(i in known for i in inputs):
            args, kwargs = fx.node.map_arg((node.args, node.kwargs), lambda one: known[one])
            called = node.target if node.op == "call_function" else getattr(type(args[0]), node.target)
            with torch.no_grad():
                known[node] = called(*args, **kwargs)
    return known


def _several(value: Any) -> Sequence[Any]:
    return value if isinstance(value, tuple | list) else (value,)


def _array(value: torch.Tensor) -> np.ndarray:
    found: np.ndarray = value.detach().cpu().numpy()
    return found
