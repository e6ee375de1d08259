"""Keras's older format, HDF5."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from bessemer.export.keras_core import KerasFiles
from bessemer.export.protocol import Source


class H5(KerasFiles):
    """`model.h5` and `encoder.json`."""

    kinds: ClassVar[Mapping[str, str]] = {"h5": "model.h5"}
    read: ClassVar[str] = "h5"

    def usage(self, source: Source) -> str:
        return """import keras


def operations(kind=keras.Operation):
    # Keras's own operators by their names: in this format it does not look for them
    for one in kind.__subclasses__():
        if not issubclass(one, keras.layers.Layer):
            yield one.__name__, one
            yield from operations(one)


model = keras.saving.load_model("model.h5", compile=False, custom_objects=dict(operations()))"""
