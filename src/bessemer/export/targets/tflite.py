"""TensorFlow Lite, which is LiteRT today: phones, browsers and small computers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from bessemer.core.spec import Spec
from bessemer.environments.work import Work
from bessemer.export.keras_core import KerasTarget, ask, python_reader, write_core
from bessemer.export.numeric.half import multiplies
from bessemer.export.numeric.steps import steps_of
from bessemer.export.protocol import Source
from bessemer.export.samples import Samples, samples_of
from bessemer.export.sidecar import encoded, write_encoder

FILE = "model.tflite"
#: Rows for calibration are drawn otherwise than those that the artefact is held against the package on.
_SEED = 1
#: Weights of a product from which on TensorFlow quantises it.
_WORTH = 1024
_LIMITS = {"none": 1e-6, "float16": 1e-3, "int8": 0.05}


class TfLiteSettings(Spec):
    quantise: Literal["none", "float16", "int8"] = Field(
        "none",
        description="float16: weights of networks of images at half the size; int8: products of 8-bit integers, by "
        "ranges from rows of the package's profile, and all else in float32",
    )


class TfLite(KerasTarget):
    """`model.tflite` and `encoder.json`. reader: of `workers/litert_run.py`."""

    Settings: ClassVar[type[Spec]] = TfLiteSettings
    reader: ClassVar[str] = "litert"

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self.limit = _LIMITS[settings.quantise]

    def refuses(self, source: Source) -> str:
        return unquantised(source, self.settings.quantise)

    def export(self, source: Source, out: Path) -> str:
        write_lite(source, out / FILE, self.settings.quantise)
        load = f"""from ai_edge_litert.interpreter import Interpreter

model = Interpreter("{FILE}").get_signature_runner("serving_default")"""
        reader = python_reader(source, load, "found = model(encoded=encoded)", "")
        return f"{write_encoder(source, out)}\n\n{reader}"

    def asked(self, source: Source, out: Path, samples: Samples, **more: Any) -> Work:
        rows = encoded(source, out, samples)
        return ask(source, "litert_run.py", self.reader, [out / FILE], rows, **more)


def write_lite(source: Source, path: Path, quantise: str, batch: int | None = None) -> list[str]:
    """Write a `.tflite`. batch: a fixed number of rows; None for any.

    Returns:
        the names of its operators.
    """
    rows = source.core.encoded(samples_of(source.model, seed=_SEED).features)
    how = {"quantise": quantise, "batch": batch, "plain": True}
    made: list[str] = write_core(source, {"tflite": path}, arrays={"calibration": rows}, **how)["operators"]
    return made


def unquantised(source: Source, quantise: str) -> str:
    """Why a model is not quantised so."""
    core = source.core
    if quantise == "none":
        return ""
    if source.has_trees:
        return "quantising changes nothing in trees: they compare numbers and multiply none"
    steps = steps_of(core.graph)
    largest = max((array.size for array in steps.constants.values() if array.ndim > 1), default=0)
    if not multiplies(core.graph) or largest < _WORTH:
        return "its products are so small that it would get no smaller"
    if quantise == "float16" and core.program is not None:
        return "16 bits do not tell its columns' numbers apart"
    return ""
