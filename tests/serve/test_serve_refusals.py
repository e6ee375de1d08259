"""What is refused, with which status, and how the answer says what to do."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessemer.core.errors import UsageError
from bessemer.core.signature import Field, Signature
from bessemer.package.feeds import to_feeds as table_feeds
from bessemer.package.model import Model
from bessemer.serve.app import App
from bessemer.serve.columns import rows_to_feeds, typed_feeds
from bessemer.serve.errors import RequestError
from bessemer.serve.plugins import DIALECTS
from bessemer.serve.predictor import Predictor
from bessemer.serve.row_reader import RowReader
from bessemer.serve.server import make_app
from bessemer.serve.spec import ServeSpec
from bessemer.serve.wire import BINARY, GRPC, Request
from bessemer.testing.models import INPUTS, ROWS

REFUSED = [
    ("/predict", b"", 400, "no body"),
    ("/predict", b"{", 400, "not valid JSON"),
    ("/predict", b'{"tenure": NaN}', 400, "send null"),
    ("/predict", b"7", 400, "neither an object nor a list"),
    ("/predict", b'{"rows": 7}', 400, "'rows' is not a list"),
    ("/predict", b'{"rows": [], "explian": true}', 400, "did you mean 'explain'?"),
    ("/predict", b'{"rows": [], "explain": "yes"}', 400, "neither true nor false"),
    ("/predict", b"[7]", 400, "7 is not an object"),
    ("/predict", b"{}", 400, "required and absent"),
    ("/predict", b'{"tenure": "8"}', 400, "'8' is not a whole number"),
    ("/predict", b'{"tenure": true}', 400, "True is not a whole number"),
    ("/predict", b'{"tenure": 8.5}', 400, "8.5 is not a whole number"),
    ("/predict", b'{"tenure": 8, "autopay": 2}', 400, "2 is not true or false"),
    ("/predict", b'{"tenure": 8, "contract": 3}', 400, "3 is not text"),
    ("/predict", '{"tenure": 8, "désactivé": "soon"}'.encode(), 400, "'soon' is not a timestamp"),
    ("/predict", b'{"tenure": 8, "contrct": "x"}', 400, "did you mean 'contract'?"),
    (
        "/predict",
        b'[{"tenure": 8}, {"tenure": 8}, {"tenure": 8}, {"tenure": 8}]',
        413,
        "4 rows are more than the 3",
    ),
    ("/predcit", b"", 404, "did you mean '/predict'?"),
    ("/v1/models/tiny:predict", b"[]", 400, "no list 'instances'"),
    ("/v1/models/tiny:predict", b'{"instances": [[8]]}', 400, "1 values for 5 inputs"),
    ("/v1/models/tinny:predict", b"{}", 404, "did you mean 'tiny'?"),
    ("/v2/models/other/infer", b"{}", 404, "there is no model 'other'"),
    ("/v2/models/tiny/versions/2/infer", b"{}", 404, "has no version '2'"),
    ("/v2/models/tiny/infer", b"{}", 400, "no list 'inputs'"),
    ("/v2/models/tiny/infer", b'{"inputs": []}', 400, "no inputs of this model"),
]


@pytest.mark.parametrize(("path", "body", "status", "text"), REFUSED)
def test_refused(path: str, body: bytes, status: int, text: str, send: Any) -> None:
    response = send("POST", path, body, max_rows=3)
    assert response.status == status
    assert text in orjson.dumps(orjson.loads(response.body)).decode(), response.body


WHOLE = [{"name": "tenure", "shape": [1], "datatype": "FP32", "data": [8]}]
BODIES = [
    ({"inputs": WHOLE, "outputs": "score"}, "not a list"),
    ({"inputs": WHOLE, "outputs": [{"name": "scroe"}]}, "did you mean 'score'?"),
    ({"inputs": WHOLE, "outputs": [7]}, "the output 7 has no name"),
    (
        {"inputs": WHOLE, "outputs": [{"name": "prediction", "parameters": {"classification": 1}}]},
        "has no classification",
    ),
    ({"inputs": WHOLE, "parameters": {"explain": 1}}, "the parameter explain is 1"),
    ({"inputs": WHOLE, "parameters": 1}, "are no object"),
    ({"inputs": WHOLE, "id": 7}, "the id 7 is not text"),
    ({"inputs": WHOLE + WHOLE}, "is given twice"),
    ({"inputs": [7]}, "the input 7 has no name"),
    (
        {"inputs": [*WHOLE, {**WHOLE[0], "name": "autopay", "shape": [2], "data": [1, 1]}]},
        "differ in their rows",
    ),
]


@pytest.mark.parametrize(("body", "text"), BODIES)
def test_refused_inference_requests(body: dict[str, Any], text: str, send: Any) -> None:
    response = send("POST", "/v2/models/tiny/infer", orjson.dumps(body))
    assert response.status == 400
    assert text in orjson.loads(response.body)["error"]


def test_dialects_that_nothing_tells_apart_are_refused(
    models: dict[str, Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(DIALECTS._own, "twin", DIALECTS.ref("plain"))
    with pytest.raises(UsageError, match="both answer"):
        make_app(models["binary"], ServeSpec(dialects=["plain", "twin"]))
    with pytest.raises(UsageError) as caught:
        make_app(models["binary"], ServeSpec(dialects=["plan"]))
    assert caught.value.fix == "did you mean 'plain'?"


TENSORS = [
    ({"name": "tenure", "shape": [1], "datatype": "FP32", "data": [8, 9]}, "2 values for 1 rows"),
    ({"name": "tenure", "shape": [1, 2], "datatype": "FP32", "data": [8, 9]}, "shape [N] or [N, 1]"),
    ({"name": "tenure", "shape": [-1], "datatype": "FP32", "data": []}, "shape [N] or [N, 1]"),
    ({"name": "tenure", "shape": [1], "datatype": "FP23", "data": [8]}, "did you mean 'FP32'?"),
    ({"name": "tenure", "shape": [1], "datatype": "BYTES", "data": ["8"]}, "cannot be sent as BYTES"),
    ({"name": "contract", "shape": [1], "datatype": "FP32", "data": [8]}, "send it as BYTES"),
    ({"name": "tenure", "shape": [1], "datatype": "INT8", "data": [128]}, "128 is not INT8"),
    ({"name": "tenure", "shape": [1], "datatype": "INT8", "data": [1.0]}, "1.0 is not INT8"),
    ({"name": "tenure", "shape": [1], "datatype": "FP16", "data": [8]}, "JSON cannot carry"),
    ({"name": "tenure", "shape": [1], "datatype": "FP32", "data": [[[8]]]}, "is not FP32"),
    ({"name": "tenure", "shape": [1], "datatype": "FP32"}, "no list 'data'"),
    ({"name": "tenur", "shape": [1], "datatype": "FP32", "data": [8]}, "did you mean 'tenure'?"),
    ({"name": "autopay", "shape": [1], "datatype": "BOOL", "data": [True]}, "required and absent"),
    (
        {"name": "tenure", "shape": [1], "datatype": "FP32", "parameters": {"binary_data_size": 4}},
        "0 bytes are left",
    ),
]


@pytest.mark.parametrize(("tensor", "text"), TENSORS)
def test_refused_tensors(tensor: dict[str, Any], text: str, send: Any) -> None:
    response = send("POST", "/v2/models/tiny/infer", orjson.dumps({"inputs": [tensor]}))
    assert response.status == 400
    assert text in orjson.loads(response.body)["error"]


def test_raw_tensors_must_fit(send: Any) -> None:
    def answered(kind: str, raw: bytes, extra: bytes = b"") -> str:
        tensor = {
            "name": "tenure",
            "shape": [1],
            "datatype": kind,
            "parameters": {"binary_data_size": len(raw)},
        }
        head = orjson.dumps({"inputs": [tensor]})
        headers = {"inference-header-content-length": str(len(head))}
        response = send("POST", "/v2/models/tiny/infer", head + raw + extra, headers=headers)
        return "ok" if response.status == 200 else str(orjson.loads(response.body)["error"])

    assert answered("FP32", b"\0\0\0\0") == "ok"
    assert "3 bytes; its datatype and shape make 4" in answered("FP32", b"\0\0\0")
    assert "1 bytes after the last tensor" in answered("FP32", b"\0\0\0\0", b"x")
    assert "0.5 is not a whole number" in answered("FP32", np.float32(0.5).tobytes())
    assert "2 is not a whole number" in answered("BOOL", b"\2")


def test_every_fault_is_told_at_once(send: Any) -> None:
    rows = [{"tenure": "x", "contrct": 1}, 7, {"tenure": 1, "autopay": "no"}]
    error = orjson.loads(send("POST", "/predict", orjson.dumps(rows)).body)["error"]
    found = [(fault["row"], fault.get("field", "")) for fault in error["faults"]]
    assert sorted(found) == [(0, "contrct"), (0, "tenure"), (1, ""), (2, "autopay")]
    assert error["message"] == "the request has 4 faults"


def test_faults_are_bounded(send: Any) -> None:
    error = orjson.loads(send("POST", "/predict", orjson.dumps([{"tenure": "x"}] * 5000)).body)["error"]
    assert len(error["faults"]) == 20
    assert error["more"] is True


def test_extra_names_are_refused_unless_ignored(send: Any) -> None:
    body = b'{"tenure": 8, "customer": 12}'
    assert send("POST", "/predict", body).status == 400
    assert send("POST", "/predict", body, query={"extra": "ignore"}).status == 200
    assert send("POST", "/predict", body, query={"extra": "ignroe"}).status == 400


@pytest.mark.parametrize(("kind", "status"), [("application/json; charset=utf-8", 200), ("text/csv", 415)])
def test_content_type(kind: str, status: int, send: Any) -> None:
    assert send("POST", "/predict", b'{"tenure": 8}', headers={"content-type": kind}).status == status


def test_wrong_method_names_the_right_one(send: Any) -> None:
    response = send("GET", "/v2/models/tiny/infer")
    assert response.status == 405
    assert ("allow", "POST") in response.headers


def test_switched_off_explanations(send: Any) -> None:
    assert (
        send("POST", "/v1/models/tiny:explain", b'{"instances": [{"tenure": 8}]}', explain="never").status
        == 403
    )
    told = orjson.loads(send("POST", "/predict", b'{"tenure": 8}', explain="always").body)
    assert "explanation" in told["predictions"][0]


def test_what_fails_inside_is_logged_and_not_told(
    models: dict[str, Model], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(models["binary"], ServeSpec())
    monkeypatch.setattr(Predictor, "predict", None)
    with caplog.at_level(logging.ERROR, logger="bessemer.serve"):
        response = app.handle(Request("POST", "/predict", body=b'{"tenure": 8}'))
    message = orjson.loads(response.body)["error"]["message"]
    assert response.status == 500
    assert message.startswith("internal error ")
    assert message.split()[-1] in caplog.text
    assert "TypeError" in caplog.text
    assert b"TypeError" not in response.body


VALUES = {
    "number": st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53),
    "integer": st.none() | st.integers(-(2**53), 2**53),
    "boolean": st.none() | st.booleans(),
    "string": st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    "timestamp": st.none() | st.datetimes().map(lambda t: t.isoformat()),
}


@settings(deadline=None, max_examples=60)
@given(st.lists(st.fixed_dictionaries({f.name: VALUES[f.dtype] for f in INPUTS}), min_size=1, max_size=5))
def test_rows_give_the_tensors_that_a_table_gives(rows: list[dict[str, Any]]) -> None:
    kinds = {"number": pa.float64(), "integer": pa.int64(), "boolean": pa.bool_()}
    table = pa.table(
        {f.name: pa.array([r[f.name] for r in rows], kinds.get(f.dtype, pa.string())) for f in INPUTS}
    )
    with np.errstate(over="ignore"):
        wanted = table_feeds(table, INPUTS)
    reader = RowReader(Signature(INPUTS, ()))
    body = orjson.dumps({"rows": rows})
    found = rows_to_feeds(reader.read(orjson.loads(body)["rows"]), INPUTS)
    quick = reader.decode(body, "rows")
    assert quick is not None
    for field in INPUTS:
        assert found[field.name].dtype == wanted[field.name].dtype
        np.testing.assert_array_equal(found[field.name], wanted[field.name])
        np.testing.assert_array_equal(typed_feeds(quick, INPUTS)[field.name], wanted[field.name])


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["tenure", "x", "rows"]), inner)
    ),
    max_leaves=6,
)


@settings(deadline=None)
@given(st.lists(JSON, max_size=4))
def test_any_json_is_read_or_refused(rows: list[Any]) -> None:
    fields = [Field("tenure", "integer", "float32"), Field("x", "timestamp", "int64")]
    with contextlib.suppress(RequestError):  # anything else that is raised fails the test
        feeds = rows_to_feeds(RowReader(Signature(tuple(fields), ())).read(rows), fields)
        assert all(array.shape == (len(rows), 1) for array in feeds.values())


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where in a JSON value there are values."""
    yield at
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield from places(one, (*at, key))


@pytest.fixture(scope="module")
def app(models: dict[str, Model]) -> App:
    return make_app(models["binary"], ServeSpec())


@pytest.mark.parametrize("name", DIALECTS.names())
@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_a_request_with_any_value_anywhere_is_answered_or_refused(
    name: str, app: App, data: st.DataObject
) -> None:
    models = app.models
    whole = DIALECTS.load(name)(models).example(models.get(), list(ROWS[:2]), explain=True)
    if whole.method == GRPC or whole.headers.get("content-type") == BINARY:
        answered_or_refused(app, whole, changed_bytes(whole.body, data))
        return
    value = orjson.loads(whole.body)
    place = data.draw(st.sampled_from(list(places(value))))
    new = data.draw(JSON)
    if place:
        parent = value
        for key in place[:-1]:
            parent = parent[key]
        parent[place[-1]] = new
    answered_or_refused(app, whole, orjson.dumps(value if place else new))


def changed_bytes(body: bytes, data: st.DataObject) -> bytes:
    """A body that is not JSON, with some of its bytes replaced by others, or by none."""
    start = data.draw(st.integers(0, len(body) - 1))
    length = data.draw(st.integers(0, 8))
    return body[:start] + data.draw(st.binary(max_size=8)) + body[start + length :]


def answered_or_refused(app: App, whole: Request, body: bytes) -> None:
    response = app.handle(Request(whole.method, whole.path, headers=whole.headers, body=body))
    assert response.status == 200 or 400 <= response.status < 500, body
