"""Paths that several dialects have: each request finds the one it is for, without configuration."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from bessemer.package.model import Model
from bessemer.serve.plugins import DIALECTS
from bessemer.serve.server import make_app
from bessemer.serve.spec import ServeSpec
from bessemer.serve.wire import Request

JSON = "application/json"
NO = b'{"predictions":[{"prediction":"no","probability":0.5}]}'


def speaker(models: dict[str, Model], request: Request) -> str:
    app = make_app(models["binary"], ServeSpec(dialects=list(DIALECTS.names())))
    found = app.router.find(request.method, request.path)
    assert found is not None
    return found.choose(request).dialect.name


INVOCATIONS = [
    (JSON, b'{"dataframe_split": {"columns": ["tenure"], "data": [[8]]}}', "mlflow"),
    (JSON, b'{"dataframe_records": [{"tenure": 8}]}', "mlflow"),
    (JSON, b'{"params": {}, "instances": [{"tenure": 8}]}', "mlflow"),
    (JSON, b'{"instances": [{"tenure": 8}], "params": {}}', "mlflow"),
    (JSON, b'{"inputs": {"tenure": [8]}}', "mlflow"),
    ("application/json; charset=utf-8", b'{"inputs": [{"tenure": 8}]}', "mlflow"),
    ("application/vnd.apache.parquet", b"PAR1", "mlflow"),
    (JSON, b'{"instances": [{"tenure": 8}]}', "sagemaker"),
    (JSON, b'[{"tenure": 8}]', "sagemaker"),
    (JSON, b'{"features": [8, null, null, null, null]}', "sagemaker"),
    ("text/csv", b"tenure\n8\n", "sagemaker"),
    ("application/jsonlines", b'{"tenure": 8}', "sagemaker"),
    ("application/x-npy", b"", "sagemaker"),
    ("image/png", b"", "sagemaker"),
]


@pytest.mark.parametrize(("kind", "body", "name"), INVOCATIONS)
def test_invocations(kind: str, body: bytes, name: str, models: dict[str, Model], send: Any) -> None:
    assert speaker(models, Request("POST", "/invocations", {}, {"content-type": kind}, body)) == name
    response = send("POST", "/invocations", body, headers={"content-type": kind})
    if b"8" in body:
        assert (response.status, response.body) == (200, NO)
    else:
        assert response.status in (400, 415)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (JSON, b'{"instances": [{"tenure": 8}]}'),
        (JSON, b'{"inputs": {"tenure": [8]}}'),
        ("text/csv", b"tenure\n8\n"),
    ],
)
@pytest.mark.parametrize("name", ["mlflow", "sagemaker"])
def test_what_both_speak_they_answer_alike(kind: str, body: bytes, name: str, send: Any) -> None:
    response = send("POST", "/invocations", body, headers={"content-type": kind}, dialects=[name])
    assert response.body == NO


@pytest.mark.parametrize(
    "names", [["mlflow"], ["sagemaker"], ["mlflow", "sagemaker"], list(DIALECTS.names())]
)
def test_ping(names: list[str], models: dict[str, Model]) -> None:
    app = make_app(models["binary"], ServeSpec(dialects=names))
    found = app.handle(Request("GET", "/ping"))
    assert (found.status, orjson.loads(found.body)) == (200, {"status": "Healthy"})
    app.models.ready = False
    assert app.handle(Request("GET", "/ping")).status == 503


def test_models_of_sagemaker_and_of_torchserve(
    models: dict[str, Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    body = b'{"model_name": "x", "url": "/opt/ml/models/x/model"}'
    load = Request("POST", "/models", {}, {"content-type": JSON}, body)
    assert speaker(models, load) == "sagemaker"
    assert speaker(models, Request("POST", "/models", {"url": "x.bsm"})) == "torchserve"
    for method in ("GET", "DELETE"):
        plain = Request(method, "/models/tiny")
        assert speaker(models, plain) == "torchserve"
        target = Request(method, "/models/tiny", {}, {"x-amzn-sagemaker-target-model": "tiny.tar.gz"})
        assert speaker(models, target) == "sagemaker"
        monkeypatch.setenv("SAGEMAKER_MULTI_MODEL", "true")
        assert speaker(models, plain) == "sagemaker"
        monkeypatch.delenv("SAGEMAKER_MULTI_MODEL")
    app = make_app(models["binary"], ServeSpec(dialects=list(DIALECTS.names())))
    listed = orjson.loads(app.handle(Request("GET", "/models")).body)["models"]
    assert [set(each) for each in listed] == [{"modelName", "modelUrl"}]
