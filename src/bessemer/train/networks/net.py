"""The whole network: inputs, an encoder for each, a combiner, a head for each target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from bessemer.train.networks.combine import combiner_of
from bessemer.train.networks.dropout import Dropout
from bessemer.train.networks.initial import start
from bessemer.train.networks.inputs import Inputs


class Net(nn.Module):  # type: ignore[misc]
    """(N, F) float32 with NaN -> (N, K') float32, in the unit that the target is learnt in; the outputs of further
    targets stand behind those of the main one.

    The last layer of a head starts at 0, so an untrained network says the prior.

    bfloat16: whether encoders and head compute in it while training (autocast); values are kept in float32.
    """

    def __init__(
        self,
        inputs: Inputs,
        encoders: Sequence[nn.Module],
        combiner: nn.Module,
        head: nn.Module,
        further: Sequence[nn.Module] = (),
    ) -> None:
        super().__init__()
        self.inputs, self.encoders = inputs, nn.ModuleList(encoders)
        self.combiner, self.head, self.further = combiner, head, nn.ModuleList(further)
        self.bfloat16 = False

    def forward(self, X: Tensor) -> Tensor:
        answers = self.answers(X)
        return answers[0] if len(answers) == 1 else torch.cat(answers, dim=1)

    def answers(self, X: Tensor) -> list[Tensor]:
        """The outputs of each target, the main one's first."""
        parts = self.inputs(X)
        if self.bfloat16 and self.training:
            with torch.autocast("cpu", dtype=torch.bfloat16):
                return [answer.float() for answer in self._answers(parts)]
        return self._answers(parts)

    def _answers(self, parts: list[Tensor]) -> list[Tensor]:
        found = [encoder(part) for encoder, part in zip(self.encoders, parts, strict=True)]
        combined = self.combiner(found)
        return [self.head(combined), *(head(combined) for head in self.further)]


class Head(nn.Module):  # type: ignore[misc]
    """Hidden layers, each with a norm and dropout, and the outputs, which start at the prior."""

    def __init__(
        self, dim: int, prior: np.ndarray, params: Mapping[str, Any], generator: torch.Generator
    ) -> None:
        super().__init__()
        sizes = [dim] + [params["hidden_size"]] * params["hidden_layers"]
        self.hidden = nn.Sequential(
            *(layer for a, b in pairwise(sizes) for layer in _layer(a, b, params["dropout"]))
        )
        self.outputs = nn.Linear(sizes[-1], len(prior))
        start(self, generator)
        with torch.no_grad():
            self.outputs.weight.zero_()
            self.outputs.bias.copy_(torch.from_numpy(np.asarray(prior, dtype=np.float32)))

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = self.outputs(self.hidden(x))
        return answer


def _layer(inputs: int, outputs: int, dropout: float) -> tuple[nn.Module, ...]:
    return nn.Linear(inputs, outputs), nn.LayerNorm(outputs), nn.GELU(), Dropout(dropout)


class Unit(Protocol):
    """scale: mean and spread of a number. bounds: what it is clipped to, where they are finite."""

    scale: tuple[float, float]
    bounds: tuple[float, float]


class Shipped(nn.Module):  # type: ignore[misc]
    """The network as its graph has it: (N, F) -> for each target, the main one first, its margins (N, K') in its own
    unit, within what training saw.
    """

    def __init__(self, net: Net, units: Sequence[Unit]) -> None:
        super().__init__()
        self.net, self.units = net, units

    def forward(self, X: Tensor) -> tuple[Tensor, ...]:
        answers = zip(self.net.answers(X), self.units, strict=True)
        return tuple(_in_unit(answer, unit) for answer, unit in answers)


def _in_unit(output: Tensor, unit: Unit) -> Tensor:
    if unit.scale != (0.0, 1.0):
        output = output * unit.scale[1] + unit.scale[0]
    if np.isfinite(unit.bounds[0]):
        output = output.clamp(*unit.bounds)
    return output


def build(
    inputs: Inputs,
    encoders: Sequence[Any],
    priors: Sequence[np.ndarray],
    params: Mapping[str, Any],
    generator: torch.Generator,
) -> Net:
    """The network with its first values. `encoders` are plug-ins, one for each of the inputs' sources; `priors` are
    what the heads of the targets say first.

    Raises:
        UsageError: see `Encoder.build`.
    """
    with torch.random.fork_rng(devices=[]):  # torch's layers draw from its own generator when they are made
        torch.manual_seed(generator.initial_seed())
        modules = [one.build(source, generator) for one, source in zip(encoders, inputs.sources, strict=True)]
        dims = [int(module.dim) for module in modules]
        combiner = combiner_of(params["combiner"], dims, params["hidden_size"], generator)
        head, *further = (Head(combiner.dim, prior, params, generator) for prior in priors)
        return Net(inputs, modules, combiner, head, further)
