"""Some rows as the library of attacks sees them: what it may move, as one array, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bessemer.attack.surface import Floats32, Surface

if TYPE_CHECKING:
    import torch

    from bessemer.package.differentiable import Twin

#: The library shuffles and drops rows, so where a row has values of its own that stay, one more coordinate says which
#: row it is: its number times this. Whatever moves it moves it by less than half, so it can always be read again.
STRIDE = 1024.0


@dataclass(frozen=True)
class Frame:
    """Rows (R, F) and what of them moves; their number in the sample is (R,).

    offset: (R,) the score from which the second of two classes is said; None where there are more.
    """

    surface: Surface
    base: Floats32
    rows: npt.NDArray[np.int64]
    offset: Floats32 | None

    @property
    def numbered(self) -> bool:
        """Whether rows must be told apart: not where all of a row moves, or where there is one."""
        same = self.offset is None or bool((self.offset == self.offset[0]).all())
        return len(self.base) > 1 and not (self.surface.whole and same)

    @property
    def shape(self) -> tuple[int, ...]:
        if self.surface.image is not None and not self.numbered:
            return self.surface.image
        return (len(self.surface.places) + self.numbered,)

    @property
    def bounds(self) -> tuple[Any, Any]:
        """Between which the library keeps values: two numbers, or two of each coordinate where rows are numbered."""
        low, high = self.surface.low, self.surface.high
        if not self.numbered:
            return float(low.min()), float(high.max())
        edge = np.float32((len(self.base) + 1) * STRIDE)
        return np.append(low, -edge), np.append(high, edge)

    def shown(self) -> Floats32:
        """(R, *shape)."""
        moved = self.surface.moved(self.base)
        if self.numbered:
            places = np.arange(len(moved), dtype=np.float32)[:, None] * STRIDE
            moved = np.concatenate([moved, places], axis=1)
        return moved.reshape(-1, *self.shape).astype(np.float32)

    def taken(self, shown: npt.NDArray[Any]) -> tuple[Floats32, npt.NDArray[np.int64]]:
        """(n, *shape) -> features (n, F) and which of the R rows each is."""
        flat = np.asarray(shown, dtype=np.float32).reshape(len(shown), -1)
        which = np.zeros(len(flat), dtype=np.int64)
        if self.numbered:
            which = np.clip(np.rint(flat[:, -1] / STRIDE), 0, len(self.base) - 1).astype(np.int64)
            flat = flat[:, :-1]
        return self.surface.placed(self.base[which], flat), which


def framed(twin: Twin, frame: Frame) -> Any:
    """The twin behind a frame: a torch module (n, *shape) -> scores of classes (n, K), which counts its rows in
    `asked`."""
    import torch

    surface = frame.surface
    base = torch.from_numpy(frame.base)
    own = base[:, torch.from_numpy(surface.places)]
    parts = [torch.from_numpy(v) for v in (surface.low, surface.high, surface.scale, surface.centre)]
    offset = None if frame.offset is None else torch.from_numpy(frame.offset)

    class Framed(torch.nn.Module):  # type: ignore[misc]
        asked = 0

        def forward(self, shown: torch.Tensor) -> torch.Tensor:
            self.asked += len(shown)
            flat, which = shown.flatten(1), torch.zeros(len(shown), dtype=torch.int64)
            if frame.numbered:
                which = (flat[:, -1].detach() / STRIDE).round().long().clamp(0, len(base) - 1)
                flat = flat[:, :-1]
            low, high, scale, centre = parts
            values = flat.clamp(low, high) * scale + centre
            kept = torch.isfinite(own[which])
            values = torch.where(kept, values, own[which])
            x = base[which].index_copy(1, torch.from_numpy(surface.places), values)
            score = twin(x)
            if offset is None:
                return score
            second = score[:, 0] - offset[which]
            return torch.stack([torch.zeros_like(second), second], dim=1)

    return Framed()
