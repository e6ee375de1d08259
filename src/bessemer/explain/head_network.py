"""The network of an `mlp` package as a torch module: read from its ONNX head, node by node, or refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from bessemer.core.errors import FormatError
from bessemer.package.cut import extract
from bessemer.package.onnx_format import parse, serialize
from bessemer.package.onnx_format.tensors import values_of

if TYPE_CHECKING:
    import numpy.typing as npt

#: What comes before the network: imputation, scaling and smooth clipping; then a flag for features with gaps.
_ENTRY = ("IsNaN", "Where", "Clip", "Sub", "Mul", "Clip", "Div", "Mul", "Add", "Sqrt", "Div")
_FLAGS = ("Gather", "Cast", "Concat")
_WAVES = (
    "Gather",
    "Transpose",
    "Unsqueeze",
    "Mul",
    "Add",
    "Cos",
    "MatMul",
    "Add",
    "Transpose",
    "Reshape",
    "Concat",
)

#: The nodes of each activation.
_ACTIVATIONS: Mapping[tuple[str, ...], type[nn.Module]] = {
    ("Softplus", "Tanh", "Mul"): nn.Mish,
    ("Sigmoid", "Mul"): nn.SiLU,
    ("Selu",): nn.SELU,
    ("Relu",): nn.ReLU,
}


class Cosine(nn.Module):  # type: ignore[misc]
    """The cosine of each number."""

    elementwise = True

    def forward(self, x: Tensor) -> Tensor:
        return torch.cos(x)


class Waves(nn.Module):  # type: ignore[misc]
    """(N, I) -> (N, I + E M): beside the inputs, mixed cosines of E of them."""

    def __init__(
        self, places: np.ndarray, frequency: np.ndarray, phase: np.ndarray, mix: np.ndarray, shift: np.ndarray
    ) -> None:
        super().__init__()
        self.register_buffer("places", torch.from_numpy(places))
        self.frequency, self.phase, self.shift = (_fixed(v[:, 0]) for v in (frequency, phase, shift))
        self.mix, self.bend = _fixed(mix), Cosine()

    def forward(self, x: Tensor) -> Tensor:
        waves = self.bend(x[:, self.places, None] * self.frequency + self.phase)
        mixed = torch.einsum("new,ewm->nem", waves, self.mix) + self.shift
        return torch.cat([x, mixed.flatten(1)], dim=1)


class Bent(nn.Module):  # type: ignore[misc]
    """x + slope * (f(x) - x), with a slope for each unit."""

    def __init__(self, f: nn.Module, slope: np.ndarray) -> None:
        super().__init__()
        self.f, self.slope = f, _fixed(slope)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.slope * (self.f(x) - x)


@dataclass(frozen=True)
class HeadNetwork:
    """A head in two parts: what scales a row, and the network behind it.

    module: float64 (N, I) -> (N, K'). owner: (I,), the feature that each input of the network comes from: each has one,
    and one more, a flag, where some training rows did not have it. entry: a session from features to the value `name`.
    """

    module: nn.Module
    owner: npt.NDArray[np.int64]
    entry: Any
    name: str

    def entered(self, features: np.ndarray) -> Tensor:
        """Features (N, F) float32, NaN is missing -> the network's inputs (N, I) float64, between -3 and 3."""
        given = {"features": np.ascontiguousarray(features, dtype=np.float32)}
        return torch.from_numpy(self.entry.run([self.name], given)[0].astype(np.float64))


def head_network(native: bytes) -> HeadNetwork:
    """The network of a native model of kind `head`.

    Raises:
        FormatError: it is not made of the nodes that the `mlp` learner writes, in their order.
    """
    from bessemer.package.runtime import open_session

    model = parse(native.partition(b"\n")[2])
    reader = _Reader(model)
    unknown, *_, smooth = reader.take(_ENTRY)
    name, missing = smooth.output[0], np.zeros(0, dtype=np.int64)
    if reader.next(_FLAGS) and reader.peek().input[0] == unknown.output[0]:
        flags, _, joined = reader.take(_FLAGS)
        name, missing = joined.output[0], reader.array(flags, 1)
    module = nn.Sequential(*reader.network()).eval().requires_grad_(False)
    entry = open_session(serialize(extract(model, list(model.graph.input), [name])), 1)
    features = model.graph.input[0].type.tensor_type.shape.dim[1].dim_value
    owner = np.concatenate([np.arange(features), missing])
    return HeadNetwork(module, owner, entry, name)


class _Reader:
    """Takes the nodes of a graph one after the other, and only those that it expects."""

    def __init__(self, model: Any) -> None:
        self._nodes = list(model.graph.node)
        self._constants = {tensor.name: tensor for tensor in model.graph.initializer}

    def peek(self) -> Any:
        return self._nodes[0]

    def next(self, kinds: Sequence[str]) -> bool:
        """Whether nodes of these kinds come next."""
        return [node.op_type for node in self._nodes[: len(kinds)]] == list(kinds)

    def take(self, kinds: Sequence[str]) -> list[Any]:
        """The next nodes, which must be of these kinds."""
        if not self.next(kinds):
            found = [node.op_type for node in self._nodes[: len(kinds)]]
            raise FormatError(f"the network has {found} where the mlp learner writes {list(kinds)}")
        taken, self._nodes = self._nodes[: len(kinds)], self._nodes[len(kinds) :]
        return taken

    def array(self, node: Any, place: int) -> np.ndarray:
        """The constant that a node has as an input."""
        tensor = self._constants.get(node.input[place]) if len(node.input) > place else None
        found = None if tensor is None else values_of(tensor)
        if found is None:
            raise FormatError(
                f"the network's {node.op_type} has no constant where the mlp learner writes one"
            )
        return found

    def network(self) -> list[nn.Module]:
        """The layers behind the entry, to the end of the graph."""
        layers: list[nn.Module] = []
        if self.next(_WAVES):
            nodes = self.take(_WAVES)
            layers.append(Waves(*(self.array(nodes[i], 1) for i in (0, 3, 4, 6, 7))))
        while self.next(["Gemm"]):
            layers.append(self._linear())
            if bent := next((kinds for kinds in _ACTIVATIONS if self.next(kinds)), None):
                self.take(bent)
                _, scaled, _ = self.take(("Sub", "Mul", "Add"))
                layers.append(Bent(_ACTIVATIONS[bent](), self.array(scaled, 1)))
        if self.next(["Clip"]):
            (clip,) = self.take(["Clip"])
            layers.append(nn.Hardtanh(*(float(self.array(clip, i)) for i in (1, 2))))
        self.take(["Identity"])
        if self._nodes:
            raise FormatError(f"the network goes on with {self.peek().op_type} where the mlp learner ends")
        return layers

    def _linear(self) -> nn.Module:
        (node,) = self.take(["Gemm"])
        if len(node.attribute):
            raise FormatError("the network has a Gemm with attributes, which the mlp learner does not write")
        weight, bias = self.array(node, 1), self.array(node, 2)
        layer = nn.Linear(*weight.shape, dtype=torch.float64)
        layer.weight.data, layer.bias.data = _fixed(weight.T).data, _fixed(bias).data
        return layer


def _fixed(values: np.ndarray) -> nn.Parameter:
    return nn.Parameter(torch.from_numpy(np.ascontiguousarray(values, dtype=np.float64)), requires_grad=False)
