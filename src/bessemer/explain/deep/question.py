"""What a network is asked, and what an answer looks like: the same for all methods."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from bessemer.core.errors import UsageError, did_you_mean
from bessemer.explain.explanation import Baseline, Error


@dataclass(frozen=True)
class Question:
    """Which score of which network, for which inputs.

    module: from (N, ...) to scores (N, K), or (N,) where there is one.
    inputs: (N, ...) floats, at least one row.
    target: the column of the score that is explained: one for all rows, or one a row (N,).
    baseline: what inputs are compared with, (1, ...) or (N, ...); zeros where it is None.
    layer: the name of a layer, as `module.named_modules()` has it, for methods that look at one.
    concepts: by its name, inputs (M, ...) that show a concept; contrasts: sets (M, ...) of random inputs. For TCAV.
    seed: of what is drawn at random.
    """

    module: nn.Module
    inputs: Tensor
    target: int | Sequence[int] = 0
    baseline: Tensor | None = None
    layer: str = ""
    concepts: Mapping[str, Tensor] = field(default_factory=dict)
    contrasts: Sequence[Tensor] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        if self.inputs.ndim < 2 or not self.inputs.shape[0] or not self.inputs.is_floating_point():
            raise UsageError(
                f"inputs of shape {tuple(self.inputs.shape)} and type {self.inputs.dtype} cannot be explained",
                fix="give floats of shape (rows, ...) with one row or more",
            )
        rows, base = self.inputs.shape[0], self.baseline
        if base is not None and (base.shape[0] not in (1, rows) or base.shape[1:] != self.inputs.shape[1:]):
            raise UsageError(
                f"a baseline of shape {tuple(base.shape)} does not fit inputs of {tuple(self.inputs.shape)}",
                fix="give one baseline, or one for each row",
            )
        for what, values in (("inputs", self.inputs), ("baseline", base)):
            if values is not None and not bool(torch.isfinite(values).all()):
                raise UsageError(f"NaN or infinity in the {what}", fix="impute first, as the network expects")
        target = np.asarray(self.target)
        if target.dtype.kind not in "iu" or target.shape not in ((), (rows,)):
            raise UsageError(
                f"targets of shape {target.shape} and type {target.dtype} for {rows} rows",
                fix="give one column of the score, as a whole number, or one for each row",
            )

    @property
    def against(self) -> Tensor:
        """The baseline of each row: (N, ...)."""
        if self.baseline is None:
            return torch.zeros_like(self.inputs)
        return self.baseline.to(self.inputs.dtype).expand_as(self.inputs)

    @property
    def fresh(self) -> Tensor:
        """The inputs once more, to take gradients in."""
        return self.inputs.detach().clone().requires_grad_(True)

    @property
    def columns(self) -> Tensor:
        """The explained column of each row: (N,) int64."""
        found = torch.as_tensor(np.asarray(self.target, dtype=np.int64), device=self.inputs.device)
        return found.expand(self.inputs.shape[0])

    def targets(self) -> Tensor | None:
        """The columns, as captum takes them: None where there is one score a row.

        Raises:
            UsageError: the network gives no scores (N, K) or (N,), or has no such column.
        """
        found = self.output(self.inputs[:1])
        if found.ndim == 1:
            return None
        if found.ndim != 2:
            raise UsageError(
                f"the network gives an output of shape {tuple(found.shape)}, not scores (rows, K)",
                fix="wrap it in a module that ends in one score for each row and class",
            )
        low, high = int(self.columns.min()), int(self.columns.max())
        if low < 0 or high >= found.shape[1]:
            wrong = low if low < 0 else high
            raise UsageError(f"there is no output {wrong}", fix=f"outputs are 0 to {found.shape[1] - 1}")
        return self.columns

    def output(self, inputs: Tensor) -> Tensor:
        """What the network says, without gradients."""
        with torch.no_grad():
            return self.module(inputs)

    def scores(self, inputs: Tensor) -> Tensor:
        """The explained score of each row, (N,), of inputs in the order of `inputs`."""
        return picked(self.output(inputs), self.columns)

    def compared(self, text: str = "") -> Baseline:
        """The baseline in words, and its scores where one stands for all rows."""
        if self.baseline is None:
            words, rows = text or "an input of zeros", torch.zeros_like(self.inputs[:1])
        elif self.baseline.shape[0] == 1:
            words, rows = text or "the input given as the baseline", self.against[:1]
        else:
            return Baseline(text or "a baseline of its own for each row")
        return Baseline(words, tuple(float(v) for v in self.output(rows).reshape(-1)))

    def named_layer(self) -> nn.Module:
        """The layer that is asked about.

        Raises:
            UsageError: there is none of that name.
        """
        named = dict(self.module.named_modules())
        named.pop("", None)
        if self.layer not in named:
            raise UsageError(f"the network has no layer '{self.layer}'", fix=did_you_mean(self.layer, named))
        return named[self.layer]


@dataclass(frozen=True)
class Attribution:
    """What a method found.

    values: float64, as a rule of the inputs' shape (N, ...); each method says its own.
    details: more that the method says, JSON values only.
    """

    values: npt.NDArray[np.float64]
    baseline: Baseline
    error: Error
    details: Mapping[str, Any] = field(default_factory=dict)


def picked(output: Tensor, columns: Tensor) -> Tensor:
    """The explained column of each row: (N, K) or (N,) -> (N,)."""
    return output if output.ndim == 1 else output.gather(1, columns[:, None])[:, 0]


def array(values: Tensor) -> npt.NDArray[np.float64]:
    """A tensor as float64."""
    found: npt.NDArray[np.float64] = values.detach().cpu().numpy().astype(np.float64)
    return found


def completeness(question: Question, values: Tensor) -> Error:
    """How far the parts of a row are from the difference of its score and that of its baseline, at worst."""
    wanted = question.scores(question.inputs) - question.scores(question.against)
    gap = (values.detach().flatten(1).sum(dim=1) - wanted).abs().max()
    return Error(
        "completeness gap",
        float(gap),
        "the worst difference of a row's parts, added up, from its score less that of the baseline",
    )


@contextmanager
def still(module: nn.Module) -> Iterator[None]:
    """The network as it predicts (no dropout, fixed batch norms); each layer's own mode comes back afterwards."""
    modes = {one: one.training for one in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for one, training in modes.items():
            one.training = training


@contextmanager
def watched(layer: nn.Module) -> Iterator[list[Tensor]]:
    """Collects what a layer gives, one tensor for each pass."""
    seen: list[Tensor] = []
    handle = layer.register_forward_hook(lambda _module, _given, output: seen.append(output))
    try:
        yield seen
    finally:
        handle.remove()
