"""KServe V1 as its Python server speaks it: CloudEvents, liveness, statuses; and the client of KServe's SDK."""

from __future__ import annotations

import datetime as dt
from typing import Any

import orjson
import pytest

import environments
import patience
from bessemer.package.model import Model
from bessemer.serve.server import make_app
from bessemer.serve.spec import ServeSpec
from bessemer.serve.wire import Request

EVENTS = "application/cloudevents+json"
PATH = "/v1/models/tiny:predict"
NO = b'{"predictions":[{"prediction":"no","probability":{"no":0.5,"yes":0.5}}]}'
BODY = b'{"instances": [{"tenure": 8}]}'
BINARY = {
    "ce-specversion": "1.0",
    "ce-id": "a-1",
    "ce-source": "/churn",
    "ce-type": "com.example.ask",
    "ce-region": "eu%20west",
    "content-type": "application/json",
}
STRUCTURED = {
    "specversion": "1.0",
    "id": "a-1",
    "source": "/churn",
    "type": "com.example.ask",
    "time": "2026-01-01T00:00:00Z",
    "region": "eu west",
    "data": {"instances": [{"tenure": 8}]},
}


#: Before any answer.
BEGUN = dt.datetime.now(dt.UTC)


def check_reply(about: dict[str, str]) -> None:
    """The attributes of an answer, as KServe 0.21 makes them."""
    assert about["specversion"] == "1.0"
    assert about["type"] == "io.kserve.inference.response"
    assert about["source"] == "io.kserve.inference.tiny"
    assert about["id"] not in ("", "a-1")
    moment = dt.datetime.fromisoformat(about["time"])
    assert BEGUN <= moment <= dt.datetime.now(dt.UTC)


def test_an_event_in_binary_mode_is_answered_in_binary_mode(send: Any) -> None:
    answer = send("POST", PATH, BODY, headers=BINARY)
    assert (answer.status, answer.body, answer.content_type) == (200, NO, "application/json")
    about = {name[3:]: text for name, text in answer.headers if name.startswith("ce-")}
    check_reply(about)
    assert set(about) == {"specversion", "type", "source", "id", "time"}


def test_an_event_in_structured_mode_is_answered_in_structured_mode(send: Any) -> None:
    answer = send("POST", PATH, orjson.dumps(STRUCTURED), headers={"content-type": EVENTS})
    assert (answer.status, answer.content_type) == (200, EVENTS)
    event = orjson.loads(answer.body)
    check_reply(event)
    assert list(event) == ["specversion", "id", "source", "type", "time", "data"]
    assert event["data"] == orjson.loads(NO)


def test_an_event_that_does_not_say_so_has_a_plain_answer(send: Any) -> None:
    answer = send("POST", PATH, orjson.dumps(STRUCTURED), headers={"content-type": "application/json"})
    assert (answer.status, answer.body, answer.headers) == (200, NO, ())


def test_data_in_base64_and_of_any_type(send: Any) -> None:
    import base64

    event = {name: value for name, value in STRUCTURED.items() if name != "data"}
    event["data_base64"] = base64.b64encode(BODY).decode()
    assert send("POST", PATH, orjson.dumps(event), headers={"content-type": EVENTS}).status == 200
    assert send("POST", PATH, BODY, headers={**BINARY, "content-type": "text/plain"}).status == 200


def test_explanations_are_events_too(send: Any) -> None:
    answer = send("POST", "/v1/models/tiny:explain", BODY, headers=BINARY)
    assert b'"explanations":[{"base":0.5' in answer.body
    assert dict(answer.headers)["ce-type"] == "io.kserve.inference.response"


def test_the_environment_names_the_answers(models: dict[str, Model], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CE_TYPE", "com.example.answer")
    monkeypatch.setenv("CE_SOURCE", "/here")
    monkeypatch.setenv("CE_MERGE", "true")
    app = make_app(models["binary"], ServeSpec())
    answer = app.handle(Request("POST", PATH, {}, BINARY, BODY))
    about = dict(answer.headers)
    assert (about["ce-type"], about["ce-source"], about["ce-region"]) == (
        "com.example.answer",
        "/here",
        "eu%20west",
    )
    answer = app.handle(Request("POST", PATH, {}, {"content-type": EVENTS}, orjson.dumps(STRUCTURED)))
    event = orjson.loads(answer.body)
    assert (event["type"], event["source"], event["region"]) == ("com.example.answer", "/here", "eu west")


@pytest.mark.parametrize(
    ("headers", "body", "text"),
    [
        ({"content-type": EVENTS}, b"[]", "the event has no specversion, source, type, id"),
        ({"content-type": EVENTS}, orjson.dumps({**STRUCTURED, "id": 7}), "the event has no id"),
        ({"content-type": EVENTS}, orjson.dumps({**STRUCTURED, "data": 7}), "no list 'instances'"),
        (
            {"content-type": EVENTS},
            b'{"specversion":"1.0","id":"1","source":"s","type":"t","data_base64":"!"}',
            "not base64",
        ),
        (BINARY, b"{", "not valid JSON"),
        (BINARY, b'{"instances": [{"tenur": 8}]}', "did you mean 'tenure'?"),
    ],
)
def test_refused(headers: dict[str, str], body: bytes, text: str, send: Any) -> None:
    answer = send("POST", PATH, body, headers=headers)
    assert answer.status == 400
    assert text in orjson.loads(answer.body)["error"]


def test_the_server_lives_and_shows_browsers_its_page(send: Any) -> None:
    assert orjson.loads(send("GET", "/").body) == {"status": "alive"}
    assert orjson.loads(send("GET", "/", headers={"accept": "*/*"}).body) == {"status": "alive"}
    page = send("GET", "/", headers={"accept": "text/html,application/xhtml+xml"})
    assert (page.status, dict(page.headers)["location"]) == (307, "/docs")


def test_the_statuses_of_a_model(models: dict[str, Model]) -> None:
    app = make_app(models["binary"], ServeSpec(dialects=["kserve_v1"]))
    ready = app.handle(Request("GET", "/v1/models/tiny"))
    assert (ready.status, orjson.loads(ready.body)) == (200, {"name": "tiny", "ready": True})
    assert app.handle(Request("GET", "/v1/models/other")).status == 404
    app.models.get("tiny").ready = False
    found = app.handle(Request("GET", "/v1/models/tiny"))
    assert found.status == 503
    assert orjson.loads(found.body)["error"] == "Model with name tiny is not ready."


@pytest.mark.slow
def test_over_a_socket(served: Any) -> None:
    answer = patience.post(served.url + PATH, content=BODY, headers=BINARY)
    check_reply({name[3:]: text for name, text in answer.headers.items() if name.startswith("ce-")})
    assert answer.content == NO


KSERVE = "kserve==0.21.0"
CLIENT = """
import asyncio, sys
import httpx
import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig

url = sys.argv[1]

async def v1():
    async with InferenceRESTClient(RESTConfig(protocol="v1", timeout=300)) as client:
        assert await client.is_server_live(url)
        assert await client.is_model_ready(url, "tiny")
        answer = await client.infer(url, {"instances": [{"tenure": 8}]}, model_name="tiny")
        assert answer["predictions"][0]["prediction"] == "no", answer
        told = await client.explain(url, "tiny", {"instances": [{"tenure": 8}]})
        assert told["explanations"][0]["contributions"]["tenure"] == -0.5, told
        for name, status in (("other", 404), ("tiny", 400)):
            try:
                await client.infer(url, {"instances": [{"tenur": 8}]}, model_name=name)
            except httpx.HTTPStatusError as error:
                assert error.response.status_code == status, error
            else:
                raise AssertionError(name)

async def v2():
    async with InferenceRESTClient(RESTConfig(protocol="v2", timeout=300)) as client:
        assert await client.is_server_live(url)
        assert await client.is_server_ready(url)
        assert await client.is_model_ready(url, "tiny")
        assert not await client.is_model_ready(url, "other")
        for binary in (False, True):
            tenure = InferInput("tenure", [2, 1], "FP32")
            tenure.set_data_from_numpy(np.float32([[8], [2008]]), binary_data=binary)
            contract = InferInput("contract", [2, 1], "BYTES")
            contract.set_data_from_numpy(np.array([["Month-to-month"], [""]], dtype=object), binary_data=binary)
            request = InferRequest("tiny", [tenure, contract], request_id="a-1")
            answer = await client.infer(url, request, model_name="tiny")
            assert answer.id == "a-1", answer.id
            found = {output.name: output.as_numpy() for output in answer.outputs}
            assert found["score"].tolist() == [[2.0], [-125.0]], found
            assert found["prediction"].tolist() == ["yes", "no"], found

asyncio.run(v1())
asyncio.run(v2())

from cloudevents.http import CloudEvent, from_http, to_binary, to_structured
for make in (to_binary, to_structured):
    event = CloudEvent({"type": "ask", "source": "/here"}, {"instances": [{"tenure": 8}]})
    headers, body = make(event)
    answer = httpx.post(f"{url}/v1/models/tiny:predict", content=body, headers=headers, timeout=300)
    assert answer.status_code == 200, answer.text
    reply = from_http(answer.headers, answer.content)
    assert reply["source"] == "io.kserve.inference.tiny"
    assert reply.data["predictions"][0]["prediction"] == "no", reply.data
print("done")
"""


@pytest.mark.slow
def test_the_clients_of_kserve_and_of_cloud_events(served: Any) -> None:
    python = environments.environment("kserve", KSERVE)
    assert environments.run(python, CLIENT, served.url).endswith("done\n")
