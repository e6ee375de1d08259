"""The targets: what a package can be exported to."""

from __future__ import annotations

from bessemer.core.plugins import PluginRef, PluginTable
from bessemer.export.protocol import Target

_HERE = "bessemer.export.targets"

TARGETS: PluginTable[Target] = PluginTable(
    "bessemer.targets",
    {
        "onnx": PluginRef(f"{_HERE}.onnx:Onnx", summary="the whole graph, for onnxruntime"),
        "ort": PluginRef(f"{_HERE}.ort:Ort", summary="the whole graph, optimised, in ORT format"),
        "onnx_core": PluginRef(
            f"{_HERE}.onnx_core:OnnxCore", summary="the numeric core in standard operators, with its encoder"
        ),
        "onnx_fp16": PluginRef(
            f"{_HERE}.onnx_fp16:OnnxFp16", summary="the core of a network with 16-bit floats"
        ),
        "onnx_int8": PluginRef(
            f"{_HERE}.onnx_int8:OnnxInt8", summary="the core of a network with 8-bit products"
        ),
        "torchscript": PluginRef(
            f"{_HERE}.torchscript:TorchScript",
            extra="torch",
            requires=("torch",),
            summary="TorchScript, for torch in C++, Java and Python",
        ),
        "torch_export": PluginRef(
            f"{_HERE}.torch_export:TorchExport",
            extra="torch",
            requires=("torch",),
            summary="a program of torch.export, for compilers that start from torch",
        ),
        "aotinductor": PluginRef(
            f"{_HERE}.aotinductor:AotInductor",
            extra="torch",
            requires=("torch",),
            summary="machine code for the CPU, for torch in C++ and Python",
        ),
        "torchserve": PluginRef(
            f"{_HERE}.torchserve:TorchServe",
            extra="torch",
            requires=("torch",),
            summary="an archive for TorchServe, with a handler of rows in JSON",
        ),
        "safetensors": PluginRef(
            f"{_HERE}.safetensors:Safetensors",
            extra="embeddings",
            requires=("safetensors",),
            summary="weights, and layers by name, for torch and NumPy",
        ),
        "savedmodel": PluginRef(
            f"{_HERE}.savedmodel:SavedModel",
            summary="TensorFlow's SavedModel, in the folders of TensorFlow Serving",
        ),
        "keras": PluginRef(f"{_HERE}.keras:Keras", summary="a model of Keras 3, layers and weights"),
        "h5": PluginRef(f"{_HERE}.h5:H5", summary="Keras's older format, HDF5"),
        "keras_json": PluginRef(
            f"{_HERE}.keras_json:KerasJson", summary="a Keras model's architecture alone"
        ),
        "keras_weights": PluginRef(
            f"{_HERE}.keras_weights:KerasWeights", summary="a Keras model's weights alone"
        ),
        "tflite": PluginRef(f"{_HERE}.tflite:TfLite", summary="TensorFlow Lite, which is LiteRT today"),
        "openvino": PluginRef(f"{_HERE}.openvino:OpenVino", summary="OpenVINO's representation of the core"),
        "tvm": PluginRef(f"{_HERE}.tvm:Tvm", summary="the core compiled by Apache TVM"),
        "iree": PluginRef(f"{_HERE}.iree:Iree", summary="the core compiled by IREE"),
        "mnn": PluginRef(f"{_HERE}.mnn:Mnn", summary="the core for phones, in MNN"),
        "ncnn": PluginRef(f"{_HERE}.ncnn:Ncnn", summary="the core for phones, in ncnn"),
        "executorch": PluginRef(
            f"{_HERE}.executorch:Executorch",
            extra="torch",
            requires=("torch",),
            summary="the core for phones, in ExecuTorch",
        ),
        "coreml": PluginRef(
            f"{_HERE}.coreml:CoreMl",
            extra="torch",
            requires=("torch",),
            summary="the core for Apple's devices",
        ),
        "tensorrt": PluginRef(
            f"{_HERE}.tensorrt:TensorRt", summary="an engine for NVIDIA's GPUs, and what makes others"
        ),
        "treelite": PluginRef(f"{_HERE}.treelite:Treelite", summary="trees for treelite and tl2cgen"),
        "pmml": PluginRef(
            f"{_HERE}.pmml:Pmml", summary="PMML 4.4, for scoring engines in Java and in databases"
        ),
        "mleap": PluginRef(f"{_HERE}.mleap:MLeap", summary="a bundle of MLeap, for Scala and Java"),
        "c": PluginRef(f"{_HERE}.c:C", summary="C99 without a heap, for microcontrollers too"),
        "python_file": PluginRef(
            f"{_HERE}.python_file:PythonFile", summary="one Python file that needs nothing"
        ),
        "sql": PluginRef(
            f"{_HERE}.sql:Sql",
            extra="flow",
            requires=("sqlglot",),
            summary="one query that scores rows where they are",
        ),
        "skops": PluginRef(
            f"{_HERE}.skops:Skops",
            extra="skops",
            requires=("sklearn", "skops"),
            summary="an estimator of scikit-learn in a file of skops, without pickle",
        ),
        "mlflow": PluginRef(
            f"{_HERE}.mlflow:MLflow",
            extra="mlflow",
            requires=("mlflow",),
            summary="a model folder of MLflow, without pickle",
        ),
        "triton": PluginRef(
            f"{_HERE}.triton:Triton", summary="a model repository of Triton Inference Server"
        ),
        "kserve": PluginRef(
            f"{_HERE}.kserve:KServe", summary="an InferenceService of KServe, and its storage"
        ),
        "web": PluginRef(f"{_HERE}.web:Web", summary="a page that runs the whole graph in the browser"),
        "tflite_micro": PluginRef(
            f"{_HERE}.tflite_micro:TfLiteMicro", summary="TensorFlow Lite Micro, networks on microcontrollers"
        ),
        "tfjs": PluginRef(f"{_HERE}.tfjs:TensorFlowJs", summary="TensorFlow.js, for browsers and Node"),
    },
)
