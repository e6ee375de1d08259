"""The protocol of an encoder: what one column became (pixels, tokens, an embedding), or a whole table, as a vector.

An encoder gets what the network's inputs (`networks.inputs`) make of the training matrix: no NaN, of a like size.

| kind | input, (N, width) float32 |
| --- | --- |
| image | pixels, channels first, each channel of mean 0 and spread 1; 0 where the image is missing |
| tokens | ids as whole floats, 0 behind the end; `.long()` makes them indices |
| embedding | values of mean 0 and spread 1; 0 where it is missing |
| table | features as RealMLP scales them, between -3 and 3; then a flag for each of `Table.missing` |

Randomness is the network's: first values come from the generator that `build` is given (`networks.initial.start` fills
torch's own layers), and what is random in training is `networks.dropout.Dropout`, which the loop seeds for each step.
Torch's global generator is never used, so `nn.Dropout` and the like must not stand in an encoder. Buffers do not change
in training: norms are of a row's own values (`nn.GroupNorm`, `nn.LayerNorm`), not of a batch's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    import torch

    from bessemer.core.blocks import Block
    from bessemer.core.spec import Spec


@dataclass(frozen=True)
class Table:
    """All features of no block.

    numeric: for each feature whether it has more than two values.
    missing: the features that get a flag: 1 where the value is missing, else 0.

    >>> Table((True, False, True), (2,)).width
    4
    """

    numeric: tuple[bool, ...]
    missing: tuple[int, ...] = ()

    @property
    def kind(self) -> str:
        return "table"

    @property
    def features(self) -> int:
        return len(self.numeric)

    @property
    def width(self) -> int:
        return len(self.numeric) + len(self.missing)


class Encoder(Protocol):
    """One kind of network for one kind of input.

    KINDS: of `image`, `tokens`, `embedding` and `table`: what it can be given.
    Settings: what `params` may say of it.
    """

    KINDS: ClassVar[tuple[str, ...]]
    Settings: ClassVar[type[Spec]]

    def __init__(self, settings: Any) -> None: ...

    def build(self, source: Block | Table, generator: torch.Generator) -> torch.nn.Module:
        """A module (N, source.width) float32 -> (N, dim) float32 with the attribute `dim`, its first values drawn
        from the generator: the same generator gives the same bytes. It is traced to ONNX, so what `forward` does must
        not depend on values.

        Raises:
            UsageError: the input is too small for it, or its weights do not fit.
        """
        ...
