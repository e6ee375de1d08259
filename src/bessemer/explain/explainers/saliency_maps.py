"""Saliency maps: which pixels of an image speak for what the model says, and which against it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field

from bessemer.core.spec import Spec
from bessemer.explain.explanation import Explanation, Kind
from bessemer.explain.local import explained_rows, named_class, output_of
from bessemer.explain.pixel_maps import pixel_map
from bessemer.explain.pixels import PixelParts, images_of, parts_of, refused

if TYPE_CHECKING:
    from bessemer.core.stage import Context
    from bessemer.explain.sample import Floats, Sample
    from bessemer.explain.subject import Subject


class SaliencyMaps:
    """What each pixel adds to the score of a row: integrated gradients of a graph that has gradients, the exact parts
    of single features of trees and linear models. A row whose image is missing has no map.

    Source: Sundararajan, Taly and Yan, "Axiomatic attribution for deep networks", ICML 2017; of trees, Lundberg et al.,
    "From local explanations to global understanding with explainable AI for trees", 2020.
    """

    kind: ClassVar[Kind] = "maps"

    class Settings(Spec):
        """How many rows, how fine the way is cut, and how large a map is."""

        rows: int = Field(8, ge=1, le=100, description="How many rows are explained.")
        steps: int = Field(128, ge=2, le=4096, description="Points on the way where the gradient is taken.")
        size: int = Field(64, ge=4, le=512, description="Pixels of a map's longest side, at most.")

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def refuses(self, subject: Subject) -> str:
        return refused(subject)

    def explain(
        self, subject: Subject, sample: Sample, ctx: Context, advance: Callable[[], None]
    ) -> Explanation:
        way = parts_of(subject, sample.features, self.settings.steps)
        rows, worst = [], 0.0
        for row in explained_rows(subject, sample, self.settings.rows):
            parts, gap = self._parts(way, subject, sample, row)
            rows += list(self._maps(parts, subject, sample, row))
            worst = max(worst, gap)
            advance()
        return Explanation("maps", way.baseline, way.error(worst), {"rows": rows})

    def _parts(
        self, way: PixelParts, subject: Subject, sample: Sample, row: int
    ) -> tuple[dict[str, Floats], float]:
        """The parts of each image that is there. One that is missing is as the baseline has it."""
        features = sample.features[row]
        found, gap = way.find(features, output_of(subject, sample, row))
        starts = np.cumsum([0, *(block.width for block in images_of(subject))])
        return {
            block.group: found[start : start + block.width].reshape(block.shape)
            for block, start in zip(images_of(subject), starts, strict=False)
            if np.isfinite(features[block.start : block.stop]).all()
        }, gap

    def _maps(
        self, parts: dict[str, Floats], subject: Subject, sample: Sample, row: int
    ) -> Iterator[dict[str, Any]]:
        for block in images_of(subject):
            if block.group in parts:
                pixels = sample.features[row, block.start : block.stop].reshape(block.shape)
                drawn = pixel_map(pixels, parts[block.group], self.settings.size)
                yield {"row": row, "column": block.group, **named_class(subject, sample, row), **drawn}
