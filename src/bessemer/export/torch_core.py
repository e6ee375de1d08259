"""The numeric core as a torch module, and what the formats of torch share."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.core.errors import FormatError
from bessemer.export.numeric.core import ENCODED
from bessemer.export.numeric.refusal import UncarriedError
from bessemer.export.protocol import Source

if TYPE_CHECKING:
    import torch

    from bessemer.package.differentiable import Values

#: Rows that it is recorded with. One row or none would be taken for a constant.
_ROWS = 2
#: Numbers of rows that what was recorded is held against the module with, another than it was recorded with among them.
_SIZES = (1, _ROWS, 5)
#: What the same operators on the same numbers may differ by: some are done in another order when they are fused.
_APART = 1e-5


def module_of(source: Source) -> Values:
    """`encoded` (N, width) float32 -> the core's outputs, in their order.

    Raises:
        UncarriedError: there is no core, or torch is not known to have an operator of it.
    """
    from bessemer.package.differentiable import recordable

    core = source.core
    try:
        module = recordable(core.graph, ENCODED, core.outputs)
        module.eval()
        return module
    except FormatError as error:
        raise UncarriedError(f"in torch it is not known: {error.what}") from None


def recorded_with(source: Source) -> torch.Tensor:
    """Rows to record with: zeros, since formats keep them."""
    import torch

    return torch.zeros(_ROWS, source.core.width)


@contextmanager
def recording() -> Iterator[None]:
    """Without gradients, and without warnings of what `check_general` looks after itself."""
    import torch

    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def check_general(source: Source, recorded: Callable[[Any], Any]) -> None:
    """Hold what was recorded with some rows against the module on other numbers of rows.

    Raises:
        UncarriedError: they differ, so the graph depends on how many rows there are.
    """
    import torch

    module = module_of(source)
    rows = torch.from_numpy(np.random.default_rng(0).random((max(_SIZES), source.core.width), np.float32))
    for size in _SIZES:
        try:
            with torch.no_grad():
                pairs = list(zip(module(rows[:size]), recorded(rows[:size]), strict=True))
        except RuntimeError:
            pairs = []
        if not pairs or not all(torch.allclose(a, b, atol=_APART, equal_nan=True) for a, b in pairs):
            raise UncarriedError(f"recorded with {_ROWS} rows, it answers otherwise for {size}")


def answers_of(run: Callable[[Any], Any], rows: np.ndarray) -> np.ndarray:
    """The last output, of a row alone, of some, and of all others at once.

    Args:
        rows: (N, width) float32.
    """
    import torch

    parts = [part for part in np.split(rows, (1, 8)) if len(part)]
    with torch.no_grad():
        # A copy each: what is recorded may alias what it is given.
        return np.concatenate([run(torch.from_numpy(part).clone())[-1].numpy() for part in parts])
