"""SageMaker's container contract: golden bytes in every form, several models, and the runtime API with boto3."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import orjson
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from serve_packages import PUBLIC

import patience
from bessemer.package.model import Model, load
from bessemer.serve.app import App, House
from bessemer.serve.dialect import Subject
from bessemer.serve.errors import RequestError
from bessemer.serve.guards.guard import Guard
from bessemer.serve.guards.spec import AccessSpec
from bessemer.serve.protos import message
from bessemer.serve.recordio import framed, frames
from bessemer.serve.repository import Repository, make_lane
from bessemer.serve.server import make_app
from bessemer.serve.spec import ServeSpec
from bessemer.serve.wire import Request, Response
from patience import PATIENCE, until

JSON, CSV, LINES = "application/json", "text/csv", "application/jsonlines"
NPY, NPZ, RECORDIO = "application/x-npy", "application/x-npz", "application/x-recordio-protobuf"
NO = b'{"prediction":"no","probability":0.5}'
FIVE = b"[8, null, null, null, null]"

REQUESTS = {
    "instances": (JSON, b'{"instances": [{"tenure": 8}]}'),
    "a list": (JSON, b'[{"tenure": 8}]'),
    "a list of lists": (JSON, b"[%b]" % FIVE),
    "a row": (JSON, b'{"tenure": 8}'),
    "a row as a list": (JSON, FIVE),
    "NaN": (JSON, b'[{"tenure": 8, "monthly charges": NaN}]'),
    "features": (JSON, b'{"instances": [{"features": %b}]}' % FIVE),
    "one of features": (JSON, b'{"features": %b}' % FIVE),
    "data and features": (JSON, b'{"instances": [{"data": {"features": {"values": %b}}}]}' % FIVE),
    "columns": (JSON, b'{"inputs": {"tenure": [8]}}'),
    "csv": (CSV, b"8,,,,"),
    "csv of an algorithm": ("text/csv; label_size=0", b"8,,,,\n"),
    "csv with a header": (CSV, b"tenure\n8\n"),
    "lines": (LINES, b'{"tenure": 8}\n'),
    "lines of features": (LINES, b'{"features": %b}' % FIVE),
    "npz": (NPZ, b""),
    "recordio": (RECORDIO, b""),
    "unsaid json": ("application/octet-stream", b' {"tenure": 8}'),
    "unsaid npz": ("application/octet-stream", b""),
    "nothing said": ("", b'[{"tenure": 8}]'),
}


def body_of(name: str) -> bytes:
    """The bodies that have to be made."""
    if name == "recordio":
        record = message("aialgs.data.Record")()
        record.features["tenure"].float32_tensor.values.append(8)
        return framed(record.SerializeToString())
    stream = io.BytesIO()
    np.savez(stream, tenure=np.float32([8]))
    return stream.getvalue()


@pytest.mark.parametrize("name", REQUESTS)
def test_golden(name: str, send: Any) -> None:
    kind, body = REQUESTS[name]
    headers = {"content-type": kind} if kind else {}
    response = send("POST", "/invocations", body or body_of(name), headers=headers)
    assert (response.status, response.content_type) == (200, JSON), response.body
    assert response.body == b'{"predictions":[%b]}' % NO


def ask(send: Any, accept: str, body: bytes = b'[{"tenure": 8}, {"tenure": 2008}]', **more: Any) -> Response:
    response: Response = send(
        "POST", "/invocations", body, headers={"content-type": JSON, "accept": accept}, **more
    )
    return response


def test_answers_in_every_form(send: Any) -> None:
    assert ask(send, CSV).body == b"no,0.5\nno,0.0\n"
    assert ask(send, LINES).body == NO + b'\n{"prediction":"no","probability":0.0}\n'
    assert np.load(io.BytesIO(ask(send, NPY).body)).tolist() == [[0.5, 0.5], [1.0, 0.0]]
    arrays = np.load(io.BytesIO(ask(send, NPZ).body))
    assert {name: arrays[name].tolist() for name in arrays} == {
        "prediction": ["no", "no"],
        "probability": [[0.5, 0.5], [1.0, 0.0]],
    }
    labels = [
        {name: list(value.float32_tensor.values) for name, value in record.label.items()}
        for record in map(message("aialgs.data.Record").FromString, frames(ask(send, RECORDIO).body))
    ]
    assert labels == [{"predicted_label": [0], "score": [0.5]}, {"predicted_label": [0], "score": [0]}]
    for kind in (CSV, LINES, NPY, NPZ, RECORDIO):
        assert ask(send, kind).content_type == kind
        assert ask(send, kind).body == ask(send, kind).body


def test_answers_of_the_other_tasks(send: Any) -> None:
    assert ask(send, CSV, task="regression").body == b"0.0\n-125.0\n"
    assert (
        ask(send, JSON, task="regression").body
        == b'{"predictions":[{"prediction":0.0},{"prediction":-125.0}]}'
    )
    assert np.load(io.BytesIO(ask(send, NPY, task="regression").body)).tolist() == [0.0, -125.0]
    line = ask(send, CSV, b'[{"tenure": 64}]', task="multiclass").body
    assert line.startswith(b"3,0.")
    assert line.count(b",") == 3
    assert len(ask(send, NPY, b'[{"tenure": 64}]', task="multiclass").body) == 128 + 12


def test_which_form_is_answered(send: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask(send, "*/*").content_type == JSON
    assert ask(send, "text/*;q=0.5, application/jsonlines").content_type == LINES
    refused = ask(send, "image/png")
    assert refused.status == 406
    assert b"accept application/json, text/csv" in refused.body
    monkeypatch.setenv("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", "text/csv")
    assert ask(send, "*/*").body == b"no,0.5\nno,0.0\n"
    assert ask(send, JSON).content_type == JSON


def test_csv_quotes_what_needs_it(send: Any) -> None:
    from bessemer.core.signature import Signature
    from bessemer.serve.record_writer import RecordWriter
    from bessemer.serve.wire import Predictions

    writer = RecordWriter(Signature((), (), task="multiclass", classes=('a "b", c', "null", "x")))
    shares = np.array([[1, 0, np.nan], [0, 1, 0]], dtype=np.float32)
    made = Predictions({"prediction": np.array(['a "b", c', "null"], object), "probability": shares})
    assert writer.lines(made) == [b'"a ""b"", c",1.0,0.0,', b"null,0.0,1.0,0.0"]


def test_explanations(send: Any) -> None:
    header = {"content-type": JSON, "x-amzn-sagemaker-enable-explanations": "`true`"}
    answer = send("POST", "/invocations", b'[{"tenure": 8}]', headers=header)
    row = orjson.loads(answer.body)["predictions"][0]
    assert (row["score"], row["base"], row["contribution_tenure"]) == (0.0, 0.5, -0.5)
    assert send("POST", "/invocations", b'[{"tenure": 8}]', headers=header, explain="never").status == 403
    header["x-amzn-sagemaker-enable-explanations"] = "[0] > `0.8`"
    assert send("POST", "/invocations", b'[{"tenure": 8}]', headers=header).status == 400


def test_custom_attributes_come_back(send: Any) -> None:
    headers = {"content-type": JSON, "x-amzn-sagemaker-custom-attributes": "trace=7;c000b4f9"}
    answer = send("POST", "/invocations", b'{"tenure": 8}', headers=headers)
    assert ("X-Amzn-SageMaker-Custom-Attributes", "trace=7;c000b4f9") in answer.headers
    headers["x-amzn-sagemaker-custom-attributes"] = "é"
    assert send("POST", "/invocations", b'{"tenure": 8}', headers=headers).headers == ()


REFUSED = [
    ("image/png", b"x", 415, "BadRequestException", "is not read"),
    (
        "application/octet-stream",
        b"\x00\x01",
        415,
        "BadRequestException",
        "'application/octet-stream' is not read",
    ),
    ("text/csv; charset=latin-1", b"8,,,,", 415, "BadRequestException", "not UTF-8"),
    (JSON, b"{", 400, "BadRequestException", "not valid JSON"),
    (JSON, b"7", 400, "BadRequestException", "1 values for 5 inputs"),
    (JSON, b'{"instances": 7}', 400, "BadRequestException", "not a list of rows"),
    (JSON, b'{"tenur": 7}', 400, "BadRequestException", "did you mean 'tenure'?"),
    (JSON, b'[{"features": {"values": [1], "keys": [9]}}]', 400, "BadRequestException", "none of 5 inputs"),
    (JSON, b'[{"features": {"values": [1], "keys": []}}]', 400, "BadRequestException", "1 values for 5"),
    (JSON, b'[{"features": {"values": [1], "keys": [0, 1]}}]', 400, "BadRequestException", "are no keys"),
    (LINES, b'{"tenure": 8}\n{', 400, "BadRequestException", "not valid JSON"),
    (LINES, b'{"tenure": 8}\n' * 4, 413, "BadRequestException", "more than the 3"),
    (CSV, b"8,,,,\n" * 4, 413, "BadRequestException", "more than the 3"),
]


@pytest.mark.parametrize(("kind", "body", "status", "type_", "text"), REFUSED)
def test_refused(kind: str, body: bytes, status: int, type_: str, text: str, send: Any) -> None:
    response = send("POST", "/invocations", body, headers={"content-type": kind}, max_rows=3)
    error = orjson.loads(response.body)
    assert (response.status, error["code"], error["type"]) == (status, status, type_), error
    assert text in error["message"]


def test_a_sparse_row_is_noughts_elsewhere(send: Any) -> None:
    row = b'{"data": {"features": {"keys": [0], "shape": [5], "values": [8]}}}'
    # 0 is no text and no timestamp of the tiny model, whose inputs are not all numbers
    response = send("POST", "/invocations", row, headers={"content-type": LINES})
    assert response.status == 400
    assert "0 is not text" in orjson.loads(response.body)["message"]


def test_health_and_transform_jobs(send: Any) -> None:
    assert send("GET", "/ping").status == 200
    answer = orjson.loads(send("GET", "/execution-parameters", threads=8, max_body="16MB").body)
    assert answer == {"MaxConcurrentTransforms": 6, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": 16}


# several models ------------------------------------------------------------------------------------
class Loads(Repository):
    """A repository that loads packages under the names they are given, one at most as long as there is memory."""

    def __init__(self, spec: ServeSpec, most: int) -> None:
        super().__init__(spec)
        self.most = most

    def load(self, source: str | None = None, name: str | None = None) -> Subject:
        assert source is not None
        if len(self.names()) >= self.most:
            raise RequestError(507, "there is not enough memory")
        lane = make_lane(load(source, trust=[PUBLIC]), self.spec, source=source)
        lane.subject.name = name or lane.subject.name
        self.put(lane)
        return lane.subject

    def unload(self, name: str, version: str | None = None) -> None:
        for subject in self.versions(name):
            self.drop(name, subject.version)


@pytest.fixture
def endpoint(packages: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A multi-model container without a model: call(method, path, body) -> (status, JSON)."""
    monkeypatch.setenv("SAGEMAKER_MULTI_MODEL", "true")
    for name, task in (("0a1b", "binary"), ("2c3d", "regression")):
        folder = tmp_path / name / "model"
        folder.mkdir(parents=True)
        (folder / "tiny-1.0.0.bsm").write_bytes(packages[task].read_bytes())
    open_ = AccessSpec(anonymous=["predict", "admin"])
    app = App(Loads(ServeSpec(dialects=["sagemaker"]), most=2), House(guard=Guard(open_)))

    def call(method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        raw = b"" if body is None else orjson.dumps(body)
        query = dict([part.split("=") for part in path.partition("?")[2].split("&") if part])
        found = app.handle(Request(method, path.partition("?")[0], query, headers, raw))
        return found.status, orjson.loads(found.body)

    return call


def test_models_are_loaded_listed_invoked_and_unloaded(endpoint: Any, tmp_path: Path) -> None:
    first, second = str(tmp_path / "0a1b" / "model"), str(tmp_path / "2c3d" / "model")
    assert endpoint("GET", "/models") == (200, {"models": []})
    assert endpoint("POST", "/models/0a1b/invoke", [{"tenure": 8}])[0] == 404
    assert endpoint("POST", "/models", {"model_name": "0a1b", "url": first})[0] == 200
    status, error = endpoint("POST", "/models", {"model_name": "0a1b", "url": first})
    assert (status, error["type"]) == (409, "ConflictStatusException")
    assert endpoint("POST", "/models", {"model_name": "2c3d", "url": second})[0] == 200
    status, error = endpoint("POST", "/models", {"model_name": "4e5f", "url": second})
    assert (status, error["type"]) == (507, "OutOfMemoryError")
    listed = [{"modelName": "0a1b", "modelUrl": f"{first}/tiny-1.0.0.bsm"}]
    assert endpoint("GET", "/models/0a1b") == (200, listed[0])
    assert endpoint("GET", "/models?limit=1") == (200, {"models": listed, "nextPageToken": "1"})
    status, page = endpoint("GET", "/models?limit=1&next_page_token=1")
    assert (status, [model["modelName"] for model in page["models"]]) == (200, ["2c3d"])
    assert "nextPageToken" not in page
    # the header says which archive it was, for the log only
    target = {"x-amzn-sagemaker-target-model": "eu/churn.tar.gz"}
    assert endpoint("POST", "/models/0a1b/invoke", [{"tenure": 8}], **target)[1] == {
        "predictions": [{"prediction": "no", "probability": 0.5}]
    }
    assert endpoint("POST", "/models/2c3d/invoke", [{"tenure": 8}])[1] == {
        "predictions": [{"prediction": 0.0}]
    }
    assert endpoint("DELETE", "/models/0a1b")[0] == 200
    assert endpoint("DELETE", "/models/0a1b")[0] == 404
    assert endpoint("GET", "/models/0a1b")[0] == 404


def test_what_cannot_be_loaded(endpoint: Any, tmp_path: Path) -> None:
    assert endpoint("POST", "/models", {"model_name": "x"})[0] == 400
    assert endpoint("POST", "/models", {"model_name": "x", "url": 7})[0] == 400
    (tmp_path / "empty").mkdir()
    status, error = endpoint("POST", "/models", {"model_name": "x", "url": str(tmp_path / "empty")})
    assert (status, "there is no package" in error["message"]) == (400, True)
    (tmp_path / "0a1b" / "model" / "other.bsm").write_bytes(b"")
    status, error = endpoint("POST", "/models", {"model_name": "x", "url": str(tmp_path / "0a1b" / "model")})
    assert (status, "several packages: other.bsm, tiny-1.0.0.bsm" in error["message"]) == (400, True)
    assert endpoint("GET", "/models?next_page_token=x")[0] == 400


def test_a_server_of_its_own_models_loads_none(send: Any) -> None:
    body = b'{"model_name": "x", "url": "x.bsm"}'
    assert send("POST", "/models", body).status == 403


# the runtime API -----------------------------------------------------------------------------------
def client(port: int) -> Any:
    return boto3.client(
        "sagemaker-runtime",
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="eu-central-1",
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="wJalrXUtnFEMI",
        config=Config(retries={"total_max_attempts": 1}, read_timeout=PATIENCE, connect_timeout=PATIENCE),
    )


@pytest.mark.slow
def test_boto3_invokes_an_endpoint(served: Any) -> None:
    runtime = client(served.port)
    answer = runtime.invoke_endpoint(
        EndpointName="churn-prod",
        ContentType="text/csv",
        Accept="application/json",
        CustomAttributes="trace=7",
        InferenceId="a-1",
        Body="8,,,,\n2008,,,,\n",
    )
    assert answer["Body"].read() == b'{"predictions":[%b,{"prediction":"no","probability":0.0}]}' % NO
    assert answer["ContentType"] == JSON
    assert answer["CustomAttributes"] == "trace=7"
    assert answer["InvokedProductionVariant"] == "1.0.0"
    assert answer["ResponseMetadata"]["RequestId"]
    for target in ("tiny.tar.gz", "eu/tiny.bsm", "tiny"):
        answer = runtime.invoke_endpoint(
            EndpointName="any", TargetModel=target, Accept=CSV, Body=b'{"tenure": 8}'
        )
        assert answer["Body"].read() == b"no,0.5\n"
    explained = runtime.invoke_endpoint(
        EndpointName="tiny",
        TargetVariant="1.0.0",
        EnableExplanations="`true`",
        ContentType=JSON,
        Body=b'{"tenure": 8}',
    )
    assert json.load(explained["Body"])["predictions"][0]["contribution_tenure"] == -0.5
    array = io.BytesIO()
    np.savez(array, tenure=np.float32([8, 2008]))
    answer = runtime.invoke_endpoint(EndpointName="tiny", Accept=NPY, Body=array.getvalue())
    assert np.load(io.BytesIO(answer["Body"].read())).tolist() == [[0.5, 0.5], [1.0, 0.0]]


@pytest.mark.slow
def test_boto3_raises_the_errors_of_the_api(served: Any) -> None:
    runtime = client(served.port)
    with pytest.raises(runtime.exceptions.ModelError) as caught:
        runtime.invoke_endpoint(EndpointName="tiny", ContentType=JSON, Body=b'{"tenur": 8}')
    answer = caught.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert answer["OriginalStatusCode"] == 400
    assert "did you mean 'tenure'?" in json.loads(answer["OriginalMessage"])["message"]
    assert answer["Error"]["Message"].startswith("Received client error (400) from primary with message")
    for wrong in ({"TargetModel": "other.tar.gz"}, {"TargetVariant": "9"}):
        with pytest.raises(ClientError) as unknown:
            runtime.invoke_endpoint(EndpointName="tiny", Body=b'{"tenure": 8}', **wrong)
        assert unknown.value.response["Error"]["Code"] == "ValidationError"
        assert unknown.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


@pytest.mark.slow
def test_a_full_server_is_unavailable_and_may_be_asked_again(start: Any) -> None:
    """One is predicted and two wait; the others are told before any of those is answered."""
    import threading

    full = start("held", threads=1, queue=2)
    answers: list[str] = []

    def ask_once() -> None:
        try:
            client(full.port).invoke_endpoint(EndpointName="tiny", Body=b'{"tenure": 8}')
            answers.append("ok")
        except ClientError as error:
            answers.append(error.response["Error"]["Code"])

    threads = [threading.Thread(target=ask_once) for _ in range(12)]
    for thread in threads:
        thread.start()
    until(lambda: len(answers) == 9, "the answers to all but three")
    full.let_go()
    for thread in threads:
        thread.join()
    assert answers == ["ServiceUnavailable"] * 9 + ["ok"] * 3


def test_with_several_models_an_endpoint_is_one_of_them(models: dict[str, Model]) -> None:
    spec = ServeSpec(dialects=["sagemaker_runtime"])
    lanes = [make_lane(models[task], spec) for task in ("binary", "regression")]
    for lane, name in zip(lanes, ("churn", "spend"), strict=True):
        lane.subject.name = name
    app = App(Repository(spec, lanes))

    def invoked(endpoint: str, **headers: str) -> tuple[int, bytes]:
        found = app.handle(
            Request("POST", f"/endpoints/{endpoint}/invocations", {}, headers, b'{"tenure": 8}')
        )
        return found.status, found.body

    assert invoked("spend") == (200, b'{"predictions":[{"prediction":0.0}]}')
    assert invoked("churn") == (200, b'{"predictions":[%b]}' % NO)
    assert invoked("any", **{"x-amzn-sagemaker-target-model": "spend.tar.gz"})[1] == invoked("spend")[1]
    status, body = invoked("any")
    assert (status, b"there is no model 'any'" in body) == (400, True)


@pytest.mark.slow
def test_over_a_socket(served: Any) -> None:
    headers = {"content-type": CSV, "accept": CSV, "X-Amzn-SageMaker-Custom-Attributes": "a=b"}
    answer = patience.post(f"{served.url}/invocations", content="8,,,,", headers=headers)
    assert (answer.status_code, answer.text) == (200, "no,0.5\n")
    assert answer.headers["x-amzn-sagemaker-custom-attributes"] == "a=b"
    assert patience.get(f"{served.url}/ping").json() == {"status": "Healthy"}
    refused = patience.post(f"{served.url}/invocations", content="8", headers={"content-type": CSV})
    assert refused.json()["type"] == "BadRequestException"


def test_an_environment_that_asks_for_what_there_is_not(
    models: dict[str, Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    from bessemer.core.errors import BessemerError

    monkeypatch.setenv("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", "text/html")
    with pytest.raises(BessemerError, match="the answer cannot be 'text/html'"):
        make_app(models["binary"], ServeSpec())
