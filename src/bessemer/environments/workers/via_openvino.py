"""OpenVINO: writes an intermediate representation of a core, and runs it."""

from asked import main


def write(graph, out, asked, folder):
    import openvino

    (folder / "core.onnx").write_bytes(graph)
    model = openvino.convert_model(folder / "core.onnx")
    openvino.save_model(model, out / "core.xml", compress_to_fp16=False)


def load(out, asked):
    import openvino

    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    model = openvino.Core().compile_model(out / "core.xml", "CPU", settings)
    version = openvino.get_version().split("-")[0]
    return f"openvino {version}", lambda x: [found.copy() for found in model(x).to_tuple()]


if __name__ == "__main__":
    main(write, load)
