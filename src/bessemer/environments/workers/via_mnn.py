"""MNN: converts a core, and runs it."""

import hashlib
import uuid
from importlib.metadata import version

import numpy as np
from asked import main


def write(graph, out, asked, folder):
    # Not by the program `mnnconvert`: it tells Alibaba of each conversion, and installs what it needs for that with the
    # first pip on the PATH.
    import _tools
    import MNN

    (folder / "core.onnx").write_bytes(graph)
    made = folder / "core.mnn"
    words = ["--modelFile", str(folder / "core.onnx"), "--MNNModel", str(made), "--bizCode", "bessemer"]
    _tools.mnnconvert(["mnnconvert", "-f", "ONNX", *words])
    if not made.is_file():
        raise SystemExit("MNN could not convert it")
    drawn = MNN.get_model_uuid(str(made)).encode()
    ours = str(uuid.UUID(hashlib.sha256(graph).hexdigest()[:32])).encode()
    (out / "core.mnn").write_bytes(made.read_bytes().replace(drawn, ours))


def load(out, asked):
    import MNN.expr as expr
    import MNN.nn as nn

    runtime = nn.create_runtime_manager(({"backend": "CPU", "numThread": 1, "precision": "high"},))
    core = nn.load_module_from_file(
        str(out / "core.mnn"), ["encoded"], asked["names"], runtime_manager=runtime
    )

    def run(x):
        given = expr.const(np.ascontiguousarray(x), list(x.shape), expr.NCHW)
        return [expr.convert(found, expr.NCHW).read().copy() for found in core.forward([given])]

    return f"MNN {version('mnn')}", run


if __name__ == "__main__":
    main(write, load)
