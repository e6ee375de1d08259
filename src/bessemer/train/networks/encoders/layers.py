"""What several encoders are made of."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from bessemer.train.networks.dropout import Dropout
from bessemer.train.networks.encoders.weights import Pretrained

#: Added to the logits of places that are not looked at: far below all others, and a row of nothing else has no NaN.
HIDDEN = -1e9


def groups_of(channels: int, size: int = 8) -> int:
    """How many groups of about `size` channels a group norm has (Wu and He 2018); it divides the channels.

    >>> groups_of(32), groups_of(12), groups_of(7)
    (4, 1, 1)
    """
    groups = max(1, channels // size)
    return next(g for g in range(groups, 0, -1) if channels % g == 0)


def conv(
    inputs: int, outputs: int, size: int = 3, stride: int = 1, padding: int | None = None, bias: bool = False
) -> nn.Conv2d:
    """A convolution that keeps height and width but for its stride."""
    around = size // 2 if padding is None else padding
    return nn.Conv2d(inputs, outputs, size, stride=stride, padding=around, bias=bias)


class Attention(nn.Module):  # type: ignore[misc]
    """Multi-head self-attention (Vaswani et al. 2017): (N, L, dim) -> (N, L, dim).

    mask: (N, 1, 1, L) float32 added to the logits, or None.
    """

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.dim, self.heads = dim, heads
        self.queries_keys_values = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        split = self.queries_keys_values(x).unflatten(2, (3, self.heads, self.dim // self.heads))
        query, key, value = (split[:, :, i].transpose(1, 2) for i in range(3))
        seen = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        joined = seen.transpose(1, 2).flatten(2)
        answer: Tensor = self.dropout(self.out(joined))
        return answer


class StackSettings(Pretrained):
    """The settings of every encoder with transformer blocks."""

    dim: int = Field(64, ge=4, le=2048, description="values of each place, word or feature")
    layers: int = Field(2, ge=1, le=24, description="transformer blocks")
    heads: int = Field(
        4, ge=1, le=32, description="heads of each attention; the next lower number that divides dim"
    )
    dropout: float = Field(0.1, ge=0, lt=1, description="share of the values left out while training")

    def blocks(self, widening: int = 2) -> nn.ModuleList:
        """The blocks; their hidden layers are `widening` times as wide as `dim`."""
        heads = fitting_heads(self.dim, self.heads)
        made = (
            TransformerBlock(self.dim, heads, widening * self.dim, self.dropout) for _ in range(self.layers)
        )
        return nn.ModuleList(made)


class TransformerBlock(nn.Module):  # type: ignore[misc]
    """Attention, then two layers at each place, each behind a norm and beside a way around it (pre-norm, Xiong et al.
    2020): (N, L, dim) -> (N, L, dim).
    """

    def __init__(self, dim: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.norm_before, self.norm_between = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attention = Attention(dim, heads, dropout)
        self.wide, self.narrow = nn.Linear(dim, hidden), nn.Linear(hidden, dim)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        x = x + self.attention(self.norm_before(x), mask)
        hidden = self.dropout(functional.gelu(self.wide(self.norm_between(x))))
        changed: Tensor = x + self.dropout(self.narrow(hidden))
        return changed


def start_transformers(module: nn.Module, generator: torch.Generator) -> None:
    """Linear layers of every block in `module` anew: normal with spread 0.02, narrower where they end a way beside
    `depth` others (Radford et al. 2019), as deep stacks need it; biases 0.
    """
    blocks = [m for m in module.modules() if isinstance(m, TransformerBlock)]
    narrow = 0.02 / max(1.0, (2 * len(blocks)) ** 0.5)
    with torch.no_grad():
        for block in blocks:
            for layer in (block.attention.queries_keys_values, block.wide):
                layer.weight.normal_(0, 0.02, generator=generator)
            for layer in (block.attention.out, block.narrow):
                layer.weight.normal_(0, narrow, generator=generator)


def fitting_heads(dim: int, heads: int) -> int:
    """The largest number of heads up to `heads` that divides `dim`.

    >>> fitting_heads(64, 4), fitting_heads(66, 4)
    (4, 3)
    """
    return next(h for h in range(heads, 0, -1) if dim % h == 0)
