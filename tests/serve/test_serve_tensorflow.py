"""TensorFlow Serving: golden bytes over HTTP and gRPC, refusals, and its own client against a real server process."""

from __future__ import annotations

import json
import struct
import urllib.request
from typing import Any

import numpy as np
import orjson
import pytest
from numeric_model import numeric

import environments
from bessemer.serve.app import App, House
from bessemer.serve.dialect import Entry, Subject
from bessemer.serve.dialects.tensorflow import TensorFlow
from bessemer.serve.guards.guard import Guard
from bessemer.serve.guards.spec import AccessSpec
from bessemer.serve.plugins import spoken
from bessemer.serve.protos import message
from bessemer.serve.repository import Repository
from bessemer.serve.spec import ServeSpec
from bessemer.serve.tensorflow_json import tensor_json, write_rows
from bessemer.serve.wire import GRPC, Predictions, Request, Response
from bessemer.testing.dialects import repository
from patience import PATIENCE

ONE = "/v1/models/tiny/versions/1000000"
HALF = b'{"prediction":"no","probability":[0.5,0.5],"score":[0.0]}'

GOLDEN = {
    "rows": (f"{ONE}:predict", b'{"instances": [{"tenure": 8}]}', b'{"predictions":[%b]}' % HALF),
    "rows in order, by the version's text": (
        "/v1/models/tiny/versions/1.0.0:predict",
        b'{"instances": [[8, null, null, null, null]]}',
        b'{"predictions":[%b]}' % HALF,
    ),
    "rows with a signature, values in lists, at the shared path": (
        "/v1/models/tiny:predict",
        b'{"signature_name": "serving_default", "instances": [{"tenure": [8], "contract": [{"b64": "eA=="}]}]}',
        b'{"predictions":[%b]}' % HALF,
    ),
    "columns at the shared path": (
        "/v1/models/tiny:predict",
        b'{"inputs": {"tenure": [8, 2008], "monthly charges": [[null], [NaN]]}}',
        b'{"outputs":{"prediction":["no","no"],"probability":[[0.5,0.5],[1.0,0.0]],"score":[[0.0],[-125.0]]}}',
    ),
    "infinity": (
        f"{ONE}:predict",
        b'{"inputs": {"tenure": [8], "monthly charges": [-Infinity]}}',
        b'{"outputs":{"prediction":["no"],"probability":[[1.0,0.0]],"score":[[-Infinity]]}}',
    ),
    "infinity in rows": (
        f"{ONE}:predict",
        b'{"instances": [{"tenure": 8, "monthly charges": Infinity}]}',
        b'{"predictions":[{"prediction":"yes","probability":[0.0,1.0],"score":[Infinity]}]}',
    ),
    "classes": (
        "/v1/models/tiny:classify",
        b'{"examples": [{"tenure": 8}, {"tenure": [2008]}], "context": {"autopay": false}}',
        b'{"results":[[["no",0.5],["yes",0.5]],[["no",1.0],["yes",0.0]]]}',
    ),
    "no rows": (f"{ONE}:predict", b'{"instances": []}', b'{"predictions":[]}'),
    "what KServe V1 takes, it answers": (
        "/v1/models/tiny:predict",
        b'{"instances": [{"tenure": 8}]}',
        b'{"predictions":[{"prediction":"no","probability":{"no":0.5,"yes":0.5}}]}',
    ),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden(name: str, send: Any) -> None:
    path, body, wanted = GOLDEN[name]
    response = send("POST", path, body)
    assert (response.status, response.body) == (200, wanted)


REGRESSION = {
    "bare rows": (f"{ONE}:predict", b'{"instances": [{"tenure": 8}]}', b'{"predictions":[0.0]}'),
    "bare columns": (f"{ONE}:predict", b'{"inputs": {"tenure": [8, 2008]}}', b'{"outputs":[0.0,-125.0]}'),
    "regress": (f"{ONE}:regress", b'{"examples": [{"tenure": 8}]}', b'{"results":[0.0]}'),
}


@pytest.mark.parametrize("name", REGRESSION)
def test_golden_regression(name: str, send: Any) -> None:
    path, body, wanted = REGRESSION[name]
    response = send("POST", path, body, task="regression")
    assert (response.status, response.body) == (200, wanted)


REFUSED = [
    (f"{ONE}:predict", b"[]", "is no object"),
    (f"{ONE}:predict", b"{}", "neither of 'instances' and 'inputs'"),
    (f"{ONE}:predict", b'{"instances": [], "inputs": []}', "both of"),
    (f"{ONE}:predict", b'{"instances": {"tenure": 8}}', "not a list"),
    (f"{ONE}:predict", b'{"instances": [{"tenur": 8}]}', "did you mean 'tenure'?"),
    (f"{ONE}:predict", b'{"instances": [{"tenure": "8"}]}', "'8' is not a whole number"),
    (f"{ONE}:predict", b'{"instances": [{"tenure": [8, 9]}]}', "[8, 9] is not a whole number"),
    (f"{ONE}:predict", b'{"instances": [{"tenure": 8, "contract": {"b64": "!"}}]}', "is no base64"),
    (f"{ONE}:predict", b'{"inputs": {"tenure": 8}}', "not a list"),
    (f"{ONE}:predict", b'{"inputs": {"tenure": [8], "autopay": [true, false]}}', "differ in their rows"),
    (f"{ONE}:predict", b'{"inputs": {"autopay": [true]}}', "'tenure': this input is required and absent"),
    (f"{ONE}:predict", b'{"inputs": {}}', "there are no inputs"),
    (
        f"{ONE}:predict",
        b'{"signature_name": "other", "instances": []}',
        'Serving signature key "other" not found.',
    ),
    (f"{ONE}:predict", b'{"signature_name": "classify", "instances": []}', "takes examples"),
    (f"{ONE}:predict", b'{"signature_name": 7, "instances": []}', "not text"),
    (f"{ONE}:regress", b'{"examples": []}', "Was: tensorflow/serving/classify"),
    (f"{ONE}:classify", b'{"examples": [7]}', "no list 'examples' of objects"),
    (f"{ONE}:classify", b'{"examples": [], "context": 7}', "no object"),
    (
        f"{ONE}:classify",
        b'{"examples": [{"tenure": 8}], "context": {"tenure": 8}}',
        "in the context and in an example",
    ),
]


@pytest.mark.parametrize(("path", "body", "text"), REFUSED)
def test_refused(path: str, body: bytes, text: str, send: Any) -> None:
    response = send("POST", path, body)
    assert response.status == 400
    assert list(orjson.loads(response.body)) == ["error"]
    assert text in orjson.loads(response.body)["error"]


def test_what_is_not_there(send: Any) -> None:
    assert send("POST", "/v1/models/tiny/versions/7:predict", b"{}").status == 404
    assert send("POST", "/v1/models/tiny/labels/stable:predict", b"{}").status == 404
    assert send("GET", "/v1/models/other/metadata").status == 404
    assert send("POST", f"{ONE}:predict", b'{"instances": [[1],[2],[3]]}', max_rows=2).status == 413


def test_a_column_named_as_the_protocol_does_not_divert_a_request(send: Any) -> None:
    body = b'{"instances": [{"tenure": 8, "inputs": 1}]}'
    response = send("POST", "/v1/models/tiny:predict", body, task="binary")
    assert response.status == 400
    assert "the model has no such input" in orjson.loads(response.body)["error"]
    kserve = send("POST", "/v1/models/tiny:predict", b'{"instances": [{"tenure": 8, "contract": "inputs"}]}')
    assert b'"probability":{"no"' in kserve.body


def test_a_model_of_numbers_takes_rows_of_numbers() -> None:
    app = App(numeric())

    def answer(body: bytes) -> Response:
        return app.handle(Request("POST", "/v1/models/sum:predict", body=body))

    assert answer(b'{"inputs": [[1.5, 2, 1], [0.5, 0, null]]}').body == b'{"outputs":[4.5,0.5]}'
    assert answer(b'{"inputs": {"x0": [1.5, 2], "x1": [[1], [2]]}}').body == b'{"outputs":[2.5,4.0]}'
    assert b"1.5 is not a whole number" in answer(b'{"inputs": [[1.5, 1.5, 1]]}').body


def test_a_model_of_one_input_takes_bare_values() -> None:
    app = App(numeric(1, ("number",)))
    body = b'{"signature_name": "", "instances": [1.5, [2.5], {"x0": 3.5}]}'
    assert (
        app.handle(Request("POST", "/v1/models/sum:predict", body=body)).body
        == b'{"predictions":[1.5,2.5,3.5]}'
    )


def test_metadata(send: Any) -> None:
    told = orjson.loads(send("GET", "/v1/models/tiny/metadata").body)
    assert told["model_spec"] == {"name": "tiny", "signature_name": "", "version": "1000000"}
    defs = told["metadata"]["signature_def"]["signature_def"]
    assert list(defs) == ["serving_default", "classify"]
    assert defs["serving_default"]["inputs"]["contract"] == {
        "dtype": "DT_STRING",
        "tensor_shape": {
            "dim": [{"size": "-1", "name": ""}, {"size": "1", "name": ""}],
            "unknown_rank": False,
        },
        "name": "contract:0",
    }
    assert list(defs["serving_default"]["outputs"]) == ["prediction", "probability", "score"]
    assert defs["classify"]["method_name"] == "tensorflow/serving/classify"


class Known(Repository):
    """A server's models, of which one version is not loaded; what is asked of it is noted."""

    def __init__(self) -> None:
        super().__init__(ServeSpec(), repository().lanes())
        self.done: list[tuple[Any, ...]] = []

    def index(self) -> tuple[Entry, ...]:
        return (*super().index(), Entry("tiny", "0.9.0", "UNAVAILABLE", "unloaded"))

    def load(self, source: str | None = None, name: str | None = None) -> Subject:
        self.done.append(("load", source, name))
        return self.get()

    def unload(self, name: str, version: str | None = None) -> None:
        self.done.append(("unload", name, version))

    def set_default(self, name: str, version: str) -> None:
        self.done.append(("default", name, version))


def test_status_tells_what_is_not_loaded() -> None:
    app = App(Known())
    told = orjson.loads(app.handle(Request("GET", "/v1/models/tiny")).body)["model_version_status"]
    assert [(each["version"], each["state"]) for each in told] == [("1000000", "AVAILABLE"), ("9000", "END")]
    one = orjson.loads(app.handle(Request("GET", ONE)).body)["model_version_status"]
    assert [each["version"] for each in one] == ["1000000"]


def test_numbers_that_are_not_finite() -> None:
    assert tensor_json(np.array([1.0, np.inf, -np.inf])) == b"[1.0,Infinity,-Infinity]"
    made = Predictions({"prediction": np.float32([0.1, np.nan])})
    assert write_rows(made, ("prediction",)) == b"[0.1,NaN]"


def test_the_dialect_alone_takes_the_shared_path() -> None:
    app = App(repository(dialects=["tensorflow"]))
    answer = app.handle(Request("POST", "/v1/models/tiny:predict", body=b'{"instances": [{"tenure": 8}]}'))
    assert answer.body == b'{"predictions":[%b]}' % HALF
    assert TensorFlow.name in spoken(app.models.spec.dialects)


# gRPC ----------------------------------------------------------------------------------------------
P = "tensorflow.serving"


def rpc(app: App, method: str, kind: str, service: str = "PredictionService", **fields: Any) -> Response:
    body = message(f"{P}.{kind}")(**fields).SerializeToString()
    return app.handle(Request(GRPC, f"/{P}.{service}/{method}", body=body))


def floats(*values: float, shape: tuple[int, ...] | None = None) -> dict[str, Any]:
    dims = [{"size": size} for size in shape or (len(values),)]
    return {"dtype": "DT_FLOAT", "tensor_shape": {"dim": dims}, "float_val": values}


@pytest.fixture(scope="module")
def app() -> App:
    return App(repository())


def predicted(app: App, **fields: Any) -> Any:
    response = rpc(app, "Predict", "PredictRequest", **fields)
    assert response.status == 200, response.body
    return message(f"{P}.PredictResponse").FromString(response.body)


def test_predict_message(app: App) -> None:
    made = predicted(
        app, model_spec={"name": "tiny", "version": {"value": 1000000}}, inputs={"tenure": floats(8, 2008)}
    )
    assert (made.model_spec.name, made.model_spec.version.value) == ("tiny", 1000000)
    assert made.model_spec.signature_name == "serving_default"
    assert list(made.outputs["prediction"].string_val) == [b"no", b"no"]
    assert list(made.outputs["probability"].float_val) == [0.5, 0.5, 1.0, 0.0]
    assert [dim.size for dim in made.outputs["probability"].tensor_shape.dim] == [2, 2]
    assert list(made.outputs["score"].float_val) == [0.0, -125.0]


def test_predict_takes_every_form_of_a_tensor(app: App) -> None:
    def score(tensor: dict[str, Any], **more: Any) -> list[float]:
        inputs = {"tenure": tensor, **more}
        made = predicted(app, model_spec={"name": "tiny"}, inputs=inputs, output_filter=["score"])
        assert list(made.outputs) == ["score"]
        return list(made.outputs["score"].float_val)

    shape = {"dim": [{"size": 2}, {"size": 1}]}
    assert score(floats(8, shape=(3, 1))) == [0.0] * 3, "the last value is repeated"
    content = struct.pack("<2h", 8, 2008)
    assert score({"dtype": "DT_INT16", "tensor_shape": shape, "tensor_content": content}) == [0.0, -125.0]
    halves = [int(bits) for bits in np.array([8, 16], dtype=np.float16).view(np.uint16)]
    assert score({"dtype": "DT_HALF", "tensor_shape": shape, "half_val": halves}) == [0.0, -0.5]
    upper = [int(bits) >> 16 for bits in np.array([8, 16], dtype=np.float32).view(np.uint32)]
    assert score({"dtype": "DT_BFLOAT16", "tensor_shape": shape, "half_val": upper}) == [0.0, -0.5]
    flags = {"dtype": "DT_BOOL", "tensor_shape": shape, "bool_val": [True, False]}
    texts = {"dtype": "DT_STRING", "tensor_shape": shape, "string_val": [b"Month-to-month", b""]}
    assert score(floats(8, 8), autopay=flags, contract=texts) == [1.5, 0.0]


MESSAGES = [
    ({"model_spec": {}}, 400, "no name"),
    ({"model_spec": {"name": "other"}}, 404, "no model 'other'"),
    ({"model_spec": {"name": "tiny", "version": {"value": 3}}}, 404, "no version '3'"),
    ({"model_spec": {"name": "tiny", "version_label": "stable"}}, 404, "no label 'stable'"),
    ({"model_spec": {"name": "tiny", "signature_name": "x"}}, 412, "not found."),
    ({"model_spec": {"name": "tiny"}}, 400, "no inputs of this model"),
    ({"model_spec": {"name": "tiny"}, "inputs": {"tenur": floats(8)}}, 400, "did you mean 'tenure'?"),
    (
        {"model_spec": {"name": "tiny"}, "inputs": {"tenure": floats(8, 9, shape=(1,))}},
        400,
        "2 values; its shape makes 1",
    ),
    ({"model_spec": {"name": "tiny"}, "inputs": {"tenure": floats(shape=(2,))}}, 400, "0 values for 2 rows"),
    (
        {"model_spec": {"name": "tiny"}, "inputs": {"tenure": floats(8, shape=(10**12,))}},
        413,
        "rows are more than",
    ),
    (
        {"model_spec": {"name": "tiny"}, "inputs": {"tenure": floats(8, shape=(1, 10**12))}},
        400,
        "[N] or [N, 1]",
    ),
    (
        {"model_spec": {"name": "tiny"}, "inputs": {"tenure": {"dtype": "DT_COMPLEX64"}}},
        400,
        "has the type 8",
    ),
    (
        {"model_spec": {"name": "tiny"}, "inputs": {"tenure": floats(8)}, "output_filter": ["x"]},
        400,
        "no output 'x'",
    ),
]


@pytest.mark.parametrize(("fields", "status", "text"), MESSAGES)
def test_refused_messages(fields: dict[str, Any], status: int, text: str, app: App) -> None:
    response = rpc(app, "Predict", "PredictRequest", **fields)
    assert response.status == status, response.body
    assert text in response.body.decode()


def example(**features: Any) -> dict[str, Any]:
    kinds = {bytes: "bytes_list", float: "float_list", int: "int64_list"}
    made = {name: {kinds[type(value)]: {"value": [value]}} for name, value in features.items()}
    return {"features": {"feature": made}}


def test_examples(app: App) -> None:
    given = {
        "example_list_with_context": {
            "examples": [example(tenure=8), example(tenure=8.0, contract=b"Month-to-month")],
            "context": example(autopay=1),
        }
    }
    spec = {"name": "tiny"}
    response = rpc(app, "Classify", "ClassificationRequest", model_spec=spec, input=given)
    made = message(f"{P}.ClassificationResponse").FromString(response.body)
    assert made.model_spec.signature_name == "classify"
    assert [c.label for c in made.result.classifications[0].classes] == ["no", "yes"]
    assert made.result.classifications[1].classes[1].score == pytest.approx(0.8175745)
    tasks = [{"model_spec": spec, "method_name": "tensorflow/serving/classify"}]
    response = rpc(app, "MultiInference", "MultiInferenceRequest", tasks=tasks, input=given)
    several = message(f"{P}.MultiInferenceResponse").FromString(response.body)
    assert several.results[0].classification_result == made.result
    twice = rpc(app, "MultiInference", "MultiInferenceRequest", tasks=tasks * 2, input=given)
    assert (twice.status, b"Duplicate" in twice.body) == (400, True)
    wrong = rpc(app, "Regress", "RegressionRequest", model_spec=spec, input=given)
    assert (wrong.status, b"Was: tensorflow/serving/classify" in wrong.body) == (400, True)


def test_examples_that_are_refused(app: App) -> None:
    def refused(**given: Any) -> str:
        response = rpc(app, "Classify", "ClassificationRequest", model_spec={"name": "tiny"}, input=given)
        assert response.status == 400
        return response.body.decode()

    assert "Input is empty" in refused()
    two = {"features": {"feature": {"tenure": {"int64_list": {"value": [1, 2]}}}}}
    assert "2 values where one is wanted" in refused(example_list={"examples": [two]})
    assert "not UTF-8" in refused(example_list={"examples": [example(tenure=8, contract=b"\xff")]})
    both = {"examples": [example(tenure=8)], "context": example(tenure=8)}
    assert "in the context and in an example" in refused(example_list_with_context=both)


def test_regression_message() -> None:
    app = App(repository("regression"))
    given = {"example_list": {"examples": [example(tenure=8), example(tenure=2008)]}}
    response = rpc(app, "Regress", "RegressionRequest", model_spec={"name": "tiny"}, input=given)
    made = message(f"{P}.RegressionResponse").FromString(response.body)
    assert [each.value for each in made.result.regressions] == [0.0, -125.0]


def test_metadata_message(app: App) -> None:
    asked = {"model_spec": {"name": "tiny"}, "metadata_field": ["signature_def"]}
    response = rpc(app, "GetModelMetadata", "GetModelMetadataRequest", **asked)
    made = message(f"{P}.GetModelMetadataResponse").FromString(response.body)
    defs = message(f"{P}.SignatureDefMap")()
    assert made.metadata["signature_def"].Unpack(defs)
    told = defs.signature_def["serving_default"]
    assert told.inputs["tenure"].tensor_shape.dim[0].size == -1
    assert told.outputs["probability"].dtype == 1
    other = {**asked, "metadata_field": ["assets"]}
    assert rpc(app, "GetModelMetadata", "GetModelMetadataRequest", **other).status == 400


def test_the_configuration_is_carried_out() -> None:
    models = Known()
    app = App(models, House(guard=Guard(AccessSpec(anonymous=["predict", "admin"]))))

    def reload(*configs: dict[str, Any]) -> Response:
        config = {"model_config_list": {"config": configs}}
        return rpc(app, "HandleReloadConfigRequest", "ReloadConfigRequest", "ModelService", config=config)

    specific = {"specific": {"versions": [1000000]}}
    assert (
        reload(
            {"name": "tiny", "model_version_policy": specific}, {"name": "new", "base_path": "new.bsm"}
        ).status
        == 200
    )
    assert models.done == [("default", "tiny", "1.0.0"), ("load", "new.bsm", "new")]
    models.done.clear()
    assert reload({"name": "new"}).status == 200
    assert models.done == [("load", None, "new"), ("unload", "tiny", None)]
    models.done.clear()
    assert reload({"name": "tiny", "version_labels": {"stable": 1}}).status == 501
    assert reload({"name": ""}).status == 400
    assert models.done == []


SCRIPT = """
import json, sys
import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import (classification_pb2, get_model_metadata_pb2, get_model_status_pb2, inference_pb2,
                                     model_service_pb2_grpc, predict_pb2, prediction_service_pb2_grpc)
channel = grpc.insecure_channel(sys.argv[1])
stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
told = {}
request = predict_pb2.PredictRequest()
request.model_spec.name = "tiny"
for name, value in {
    "tenure": tf.constant([[8.0], [64.0], [2008.0]]),
    "autopay": tf.constant([True, False, True]),
    "contract": tf.constant([b"Month-to-month", b"", b"Two year"]),
    "d\\u00e9sactiv\\u00e9": tf.constant([-2**63] * 3, dtype=tf.int64),
}.items():
    request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
answer = stub.Predict(request, timeout=300)
told["score"] = tf.make_ndarray(answer.outputs["score"]).tolist()
told["prediction"] = [v.decode() for v in tf.make_ndarray(answer.outputs["prediction"]).tolist()]
told["version"] = answer.model_spec.version.value
request = classification_pb2.ClassificationRequest()
request.model_spec.name = "tiny"
request.input.example_list.examples.append(tf.train.Example(features=tf.train.Features(feature={
    "tenure": tf.train.Feature(int64_list=tf.train.Int64List(value=[8]))})))
classes = stub.Classify(request, timeout=300).result.classifications[0].classes
told["classes"] = [[each.label, each.score] for each in classes]
request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
request.model_spec.name = "tiny"
answer = stub.GetModelMetadata(request, timeout=300)
defs = get_model_metadata_pb2.SignatureDefMap()
assert answer.metadata["signature_def"].Unpack(defs)
told["inputs"] = {n: tf.dtypes.as_dtype(i.dtype).name for n, i in defs.signature_def["serving_default"].inputs.items()}
status = model_service_pb2_grpc.ModelServiceStub(channel)
request = get_model_status_pb2.GetModelStatusRequest()
request.model_spec.name = "tiny"
answer = status.GetModelStatus(request, timeout=300).model_version_status[0]
told["state"] = get_model_status_pb2.ModelVersionStatus.State.Name(answer.state)
told["error_code"] = answer.status.error_code
request = predict_pb2.PredictRequest()
request.model_spec.name = "other"
try:
    stub.Predict(request, timeout=300)
except grpc.RpcError as error:
    told["other"] = error.code().name
request.model_spec.name, request.model_spec.signature_name = "tiny", "x"
try:
    stub.Predict(request, timeout=300)
except grpc.RpcError as error:
    told["signature"] = error.code().name
print("TOLD" + json.dumps(told))
"""


@pytest.mark.slow
def test_its_own_client(start: Any) -> None:
    served = start(grpc_port=0)
    python = environments.environment("tensorflow-serving", "tensorflow-serving-api==2.21.0")
    told = json.loads(environments.run(python, SCRIPT, served.grpc, timeout=300).partition("TOLD")[2])
    assert told["score"] == [[1.5], [-3.5], [-125.5]]
    assert told["prediction"] == ["yes", "no", "no"]
    assert told["version"] == 1000000
    assert told["classes"] == [["no", 0.5], ["yes", 0.5]]
    assert told["inputs"]["contract"] == "string"
    assert told["inputs"]["tenure"] == "float32"
    assert (told["state"], told["error_code"]) == ("AVAILABLE", 0)
    assert told["other"] == "NOT_FOUND"
    assert told["signature"] == "FAILED_PRECONDITION"


@pytest.mark.slow
def test_rest_by_plain_http(served: Any) -> None:
    def post(path: str, body: bytes) -> Any:
        with urllib.request.urlopen(f"{served.url}{path}", body, timeout=PATIENCE) as answer:
            return json.loads(answer.read())

    rows = post(f"{ONE}:predict", json.dumps({"instances": [{"tenure": 8, "autopay": None}]}).encode())
    assert rows == {"predictions": [{"prediction": "no", "probability": [0.5, 0.5], "score": [0.0]}]}
    columns = post("/v1/models/tiny:predict", json.dumps({"inputs": {"tenure": [float("nan"), 8]}}).encode())
    assert columns["outputs"]["score"] == [[0.5], [0.0]]
