"""MLflow's scoring protocol: golden bytes, the answers of MLflow's own server to the same requests, MLflow's client."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bessemer.package.model import Model
from bessemer.serve.dialects.mlflow import VERSION
from bessemer.serve.server import make_app
from bessemer.serve.spec import ServeSpec
from bessemer.serve.wire import Request
from bessemer.testing.models import INPUTS

NAMES = [field.name for field in INPUTS]
ROW = [8, 70.5, True, "Month-to-month", "2024-01-31T12:00:00Z"]
OTHER = [64, None, None, None, None]
NO = b'{"prediction":"no","probability":0.5}'

# 0.5 - 8/16 = 0 -> one half
GOLDEN = {
    "split": (b'{"dataframe_split": {"columns": ["tenure"], "data": [[8]]}}', b'{"predictions":[%b]}' % NO),
    "split without names": (
        b'{"dataframe_split": {"index": [5], "data": [[8, null, null, null, null]]}}',
        b'{"predictions":[%b]}' % NO,
    ),
    "split with counted columns": (
        b'{"dataframe_split": {"columns": [0, 1, 2, 3, 4], "data": [[8, NaN, NaN, NaN, "NaT"]]}}',
        b'{"predictions":[%b]}' % NO,
    ),
    "records": (
        b'{"dataframe_records": [{"tenure": 8}, {"tenure": 8}]}',
        b'{"predictions":[%b,%b]}' % (NO, NO),
    ),
    "instances": (b'{"instances": [{"tenure": 8}]}', b'{"predictions":[%b]}' % NO),
    "inputs as columns": (b'{"inputs": {"tenure": [8, 8]}}', b'{"predictions":[%b,%b]}' % (NO, NO)),
    "inputs as nested columns": (b'{"inputs": {"tenure": [[8]]}}', b'{"predictions":[%b]}' % NO),
    "inputs as rows": (b'{"inputs": [[8, null, null, null, null]]}', b'{"predictions":[%b]}' % NO),
    "inputs as one row": (b'{"inputs": {"tenure": 8}}', b'{"predictions":[%b]}' % NO),
    "explained": (
        b'{"dataframe_records": [{"tenure": 8}], "params": {"explain": true, "temperature": 1}}',
        b'{"predictions":[{"prediction":"no","probability":0.5,"score":0.0,"base":0.5,"contribution_tenure":-0.5,'
        b'"contribution_monthly charges":0.0,"contribution_autopay":0.0,"contribution_contract":0.0,'
        b'"contribution_d\xc3\xa9sactiv\xc3\xa9":0.0}]}',
    ),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden(name: str, send: Any) -> None:
    body, wanted = GOLDEN[name]
    response = send(
        "POST", "/invocations", body, headers={"content-type": "application/json"}, dialects=["mlflow"]
    )
    assert (response.status, response.body) == (200, wanted)


def test_regression_and_multiclass_have_the_columns_of_predict(send: Any, models: dict[str, Model]) -> None:
    for task in ("regression", "multiclass"):
        body = b'{"dataframe_split": {"columns": ["tenure"], "data": [[8]]}}'
        found = orjson.loads(send("POST", "/invocations", body, task=task).body)["predictions"]
        wanted = models[task].predict(pa.table({"tenure": [8]})).to_pylist()
        assert list(found[0]) == list(wanted[0])
        assert found[0] == pytest.approx(wanted[0], abs=1e-6)


REFUSED = [
    (b"[]", "exactly one of the fields"),
    (b"{}", "exactly one of the fields"),
    (b'{"instances": [], "inputs": []}', "exactly one of the fields"),
    (b'{"messages": [{"role": "user"}]}', "does not chat"),
    (b"{", "not valid JSON"),
    (b'{"inputs": NaN', "not valid JSON"),
    (b'{"dataframe_split": []}', "must have 'data'"),
    (b'{"dataframe_split": {"data": [], "colums": []}}', "must have 'data'"),
    (b'{"dataframe_split": {"columns": 1, "data": []}}', "must be lists"),
    (b'{"dataframe_split": {"columns": ["tenure"], "data": [[1, 2]]}}', "is not a list of 1 values"),
    (b'{"dataframe_split": {"columns": ["tenure", "tenure"], "data": []}}', "not different names"),
    (b'{"dataframe_split": {"columns": ["tenure", 3], "data": []}}', "not different names"),
    (b'{"dataframe_split": {"columns": ["tenur"], "data": [[1]]}}', "did you mean 'tenure'?"),
    (b'{"dataframe_split": {"columns": ["tenure"], "data": [["8"]]}}', "'8' is not a whole number"),
    (b'{"dataframe_records": {"tenure": 8}}', "not a list of rows"),
    (b'{"dataframe_records": [{"tenure": 8, "contrct": 1}]}', "did you mean 'contract'?"),
    (b'{"inputs": {"tenure": [1], "autopay": [true, false]}}', "differ in their rows"),
    (b'{"inputs": {"tenure": [[1, 2]]}}', "is nested otherwise"),
    (b'{"inputs": {"autopay": [true]}}', "required and absent"),
    (b'{"inputs": 7}', "not a list of rows"),
    (b'{"instances": [{"tenure": 8}], "params": 1}', "not an object"),
    (b'{"instances": [{"tenure": 8}], "params": {"explain": "yes"}}', "send true or false"),
]


@pytest.mark.parametrize(("body", "text"), REFUSED)
def test_refused_in_the_words_of_mlflow(body: bytes, text: str, send: Any) -> None:
    response = send("POST", "/invocations", body, dialects=["mlflow"])
    error = orjson.loads(response.body)
    assert response.status == 400
    codes = {"BAD_REQUEST": "KAM00", "INVALID_PARAMETER_VALUE": "KAM01"}
    assert codes[error["error_code"]] == error["sqlstate"]
    assert text in error["message"]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("application/xml", b"only supports the following content types"),
        ("application/json; charset=latin-1", b"The scoring server only supports UTF-8"),
        ("application/json; format=pandas-split", b"Unrecognized content type parameters: format"),
    ],
)
def test_content_types_are_refused_in_plain_text(kind: str, text: bytes, send: Any) -> None:
    body = b'{"dataframe_split": {"columns": ["tenure"], "data": [[8]]}}'
    response = send("POST", "/invocations", body, headers={"content-type": kind}, dialects=["mlflow"])
    assert (response.status, response.content_type) == (415, "text/plain")
    assert text in response.body


def test_extra_columns_are_ignored_where_all_inputs_are_there(send: Any) -> None:
    frame = {"columns": ["customer", *reversed(NAMES)], "data": [["A-12", *reversed(ROW)]]}
    whole = send("POST", "/invocations", orjson.dumps({"dataframe_split": frame}))
    assert whole.status == 200
    plain = send("POST", "/invocations", orjson.dumps({"dataframe_split": {"columns": NAMES, "data": [ROW]}}))
    assert whole.body == plain.body
    frame = {"columns": ["customer", "tenure"], "data": [["A-12", 8]]}
    assert send("POST", "/invocations", orjson.dumps({"dataframe_split": frame})).status == 400
    body = orjson.dumps({"dataframe_split": frame})
    assert send("POST", "/invocations", body, query={"extra": "ignore"}).status == 200


def test_numbers_are_read_quickly_and_to_the_same_answer(tmp_path: Path) -> None:
    from bessemer.core.signature import Field, Signature
    from bessemer.serve.dialect import Subject
    from bessemer.serve.frames import read_split, read_split_quickly

    fields = (Field("a", "number", "float32"), Field("b", "integer", "float32"))
    subject = Subject("m", "1", Signature(fields, (), task="regression", target="y"))
    frame = {"index": ["x", 2], "columns": ["a", "b"], "data": [[1.5, 2], [None, 3]]}
    quick = read_split_quickly(subject, orjson.dumps({"dataframe_split": frame}))
    assert quick is not None
    assert quick.typed
    assert quick.values == [(1.5, 2.0), (None, 3.0)]
    assert read_split(subject, frame).values == [(1.5, 2), (None, 3)]
    for other in ({**frame, "columns": ["b", "a"]}, {**frame, "data": [[1]]}, {**frame, "data": [["1", 2]]}):
        assert read_split_quickly(subject, orjson.dumps({"dataframe_split": other})) is None


def test_health_and_version(send: Any) -> None:
    for path in ("/ping", "/health"):
        response = send("GET", path)
        assert (response.status, orjson.loads(response.body)) == (200, {"status": "Healthy"})
    assert send("GET", "/version").body.decode() == VERSION


def parquet(**columns: Any) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream)
    return stream.getvalue()


def json(value: Any) -> bytes:
    import json

    return json.dumps(value).encode()


JSON = "application/json"
SAME = {
    "split": (JSON, json({"dataframe_split": {"columns": NAMES, "data": [ROW, OTHER], "index": [7, 9]}})),
    "split, other order": (JSON, json({"dataframe_split": {"columns": NAMES[::-1], "data": [ROW[::-1]]}})),
    "split, an extra column": (
        JSON,
        json({"dataframe_split": {"columns": [*NAMES, "x"], "data": [[*ROW, 1]]}}),
    ),
    "split, only what is required": (JSON, json({"dataframe_split": {"columns": ["tenure"], "data": [[8]]}})),
    "split, NaN": (
        JSON,
        json({"dataframe_split": {"columns": NAMES, "data": [[8, math.nan, None, None, None], ROW]}}),
    ),
    "no rows": (JSON, json({"dataframe_split": {"columns": NAMES, "data": []}})),
    "records": (
        JSON,
        json({"dataframe_records": [dict(zip(NAMES, row, strict=True)) for row in (ROW, OTHER)]}),
    ),
    "instances": (JSON, json({"instances": [dict(zip(NAMES, ROW, strict=True))]})),
    "inputs": (JSON, json({"inputs": {name: [value] for name, value in zip(NAMES, ROW, strict=True)}})),
    "inputs as records": (JSON, json({"inputs": [dict(zip(NAMES, ROW, strict=True))]})),
    "params": (JSON, json({"dataframe_split": {"columns": NAMES, "data": [ROW]}, "params": {"x": 1}})),
    "utf-8": (
        "application/json; charset=UTF-8",
        json({"dataframe_split": {"columns": ["tenure"], "data": [[8]]}}),
    ),
    "csv": (
        "text/csv",
        f"{','.join(NAMES)}\n8,70.5,True,Month-to-month,2024-01-31\n64,,False,,\n".encode(),
    ),
    "csv, other order": ("text/csv", b'contract,tenure\n"Month-to-month",8\n"a ""b"", c",64\n'),
    "parquet": (
        "application/vnd.apache.parquet",
        parquet(tenure=[8.0, 64.0], contract=["Month-to-month", None]),
    ),
}
BAD = {
    "list": (JSON, b"[]"),
    "broken": (JSON, b"{"),
    "two forms": (JSON, b'{"instances": [], "inputs": []}'),
    "no form": (JSON, b'{"x": 1}'),
    "absent column": (JSON, b'{"dataframe_split": {"columns": ["autopay"], "data": [[true]]}}'),
    "records that are none": (JSON, b'{"dataframe_records": {"tenure": 8}}'),
    "split that is none": (JSON, b'{"dataframe_split": [[8]]}'),
    "text in a number": (JSON, b'{"dataframe_split": {"columns": ["tenure"], "data": [["eight"]]}}'),
    "no parquet": ("application/vnd.apache.parquet", b"PAR1"),
    "charset": ("application/json; charset=latin-1", b"{}"),
    "parameter": ("application/json; format=pandas-records", b"{}"),
    "type": ("application/xml", b"<x/>"),
}


class Pyfunc:
    """What a user of MLflow would write around a package: a DataFrame in, a DataFrame out."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def predict(self, data: Any, params: Any = None) -> Any:
        import pandas as pd

        if not isinstance(data, pd.DataFrame):
            data = pd.DataFrame(data)
        return self.model.predict(data).to_pandas()


@pytest.fixture(scope="module")
def theirs(models: dict[str, Model]) -> Any:
    """MLflow's own scoring server around the same package, without a socket."""
    from mlflow.models import Model as Described
    from mlflow.models import ModelSignature
    from mlflow.pyfunc import PyFuncModel, scoring_server
    from mlflow.types import ColSpec, Schema
    from starlette.testclient import TestClient

    kinds = {"integer": "double", "number": "double", "boolean": "boolean"}
    schema = Schema([ColSpec(kinds.get(f.dtype, "string"), f.name, required=not f.nullable) for f in INPUTS])
    about = Described(
        signature=ModelSignature(inputs=schema),
        flavors={"python_function": {"loader_module": "none"}},
    )
    served = PyFuncModel(model_meta=about, model_impl=Pyfunc(models["binary"]), predict_fn="predict")
    with TestClient(scoring_server.init(served), raise_server_exceptions=False) as client:
        yield client


@pytest.mark.slow
@pytest.mark.parametrize("name", SAME)
def test_the_answer_is_that_of_mlflows_server(name: str, theirs: Any, models: dict[str, Model]) -> None:
    kind, body = SAME[name]
    wanted = theirs.post("/invocations", content=body, headers={"content-type": kind})
    assert wanted.status_code == 200, wanted.text
    app = make_app(models["binary"], ServeSpec())
    found = app.handle(Request("POST", "/invocations", {}, {"content-type": kind}, body))
    assert found.status == 200, found.body
    assert found.content_type == wanted.headers["content-type"]
    ours, rows = orjson.loads(found.body)["predictions"], wanted.json()["predictions"]
    assert [list(row) for row in ours] == [list(row) for row in rows]
    for one, other in zip(ours, rows, strict=True):
        assert one["prediction"] == other["prediction"]
        assert one["probability"] == pytest.approx(other["probability"], abs=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("name", BAD)
def test_what_mlflows_server_refuses_is_refused_alike(
    name: str, theirs: Any, models: dict[str, Model]
) -> None:
    kind, body = BAD[name]
    wanted = theirs.post("/invocations", content=body, headers={"content-type": kind})
    app = make_app(models["binary"], ServeSpec(dialects=["mlflow"]))
    found = app.handle(Request("POST", "/invocations", {}, {"content-type": kind}, body))
    assert found.status == wanted.status_code, (found.body, wanted.text)
    if wanted.headers["content-type"].startswith("application/json"):
        error, theirs_ = orjson.loads(found.body), wanted.json()
        assert {k: v for k, v in error.items() if k != "message"} == {
            k: v for k, v in theirs_.items() if k not in ("message", "stack_trace")
        }


@pytest.mark.slow
def test_mlflows_client(served: Any, models: dict[str, Model]) -> None:
    import numpy as np
    import pandas as pd
    from mlflow.pyfunc.scoring_server.client import ScoringServerClient

    client = ScoringServerClient("127.0.0.1", served.port)
    client.wait_server_ready(timeout=300)
    client.ping()
    assert client.get_version() == VERSION
    table = pd.DataFrame(
        {
            "tenure": [8, 64, 0],
            "monthly charges": [70.5, np.nan, 20.0],
            "contract": ["Month-to-month", None, "Two year"],
            "désactivé": pd.to_datetime(["2024-01-31T12:00:00Z", None, "2024-02-01T00:00:00Z"]),
        }
    )
    wanted = models["binary"].predict(table).to_pandas()
    found = client.invoke(table).get_predictions()
    assert list(found.columns) == ["prediction", "probability"]
    assert found["prediction"].tolist() == wanted["prediction"].tolist()
    np.testing.assert_allclose(found["probability"], wanted["probability"], atol=1e-6)
    explained = client.invoke(table, params={"explain": True}).get_predictions()
    told = explained.filter(like="contribution_").sum(axis=1) + explained["base"]
    np.testing.assert_allclose(told, explained["score"], atol=1e-5)
    rows = [{"tenure": 8, "monthly charges": None}]
    assert client.invoke(rows).get_predictions()["prediction"].tolist() == ["no"]
    with pytest.raises(Exception, match=r"error code 400.*did you mean 'tenure'"):
        client.invoke(pd.DataFrame({"tenur": [1]}))
