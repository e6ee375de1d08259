"""TorchServe: golden bytes, refusals in its words, management, and its own gRPC stubs against a server process.

What is called recorded was answered by TorchServe 0.12.0 (its model-server.jar, with a handler that gives back what it
was sent).
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from deployed import deployed, package

import patience
from bessemer.serve import protos
from bessemer.serve.protobuf import parse_message
from bessemer.serve.wire import GRPC
from patience import PATIENCE

HALF = b'{"prediction":"no","probability":{"no":0.5,"yes":0.5}}'
NOUGHT = b'{"prediction":"no","probability":{"no":1.0,"yes":0.0}}'
BOTH = b"[%b,%b]" % (HALF, NOUGHT)
TOLD = (
    b'{"base":0.5,"score":0.0,"contributions":'
    b'{"tenure":-0.5,"monthly charges":0.0,"autopay":0.0,"contract":0.0,"d\xc3\xa9sactiv\xc3\xa9":0.0}}'
)
#: The body that curl -F sends for a field and a file.
FORM = (
    b"--x1\r\nContent-Disposition: form-data; name=\"data\"\r\n\r\n{\"tenure\":8}\r\n"
    b"--x1\r\nContent-Disposition: form-data; name=\"other\"; filename=\"a.txt\"\r\n"
    b"Content-Type: text/plain\r\n\r\n5\r\n--x1--\r\n"
)  # fmt: skip
COLUMNS = b'--x1\r\nContent-Disposition: form-data; name="tenure"\r\n\r\n2008\r\n--x1--\r\n'
MULTIPART = "multipart/form-data; boundary=x1"
URLENCODED = "application/x-www-form-urlencoded"

GOLDEN = {
    "one row": ("/predictions/tiny", "application/json", b'{"tenure": 8}', HALF),
    "one row in the order of the inputs": ("/predictions/tiny", "", b"[2008, null, null, null, null]", NOUGHT),
    "a list": ("/predictions/tiny", "", b'[{"tenure": 8}, [2008, null, null, null, null]]', BOTH),
    "a list of one": ("/predictions/tiny", "", b'[{"tenure": 8}]', b"[%b]" % HALF),
    "no rows": ("/predictions/tiny", "", b"[]", b"[]"),
    "in an envelope": ("/predictions/tiny", "", b'{"instances": [{"tenure": 8}]}', b"[%b]" % HALF),
    "in data": ("/predictions/tiny", "", b'{"data": {"tenure": 8}}', HALF),
    "one version": ("/predictions/tiny/1.0.0", "", b'{"tenure": 8}', HALF),
    "csv": ("/predictions/tiny", "text/csv", b"tenure,contract\n8,\n2008,\n", BOTH),
    "the part data of a form": ("/predictions/tiny?extra=ignore", MULTIPART, FORM, HALF),
    "a part for a column": ("/predictions/tiny", MULTIPART, COLUMNS, NOUGHT),
    "urlencoded": ("/predictions/tiny", URLENCODED, b"data=%7B%22tenure%22%3A8%7D", HALF),
    "what curl -d sends": ("/predictions/tiny", URLENCODED, b'{"tenure": 8}', HALF),
    "explained": ("/explanations/tiny", "", b'{"tenure": 8}', TOLD),
    "explained, a list": ("/explanations/tiny/1.0.0", "", b'[{"tenure": 8}]', b"[%b]" % TOLD),
}  # fmt: skip


@pytest.mark.parametrize("name", GOLDEN)
def test_golden(name: str, send: Any) -> None:
    path, kind, body, wanted = GOLDEN[name]
    path, _, query = path.partition("?")
    options = dict([query.split("=")]) if query else {}
    response = send("POST", path, body, headers={"content-type": kind} if kind else {}, query=options)
    assert (response.status, response.body) == (200, wanted)


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_other_methods_predict_too(method: str, send: Any) -> None:
    assert send(method, "/predictions/tiny", b'{"tenure": 8}').body == HALF


def test_a_number_is_bare(send: Any) -> None:
    assert send("POST", "/predictions/tiny", b'{"tenure": 8}', task="regression").body == b"0.0"


REFUSED = [
    ("/predictions/tinny", b"{}", 404, "ModelNotFoundException", "did you mean 'tiny'?"),
    ("/predictions/tiny/2.0", b"{}", 404, "ModelVersionNotFoundException", "has no version '2.0'"),
    ("/predictions", b"{}", 404, "ResourceNotFoundException", "there is nothing at /predictions"),
    ("/predictions/tiny", b"{", 400, "BadRequestException", "not valid JSON"),
    ("/predictions/tiny", b'{"tenure": "8"}', 400, "BadRequestException", "'8' is not a whole number"),
    ("/predictions/tiny", b"7", 400, "BadRequestException", "neither a row nor a list of rows"),
    ("/predictions/tiny", b'{"data": [], "more": 1}', 400, "BadRequestException", "does not belong beside 'data'"),
    ("/models/tiny", b"{}", 405, "MethodNotAllowedException", "does not take POST"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body", "status", "kind", "text"), REFUSED)
def test_refused(path: str, body: bytes, status: int, kind: str, text: str, send: Any) -> None:
    response = send("POST", path, body, dialects=["torchserve"])
    told = orjson.loads(response.body)
    assert response.status == status == told["code"]
    assert (told["type"], list(told)) == (kind, ["code", "type", "message"])
    assert text in told["message"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"tenure": 8}, {"tenure": 8}',
        b'{"tenure": 8}], "x": [{"tenure": 8}',
        b'[{"tenure": 8}], "rows": [{"tenure": 9}]',
        b'[{"tenure": 8}], "row\\u0073": [{"tenure": 9}]',
        b'[{"tenure": 8}]}',
        b'[{"tenure": 8}',
    ],
)
def test_what_is_no_json_is_refused_by_the_quick_way_too(body: bytes, send: Any) -> None:
    response = send("POST", "/predictions/tiny", body)
    assert (response.status, b"not valid JSON" in response.body) == (400, True)


def test_an_error_is_written_as_torchserve_writes_it(send: Any) -> None:
    response = send("GET", "/models/tinny")
    assert response.body == (
        b'{\n  "code": 404,\n  "type": "ModelNotFoundException",\n'
        b"  \"message\": \"there is no model 'tinny' (did you mean 'tiny'?)\"\n}\n"
    )


@pytest.mark.parametrize(
    "body",
    [
        FORM.replace(b"--x1--\r\n", b""),
        FORM.replace(b"\r\n\r\n{", b"\r\n{"),
        FORM.replace(b"name=", b"nam="),
        b"--x1--",
        b"",
        b"--x1\r\n" * 300,
        COLUMNS.replace(b"2008", b"\xff"),
    ],
)
def test_broken_forms(body: bytes, send: Any) -> None:
    response = send("POST", "/predictions/tiny", body, headers={"content-type": MULTIPART})
    assert 400 <= response.status < 500


def test_a_form_without_a_boundary(send: Any) -> None:
    response = send("POST", "/predictions/tiny", FORM, headers={"content-type": "multipart/form-data"})
    assert b"names no boundary" in response.body


# management ----------------------------------------------------------------------------------------
RECORDED = json.loads(
    """{"modelName": "tiny", "modelVersion": "1.0", "modelUrl": "tiny.mar", "runtime": "python", "minWorkers": 1,
    "maxWorkers": 1, "batchSize": 1, "maxBatchDelay": 100, "responseTimeout": 120, "startupTimeout": 120,
    "maxRetryTimeoutInSec": 300, "clientTimeoutInMills": 0, "parallelType": "", "parallelLevel": 0,
    "deviceType": "cpu", "continuousBatching": false, "useJobTicket": false, "useVenv": false, "stateful": false,
    "sequenceMaxIdleMSec": 0, "sequenceTimeoutMSec": 0, "maxNumSequence": 0, "maxSequenceJobQueueSize": 0,
    "loadedAtStartup": false, "workers": [{"id": "9000", "startTime": "2026-11-26T14:05:29.390Z", "status": "READY",
    "memoryUsage": 0, "pid": 13479, "gpu": false, "gpuUsage": "N/A"}],
    "jobQueueStatus": {"remainingCapacity": 100, "pendingRequests": 0}}"""
)


def test_a_description_has_the_keys_and_types_of_the_recorded_one(send: Any) -> None:
    (told,) = orjson.loads(send("GET", "/models/tiny").body)
    metrics = told.pop("metrics")  # of its OpenAPI description; recorded where there were requests
    assert metrics == {"rejectedRequests": 0, "requests": 0}
    assert {key: type(value) for key, value in told.items()} == {key: type(RECORDED[key]) for key in told}
    (worker,), (recorded,) = told["workers"], RECORDED["workers"]
    assert {key: type(value) for key, value in worker.items()} == {key: type(recorded[key]) for key in worker}
    assert (worker["status"], told["minWorkers"], told["modelVersion"]) == ("READY", 2, "1.0.0")


def test_pages_of_the_list(send: Any) -> None:
    def listed(**query: str) -> Any:
        return orjson.loads(send("GET", "/models", query=query, dialects=["torchserve"]).body)

    model = {"modelName": "tiny", "modelUrl": ""}
    assert listed() == {"models": [model]}
    assert listed(limit="1") == {"nextPageToken": "1", "models": [model]}, "as recorded"
    assert listed(next_page_token="1") == {"models": []}
    assert send("GET", "/models", query={"limit": "x"}, dialects=["torchserve"]).status == 400


def said(response: Any) -> str:
    assert response.status == 200, response
    return str(orjson.loads(response.body)["status"])


def test_models_are_registered_made_default_and_unregistered(tmp_path: Path) -> None:
    second = package(tmp_path, "1.1.0")
    with deployed(tmp_path) as server:
        send = server.send
        assert said(send("POST", "/models", url=str(second))) == (
            'Model "tiny" Version: 1.1.0 registered with 2 initial workers'
        )
        again = send("POST", "/models", url=str(second))
        assert (again.status, orjson.loads(again.body)["type"]) == (409, "ConflictStatusException")
        assert send("POST", "/models", url=str(tmp_path / "nope.bsm")).status in (400, 404)
        absent = send("POST", "/models")
        assert orjson.loads(absent.body)["message"].startswith("Parameter url is required.")
        (told,) = orjson.loads(send("GET", "/models/tiny").body)
        assert (told["modelVersion"], told["modelUrl"]) == ("1.1.0", "tiny-1.1.0.bsm"), (
            "no folder of this machine"
        )
        assert said(send("DELETE", "/models/tiny/1.1.0")) == 'Model "tiny" unregistered'
        assert send("POST", "/predictions/tiny", b'{"tenure": 8}').status == 404


def test_of_two_versions_one_is_the_default(tmp_path: Path) -> None:
    second = package(tmp_path, "1.1.0")
    with deployed(tmp_path) as server:
        send, models = server.send, server.app.models
        models.deploy(str(second), mode="split", weight=0.5)  # type: ignore[attr-defined]
        found = orjson.loads(send("GET", "/models/tiny/all").body)
        assert [each["modelVersion"] for each in found] == ["1.1.0", "1.0.0"]
        assert said(send("PUT", "/models/tiny/1.0.0/set-default")) == (
            'Default version successfully updated for model "tiny" to "1.0.0"'
        )
        (told,) = orjson.loads(send("GET", "/models/tiny").body)
        assert told["modelVersion"] == "1.0.0"
        assert send("PUT", "/models/tiny/3.0/set-default").status == 404
        refused = send("DELETE", "/models/tiny")
        assert (refused.status, orjson.loads(refused.body)["type"]) == (403, "InvalidModelVersionException")
        assert said(send("DELETE", "/models/tiny/1.1.0")) == 'Model "tiny" unregistered'
        assert said(send("DELETE", "/models/tiny")) == 'Model "tiny" unregistered'
        assert orjson.loads(send("GET", "/models").body) == {"models": []}


SCALED = [
    ({}, 200, "Workers scaled to 2 for model: tiny"),
    (
        {"min_worker": "2", "max_worker": "4", "synchronous": "true"},
        200,
        "Workers scaled to 2 for model: tiny",
    ),
    ({"min_worker": "3"}, 400, "start the server with `threads: 3`"),
    ({"min_worker": "0"}, 400, "unregister the model"),
    ({"min_worker": "3", "max_worker": "1"}, 400, "max_worker cannot be less than min_worker."),
    ({"model_version": "3.0"}, 404, "has no version '3.0'"),
]


@pytest.mark.parametrize(("query", "status", "text"), SCALED)
def test_scaling_says_what_the_server_does(
    query: dict[str, str], status: int, text: str, tmp_path: Path
) -> None:
    with deployed(tmp_path) as server:
        response = server.send("PUT", "/models/tiny", **query)
    assert response.status == status
    assert text in response.body.decode()


def test_nobody_changes_models_without_a_key(send: Any) -> None:
    for method, path in [("POST", "/models"), ("PUT", "/models/tiny"), ("DELETE", "/models/tiny")]:
        assert send(method, path, query={"url": "x.bsm"}).status == 403


def test_the_routes_describe_themselves(send: Any) -> None:
    for method, path in [("OPTIONS", "/"), ("GET", "/api-description")]:
        told = orjson.loads(send(method, path).body)
        assert "/predictions/tiny" in told["paths"]
    assert orjson.loads(send("GET", "/ping").body) == {"status": "Healthy"}


# gRPC ----------------------------------------------------------------------------------------------
MANAGEMENT = "org.pytorch.serve.grpc.management"


def test_management_over_grpc(tmp_path: Path) -> None:
    second = package(tmp_path, "1.1.0")
    with deployed(tmp_path) as server:

        def call(method: str, **fields: Any) -> str:
            message = protos.message(f"{MANAGEMENT}.{method}Request")(**fields).SerializeToString()
            response = server.send(GRPC, f"/{MANAGEMENT}.ManagementAPIsService/{method}", message)
            if response.status != 200:
                return f"{response.status} {response.body.decode()}"
            return str(parse_message(f"{MANAGEMENT}.ManagementResponse", response.body).msg)

        assert call("RegisterModel", url=str(second)).endswith("registered with 2 initial workers")
        assert "org.pytorch.serve.http.ConflictStatusException" in call("RegisterModel", url=str(second))
        assert json.loads(call("ListModels"))["models"] == [
            {"modelName": "tiny", "modelUrl": "tiny-1.1.0.bsm"}
        ]
        assert json.loads(call("DescribeModel", model_name="tiny"))[0]["modelVersion"] == "1.1.0"
        assert call("SetDefault", model_name="tiny", model_version="1.1.0").startswith(
            "Default version successfully"
        )
        assert call("ScaleWorker", model_name="tiny", min_worker=9).startswith(
            "400 this server has 2 threads"
        )
        absent = call("DescribeModel", model_name="tinny")
        assert absent.startswith("404 ")
        assert absent.endswith("\norg.pytorch.serve.archive.model.ModelNotFoundException"), "as recorded"
        assert call("UnregisterModel", model_name="tiny") == 'Model "tiny" unregistered'


CLIENT = """
import json, sys
import grpc
import torchserve_inference_pb2 as messages, torchserve_inference_pb2_grpc as services
import torchserve_management_pb2 as asked, torchserve_management_pb2_grpc as management
from google.protobuf import empty_pb2
channel = grpc.insecure_channel(sys.argv[1])
stub, control = services.InferenceAPIsServiceStub(channel), management.ManagementAPIsServiceStub(channel)
told = {}

def request(**more):
    return messages.PredictionsRequest(model_name="tiny", input={"data": b'{"tenure": 8}'}, **more)

def refusal(call):
    try:
        call()
    except grpc.RpcError as error:
        return error.code().name, error.details()

told["ping"] = json.loads(stub.Ping(empty_pb2.Empty()).health)
told["one"] = json.loads(stub.Predictions(request()).prediction)
row = {"tenure": b"2008", "contract": b"One year"}
told["columns"] = json.loads(stub.Predictions(messages.PredictionsRequest(model_name="tiny", input=row)).prediction)
told["stream"] = [json.loads(each.prediction) for each in stub.StreamPredictions(request())]
sent = [request(sequence_id="a"), request(), request(sequence_id="b", model_version="1.0.0")]
told["streams"] = [
    [each.sequence_id, each.status.code, each.status.message]
    for each in stub.StreamPredictions2(iter(sent))
]
told["absent"] = refusal(lambda: stub.Predictions(messages.PredictionsRequest(model_name="tinny")))
told["unnamed"] = refusal(lambda: stub.Predictions(messages.PredictionsRequest()))
told["wrong"] = refusal(lambda: stub.Predictions(messages.PredictionsRequest(model_name="tiny", input={"data": b"7"})))
told["list"] = json.loads(control.ListModels(asked.ListModelsRequest()).msg)
told["forbidden"] = refusal(lambda: control.RegisterModel(asked.RegisterModelRequest(url="x.bsm")))
print(json.dumps(told))
"""


@pytest.mark.slow
def test_generated_stubs_against_a_server(start: Any, tmp_path: Path) -> None:
    served = start(grpc_port=0, dialects=["torchserve", "torchserve_grpc"])
    files = ["torchserve_inference.proto", "torchserve_management.proto", "rpc.proto"]
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{protos.FOLDER}"]
    subprocess.run(
        [*command, f"--python_out={tmp_path}", f"--grpc_python_out={tmp_path}", *files], check=True
    )
    done = subprocess.run(
        [sys.executable, "-c", CLIENT, served.grpc],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["ping"] == {"status": "Healthy"}
    assert told["one"] == json.loads(HALF)
    assert told["columns"] == json.loads(NOUGHT)
    assert told["stream"] == [json.loads(HALF)]
    assert told["streams"] == [
        ["a", 0, ""],
        ["", 13, "Parameter sequenceId is required."],
        ["b", 0, ""],
    ]
    assert told["absent"][0] == "NOT_FOUND"
    assert told["absent"][1].endswith("\norg.pytorch.serve.archive.model.ModelNotFoundException")
    assert told["unnamed"] == [
        "INVALID_ARGUMENT",
        "Parameter model_name is required.\norg.pytorch.serve.http.BadRequestException",
    ]
    assert told["wrong"][0] == "INVALID_ARGUMENT"
    assert told["list"]["models"][0]["modelName"] == "tiny"
    assert told["forbidden"][0] == "PERMISSION_DENIED"


@pytest.mark.slow
def test_over_http(served: Any) -> None:
    url = f"{served.url}/predictions/tiny"
    assert patience.post(url, json={"tenure": 8}).content == HALF
    assert patience.post(url, files={"data": ("rows.json", b'[{"tenure": 8}]')}).content == b"[%b]" % HALF
    assert patience.post(url, data={"data": '{"tenure": 8}'}).content == HALF
    assert (
        httpx.put(url, content=b"8,,,,", headers={"content-type": "text/csv"}, timeout=PATIENCE).content
        == b"[%b]" % HALF
    )
    assert httpx.options(f"{served.url}/", timeout=PATIENCE).json()["openapi"].startswith("3.")
