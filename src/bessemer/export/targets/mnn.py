"""MNN: the numeric core for phones, in Alibaba's runtime."""

from __future__ import annotations

from typing import ClassVar

from bessemer.export.outside import Outside
from bessemer.export.protocol import Source


class Mnn(Outside):
    """`core.mnn` and `encoder.json`."""

    environment: ClassVar[str] = "mobile"
    #: Its exponential function and its error function are approximations.
    limit: float = 1e-4
    worker: ClassVar[str] = "via_mnn.py"

    def words(self, source: Source) -> str:
        return "Ask for high precision: otherwise phones that can compute in 16-bit floats do."

    def usage(self, source: Source) -> str:
        names = ", ".join(f'"{name}"' for name in source.core.outputs)
        return f"""
import MNN.expr as expr
import MNN.nn as nn

runtime = nn.create_runtime_manager(({{"backend": "CPU", "numThread": 1, "precision": "high"}},))
core = nn.load_module_from_file("core.mnn", ["encoded"], [{names}], runtime_manager=runtime)
answers = core.forward([expr.const(encoded, list(encoded.shape), expr.NCHW)])
score = expr.convert(answers[0], expr.NCHW).read()
"""
