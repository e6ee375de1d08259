"""TensorFlow's SavedModel, in the folders that TensorFlow Serving looks for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from bessemer.export.keras_core import KerasFiles
from bessemer.export.protocol import Source


class SavedModel(KerasFiles):
    """`NAME/1/`, with the signature `serving_default`, and `encoder.json`."""

    kinds: ClassVar[Mapping[str, str]] = {"savedmodel": ""}
    read: ClassVar[str] = "savedmodel"

    def files(self, source: Source, out: Path) -> dict[str, Path]:
        return {"savedmodel": out / source.slug / "1"}

    def usage(self, source: Source) -> str:
        return f"""import tensorflow as tf

loaded = tf.saved_model.load("{source.slug}/1")
model = lambda rows: loaded.signatures["serving_default"](encoded=tf.constant(rows))"""

    def export(self, source: Source, out: Path) -> str:
        return f"""{super().export(source, out)}
The folder `{source.slug}` is what TensorFlow Serving loads, version 1 of one model:

    docker run -p 8501:8501 -v "$PWD/{source.slug}:/models/{source.slug}" -e MODEL_NAME={source.slug} tensorflow/serving

A POST to `http://localhost:8501/v1/models/{source.slug}:predict` of `{{"inputs": {{"encoded": [[...]]}}}}`, rows of
{source.core.width} numbers, is answered with {" and ".join(f"`{name}`" for name in source.core.outputs)}.
"""
