"""Keras's own format: one file, which holds no code and is loaded with Keras alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from bessemer.export.keras_core import KerasFiles
from bessemer.export.protocol import Source


class Keras(KerasFiles):
    """`model.keras` and `encoder.json`."""

    kinds: ClassVar[Mapping[str, str]] = {"keras": "model.keras"}
    read: ClassVar[str] = "keras"

    def usage(self, source: Source) -> str:
        return """import keras

model = keras.saving.load_model("model.keras")"""
