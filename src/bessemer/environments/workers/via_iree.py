"""IREE: compiles a core to a module for CPUs, and runs it."""

import subprocess
import sys
from importlib.metadata import version

import numpy as np
from asked import main


def write(graph, out, asked, folder):
    import iree.compiler as compiler

    (folder / "core.onnx").write_bytes(graph)
    command = [sys.executable, "-m", "iree.compiler.tools.import_onnx", "core.onnx", "-o", "core.mlir"]
    subprocess.run(command, check=True, cwd=folder)
    compiler.compile_str(
        (folder / "core.mlir").read_bytes(),
        input_type="onnx",
        target_backends=["llvm-cpu"],
        output_file=str(out / "core.vmfb"),
        extra_args=[
            f"--iree-llvmcpu-target-triple={asked['triple']}",
            "--iree-llvmcpu-target-cpu=generic",
        ],
    )


def load(out, asked):
    import iree.runtime as runtime

    context = runtime.SystemContext(config=runtime.Config("local-sync"))
    context.add_vm_module(runtime.VmModule.mmap(context.instance, str(out / "core.vmfb")))
    core = context.modules.module["core"]

    def run(x):
        found = core(x)
        return [np.array(one) for one in found] if isinstance(found, list | tuple) else [np.array(found)]

    return f"iree {version('iree-base-runtime')}", run


if __name__ == "__main__":
    main(write, load)
