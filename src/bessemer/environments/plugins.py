"""The environments, by name. `NAME.txt` (Python) or `NAME/` (Node) beside this file says what is in one."""

from __future__ import annotations

from collections.abc import Mapping

from bessemer.environments.place import Environment

_LISTED = (
    Environment("torchserve", "python", "TorchServe and torch, for the CPU", 1000, "torchserve.txt"),
    Environment(
        "tensorflow", "python", "TensorFlow, Keras, LiteRT and TensorFlow Lite Micro", 1700, "tensorflow.txt"
    ),
    Environment("tensorflow_js", "node", "TensorFlow.js", 300, "tensorflow_js"),
    Environment(
        "compilers", "python", "OpenVINO, Apache TVM, IREE and treelite with tl2cgen", 1050, "compilers.txt"
    ),
    Environment("mobile", "python", "ExecuTorch, MNN, ncnn, coremltools and torch", 1400, "mobile.txt"),
    Environment("pmml", "python", "JPMML-Evaluator, which needs Java", 170, "pmml.txt"),
    Environment("tensorrt", "python", "TensorRT for RTX", 240, "tensorrt.txt"),
    Environment(
        "onnxruntime_web", "node", "onnxruntime for the web, which pages carry", 150, "onnxruntime_web"
    ),
)

ENVIRONMENTS: Mapping[str, Environment] = {place.name: place for place in _LISTED}
