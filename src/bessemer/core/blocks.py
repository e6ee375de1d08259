"""Features that stand side by side and mean something together: the pixels of an image, the tokens of a text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

BlockKind = Literal["image", "tokens", "embedding"]
#: The kinds of the features of blocks, in features.json.
BLOCK_FEATURES = ("pixel", "token", "embedding")


@dataclass(frozen=True)
class Block:
    """Columns `start` to `stop` of the training matrix, which one raw column became.

    kind: `image` (pixels 0 to 1, channels first), `tokens` (ids as whole numbers, 0 behind the end) or `embedding`.
    shape: (channels, height, width) of an image, (length,) of the others.
    levels: of tokens: how many ids there are, 0 among them; 0 for the others.

    >>> Block("photo", "image", 3, 787, (1, 28, 28)).width
    784
    """

    group: str
    kind: BlockKind
    start: int
    stop: int
    shape: tuple[int, ...]
    levels: int = 0

    def __post_init__(self) -> None:
        if self.stop - self.start != math.prod(self.shape):
            raise ValueError(f"{self.stop - self.start} columns are no {self.shape}")

    @property
    def width(self) -> int:
        return self.stop - self.start

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "shape": list(self.shape)}


def blocks_of(meta: Mapping[str, Any]) -> tuple[Block, ...]:
    """The blocks in the meta of a preprocessor, by their place. Columns of no block are a table's.

    >>> blocks_of({"blocks": [Block("t", "tokens", 0, 2, (2,), 9).to_json()]})
    (Block(group='t', kind='tokens', start=0, stop=2, shape=(2,), levels=9),)
    """
    found: Sequence[Mapping[str, Any]] = meta.get("blocks", [])
    return tuple(Block(**{**one, "shape": tuple(one["shape"])}) for one in found)
