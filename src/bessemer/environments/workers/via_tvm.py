"""Apache TVM: compiles a core to a shared library, and runs it."""

from asked import main


def write(graph, out, asked, folder):
    import onnx
    import tvm
    from tvm import relax
    from tvm.relax.frontend.onnx import from_onnx

    module = from_onnx(onnx.load_from_string(graph), keep_params_in_input=False)
    target = tvm.target.Target({"kind": "llvm", "mtriple": asked["triple"]})
    made = relax.build(relax.transform.LegalizeOps()(module), target=target)
    # `-s`: the names of files on this machine stay out of it
    made.export_library(str(out / "core.so"), cc=asked["compiler"], options=["-s"])


def load(out, asked):
    import tvm
    from tvm import relax

    machine = relax.VirtualMachine(tvm.runtime.load_module(str(out / "core.so")), tvm.cpu())

    def run(x):
        found = machine["main"](tvm.runtime.tensor(x))
        return [found[i].numpy() for i in range(len(found))] if asked["outputs"] > 1 else [found.numpy()]

    return f"tvm {tvm.__version__}", run


if __name__ == "__main__":
    main(write, load)
