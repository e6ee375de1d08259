"""Triton's own client against a real server process: everything it can ask, over HTTP and gRPC; and KServe's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import environments
from bessemer.serve.protos import message

pytestmark = pytest.mark.slow

CLIENT = "tritonclient[http,grpc]==2.73.0"

SCRIPT = """
import json, sys
import numpy as np
kind, address = sys.argv[1:3]
if kind == "http":
    import tritonclient.http as triton
else:
    import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException
client = triton.InferenceServerClient(address)
told = {}

def tensor(name, array, datatype, **options):
    found = triton.InferInput(name, list(array.shape), datatype)
    found.set_data_from_numpy(array, **options)
    return found

def plain(value):
    if kind == "http":
        return value
    from google.protobuf.json_format import MessageToDict
    return MessageToDict(value, preserving_proto_field_name=True)

def inputs(**options):
    rows = 3
    return [
        tensor("tenure", np.array([[8], [64], [2008]], dtype=np.float32), "FP32", **options),
        tensor("autopay", np.array([[True], [False], [True]]), "BOOL", **options),
        tensor("contract", np.array([["Month-to-month"], [""], ["Two year"]], dtype=object), "BYTES", **options),
        tensor("désactivé", np.full((rows, 1), -2**63, dtype=np.int64), "INT64", **options),
    ]

def wanted(name, **options):
    return triton.InferRequestedOutput(name, **options)

told["live"], told["ready"] = client.is_server_live(), client.is_server_ready()
told["model_ready"] = client.is_model_ready("tiny"), client.is_model_ready("tiny", "1.0.0")
told["absent"] = client.is_model_ready("other")
told["server"] = plain(client.get_server_metadata())
told["metadata"] = plain(client.get_model_metadata("tiny"))
told["config"] = plain(client.get_model_config("tiny"))
told["index"] = plain(client.get_model_repository_index())

def arrays(result, *names):
    return {name: [str(v) if isinstance(v, (bytes, str)) else v for v in result.as_numpy(name).reshape(-1).tolist()]
            for name in names}

result = client.infer("tiny", inputs(), request_id="r1", model_version="1.0.0")
told["all"] = arrays(result, "prediction", "probability", "score")
told["id"] = plain(result.get_response())["id"]
result = client.infer("tiny", inputs(), outputs=[wanted("score")], priority=1, timeout=300_000_000)
told["score"] = arrays(result, "score")
told["shape"] = list(result.as_numpy("score").shape)
result = client.infer("tiny", inputs(), outputs=[wanted("probability", class_count=1)])
told["classes"] = arrays(result, "probability")
result = client.infer("tiny", inputs(), parameters={"explain": True})
told["explained"] = arrays(result, "base", "contribution_tenure")
if kind == "http":
    result = client.infer("tiny", inputs(binary_data=False), outputs=[wanted("score", binary_data=False)])
    told["json"] = arrays(result, "score")
    pending = [client.async_infer("tiny", inputs()) for _ in range(4)]
    told["async"] = [arrays(each.get_result(), "score") for each in pending]
else:
    import queue
    found = queue.Queue()
    client.start_stream(callback=lambda result, error: found.put((result, error)))
    for i in range(20):
        client.async_stream_infer("tiny" if i != 7 else "other", inputs(), request_id=str(i), outputs=[wanted("score")])
    answers = [found.get(timeout=300) for _ in range(20)]
    client.stop_stream()
    told["stream"] = [str(error) if error else [r.get_response().id, arrays(r, "score")] for r, error in answers]

def refused(call):
    try:
        call()
    except InferenceServerException as error:
        return [error.status(), error.message()]
    return "not refused"

wrong = tensor("tenur", np.zeros((1, 1), dtype=np.float32), "FP32")
told["wrong_input"] = refused(lambda: client.infer("tiny", [wrong]))
told["wrong_model"] = refused(lambda: client.infer("other", inputs()))
told["wrong_version"] = refused(lambda: client.infer("tiny", inputs(), model_version="3"))
told["sequence"] = refused(lambda: client.infer("tiny", inputs(), sequence_id=5))
told["upload"] = refused(lambda: client.load_model("tiny", config="{}", files={"file:1/model.onnx": b"x"}))
told["unload"] = refused(lambda: client.unload_model("tiny"))
told["memory"] = refused(lambda: client.register_system_shared_memory("a", "/a", 4))
told["trace"] = refused(lambda: client.update_trace_settings(settings={"trace_rate": "1"}))
stats = plain(client.get_inference_statistics("tiny"))["model_stats"][0]
told["stats"] = stats
client.close()
print(json.dumps(told))
"""


@pytest.fixture(scope="module", params=["http", "grpc"])
def told(request: pytest.FixtureRequest, start: Any) -> dict[str, Any]:
    """What the client saw of a server of its own, under `kind` which transport it took."""
    served = start(grpc_port=0, access={"anonymous": ["predict", "admin"]})
    python: Path = environments.environment("tritonclient", CLIENT)
    address = f"127.0.0.1:{served.port}" if request.param == "http" else served.grpc
    seen = json.loads(environments.run(python, SCRIPT, request.param, address))
    return {"kind": request.param, **seen}


SCORES = [0.5 - 8 / 16 - 0.5 + 2, 0.5 - 64 / 16, 0.5 - 2008 / 16 - 0.5]


def test_it_lives_and_says_what_it_is(told: dict[str, Any]) -> None:
    assert told["live"] is True
    assert told["ready"] is True
    assert told["model_ready"] == [True, True]
    assert told["absent"] is False
    assert told["server"]["name"] == "bessemer"
    assert {"binary_tensor_data", "classification", "statistics"} <= set(told["server"]["extensions"])


def test_it_describes_the_model(told: dict[str, Any]) -> None:
    metadata = told["metadata"]
    assert metadata["name"] == "tiny"
    assert metadata["versions"] == ["1.0.0"]
    assert [each["datatype"] for each in metadata["inputs"]] == ["FP32", "FP32", "FP32", "BYTES", "INT64"]
    config = told["config"] if told["kind"] == "http" else told["config"]["config"]
    assert config["backend"] == "onnxruntime"
    assert config["max_batch_size"] == 10_000
    assert config["input"][3]["data_type"] == "TYPE_STRING"
    index = told["index"] if told["kind"] == "http" else told["index"]["models"]
    assert [(each["name"], each["version"], each["state"]) for each in index] == [("tiny", "1.0.0", "READY")]


def test_it_predicts(told: dict[str, Any]) -> None:
    assert told["id"] == "r1"
    assert told["all"]["score"] == SCORES
    assert told["all"]["prediction"] == ["b'yes'", "b'no'", "b'no'"]
    assert told["score"]["score"] == SCORES
    assert told["shape"] == [3, 1]
    assert sum(told["all"]["probability"]) == pytest.approx(3.0)


def test_it_classifies_and_explains(told: dict[str, Any]) -> None:
    assert told["classes"]["probability"] == ["b'0.817574:1:yes'", "b'0.970688:0:no'", "b'1.000000:0:no'"]
    assert told["explained"]["base"] == [0.5] * 3
    assert told["explained"]["contribution_tenure"] == [-0.5, -4.0, -125.5]


def test_many_at_once(told: dict[str, Any]) -> None:
    if told["kind"] == "http":
        assert told["json"]["score"] == SCORES
        assert told["async"] == [{"score": SCORES}] * 4
        return
    answers = told["stream"]
    assert "there is no model 'other'" in answers.pop(7)
    assert answers == [[str(i), {"score": SCORES}] for i in range(20) if i != 7]


def test_refusals_have_their_codes(told: dict[str, Any]) -> None:
    def code(name: str, http: str, grpc: str) -> None:
        status = told[name][0]
        assert status == (http if told["kind"] == "http" else f"StatusCode.{grpc}"), told[name]

    code("wrong_input", "400", "INVALID_ARGUMENT")
    assert "did you mean 'tenure'?" in told["wrong_input"][1]
    code("wrong_model", "404", "NOT_FOUND")
    code("wrong_version", "404", "NOT_FOUND")
    code("sequence", "501", "UNIMPLEMENTED")
    code("upload", "400", "INVALID_ARGUMENT")
    assert "signed package" in told["upload"][1]
    code("unload", "403", "PERMISSION_DENIED")
    code("memory", "501", "UNIMPLEMENTED")
    code("trace", "501", "UNIMPLEMENTED")


def test_statistics_count_what_was_done(told: dict[str, Any]) -> None:
    stats = told["stats"]
    requests = 4 + (5 if told["kind"] == "http" else 19)
    assert int(stats["inference_count"]) == 3 * requests
    success = stats["inference_stats"]["success"]
    assert int(success["count"]) == requests
    assert int(success["ns"]) > 0
    assert int(stats["last_inference"]) > 0


KSERVE = """
import json, sys
import grpc, numpy as np
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb, grpc_predict_v2_pb2_grpc as services
stub = services.GRPCInferenceServiceStub(grpc.insecure_channel(sys.argv[1]))
told = {"ready": stub.ModelReady(pb.ModelReadyRequest(name="tiny"), timeout=300).ready}
told["inputs"] = [each.name for each in stub.ModelMetadata(pb.ModelMetadataRequest(name="tiny"), timeout=300).inputs]
request = pb.ModelInferRequest(model_name="tiny", id="k")
tensor = request.inputs.add(name="tenure", datatype="FP32", shape=[2, 1])
tensor.contents.fp32_contents.extend([8, 2008])
answer = stub.ModelInfer(request, timeout=300)
told["id"], told["score"] = answer.id, list(answer.outputs[2].contents.fp32_contents)
try:
    stub.RepositoryModelLoad(pb.RepositoryModelLoadRequest(model_name="other"), timeout=300)
except grpc.RpcError as error:
    told["load"] = error.code().name
response = pb.RepositoryModelLoadResponse.FromString(bytes.fromhex(sys.argv[2]))
told["loaded"] = [response.model_name, response.isLoaded]
print("TOLD" + json.dumps(told))
"""


def test_kserves_own_messages(start: Any) -> None:
    served = start(grpc_port=0, access={"anonymous": ["predict", "admin"]})
    python = environments.environment("kserve", "kserve==0.21.0")
    loaded = message("inference.RepositoryModelLoadResponse")(model_name="tiny", isLoaded=True)
    script = (KSERVE, served.grpc, loaded.SerializeToString().hex())
    told = json.loads(environments.run(python, *script).partition("TOLD")[2])
    assert told["ready"] is True
    assert told["inputs"][0] == "tenure"
    assert (told["id"], told["score"]) == ("k", [0.0, -125.0])
    assert told["load"] in ("PERMISSION_DENIED", "NOT_FOUND"), "the name was read"
    assert told["loaded"] == ["tiny", True]
