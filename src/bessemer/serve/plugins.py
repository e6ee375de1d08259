"""The protocols a server can speak."""

from __future__ import annotations

from collections.abc import Sequence

from bessemer.core.plugins import PluginRef, PluginTable
from bessemer.serve.dialect import Dialect

DIALECTS: PluginTable[Dialect] = PluginTable(
    "bessemer.dialects",
    {
        "plain": PluginRef("bessemer.serve.dialects.plain:Plain", summary="rows of JSON: POST /predict"),
        "v2": PluginRef(
            "bessemer.serve.dialects.v2:V2", summary="Open Inference Protocol, binary tensors too"
        ),
        "v2_grpc": PluginRef(
            "bessemer.serve.dialects.v2_grpc:V2Grpc",
            extra="serve",
            requires=("google.protobuf",),
            summary="Open Inference Protocol over gRPC",
        ),
        "kserve_v1": PluginRef("bessemer.serve.dialects.kserve_v1:KServeV1", summary="KServe V1: instances"),
        "mlflow": PluginRef("bessemer.serve.dialects.mlflow:MLflow", summary="MLflow's scoring server"),
        "sagemaker": PluginRef(
            "bessemer.serve.dialects.sagemaker:SageMaker", summary="the container of Amazon SageMaker"
        ),
        "sagemaker_runtime": PluginRef(
            "bessemer.serve.dialects.sagemaker_runtime:SageMakerRuntime",
            summary="the API of boto3's sagemaker-runtime",
        ),
        "vertex": PluginRef("bessemer.serve.dialects.vertex:Vertex", summary="the container of Vertex AI"),
        "tensorflow": PluginRef(
            "bessemer.serve.dialects.tensorflow:TensorFlow", summary="TensorFlow Serving: rows and columns"
        ),
        "tensorflow_grpc": PluginRef(
            "bessemer.serve.dialects.tensorflow_grpc:TensorFlowGrpc",
            extra="serve",
            requires=("google.protobuf",),
            summary="TensorFlow Serving over gRPC",
        ),
        "torchserve": PluginRef(
            "bessemer.serve.dialects.torchserve:TorchServe", summary="TorchServe: inference and management"
        ),
        "torchserve_grpc": PluginRef(
            "bessemer.serve.dialects.torchserve_grpc:TorchServeGrpc",
            extra="serve",
            requires=("google.protobuf",),
            summary="TorchServe over gRPC",
        ),
        "clipper": PluginRef(
            "bessemer.serve.dialects.clipper:Clipper",
            summary="Clipper: a default output where the model is late",
        ),
        "graphpipe": PluginRef(
            "bessemer.serve.dialects.graphpipe:GraphPipe",
            extra="serve",
            requires=("flatbuffers",),
            summary="GraphPipe: tensors in FlatBuffers",
        ),
        "seldon": PluginRef(
            "bessemer.serve.dialects.seldon:Seldon",
            extra="serve",
            requires=("google.protobuf",),
            summary="Seldon Core v1: every kind of SeldonMessage",
        ),
        "seldon_grpc": PluginRef(
            "bessemer.serve.dialects.seldon_grpc:SeldonGrpc",
            extra="serve",
            requires=("google.protobuf",),
            summary="Seldon Core v1 over gRPC",
        ),
    },
)

ALL = "all"


def spoken(names: Sequence[str]) -> list[str]:
    """The dialects that `serve.dialects` means: `all` is every one whose libraries are installed, in the table's order.

    >>> spoken(["v2", "plain"])
    ['v2', 'plain']
    """
    found: list[str] = []
    for name in names:
        found += [one for one in DIALECTS if not DIALECTS.ref(one).missing()] if name == ALL else [name]
    return list(dict.fromkeys(found))
