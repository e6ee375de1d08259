"""Seldon Core v1: golden bytes, refusals, feedback into the prediction log, and its own client against a server.

What is called recorded was answered by seldon-core-microservice of seldon-core 1.18.2.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

import environments
from bessemer.core.signature import Field, Signature
from bessemer.package.prediction_log.read import read_log
from bessemer.serve.dialect import Label, Subject
from bessemer.serve.errors import RequestError
from bessemer.serve.protobuf import parse_message
from bessemer.serve.protos import message
from bessemer.serve.seldon_messages import Payload, read_payload
from bessemer.serve.seldon_rows import labels_of, read_batch
from bessemer.serve.wire import GRPC

PATH = "/api/v1.0/predictions"
META = b'"meta":{"requestPath":{"tiny":"tiny:1.0.0"}}'
ROWS = b'"names":["tenure"],"ndarray":[[8],[2008]]'
HALF = '{"prediction":"no","probability":{"no":0.5,"yes":0.5}}'

GOLDEN = {
    "ndarray": (
        b'{"data":{%b}}' % ROWS,
        b'{"data":{"names":["no","yes"],"ndarray":[[0.5,0.5],[1.0,0.0]]},%b}' % META,
    ),
    "ndarray in the order of the inputs": (
        b'{"data":{"ndarray":[[8,null,null,null,null]]}}',
        b'{"data":{"names":["no","yes"],"ndarray":[[0.5,0.5]]},%b}' % META,
    ),
    "one row, bare": (
        b'{"data":{"ndarray":[8,null,null,null,null]}}',
        b'{"data":{"names":["no","yes"],"ndarray":[[0.5,0.5]]},%b}' % META,
    ),
    "ndarray of objects": (
        b'{"data":{"ndarray":[{"tenure":8}]}}',
        b'{"data":{"names":["no","yes"],"ndarray":[[0.5,0.5]]},%b}' % META,
    ),
    "tensor": (
        b'{"data":{"names":["tenure","autopay"],"tensor":{"shape":[2,2],"values":[8,0,2008,0]}}}',
        b'{"data":{"names":["no","yes"],"tensor":{"shape":[2,2],"values":[0.5,0.5,1.0,0.0]}},%b}' % META,
    ),
    "tftensor": (
        b'{"data":{"names":["tenure"],"tftensor":{"dtype":"DT_DOUBLE","tensorShape":{"dim":[{"size":"1"},{"size":"1"}]},'
        b'"doubleVal":[8.0]}}}',
        b'{"data":{"names":["no","yes"],"tftensor":{"dtype":"DT_FLOAT","tensorShape":{"dim":[{"size":"1"},{"size":"2"}]},'
        b'"tensorContent":"%b"}},%b}' % (base64.b64encode(np.float32([0.5, 0.5]).tobytes()), META),
    ),
    "jsonData, a row": (
        b'{"jsonData":{"tenure":8}}',
        b'{"jsonData":%b,%b}' % (HALF.encode(), META),
    ),
    "jsonData, rows": (
        b'{"jsonData":[{"tenure":8}]}',
        b'{"jsonData":[%b],%b}' % (HALF.encode(), META),
    ),
    "strData": (
        b'{"strData":"{\\"tenure\\":8}"}',
        b'{"strData":%b,%b}' % (orjson.dumps(HALF), META),
    ),
    "binData": (
        b'{"binData":"%b"}' % base64.b64encode(b'{"tenure":8}'),
        b'{"binData":"%b",%b}' % (base64.b64encode(HALF.encode()), META),
    ),
    "meta comes back": (
        b'{"meta":{"puid":"p1","tags":{"x":1},"requestPath":{"before":"it"}},"data":{%b}}' % ROWS,
        b'{"data":{"names":["no","yes"],"ndarray":[[0.5,0.5],[1.0,0.0]]},'
        b'"meta":{"puid":"p1","tags":{"x":1},"requestPath":{"before":"it","tiny":"tiny:1.0.0"}}}',
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GOLDEN)
def test_golden(name: str, send: Any) -> None:
    body, wanted = GOLDEN[name]
    response = send("POST", PATH, body)
    assert (response.status, response.body) == (200, wanted)


def test_a_number_has_no_names_and_one_size(send: Any) -> None:
    """As recorded of a model that gives a vector."""
    told = orjson.loads(send("POST", PATH, b'{"data":{%b}}' % ROWS, task="regression").body)
    assert told["data"] == {"names": [], "ndarray": [0.0, -125.0]}
    body = b'{"data":{"names":["tenure"],"tensor":{"shape":[2,1],"values":[8,2008]}}}'
    told = orjson.loads(send("POST", PATH, body, task="regression").body)
    assert told["data"] == {"names": [], "tensor": {"shape": [2], "values": [0.0, -125.0]}}


PATHS = [
    "/api/v0.1/predictions",
    "/predict",
    "/seldon/tiny/api/v1.0/predictions",
    "/seldon/default/tiny/api/v1.0/predictions",
]


@pytest.mark.parametrize("path", PATHS)
def test_every_path(path: str, send: Any) -> None:
    assert send("POST", path, GOLDEN["ndarray"][0]).body == GOLDEN["ndarray"][1]


def test_predict_stays_the_plain_routes_for_rows(send: Any) -> None:
    for body in (b'{"tenure": 8}', b'[{"tenure": 8}]', b'{"rows": [{"tenure": 8}]}'):
        assert orjson.loads(send("POST", "/predict", body).body)["model"]["name"] == "tiny"
    told = orjson.loads(send("POST", "/predict", b'{"data": 8}').body)
    assert "did you mean" in json.dumps(told) or "no such input" in json.dumps(told), (
        "a row with a column 'data'"
    )


FORMS = [
    ("application/x-www-form-urlencoded", b"json=%7B%22jsonData%22%3A%7B%22tenure%22%3A8%7D%7D"),
    ("application/x-www-form-urlencoded", b'{"jsonData":{"tenure":8}}'),
    ("multipart/form-data; boundary=b",
     b'--b\r\nContent-Disposition: form-data; name="jsonData"\r\n\r\n{"tenure":8}\r\n--b--\r\n'),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "body"), FORMS)
@pytest.mark.parametrize("path", ["/predict", PATH])
def test_forms(path: str, kind: str, body: bytes, send: Any) -> None:
    response = send("POST", path, body, headers={"content-type": kind})
    assert response.body == GOLDEN["jsonData, a row"][1]


def test_files_of_a_form(send: Any) -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="%b"; filename="x"\r\n\r\n{"tenure":8}\r\n--b--\r\n'
    for kind in ("binData", "strData"):
        headers = {"content-type": "multipart/form-data; boundary=b"}
        assert send("POST", PATH, head % kind.encode(), headers=headers).body == GOLDEN[kind][1]


REFUSED = [
    (b'{"x": 1}', "Invalid request data type: {'x': 1}"),
    (b"[1]", "Invalid request data type: [1]"),
    (b"{", "not valid JSON"),
    (b'{"data": 1}', "'data' is 1, not an object"),
    (b'{"data": {}}', "must have one of ndarray, tensor and tftensor"),
    (b'{"data": {"ndarray": [], "tensor": {}}}', "must have one of"),
    (b'{"data": {"names": [1], "ndarray": []}}', "not a list of texts"),
    (b'{"data": {"names": ["tenur"], "ndarray": [[8]]}}', "did you mean 'tenure'?"),
    (b'{"data": {"names": ["tenure"], "ndarray": [[8, 9]]}}', "not a list of 1 values"),
    (b'{"data": {"names": ["tenure"], "ndarray": [[8], 7]}}', "7 is not a list of 1 values"),
    (b'{"data": {"ndarray": 7}}', "not a list of rows"),
    (b'{"data": {"ndarray": [["8", null, null, null, null]]}}', "'8' is not a whole number"),
    (b'{"data": {"names": ["tenure"], "tensor": {"shape": [1, 1], "values": ["8"]}}}', "of a tensor are numbers"),
    (b'{"data": {"names": ["tenure"], "tensor": {"shape": [3, 1], "values": [8]}}}', "1 values; its shape makes 3"),
    (b'{"data": {"tensor": {"shape": [1, 1, 1], "values": [8]}}}', "the shape [1, 1, 1]"),
    (b'{"data": {"tensor": 7}}', "no lists 'shape' and 'values'"),
    (b'{"data": {"tftensor": {"dtype": "DT_COMPLEX64"}}}', "the shape []"),
    (b'{"data": {"tftensor": {"dtyp": 1}}}', "is no TensorProto"),
    (b'{"data": {"tftensor": 7}}', "is no TensorProto"),
    (b'{"binData": "!"}', "is not base64"),
    (b'{"strData": "tenure"}', "not valid JSON"),
    (b'{"strData": 7}', "not text"),
    (b'{"meta": {"puid": 7}, "jsonData": []}', "meta.puid must be text"),
    (b'{"meta": {"puid": "a\\nb"}, "jsonData": []}', "is not a short name"),
    (b'{"meta": 7, "jsonData": []}', "'meta' is 7"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "text"), REFUSED)
def test_refused(body: bytes, text: str, send: Any) -> None:
    response = send("POST", PATH, body)
    told = orjson.loads(response.body)
    assert response.status == 400
    assert list(told) == ["status"]
    info = told["status"].pop("info")
    assert told["status"] == {"code": -1, "reason": "MICROSERVICE_BAD_DATA", "status": 1}, "as recorded"
    assert text in info


def test_a_deployment_that_is_not_there(send: Any) -> None:
    response = send("POST", "/seldon/default/tinny/api/v1.0/predictions", b"{}")
    assert (response.status, orjson.loads(response.body)["status"]["status"]) == (404, 1)


def test_what_a_request_is_called(send: Any) -> None:
    def puid(body: bytes, **headers: str) -> str:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return dict(send("POST", PATH, body, headers=names).headers)["seldon-puid"]

    plain = b'{"jsonData": []}'
    assert puid(b'{"meta": {"puid": "a"}, "jsonData": []}', seldon_puid="b") == "a"
    assert puid(plain, seldon_puid="b", x_request_id="c") == "b"
    assert puid(plain, x_request_id="c") == "c"
    first, second = puid(plain), puid(plain)
    assert len(first) == 32
    assert first != second


def test_explanations(send: Any) -> None:
    row = b'{"data":{"names":["tenure"],"ndarray":[[8]]}}'
    for path in ("/api/v1.0/explain", "/seldon/default/tiny-explainer/main/api/v1.0/explain"):
        (told,) = orjson.loads(send("POST", path, row).body)["jsonData"]
        assert (told["base"], told["score"], told["contributions"]["tenure"]) == (0.5, 0.0, -0.5)
    always = orjson.loads(send("POST", PATH, row, explain="always").body)
    assert always["meta"]["tags"]["explanation"] == [told]
    assert always["data"]["ndarray"] == [[0.5, 0.5]]


def test_facts(send: Any) -> None:
    assert send("GET", "/health/ping").body == b"pong"
    assert orjson.loads(send("GET", "/health/status").body) == {"meta": {}, "strData": "healthy"}, (
        "as recorded"
    )
    assert orjson.loads(send("GET", "/api/v1.0/status/tiny").body)["strData"] == "healthy"
    assert send("GET", "/ready").status == send("GET", "/live").status == 200
    told = orjson.loads(send("GET", "/metadata").body)
    assert sorted(told) == ["custom", "inputs", "name", "outputs", "platform", "versions"], "as recorded"
    assert told["inputs"][0]["schema"]["names"][:2] == ["tenure", "monthly charges"]
    assert told["outputs"] == [{"messagetype": "ndarray", "schema": {"names": ["no", "yes"], "shape": [2]}}]
    graph = orjson.loads(send("GET", "/api/v1.0/metadata").body)
    assert graph["models"] == {"tiny": told}
    assert graph["graphinputs"] == told["inputs"]
    assert orjson.loads(send("GET", "/api/v1.0/metadata/tiny").body) == told


# of a model of numbers -----------------------------------------------------------------------------
NUMBERS = tuple(Field(name, "number", "float32") for name in "ab")
SCORE = (Field("score", "number", "float32"),)


def test_a_tensor_of_numbers_is_one_matrix() -> None:
    subject = Subject("m", "1", Signature(NUMBERS, SCORE, task="regression"))
    payload = read_payload({"data": {"tensor": {"shape": [2, 2], "values": [1, 2, 3, 4.5]}}})
    batch, _ = read_batch(subject, payload)
    assert batch.matrix is not None
    assert batch.matrix.tolist() == [[1, 2], [3, 4.5]]
    batch, _ = read_batch(subject, Payload("tensor", np.array([1.0, 2.0])))
    assert batch.matrix is not None
    assert batch.matrix.tolist() == [[1, 2]]
    turned, _ = read_batch(subject, Payload("tensor", np.array([[1.0, 2.0]]), names=("b", "a")))
    assert list(turned.values or []) == [(2.0, 1.0)]


# feedback ------------------------------------------------------------------------------------------
def test_labels() -> None:
    def labels(truth: Any, *classes: Any, puid: str = "p") -> list[Label]:
        task: Any = "multiclass" if classes else "regression"
        subject = Subject("m", "1", Signature(NUMBERS, SCORE, task=task, classes=classes))
        return labels_of(subject, puid, read_payload(truth) if truth else None)

    assert labels({"data": {"ndarray": [["yes"]]}}, "no", "yes") == [Label("p", "yes")]
    assert labels({"data": {"ndarray": ["no", "yes"]}}, "no", "yes") == [
        Label("p-0", "no"),
        Label("p-1", "yes"),
    ]
    (one,) = labels({"data": {"tensor": {"shape": [1, 1], "values": [2]}}}, 1, 2)
    assert (one.label, type(one.label)) == (2, int), "numbers of the protocol are doubles"
    assert labels({"jsonData": 1.5}) == [Label("p", 1.5)]
    assert labels({"strData": "yes"}, "no", "yes") == [Label("p", "yes")]
    with pytest.raises(RequestError, match="names no prediction"):
        labels({"strData": "yes"}, puid="")
    with pytest.raises(RequestError, match="a reward alone is not kept"):
        labels(None)


def test_feedback_without_a_log_says_so(send: Any) -> None:
    body = b'{"response":{"meta":{"puid":"p"}},"truth":{"data":{"ndarray":[["yes"]]}}}'
    for path in ("/api/v1.0/feedback", "/send-feedback", "/seldon/default/tiny/api/v1.0/feedback"):
        response = send("POST", path, body)
        assert (response.status, b"keeps no prediction log" in response.body) == (501, True)
    assert send("POST", "/api/v1.0/feedback", b'{"response": 7}').status == 400
    assert send("POST", "/api/v1.0/feedback", b"[]").status == 400


# gRPC ----------------------------------------------------------------------------------------------
def grpc(send: Any, method: str, asked: Any, **headers: str) -> Any:
    response = send(GRPC, f"/seldon.protos.{method}", asked.SerializeToString(), headers=headers)
    return response if response.status != 200 else parse_message(ANSWERS[method], response.body)


ANSWERS = {
    "Seldon/Predict": "seldon.protos.SeldonMessage",
    "Model/Predict": "seldon.protos.SeldonMessage",
    "Model/Metadata": "seldon.protos.SeldonModelMetadata",
    "Seldon/ModelMetadata": "seldon.protos.SeldonModelMetadata",
    "Seldon/GraphMetadata": "seldon.protos.SeldonGraphMetadata",
    "Seldon/SendFeedback": "seldon.protos.SeldonMessage",
}


def seldon(**fields: Any) -> Any:
    return message("seldon.protos.SeldonMessage")(**fields)


def test_messages_of_every_kind(send: Any) -> None:
    tensor = seldon(
        data={"names": ["tenure"], "tensor": {"shape": [2, 1], "values": [8, 2008]}}, meta={"puid": "p"}
    )
    answer = grpc(send, "Seldon/Predict", tensor, seldon="tiny")
    assert list(answer.data.names) == ["no", "yes"]
    assert (list(answer.data.tensor.shape), list(answer.data.tensor.values)) == ([2, 2], [0.5, 0.5, 1.0, 0.0])
    assert (answer.meta.puid, dict(answer.meta.requestPath)) == ("p", {"tiny": "tiny:1.0.0"})
    nested = seldon(data={"names": ["tenure"]})
    nested.data.ndarray.extend([[8.0], [2008.0]])
    answer = grpc(send, "Model/Predict", nested)
    assert [list(row) for row in answer.data.ndarray] == [[0.5, 0.5], [1.0, 0.0]]
    shape = {"dim": [{"size": 1}, {"size": 1}]}
    tf = seldon(data={"names": ["tenure"], "tftensor": {"dtype": 3, "tensor_shape": shape, "int_val": [8]}})
    answer = grpc(send, "Model/Predict", tf)
    assert np.frombuffer(answer.data.tftensor.tensor_content, "<f4").tolist() == [0.5, 0.5]
    answer = grpc(send, "Model/Predict", seldon(strData='{"tenure": 8}'))
    assert answer.strData == HALF
    answer = grpc(send, "Model/Predict", seldon(binData=b'[{"tenure": 8}]'))
    assert answer.binData == f"[{HALF}]".encode()
    asked = seldon()
    asked.jsonData.struct_value.update({"tenure": 8})
    answer = grpc(send, "Model/Predict", asked)
    assert answer.jsonData.struct_value.fields["prediction"].string_value == "no"


def test_texts_of_a_tftensor(send: Any) -> None:
    body = orjson.dumps({
        "data": {
            "tftensor": {
                "dtype": "DT_STRING",
                "tensorShape": {"dim": [{"size": "1"}, {"size": "5"}]},
                "stringVal": [base64.b64encode(text).decode() for text in (b"8", b"", b"", b"One year", b"")],
            }
        }
    })  # fmt: skip
    assert b"'8' is not a whole number" in send("POST", PATH, body).body, "text is never read as a number"


def test_refusals_of_grpc(send: Any) -> None:
    absent = grpc(send, "Seldon/Predict", seldon(strData="[]"), seldon="tinny")
    assert (absent.status, b"did you mean 'tiny'?" in absent.body) == (404, True)
    assert grpc(send, "Seldon/Predict", seldon()).status == 400
    assert grpc(send, "Seldon/Predict", seldon(customData={"type_url": "a/b"})).status == 400
    nan = seldon(data={"names": ["tenure"], "tensor": {"shape": [1, 1], "values": [float("nan")]}})
    assert grpc(send, "Seldon/Predict", nan).data.tensor.shape[0] == 1, "NaN is a missing value"
    assert send(GRPC, "/seldon.protos.Seldon/Predict", b"\xff\xff").status == 400


def test_metadata_of_grpc(send: Any) -> None:
    empty = message("google.protobuf.Empty")()
    one = grpc(send, "Model/Metadata", empty)
    assert (one.name, list(one.versions), one.platform) == ("tiny", ["1.0.0"], "bessemer")
    assert one.inputs[0].schema.struct_value.fields["names"].list_value.values[0].string_value == "tenure"
    asked = message("seldon.protos.SeldonModelMetadataRequest")(name="tiny")
    assert grpc(send, "Seldon/ModelMetadata", asked) == one
    assert grpc(send, "Seldon/GraphMetadata", empty).models["tiny"] == one


# the client ----------------------------------------------------------------------------------------
CLIENT = """
import json, sys
import numpy as np
from seldon_core.proto import prediction_pb2
from seldon_core.seldon_client import SeldonClient
http, grpc = sys.argv[1:3]
names = ["tenure", "autopay"]
data = np.array([[8.0, 0.0], [2008.0, 0.0]])
told = {}

def plain(response):
    if response.success:
        return response.response
    return [response.msg, response.response]

rest = SeldonClient(gateway="ambassador", deployment_name="tiny", namespace="default", gateway_endpoint=http)
for kind in ("tensor", "ndarray"):
    told[kind] = plain(rest.predict(data=data, names=names, payload_type=kind))
told["json"] = plain(rest.predict(json_data={"tenure": 8}))
told["str"] = plain(rest.predict(str_data='{"tenure": 8}'))
told["bin"] = plain(rest.predict(bin_data=b'{"tenure": 8}'))
told["wrong"] = plain(rest.predict(data=data, names=["tenur", "autopay"], payload_type="ndarray"))
told["raw"] = plain(rest.predict(raw_data={"data": {"names": names, "ndarray": [[8, None]]}, "meta": {"puid": "rest"}}))
told["feedback"] = plain(rest.feedback(raw_request={
    "response": {"meta": {"puid": "rest"}}, "truth": {"data": {"ndarray": [["yes"]]}}, "reward": 1}))
internal = SeldonClient(microservice_endpoint=http, client_return_type="dict")
answer = internal.microservice(data=data, names=names, method="predict", payload_type="ndarray")
told["internal"] = [answer.success, [list(row) for row in answer.response.data.ndarray]]

remote = SeldonClient(
    gateway="ambassador", transport="grpc", deployment_name="tiny", namespace="default", gateway_endpoint=grpc,
    client_return_type="dict")
told["grpc"] = plain(remote.predict(data=data, names=names, payload_type="tensor"))
request = prediction_pb2.SeldonMessage(strData='{"tenure": 64}', meta=prediction_pb2.Meta(puid="grpc"))
told["grpc raw"] = plain(remote.predict(raw_data=request))
response = prediction_pb2.SeldonMessage(meta=prediction_pb2.Meta(puid="grpc"))
truth = prediction_pb2.SeldonMessage(strData="no")
told["grpc feedback"] = plain(remote.feedback(request, response, truth, 1.0))
missing = SeldonClient(
    gateway="ambassador", transport="grpc", deployment_name="tinny", namespace="default", gateway_endpoint=grpc)
told["grpc absent"] = plain(missing.predict(data=data, names=names))[0]
explained = rest.explain(data=data[:1], names=names, predictor="main")
told["explain"] = explained if isinstance(explained, dict) else plain(explained)
print(json.dumps(told))
"""


@pytest.mark.slow
def test_seldons_own_client(start: Any, tmp_path: Path) -> None:
    python = environments.environment("seldon", "seldon-core==1.18.2", "setuptools==80.9.0")
    log = tmp_path / "log"
    served = start(grpc_port=0, dialects=["seldon", "seldon_grpc"], log={"folder": str(log)})
    told = json.loads(environments.run(python, CLIENT, f"127.0.0.1:{served.port}", served.grpc))
    classes, path = ["no", "yes"], {"tiny": "tiny:1.0.0"}
    tensor = {"names": classes, "tensor": {"shape": [2, 2], "values": [0.5, 0.5, 1.0, 0.0]}}
    assert (told["tensor"]["data"], told["tensor"]["meta"]["requestPath"]) == (tensor, path)
    assert told["ndarray"]["data"] == {"names": classes, "ndarray": [[0.5, 0.5], [1.0, 0.0]]}
    assert told["json"]["jsonData"] == json.loads(HALF)
    assert told["str"]["strData"] == HALF
    assert base64.b64decode(told["bin"]["binData"]) == HALF.encode()
    assert told["wrong"][0].startswith("400:")
    assert told["wrong"][1]["status"]["reason"] == "MICROSERVICE_BAD_DATA"
    assert told["raw"]["meta"]["puid"] == "rest"
    assert told["internal"] == [True, [[0.5, 0.5], [1.0, 0.0]]]
    assert told["explain"]["jsonData"][0]["contributions"]["tenure"] == -0.5
    assert told["grpc"]["data"]["tensor"] == {"shape": [2, 2], "values": [0.5, 0.5, 1.0, 0.0]}
    assert json.loads(told["grpc raw"]["strData"])["prediction"] == "no"
    assert "StatusCode.NOT_FOUND" in told["grpc absent"]
    assert told["feedback"] == {"data": {"ndarray": []}, "meta": {}}
    assert told["grpc feedback"] == {"meta": {"puid": "grpc"}}
    served.signal(15)
    served.wait()
    rows = {row["prediction_id"]: row for row in read_log(log, "tiny").read_all().to_pylist()}
    assert (rows["rest"]["label"], rows["rest"]["in.tenure"], rows["rest"]["dialect"]) == ("yes", 8, "seldon")
    assert (rows["grpc"]["label"], rows["grpc"]["in.tenure"], rows["grpc"]["dialect"]) == (
        "no",
        64,
        "seldon_grpc",
    )
