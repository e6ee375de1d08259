"""ExecuTorch: lowers a recorded core, and runs it."""

import io
import logging
import os
import warnings
from importlib.metadata import version

from asked import main

warnings.simplefilter("ignore")
logging.disable(logging.WARNING)


def write(graph, out, asked, folder):
    import torch
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    program = torch.export.load(io.BytesIO(graph))
    parts = [XnnpackPartitioner()] if asked["delegate"] == "xnnpack" else []
    lowered = to_edge_transform_and_lower(program, partitioner=parts).to_executorch()
    (out / "core.pte").write_bytes(lowered.buffer)
    return {"rows": _rows(_method(out))}


def _method(out):
    from executorch.runtime import Runtime

    return Runtime.get().load_program(str(out / "core.pte")).load_method("forward")


def _rows(method):
    """How many rows there is memory for: at times fewer than were asked for."""
    return method.metadata.input_tensor_meta(0).sizes()[0]


def load(out, asked):
    import numpy as np
    import torch

    method = _method(out)
    most = _rows(method)

    def part(x):
        return [found.numpy().copy() for found in method.execute([torch.from_numpy(x.copy())])]

    def run(x):
        parts = [part(x[i : i + most]) for i in range(0, len(x), most)]
        return [np.concatenate(found) for found in zip(*parts)]

    return f"executorch {version('executorch')}", run


if __name__ == "__main__":
    os.environ["TORCH_CPP_LOG_LEVEL"] = "ERROR"
    main(write, load)
