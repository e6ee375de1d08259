"""Whether a graph has gradients to attack it by: its twin is run forth and back before an attack begins.

What a gradient does not see an attack does not find, and a model would look robust that is not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.core.errors import FormatError

if TYPE_CHECKING:
    from torch import Tensor

    from bessemer.attack.protocol import Victim
    from bessemer.attack.surface import Surface

#: Test rows that it is run on, from everywhere: one alone may lie where a network is flat, or miss its values.
_ROWS = 16


def hindered(graph: bytes, victim: Victim, surface: Surface) -> str:
    """Why a graph's score cannot be attacked by its gradient, in a sentence; '' where it can.

    Its twin may not exist or not run, the gradient by what may be moved may be 0 on all rows that are tried, or some
    of what may be moved is made a whole number by a Cast, behind which its gradient is cut.
    """
    from bessemer.package.differentiable import twin

    X = np.load(victim.splits.path("test.X.npy"), mmap_mode="r", allow_pickle=False)
    rows = np.unique(np.linspace(0, len(X) - 1, min(len(X), _ROWS)).astype(np.int64))
    try:
        return _hindered(twin(graph), np.array(X[rows], dtype=np.float32), surface)
    except FormatError as error:
        return error.what
    except (RuntimeError, TypeError, ValueError, IndexError, AttributeError) as error:
        # A graph from elsewhere may ask of an operator what neither we nor torch have thought of.
        return f"its gradient cannot be computed: {str(error).splitlines()[0] if str(error) else type(error).__name__}"


def _hindered(found: Any, X: Any, surface: Surface) -> str:
    import torch

    from bessemer.package.differentiable.node import INTEGERS

    cut: list[Tensor] = []

    def watch(node: Any, given: list[Tensor | None]) -> None:
        if node.kind == "Cast" and node.get("to") in INTEGERS:
            cut.extend(value for value in given if value is not None and value.requires_grad)

    base, places = torch.from_numpy(X), torch.from_numpy(surface.places)
    moved = base[:, places].requires_grad_(True)
    with torch.enable_grad():
        score = found(base.index_copy(1, places, moved), watch)
    if any(_moves(value, moved) for value in cut):
        return "it makes whole numbers of what may be moved (Cast), and behind them no gradient is known"
    if not _moves(score, moved):
        return "the gradient of its score is 0 on all test rows that were tried, so it says nothing of where to go"
    return ""


def _moves(value: Tensor, by: Tensor) -> bool:
    """Whether the gradient of a value is a number other than 0 anywhere."""
    import torch

    if not value.requires_grad:
        return False
    # Of different weights, since a sum of probabilities is always 1.
    weights = torch.linspace(1, 2, value.numel()).reshape(value.shape)
    (found,) = torch.autograd.grad(value, by, weights, retain_graph=True, allow_unused=True)
    return found is not None and bool((found.isfinite() & (found != 0)).any())
