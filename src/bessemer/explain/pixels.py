"""What single pixels add to a score: gradients through the graph that ships, or the parts that trees give exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from bessemer.core.errors import FormatError
from bessemer.explain.deep.plugins import DEEP
from bessemer.explain.explanation import Baseline, Error
from bessemer.package.attribution.chosen import Chosen
from bessemer.package.natives import Head

if TYPE_CHECKING:
    from bessemer.core.blocks import Block
    from bessemer.explain.sample import Floats
    from bessemer.explain.subject import Subject

Features = npt.NDArray[np.float32]

#: Native models whose contributions are those of single features, exactly.
EXACT = ("trees", "linear")


class PixelParts(Protocol):
    """A way to find what each pixel adds to the score of a row, compared with `baseline`."""

    baseline: Baseline

    def find(self, row: Features, output: int) -> tuple[Floats, float]:
        """Of features (F,) and the number of an output: the parts of all pixels in their order, and how far they are
        from adding up."""

    def error(self, gap: float) -> Error:
        """What the worst gap means."""


def refused(subject: Subject) -> str:
    """Why pixels of this model have no parts; '' where they have."""
    if not images_of(subject):
        return "it looks at pixels, and no column is an image"
    if subject.facts["native"]["kind"] in EXACT:
        return ""
    if missing := DEEP.ref("integrated_gradients").missing():
        return f"it needs {missing}: pip install 'bessemer[deep]'"
    try:
        _network(subject)
    except FormatError as error:
        return f"it takes gradients of the graph, and {error.what}"
    return ""


def images_of(subject: Subject) -> list[Block]:
    """The blocks of pixels, by their place."""
    return [block for block in subject.blocks if block.kind == "image"]


def parts_of(subject: Subject, features: Features, steps: int) -> PixelParts:
    """The way that suits the model. features: (N, F), rows whose mean image gradients are compared with where the model
    has no row of its own to compare with."""
    exact = subject.facts["native"]["kind"] in EXACT
    return ExactParts(subject) if exact else GradientParts(subject, features, steps)


def _places(subject: Subject) -> npt.NDArray[np.int64]:
    return np.concatenate([np.arange(block.start, block.stop) for block in images_of(subject)])


class ExactParts:
    """The contributions of single features, before they are added up by column."""

    def __init__(self, subject: Subject) -> None:
        from bessemer.explain.subject import METHODS

        self.baseline = Baseline(METHODS[str(subject.facts["native"]["kind"])][1])
        self._explain, self._places = subject.contributions.by(Chosen("auto")), _places(subject)

    def find(self, row: Features, output: int) -> tuple[Floats, float]:
        rows = row[None, :]
        base, each = self._explain.compute(rows)
        total = float(base[0, output] + each[0, :, output].sum())
        return each[0, self._places, output], abs(total - float(self._explain.score(rows)[0, output]))

    def error(self, gap: float) -> Error:
        return Error("additivity gap", gap, "the worst difference of base and all parts from the score")


class GradientParts:
    """Integrated gradients from an ordinary image to the row's own; all that is no pixel stays as it is in the row."""

    def __init__(self, subject: Subject, features: Features, steps: int) -> None:
        import torch

        from bessemer.explain.deep.integrated_gradients import IntegratedGradients

        places, native = _places(subject), subject.contributions.native
        if isinstance(native, Head):
            whose, ordinary = "training rows", native.baseline[None, places]
        else:
            whose, ordinary = "rows that are looked at", features[:, places]
        self.baseline = Baseline(f"the mean image of the {whose}")
        self._network, self._places = _network(subject), torch.from_numpy(places)
        self._mean = torch.from_numpy(_mean(ordinary))[None, :]
        self._method = IntegratedGradients(IntegratedGradients.Settings(steps=steps))

    def find(self, row: Features, output: int) -> tuple[Floats, float]:
        import torch

        from bessemer.explain.deep.question import Question

        whole = torch.from_numpy(row.astype(np.float64))
        own = whole[None, self._places]
        own = torch.where(torch.isnan(own), self._mean, own)  # what is missing adds nothing
        of_pixels = _of_pixels(self._network, whole, self._places)
        found = self._method.explain(Question(of_pixels, own, output, baseline=self._mean))
        return found.values[0], float(found.error.value or 0.0)

    def error(self, gap: float) -> Error:
        return Error(
            "completeness gap",
            gap,
            "the worst difference of a row's parts, added up, from its score less that of the mean image",
        )


def _of_pixels(network: Any, row: Any, places: Any) -> Any:
    """A network as one of some places of a row alone: (N, places) -> (N, K'); the others have the row's values."""
    import torch

    class OfPixels(torch.nn.Module):  # type: ignore[misc]
        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = network(row.expand(len(pixels), -1).index_copy(1, places, pixels))
            return found

    return OfPixels()


def _network(subject: Subject) -> Any:
    import torch

    from bessemer.package.differentiable import twin

    return twin(subject.graph(), "score", torch.float64)


def _mean(rows: Features) -> Floats:
    """(width,) over the rows in which a pixel is known; 0 where there are none."""
    known = np.isfinite(rows)
    found: Floats = np.where(known, rows, 0).sum(axis=0, dtype=np.float64) / np.maximum(known.sum(axis=0), 1)
    return found
