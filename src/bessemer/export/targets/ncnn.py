"""ncnn: the numeric core for phones, in Tencent's runtime."""

from __future__ import annotations

from typing import Any, ClassVar

from bessemer.export.numeric.arithmetic import arithmetic
from bessemer.export.outside import Outside
from bessemer.export.protocol import Source, UncarriedError


class Ncnn(Outside):
    """`core.ncnn.param`, `core.ncnn.bin` and `encoder.json`."""

    environment: ClassVar[str] = "mobile"
    worker: ClassVar[str] = "via_ncnn.py"
    most = 1

    def refuses(self, source: Source) -> str:
        self.graph(source)
        return ""

    def graph(self, source: Source) -> bytes:
        return arithmetic(source.core.graph)

    def wrote(self, said: dict[str, Any]) -> None:
        if said["unknown"]:
            raise UncarriedError(f"ncnn has no layer {said['unknown'][0]}")

    def words(self, source: Source) -> str:
        return (
            "It takes a row at a time. Its answers are the package's in float32 alone: in 16-bit floats, which ncnn\n"
            "uses where it can, values are rounded before trees compare them."
        )

    def usage(self, source: Source) -> str:
        return """
import ncnn
import numpy as np

net = ncnn.Net()
net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
net.load_param("core.ncnn.param")
net.load_model("core.ncnn.bin")


def ask(row):
    asker = net.create_extractor()
    asker.input("in0", ncnn.Mat(row).clone())
    return np.array(asker.extract("out0")[1]).reshape(-1)


score = np.stack([ask(row) for row in encoded])
"""
