"""The weights of a Keras model's layers alone, for an architecture that is already there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from bessemer.export.targets.keras_json import ARCHITECTURE, WEIGHTS, KerasPart


class KerasWeights(KerasPart):
    """`model.weights.h5` and `encoder.json`."""

    kinds: ClassVar[Mapping[str, str]] = {"keras_weights": WEIGHTS}
    parts: ClassVar[tuple[str, str]] = (f"../keras_json/{ARCHITECTURE}", WEIGHTS)
