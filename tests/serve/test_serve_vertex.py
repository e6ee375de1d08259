"""Vertex AI's container contract, at its own routes and at those of the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from serve_packages import write_public
from started import Started

import patience
from bessemer.core.errors import UsageError
from bessemer.package.model import Model
from bessemer.serve.server import make_app
from bessemer.serve.spec import ServeSpec
from bessemer.serve.wire import Request

PATH = "/v1/endpoints/123/deployedModels/456"
NO = b'{"prediction":"no","probability":{"no":0.5,"yes":0.5}}'

GOLDEN = {
    "objects": (b'{"instances": [{"tenure": 8}]}', b'{"predictions":[%b]}' % NO),
    "lists": (
        b'{"instances": [[8, null, null, null, null]], "parameters": {}}',
        b'{"predictions":[%b]}' % NO,
    ),
    "no parameters": (b'{"instances": [{"tenure": 8}], "parameters": null}', b'{"predictions":[%b]}' % NO),
    "explained": (
        b'{"instances": [{"tenure": 8}], "parameters": {"explain": true}}',
        b'{"predictions":[{"prediction":"no","probability":{"no":0.5,"yes":0.5},"explanation":{"base":0.5,'
        b'"score":0.0,"contributions":{"tenure":-0.5,"monthly charges":0.0,"autopay":0.0,'
        b'"contract":0.0,"d\xc3\xa9sactiv\xc3\xa9":0.0}'
        b"}}]}",
    ),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden(name: str, send: Any) -> None:
    body, wanted = GOLDEN[name]
    response = send("POST", f"{PATH}:predict", body, headers={"content-type": "application/json"})
    assert (response.status, response.body) == (200, wanted)


def test_a_number_is_bare(send: Any) -> None:
    response = send("POST", f"{PATH}:predict", b'{"instances": [{"tenure": 8}]}', task="regression")
    assert response.body == b'{"predictions":[0.0]}'


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        (b"[]", 400, "no list 'instances'"),
        (b'{"instances": 7}', 400, "not a list of rows"),
        (b'{"instances": [{"tenur": 8}]}', 400, "did you mean 'tenure'?"),
        (b'{"instances": [], "parameters": {"explian": true}}', 400, "did you mean 'explain'?"),
        (b'{"instances": [], "parameters": {"explain": 1}}', 400, "send true or false"),
        (b'{"instances": [], "parameters": []}', 400, "not an object"),
        (b'{"instances": [{"tenure": 1}, {"tenure": 2}]}', 413, "more than the 1"),
    ],
)
def test_refused(body: bytes, status: int, text: str, send: Any) -> None:
    response = send("POST", f"{PATH}:predict", body, max_rows=1)
    assert response.status == status
    assert text in orjson.loads(response.body)["error"]


def test_health_is_answered_at_both_defaults_of_the_reference(send: Any) -> None:
    assert send("GET", PATH).status == 200
    assert send("GET", f"{PATH}:predict").status == 200


def app(
    models: dict[str, Model], monkeypatch: pytest.MonkeyPatch, predict: str, health: str, **settings: Any
) -> Any:
    monkeypatch.setenv("AIP_PREDICT_ROUTE", predict)
    monkeypatch.setenv("AIP_HEALTH_ROUTE", health)
    made = make_app(models["binary"], ServeSpec(**settings))

    def send(method: str, path: str, body: bytes = b"") -> Any:
        return made.handle(Request(method, path, {}, {}, body))

    return send


BODY = b'{"instances": [{"tenure": 8}]}'


def test_the_routes_of_the_environment(models: dict[str, Model], monkeypatch: pytest.MonkeyPatch) -> None:
    send = app(models, monkeypatch, "/foo/bar", "/foo/health")
    assert send("POST", "/foo/bar", BODY).body == b'{"predictions":[%b]}' % NO
    assert send("GET", "/foo/health").status == 200
    # those of the platform stay
    assert send("POST", f"{PATH}:predict", BODY).status == 200


@pytest.mark.parametrize(
    "health", ["/ping", "/health", "/healthz", "/v2/health/ready", "/v1/models/tiny", "/"]
)
def test_health_at_a_path_of_another_dialect(
    health: str, models: dict[str, Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    send = app(models, monkeypatch, "/predict", health)
    assert send("GET", health).status == 200


def test_predictions_at_a_path_of_another_dialect(
    models: dict[str, Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    send = app(models, monkeypatch, "/predict", "/ping")
    assert send("POST", "/predict", BODY).body == b'{"predictions":[%b]}' % NO
    assert orjson.loads(send("POST", "/predict", b'{"tenure": 8}').body)["model"]["name"] == "tiny"
    for path in ("/v1/models/tiny:predict", "/invocations"):
        send = app(models, monkeypatch, path, "/ping")
        assert b'"predictions":[{"prediction":"no"' in send("POST", path, BODY).body
    send = app(models, monkeypatch, "/v2/models/tiny/infer", "/ping")
    tensor = b'{"inputs": [{"name": "tenure", "shape": [1], "datatype": "FP32", "data": [8]}]}'
    assert send("POST", "/v2/models/tiny/infer", tensor).status == 200
    alone = app(models, monkeypatch, "/v2/models/tiny/infer", "/v2/health/ready", dialects=["vertex"])
    assert alone("POST", "/v2/models/tiny/infer", BODY).status == 200
    assert alone("GET", "/v2/health/ready").status == 200


@pytest.mark.slow
def test_a_route_that_is_no_path(models: dict[str, Model], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="AIP_PREDICT_ROUTE is 'predict', not a path"):
        app(models, monkeypatch, "predict", "/ping")


@pytest.mark.slow
def test_a_container_as_the_platform_starts_it(packages: dict[str, Path], tmp_path: Path) -> None:
    """`bessemer serve` with the variables of Vertex AI and an artifact folder, over plain HTTP."""
    folder = tmp_path / "artifacts"
    folder.mkdir()
    (folder / "tiny-1.0.0.bsm").write_bytes(packages["binary"].read_bytes())
    environment = {
        "AIP_MODE": "PREDICTION",
        "AIP_HTTP_PORT": "0",
        "AIP_PREDICT_ROUTE": "/predict",
        "AIP_HEALTH_ROUTE": "/ping",
        "AIP_STORAGE_URI": folder.as_uri(),
    }
    key = write_public(tmp_path / "key.pub")
    with Started(environment, "--key", str(key)) as url:
        assert patience.get(f"{url}/ping").status_code == 200
        answer = patience.post(f"{url}/predict", json={"instances": [{"tenure": 8}]})
        assert answer.content == b'{"predictions":[%b]}' % NO
