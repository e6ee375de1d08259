"""A Keras model's architecture alone: what is computed, without the weights of its layers."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from bessemer.environments.work import Work
from bessemer.export.keras_core import KerasFiles, ask, write_core
from bessemer.export.protocol import Source
from bessemer.export.samples import Samples
from bessemer.export.sidecar import encoded

ARCHITECTURE, WEIGHTS = "architecture.json", "model.weights.h5"


class KerasPart(KerasFiles):
    """One of the two parts that a model of Keras is kept in. parts: where the README reads each."""

    parts: ClassVar[tuple[str, str]]

    def usage(self, source: Source) -> str:
        architecture, weights = self.parts
        return f"""import keras

with open("{architecture}", encoding="utf-8") as file:
    model = keras.models.model_from_json(file.read())
model.load_weights("{weights}")"""

    def asked(self, source: Source, out: Path, samples: Samples, **more: Any) -> Work:
        """Joined with the other part, which is written for the occasion."""
        with tempfile.TemporaryDirectory(prefix="bessemer-keras-") as folder:
            own = self.files(source, out)
            paths = {"keras_json": Path(folder) / ARCHITECTURE, "keras_weights": Path(folder) / WEIGHTS}
            write_core(source, {kind: path for kind, path in paths.items() if kind not in own})
            both = list({**paths, **own}.values())
            return ask(source, "tensorflow_run.py", "in_two", both, encoded(source, out, samples), **more)


class KerasJson(KerasPart):
    """`architecture.json` and `encoder.json`."""

    kinds: ClassVar[Mapping[str, str]] = {"keras_json": ARCHITECTURE}
    parts: ClassVar[tuple[str, str]] = (ARCHITECTURE, f"../keras_weights/{WEIGHTS}")
