"""Triton's extensions of the Open Inference Protocol, and the protocol over gRPC: bytes in, bytes out."""

from __future__ import annotations

import asyncio
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow.dataset as ds
import pytest
from numeric_model import numeric

from bessemer.serve.app import App, House
from bessemer.serve.batching import Lane
from bessemer.serve.dialect import Entry, Subject
from bessemer.serve.errors import RequestError
from bessemer.serve.guards.guard import Guard
from bessemer.serve.guards.spec import AccessSpec
from bessemer.serve.protos import message
from bessemer.serve.repository import Repository
from bessemer.serve.services import Services
from bessemer.serve.spec import ServeSpec
from bessemer.serve.wire import GRPC, Batch, Request, Response
from bessemer.testing.dialects import repository

LENGTH = "inference-header-content-length"
MATRIX = np.array([[1.5, 2, 1], [0.5, 0, np.nan]], dtype=np.float32)


@pytest.fixture(scope="module")
def app() -> App:
    return App(repository())


@pytest.fixture(scope="module")
def numbers() -> App:
    return App(numeric())


def infer(app: App, body: dict[str, Any], raw: bytes = b"", model: str = "sum") -> Response:
    head = orjson.dumps(body)
    headers = {LENGTH: str(len(head))} if raw else {}
    return app.handle(Request("POST", f"/v2/models/{model}/infer", headers=headers, body=head + raw))


def outputs(response: Response) -> dict[str, Any]:
    assert response.status == 200, response.body
    length = dict(response.headers).get(LENGTH, len(response.body))
    return {each["name"]: each for each in orjson.loads(response.body[: int(length)])["outputs"]}


def error(response: Response, status: int = 400) -> str:
    assert response.status == status, response.body
    return str(orjson.loads(response.body)["error"])


# a matrix ------------------------------------------------------------------------------------------
def matrix(data: Any = None, **more: Any) -> dict[str, Any]:
    tensor = {
        "name": "input",
        "shape": [2, 3],
        "datatype": "FP32",
        **({} if data is None else {"data": data}),
    }
    return {"inputs": [{**tensor, **more}], "outputs": [{"name": "score"}]}


@pytest.mark.parametrize("data", [[1.5, 2, 1, 0.5, 0, None], [[1.5, 2, 1], [0.5, 0, None]]])
def test_a_matrix_of_json(data: Any, numbers: App) -> None:
    assert outputs(infer(numbers, matrix(data)))["score"]["data"] == [4.5, 0.5]
    assert outputs(infer(numbers, matrix(data, name="anything")))["score"]["data"] == [4.5, 0.5]


@pytest.mark.parametrize(("datatype", "kind"), [("FP32", "<f4"), ("FP64", "<f8"), ("FP16", "<f2")])
def test_a_matrix_of_bytes(datatype: str, kind: str, numbers: App) -> None:
    raw = MATRIX.astype(kind).tobytes()
    body = matrix(datatype=datatype, parameters={"binary_data_size": len(raw)})
    assert outputs(infer(numbers, body, raw))["score"]["data"] == [4.5, 0.5]


def test_a_matrix_of_whole_numbers_and_of_bfloat(numbers: App) -> None:
    raw = np.array([[1, 2, 1], [3, 0, 0]], dtype="<i4").tobytes()
    body = matrix(datatype="INT32", parameters={"binary_data_size": len(raw)})
    assert outputs(infer(numbers, body, raw))["score"]["data"] == [4.0, 3.0]
    upper = (MATRIX.view(np.uint32) >> 16).astype("<u2").tobytes()
    body = matrix(datatype="BF16", parameters={"binary_data_size": len(upper)})
    assert outputs(infer(numbers, body, upper))["score"]["data"] == [4.5, 0.5]


REFUSED = [
    (matrix([1, 2, 3], shape=[1, 2]), "has 2 columns for 3 inputs (send them in this order: x0, x1, x2)"),
    (matrix([[1, 2], [3, 4]]), "nested otherwise than rows of 3 values"),
    (matrix([1, 2, 3]), "has 3 values; its shape makes 6"),
    (matrix([1, 2.5, 0, 1, 2, 0]), "row 0, 'x1': 2.5 is not a whole number"),
    (matrix([1, 2, 0, 1, 2, 3]), "row 1, 'x2': 3.0 is not true or false"),
    (matrix(["a"] * 6), "row 0, 'input': 'a' is not FP32"),
    (matrix(["a"] * 6, datatype="BYTES"), "cannot be sent as BYTES"),
    (matrix([1] * 6, datatype="FP23"), "did you mean 'FP32'?"),
    (matrix([1] * 6, datatype="BF16"), "which JSON cannot carry"),
]


@pytest.mark.parametrize(("body", "text"), REFUSED)
def test_matrices_that_are_refused(body: dict[str, Any], text: str, numbers: App) -> None:
    assert text in error(infer(numbers, body))


def test_a_matrix_is_for_models_of_numbers(app: App) -> None:
    body = matrix([0] * 10, shape=[2, 5])
    assert "the model has no input 'input'" in error(infer(app, body, model="tiny"))


def test_a_matrix_in_a_batch_with_rows_and_tensors() -> None:
    models = numeric()
    predictor = models.predictor(models.get())
    rows = Batch(1, [(1.0, 2.0, None)], outputs=("score",), typed=True)
    whole = Batch(2, matrix=MATRIX, outputs=("score",))
    feeds = Batch(1, feeds={f"x{i}": np.float32([[i]]) for i in range(3)}, outputs=("score",))
    for together in ([rows, whole], [whole, rows, feeds]):
        found = [made.outputs["score"].tolist() for made in predictor.predict_together(together)]
        assert found == [predictor.predict(batch).outputs["score"].tolist() for batch in together]


# raw binary requests -------------------------------------------------------------------------------
def raw_request(app: App, body: bytes, model: str = "sum") -> Response:
    return app.handle(Request("POST", f"/v2/models/{model}/infer", headers={LENGTH: "0"}, body=body))


def test_a_raw_body_is_the_one_tensor(app: App, numbers: App) -> None:
    response = raw_request(numbers, MATRIX.tobytes())
    assert outputs(response)["score"]["parameters"] == {"binary_data_size": 8}
    assert response.body.endswith(struct.pack("<4f", 4.5, 0.5, 4.5, 0.5)), "all outputs, in binary"
    one = raw_request(App(numeric(1, ("number",))), np.float32([1, 2]).tobytes())
    assert one.body.endswith(struct.pack("<2f", 1, 2))
    assert "the body has 5 bytes; a row of this model has 12" in error(raw_request(numbers, b"12345"))
    assert "the body has 0 bytes" in error(raw_request(numbers, b""))
    assert "for models with one input" in error(raw_request(app, b"1234", "tiny"))


# other parameters ----------------------------------------------------------------------------------
def tenure(**more: Any) -> dict[str, Any]:
    return {"inputs": [{"name": "tenure", "shape": [2], "datatype": "FP32", "data": [8, 2008]}], **more}


def test_classification(app: App) -> None:
    def asked(name: str, count: Any, **parameters: Any) -> dict[str, Any]:
        return tenure(outputs=[{"name": name, "parameters": {"classification": count, **parameters}}])

    found = outputs(infer(app, asked("probability", 5), model="tiny"))["probability"]
    assert found["shape"] == [2, 2]
    assert found["datatype"] == "BYTES"
    assert found["data"] == ["0.500000:0:no", "0.500000:1:yes", "1.000000:0:no", "0.000000:1:yes"]
    assert outputs(infer(app, asked("score", 1), model="tiny"))["score"]["data"] == [
        "0.000000:0",
        "-125.000000:0",
    ]
    binary = infer(app, asked("probability", 1, binary_data=True), model="tiny")
    assert binary.body.endswith(b"\r\0\0\x000.500000:0:no\r\0\0\x001.000000:0:no")
    assert "has no classification" in error(infer(app, asked("prediction", 1), model="tiny"))
    assert "the parameter classification is -1" in error(infer(app, asked("score", -1), model="tiny"))


def test_parameters_of_a_request(app: App) -> None:
    def answer(**parameters: Any) -> Response:
        return infer(app, tenure(parameters=parameters, outputs=[{"name": "score"}]), model="tiny")

    assert answer(timeout=1_000_000, priority=2, anything="x").status == 200
    assert "the parameter timeout is '1'" in error(answer(timeout="1"))
    assert "the parameter priority is -1" in error(answer(priority=-1))
    assert "sequences are not spoken" in error(answer(sequence_id=7), 501)
    assert answer(sequence_id=0).status == 200


def test_a_timeout_is_the_batchs() -> None:
    from bessemer.serve.infer import read_batch
    from bessemer.serve.infer_request import read_infer_request

    request = Request("POST", "/", body=orjson.dumps(tenure(parameters={"timeout": 2500}, id="a")))
    batch = read_batch(repository().get(), read_infer_request(request))
    assert (batch.timeout, batch.id) == (0.0025, "a")


def test_memory_that_is_shared(app: App) -> None:
    body = tenure()
    body["inputs"][0]["parameters"] = {"shared_memory_region": "a"}
    assert "shared memory is not spoken" in error(infer(app, body, model="tiny"), 501)
    out = tenure(outputs=[{"name": "score", "parameters": {"shared_memory_region": "a"}}])
    assert "shared memory is not spoken" in error(infer(app, out, model="tiny"), 501)


def test_missing_timestamps_as_whole_numbers(app: App) -> None:
    body = tenure()
    body["inputs"].append({"name": "désactivé", "shape": [2], "datatype": "INT64", "data": [-(2**63), None]})
    assert outputs(infer(app, body, model="tiny"))["score"]["data"] == [0.0, -125.0]


# what there is beside predictions ------------------------------------------------------------------
def got(app: App, path: str, method: str = "GET", body: bytes = b"") -> Any:
    response = app.handle(Request(method, path, body=body))
    assert response.status == 200, response.body
    return orjson.loads(response.body)


def test_configuration(app: App) -> None:
    told = got(app, "/v2/models/tiny/config")
    assert told == got(app, "/v2/models/tiny/versions/1.0.0/config")
    assert told["max_batch_size"] == 10_000
    assert told["input"][0] == {"name": "tenure", "data_type": "TYPE_FP32", "dims": [1], "optional": False}
    assert told["output"][1] == {"name": "probability", "data_type": "TYPE_FP32", "dims": [2]}


def test_statistics(app: App) -> None:
    one = got(app, "/v2/models/tiny/versions/1.0.0/stats")["model_stats"]
    assert (
        one == got(app, "/v2/models/tiny/stats")["model_stats"] == got(app, "/v2/models/stats")["model_stats"]
    )
    assert set(one[0]["inference_stats"]) == {
        *("success", "fail", "queue", "compute_input", "compute_infer", "compute_output"),
        *("cache_hit", "cache_miss"),
    }


def test_what_is_logged_and_traced_is_told_and_not_changed(app: App) -> None:
    assert got(app, "/v2/logging")["log_errors"] is True
    assert got(app, "/v2/trace/setting")["trace_level"] == ["OFF"]
    assert got(app, "/v2/models/tiny/trace/setting")["trace_level"] == ["OFF"]
    assert got(app, "/v2/systemsharedmemory/status") == []
    for path in (
        *("/v2/logging", "/v2/trace/setting", "/v2/cudasharedmemory/region/a/register"),
        *("/v2/systemsharedmemory/unregister", "/v2/models/tiny/generate", "/v2/models/tiny/generate_stream"),
    ):
        assert error(app.handle(Request("POST", path, body=b"{}")), 501)


class Noted(Repository):
    """A server's models; what is asked of it is noted, and what is loaded already is refused as such."""

    def __init__(self) -> None:
        super().__init__(ServeSpec(), repository().lanes())
        self.done: list[tuple[Any, ...]] = []

    def index(self) -> tuple[Entry, ...]:
        return (*super().index(), Entry("old", "1", "UNAVAILABLE", "unloaded"))

    def load(self, source: str | None = None, name: str | None = None) -> Subject:
        self.done.append(("load", source, name))
        if name == "tiny":
            raise RequestError(409, "it is loaded already")
        return self.get()

    def unload(self, name: str, version: str | None = None) -> None:
        self.done.append(("unload", name, version))


@pytest.fixture
def noted() -> Noted:
    return Noted()


def administered(models: Noted) -> App:
    return App(models, House(guard=Guard(AccessSpec(anonymous=["predict", "admin"]))))


def test_the_repository(noted: Noted) -> None:
    app = administered(noted)
    index = got(app, "/v2/repository/index", "POST")
    assert index[1] == {"name": "old", "version": "1", "state": "UNAVAILABLE", "reason": "unloaded"}
    assert [each["name"] for each in got(app, "/v2/repository/index", "POST", b'{"ready": true}')] == ["tiny"]
    assert got(app, "/v2/repository/models/old/load", "POST") == {"name": "old", "load": True}
    assert got(app, "/v2/repository/models/tiny/load", "POST", b"{}")["load"], (
        "loaded already is what is asked for"
    )
    got(app, "/v2/repository/models/new/load", "POST", b'{"parameters": {"source": "new.bsm"}}')
    got(app, "/v2/repository/models/old/unload", "POST", b'{"parameters": {"unload_dependents": false}}')
    assert noted.done == [
        *(("load", None, "old"), ("load", None, "tiny"), ("load", "new.bsm", "new"), ("unload", "old", None))
    ]
    for body in (b'{"parameters": {"config": "{}"}}', b'{"parameters": {"file:1/model.onnx": "eA=="}}'):
        answer = app.handle(Request("POST", "/v2/repository/models/a/load", body=body))
        assert "a model is a signed package" in error(answer)
    for body in (b"7", b'{"parameters": 7}', b'{"parameters": {"source": 7}}'):
        assert error(app.handle(Request("POST", "/v2/repository/models/a/load", body=body)))
    assert error(app.handle(Request("POST", "/v2/repository/index", body=b'{"ready": 1}')))
    assert len(noted.done) == 4


def test_nobody_loads_without_leave(noted: Noted) -> None:
    answer = App(noted).handle(Request("POST", "/v2/repository/models/old/load"))
    assert answer.status == 403
    assert noted.done == []


# gRPC ----------------------------------------------------------------------------------------------
def rpc(app: App, method: str, kind: str = "", **fields: Any) -> Response:
    body = message(f"inference.{kind or method + 'Request'}")(**fields).SerializeToString()
    return app.handle(Request(GRPC, f"/inference.GRPCInferenceService/{method}", body=body))


def inferred(app: App, **fields: Any) -> Any:
    response = rpc(app, "ModelInfer", **fields)
    assert response.status == 200, response.body
    return message("inference.ModelInferResponse").FromString(response.body)


def column(datatype: str, rows: int = 1, name: str = "tenure", **contents: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"name": name, "datatype": datatype, "shape": [rows, 1]}
    return {**made, "contents": contents} if contents else made


TYPED = [
    ("FP32", {"fp32_contents": [8.0]}),
    ("FP64", {"fp64_contents": [8.0]}),
    ("INT8", {"int_contents": [8]}),
    ("INT64", {"int64_contents": [8]}),
    ("UINT16", {"uint_contents": [8]}),
    ("UINT64", {"uint64_contents": [8]}),
]


@pytest.mark.parametrize(("datatype", "contents"), TYPED)
def test_typed_contents_are_answered_by_typed_contents(datatype: str, contents: Any, app: App) -> None:
    made = inferred(app, model_name="tiny", id="r", inputs=[column(datatype, **contents)])
    assert (made.model_name, made.model_version, made.id) == ("tiny", "1.0.0", "r")
    assert [each.name for each in made.outputs] == ["prediction", "probability", "score"]
    assert list(made.outputs[0].contents.bytes_contents) == [b"no"]
    assert list(made.outputs[1].contents.fp32_contents) == [0.5, 0.5]
    assert list(made.outputs[1].shape) == [1, 2]
    assert not made.raw_output_contents


def test_text_and_flags_in_messages(app: App) -> None:
    inputs = [
        column("FP32", fp32_contents=[8.0]),
        column("BOOL", name="autopay", bool_contents=[True]),
        column("BYTES", name="contract", bytes_contents=[b"Month-to-month"]),
    ]
    made = inferred(app, model_name="tiny", inputs=inputs, outputs=[{"name": "score"}])
    assert list(made.outputs[0].contents.fp32_contents) == [1.5]


def test_raw_contents_are_answered_by_raw_contents(app: App, numbers: App) -> None:
    made = inferred(
        app, model_name="tiny", inputs=[column("FP16")], raw_input_contents=[struct.pack("<e", 8)]
    )
    assert made.raw_output_contents[0] == b"\2\0\0\0no"
    assert made.raw_output_contents[1] == struct.pack("<2f", 0.5, 0.5)
    assert not made.outputs[0].HasField("contents")
    whole = {"name": "input", "datatype": "FP32", "shape": [2, 3]}
    raw = [MATRIX.tobytes()]
    made = inferred(
        numbers, model_name="sum", inputs=[whole], raw_input_contents=raw, outputs=[{"name": "score"}]
    )
    assert made.raw_output_contents[0] == struct.pack("<2f", 4.5, 0.5)


def test_explanations_and_classes_in_messages(app: App) -> None:
    explain = {"explain": {"bool_param": True}}
    inputs = [column("FP32", fp32_contents=[8.0])]
    made = inferred(app, model_name="tiny", inputs=inputs, parameters=explain)
    named = {each.name: each.contents for each in made.outputs}
    assert list(named["base"].fp64_contents) == [0.5]
    assert list(named["contribution_tenure"].fp64_contents) == [-0.5]
    wanted = {"name": "probability", "parameters": {"classification": {"int64_param": 1}}}
    made = inferred(app, model_name="tiny", inputs=inputs, outputs=[wanted])
    assert list(made.outputs[0].contents.bytes_contents) == [b"0.500000:0:no"]


TENURE = column("FP32", fp32_contents=[8.0])
MESSAGES = [
    ({"model_name": "other"}, 404, "no model 'other'"),
    ({"model_name": "tiny", "model_version": "3"}, 404, "no version '3'"),
    ({"model_name": "tiny"}, 400, "no inputs of this model"),
    ({"model_name": "tiny", "inputs": [TENURE, TENURE]}, 400, "is given twice"),
    ({"model_name": "tiny", "inputs": [column("FP32")]}, 400, "0 values for 1 rows"),
    ({"model_name": "tiny", "inputs": [column("FP16")]}, 400, "no typed contents"),
    ({"model_name": "tiny", "inputs": [column("FP23")]}, 400, "did you mean 'FP32'?"),
    ({"model_name": "tiny", "inputs": [column("INT8", int_contents=[300])]}, 400, "300 is not INT8"),
    (
        {"model_name": "tiny", "inputs": [TENURE], "raw_input_contents": [b"1234"]},
        400,
        "both contents and raw",
    ),
    (
        {"model_name": "tiny", "inputs": [column("FP32")], "raw_input_contents": [b"1234", b""]},
        400,
        "2 raw contents for 1 inputs",
    ),
    (
        {
            "model_name": "tiny",
            "inputs": [TENURE, column("BYTES", name="contract", bytes_contents=[b"\xff"])],
        },
        400,
        "not UTF-8",
    ),
    (
        {"model_name": "tiny", "inputs": [TENURE], "outputs": [{"name": "scroe"}]},
        400,
        "did you mean 'score'?",
    ),
    ({"model_name": "tiny", "parameters": {"sequence_id": {"int64_param": 3}}}, 501, "sequences"),
]


@pytest.mark.parametrize(("fields", "status", "text"), MESSAGES)
def test_refused_messages(fields: dict[str, Any], status: int, text: str, app: App) -> None:
    response = rpc(app, "ModelInfer", **fields)
    assert response.status == status, response.body
    assert text in response.body.decode()


def test_methods_that_do_not_predict(app: App) -> None:
    def answer(method: str, **fields: Any) -> Any:
        response = rpc(app, method, **fields)
        assert response.status == 200, response.body
        return message(f"inference.{method}Response").FromString(response.body)

    assert answer("ServerReady").ready
    assert answer("ModelReady", name="tiny", version="1.0.0").ready
    assert not answer("ModelReady", name="other").ready
    assert answer("ModelMetadata", name="tiny").inputs[3].datatype == "BYTES"
    assert answer("ModelConfig", name="tiny").config.parameters["task"].string_value == "binary"
    assert answer("ModelStatistics").model_stats[0].name == "tiny"
    assert answer("RepositoryIndex", ready=True).models[0].state == "READY"
    assert rpc(app, "ModelMetadata", name="other").status == 404


def test_the_repository_in_messages(noted: Noted) -> None:
    app = administered(noted)
    source = {"source": {"string_param": "new.bsm"}}
    assert rpc(app, "RepositoryModelLoad", model_name="new", parameters=source).status == 200
    kserve = rpc(app, "RepositoryModelUnload", repository_name="new")  # where KServe's request has the model
    assert message("inference.RepositoryModelUnloadResponse").FromString(kserve.body).isUnloaded
    assert noted.done == [("load", "new.bsm", "new"), ("unload", "new", None)]
    files = {"file:1/model.onnx": {"bytes_param": b"x"}}
    assert rpc(app, "RepositoryModelLoad", model_name="new", parameters=files).status == 400


def test_a_deadline_is_the_batchs(app: App) -> None:
    from bessemer.serve.dialects.v2_grpc import V2Grpc
    from bessemer.testing.dialects import called

    dialect = V2Grpc(app.models)
    request = dialect.example(app.models.get(), [{"tenure": 8}])
    request.headers = {"grpc-timeout": "250m"}
    assert dialect.decode(called(app.models, dialect, request)).timeout == 0.25


@pytest.mark.slow
def test_a_matrix_is_logged_by_column(tmp_path: Path) -> None:
    first = numeric(log={"folder": str(tmp_path)})

    async def ask(app: App) -> Response:
        answer: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        body = orjson.dumps(matrix([[1.5, 2, 1], [0.5, 0, None]]))
        app.begin(Request("POST", "/v2/models/sum/infer", body=body), answer.set_result)
        return await answer

    with ThreadPoolExecutor(1) as pool, Services(first.spec, pool) as services:
        [lane] = first.lanes()
        models = Repository(first.spec, [Lane(lane.subject, lane.predictor, observers=services.observers)])
        for each in models.lanes():
            services.added(each)
        assert asyncio.run(ask(App(models, services.house))).status == 200
    table = ds.dataset([str(path) for path in tmp_path.rglob("*.parquet")]).to_table()

    assert table.column("in.x0").to_pylist() == [1.5, 0.5]
    assert table.column("in.x2").to_pylist() == [True, None]


def numbered(x0: Any = None, x1: Any = None, x2: Any = None) -> dict[str, Any]:
    """A request with a column for each that is given: (datatype, values)."""
    given = {"x0": x0, "x1": x1, "x2": x2}
    inputs = [
        {"name": name, "shape": [len(each[1])], "datatype": each[0], "data": each[1]}
        for name, each in given.items()
        if each is not None
    ]
    return {"inputs": inputs, "outputs": [{"name": "score"}]}


def test_columns_of_a_model_of_numbers(numbers: App) -> None:
    whole = numbered(("FP32", [1.5, None]), ("INT8", [2, 3]), ("BOOL", [True, False]))
    assert outputs(infer(numbers, whole))["score"]["data"] == [4.5, 3.0]
    assert outputs(infer(numbers, numbered(x1=("UINT64", [2**63]))))["score"]["data"] == [9.223372e18]
    huge = infer(numbers, numbered(("FP64", [1e300])))
    assert outputs(huge)["score"]["data"] == [None], "beyond float32 it is infinite, which JSON does not have"
    text = error(infer(numbers, numbered(("FP32", ["a"]), ("FP32", [0.5]), ("FP32", [2]))))
    assert "3 faults" in text
    assert "row 0, 'x0': 'a' is not FP32" in text
    assert "row 0, 'x1': 0.5 is not a whole number" in text
    assert "row 0, 'x2': 2.0 is not true or false" in text
    assert "cannot be sent as BYTES" in error(infer(numbers, numbered(("BYTES", ["a"]))))
    flag = {"name": "x2", "shape": [1], "datatype": "BOOL", "parameters": {"binary_data_size": 1}}
    assert "no BOOL" in error(infer(numbers, {"inputs": [flag]}, b"\2"))
