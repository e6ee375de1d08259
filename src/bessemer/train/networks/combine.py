"""Several encoders' answers as one vector."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from bessemer.train.networks.initial import start


class Concat(nn.Module):  # type: ignore[misc]
    """One behind the other."""

    def __init__(self, dims: Sequence[int]) -> None:
        super().__init__()
        self.dim = sum(dims)

    def forward(self, parts: list[Tensor]) -> Tensor:
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


class Attention(nn.Module):  # type: ignore[misc]
    """Each answer in one size, and their sum weighed by how each of several heads rates them for this row
    (Bahdanau et al. 2015, without a query from outside): an input that says nothing in a row counts little there.
    """

    def __init__(self, dims: Sequence[int], dim: int, heads: int, generator: torch.Generator) -> None:
        super().__init__()
        self.dim, self._split = dim, (len(dims), heads, dim // heads)
        self.sizes = nn.ModuleList(nn.Linear(own, dim) for own in dims)
        self.norm = nn.LayerNorm(dim)
        self.rate = nn.Linear(dim, heads)
        start(self, generator)
        self._rescale()

    def _rescale(self) -> None:
        """The first weights are nearly even."""
        with torch.no_grad():
            self.rate.weight.mul_(0.1)

    def forward(self, parts: list[Tensor]) -> Tensor:
        each = torch.stack([size(part) for size, part in zip(self.sizes, parts, strict=True)], dim=1)
        weights = torch.softmax(self.rate(torch.tanh(self.norm(each))), dim=1)  # (N, S, heads)
        by_head = each.reshape(-1, *self._split)
        return (by_head * weights.unsqueeze(3)).sum(dim=1).flatten(1)


def combiner_of(
    name: str, dims: Sequence[int], hidden: int, generator: torch.Generator
) -> Concat | Attention:
    """`concat` or `attention`; of one encoder nothing is to be combined."""
    if name == "concat" or len(dims) == 1:
        return Concat(dims)
    heads = math.gcd(4, hidden)
    return Attention(dims, hidden, heads, generator)
