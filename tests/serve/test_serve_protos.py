"""The messages of gRPC: the compiled file is what the texts say, and the texts what the systems' own clients say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

import environments
from bessemer.serve.protos import COMPILED, message, pool
from bessemer.serve.protos.__main__ import compiled


def test_the_compiled_file_is_what_the_texts_say() -> None:
    kept = FileDescriptorSet.FromString(COMPILED.read_bytes())
    made = FileDescriptorSet.FromString(compiled())
    assert {file.name: file for file in kept.file} == {file.name: file for file in made.file}, (
        "run: python -m bessemer.serve.protos"
    )


def test_the_pool_is_its_own() -> None:
    from google.protobuf import descriptor_pool

    with pytest.raises(KeyError):
        descriptor_pool.Default().FindMessageTypeByName("inference.ModelInferRequest")
    assert message("inference.ModelInferRequest") is message("inference.ModelInferRequest")


def test_messages_without_a_descriptor_are_refused() -> None:
    with pytest.raises(KeyError):
        message("inference.NoSuchMessage")


SCRIPT = """
import importlib, json, sys
from google.protobuf import descriptor_pool
for module in sys.argv[2].split(","):
    importlib.import_module(module)
pool = descriptor_pool.Default()
told = {}
many = lambda f: bool(f.is_repeated) if hasattr(f, "is_repeated") else f.label == 3
for name, fields in json.loads(sys.argv[1]).items():
    try:
        found = pool.FindMessageTypeByName(name)
    except KeyError:
        told[name] = None
    else:
        told[name] = {f.name: [f.number, f.type, many(f)] for f in found.fields}
print(json.dumps(told))
"""

#: What our text keeps in one message, and its system elsewhere.
MOVED = (
    "tensorflow.serving.ModelConfig.ServableVersionPolicy",
    "tensorflow.serving.FileSystemStoragePathSourceConfig.ServableVersionPolicy",
)
#: Empty in Triton; the fields are KServe's (see test_serve_v2_triton.py).
KSERVES = ("inference.RepositoryModelLoadResponse", "inference.RepositoryModelUnloadResponse")
CLIENTS = {
    "inference.": (
        ("tritonclient", "tritonclient[http,grpc]==2.73.0"),
        "tritonclient.grpc.service_pb2,tritonclient.grpc.model_config_pb2",
    ),
    "tensorflow.": (
        ("tensorflow-serving", "tensorflow-serving-api==2.21.0"),
        "tensorflow_serving.apis.prediction_service_pb2_grpc,tensorflow_serving.apis.model_service_pb2_grpc",
    ),
    "grpc.health.v1.": (("grpc-health", "grpcio-health-checking==1.85.1"), "grpc_health.v1.health_pb2"),
    "seldon.protos.": (("seldon", "seldon-core==1.18.2"), "seldon_core.proto.prediction_pb2"),
}


def ours(package: str) -> dict[str, Any]:
    """Each message of a package: its fields by name, with number, type and whether there are many."""
    found: dict[str, Any] = {}

    def add(descriptor: Any) -> None:
        if not descriptor.GetOptions().map_entry:
            found[descriptor.full_name] = {
                f.name: [f.number, f.type, bool(f.is_repeated)] for f in descriptor.fields
            }
        for inner in descriptor.nested_types:
            add(inner)

    for file in FileDescriptorSet.FromString(COMPILED.read_bytes()).file:
        if f"{file.package}.".startswith(package):
            for kind in file.message_type:
                add(pool().FindMessageTypeByName(f"{file.package}.{kind.name}"))
    assert found
    return found


@pytest.mark.slow
@pytest.mark.parametrize("package", CLIENTS)
def test_fields_are_those_of_the_systems_own_client(package: str) -> None:
    (name, requirement), modules = CLIENTS[package]
    wanted = ours(package)
    asked = json.dumps({name.replace(*MOVED): fields for name, fields in wanted.items()})
    theirs = json.loads(environments.run(environments.environment(name, requirement), SCRIPT, asked, modules))
    for full_name, fields in wanted.items():
        found = theirs[full_name.replace(*MOVED)]
        assert found is not None, f"there is no {full_name}"
        for field, facts in fields.items():
            if full_name == "tensorflow.serving.StatusProto" and field == "error_code":
                facts = [1, 14, False]  # an enum there, of the same numbers
            if full_name in KSERVES:
                continue
            assert found.get(field) == facts, f"{full_name}.{field}"
