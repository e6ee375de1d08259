"""ncnn: converts a core by pnnx, and runs it."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
from asked import main

#: Layers that pnnx leaves for others to write have a point in their name.
_UNKNOWN = "."


def write(graph, out, asked, folder):
    (folder / "core.onnx").write_bytes(graph)
    pnnx = Path(sys.executable).with_name("pnnx")
    subprocess.run([pnnx, "core.onnx", f"inputshape=[1,{asked['width']}]", "fp16=0"], check=True, cwd=folder)
    layers = (folder / "core.ncnn.param").read_text(encoding="utf-8")
    unknown = sorted({line.split()[0] for line in layers.splitlines()[2:] if _UNKNOWN in line.split()[0]})
    for end in ("param", "bin"):
        (out / f"core.ncnn.{end}").write_bytes((folder / f"core.ncnn.{end}").read_bytes())
    return {"unknown": unknown}


def load(out, asked):
    import ncnn

    net = ncnn.Net()
    net.opt.num_threads = 1
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    if net.load_param(str(out / "core.ncnn.param")) or net.load_model(str(out / "core.ncnn.bin")):
        raise SystemExit("ncnn cannot load it")

    def one(row):
        asker = net.create_extractor()
        asker.input("in0", ncnn.Mat(np.ascontiguousarray(row)).clone())
        return [np.array(asker.extract(f"out{i}")[1]).reshape(-1) for i in range(asked["outputs"])]

    return f"ncnn {version('ncnn')}", lambda x: [np.stack(found) for found in zip(*map(one, x))]


if __name__ == "__main__":
    main(write, load)
