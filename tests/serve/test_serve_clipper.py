"""Clipper: golden bytes, the default output of a model that is late, and its own client against a server process.

What the answers and the refusals are called is taken from query_frontend.hpp, json_util.cpp and management_frontend.hpp
of Clipper 0.4.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from deployed import deployed, package
from pydantic import ValidationError

import environments
import patience
from bessemer.serve.spec import ServeSpec
from patience import PATIENCE

HALF = b'{"prediction":"no","probability":{"no":0.5,"yes":0.5}}'
NOUGHT = b'{"prediction":"no","probability":{"no":1.0,"yes":0.0}}'
INPUT = b'{"input": [8, null, null, null, null]}'


def asked(send: Any, body: bytes, path: str = "/tiny/predict", **more: Any) -> Any:
    response = send("POST", path, body, headers={"x-request-id": "a"}, **more)
    assert response.status == 200, response
    return response.body


FIRST = 73912390445837  #: the number of the query that is called 'a'
ONE = b'{"query_id":%d,"output":%b,"default":false}'


@pytest.mark.parametrize(
    "body",
    [
        INPUT,
        b'{"input": {"tenure": 8}, "version": "1.0.0"}',
        b'{"input_batch": [[8, null, null, null, null]]}',
        b'{"input_batch": [{"tenure": 8}]}',
        b'{"uid": 0, "input": {"tenure": 8}}',
    ],
)
def test_one_query_stands_alone(body: bytes, send: Any) -> None:
    assert asked(send, body) == ONE % (FIRST, HALF)


def test_a_batch_has_a_number_a_query(send: Any) -> None:
    body = b'{"input_batch": [{"tenure": 8}, [2008, null, null, null, null]]}'
    first, second = ONE % (FIRST, HALF), ONE % (FIRST + 1, NOUGHT)
    assert asked(send, body) == b'{"batch_predictions":[%b,%b]}' % (first, second)
    assert asked(send, b'{"input_batch": []}') == b'{"batch_predictions":[]}'


def test_without_a_name_a_query_is_numbered_by_its_body(send: Any) -> None:
    numbers = [
        orjson.loads(send("POST", "/tiny/predict", body).body)["query_id"]
        for body in (INPUT, INPUT, INPUT + b" ")
    ]
    assert numbers[0] == numbers[1] != numbers[2]
    assert all(0 < number < 2**48 for number in numbers)


def test_a_number_is_bare(send: Any) -> None:
    assert asked(send, INPUT, task="regression") == ONE % (FIRST, b"0.0")


REFUSED = [
    (b"{", "Json error", "not valid JSON"),
    (b"{}", "Json error", "does not have required keys input or input_batch"),
    (b"[]", "Json error", "does not have required keys input or input_batch"),
    (b'{"input": [8]}', "Json error", "1 values for 5 inputs"),
    (b'{"input": ["8", null, null, null, null]}', "Json error", "'8' is not a whole number"),
    (b'{"input": {"tenure": 8}, "version": 2}', "Json error", "the version 2 is not text"),
    (b'{"input": {"tenure": 8}, "version": "2"}', "Query processing error",
     "Requested version: 2 does not exist for model: tiny"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "error", "cause"), REFUSED)
def test_refused(body: bytes, error: str, cause: str, send: Any) -> None:
    response = send("POST", "/tiny/predict", body)
    told = orjson.loads(response.body)
    assert (response.status, list(told), told["error"]) == (400, ["error", "cause"], error)
    assert cause in told["cause"]


def test_an_application_that_does_not_exist(send: Any) -> None:
    response = send("POST", "/tinny/predict", INPUT)
    assert (response.status, orjson.loads(response.body)["error"]) == (404, "Query processing error")


def test_feedback_is_sent_where_there_are_ids(send: Any) -> None:
    response = send("POST", "/tiny/update", b'{"uid": 0, "input": [1], "label": 1.0}')
    assert response.status == 501
    assert "to /feedback" in orjson.loads(response.body)["cause"]


# applications --------------------------------------------------------------------------------------
APPS = {
    "slo": "100ms",
    "default": "-1",
    "apps": {"churn": {"model": "tiny", "default": "unknown"}, "patient": {"model": "tiny", "slo": "300s"}},
}


def test_applications_of_the_settings(send: Any) -> None:
    assert asked(send, INPUT, "/churn/predict", clipper=APPS) == ONE % (FIRST, HALF)
    assert asked(send, INPUT, "/tiny/predict", clipper=APPS) == ONE % (FIRST, HALF), "each model is one too"
    assert send("POST", "/nobody/predict", INPUT, clipper=APPS).status == 404
    gone = send("POST", "/a/predict", INPUT, clipper={"apps": {"a": {"model": "gone"}}})
    assert gone.status == 404
    assert "there is no model 'gone'" in orjson.loads(gone.body)["cause"]


@pytest.mark.parametrize(
    "clipper", [{"slo": 0}, {"apps": {"a/b": {}}}, {"sol": 1}, {"apps": {"a": {"defualt": 1}}}]
)
def test_wrong_settings(clipper: Any) -> None:
    with pytest.raises(ValidationError):
        ServeSpec(clipper=clipper)


def admin(send: Any, what: str, **body: Any) -> Any:
    response = send("POST", f"/admin/{what}", orjson.dumps(body), clipper=APPS)
    return (
        orjson.loads(response.body) if response.status == 200 else (response.status, response.body.decode())
    )


def test_the_management_api_reads(send: Any) -> None:
    assert send("GET", "/admin/ping").body == b"PONG"
    assert admin(send, "get_all_applications", verbose=False) == ["churn", "patient", "tiny"]
    app = {
        "input_type": "strings",
        "default_output": "unknown",
        "latency_slo_micros": 100_000,
        "name": "churn",
    }
    app["linked_models"] = ["tiny"]
    assert admin(send, "get_application", name="churn") == app
    assert admin(send, "get_all_applications", verbose=True)[0] == app
    assert admin(send, "get_application", name="patient")["latency_slo_micros"] == 300_000_000
    assert admin(send, "get_application", name="other") == {}
    assert admin(send, "get_linked_models", app_name="churn") == ["tiny"]
    assert admin(send, "get_linked_models", app_name="x") == (400, "No application with name 'x' exists.")
    assert admin(send, "get_all_models", verbose=False) == ["tiny:1.0.0"]
    (model,) = admin(send, "get_all_models", verbose=True)
    assert (model["model_name"], model["model_version"], model["is_current_version"]) == (
        "tiny",
        "1.0.0",
        True,
    )
    assert admin(send, "get_model", model_name="tiny", model_version="1.0.0") == model
    assert admin(send, "get_model", model_name="tiny", model_version="2") == {}
    assert admin(send, "get_all_models")[0] == 400
    assert admin(send, "get_model", model_name=1)[0] == 400
    assert send("POST", "/admin/get_model", b"[").status == 400
    assert send("POST", "/admin/set_model_version", b"{}").status == 403, "nobody may without a key"
    assert send("POST", "/admin/add_model", b"{}").status == 404, "what does not map is not there"


def test_the_management_api_changes(tmp_path: Path) -> None:
    second = package(tmp_path, "1.1.0")
    with deployed(tmp_path, dialects=["clipper"]) as server:
        server.app.models.deploy(str(second), mode="split", weight=0.5)  # type: ignore[attr-defined]

        def change(what: str, version: str) -> tuple[int, str]:
            body = orjson.dumps({"model_name": "tiny", "model_version": version})
            response = server.send("POST", f"/admin/{what}", body)
            return response.status, response.body.decode()

        told = "Successfully set model with name 'tiny' to version '1.1.0'"
        assert change("set_model_version", "1.1.0") == (200, told)
        models = orjson.loads(server.send("POST", "/admin/get_all_models", b'{"verbose": true}').body)
        assert {each["model_version"]: each["is_current_version"] for each in models} == {
            "1.0.0": False,
            "1.1.0": True,
        }
        wrong = "Cannot set non-existent version '3' for model with name 'tiny'"
        assert change("set_model_version", "3") == (400, wrong)
        gone = "Successfully deleted model with name 'tiny' and version '1.0.0'"
        assert change("delete_versioned_model", "1.0.0") == (200, gone)
        assert change("delete_versioned_model", "1.0.0")[0] == 400


# in time -------------------------------------------------------------------------------------------
LATE = "Failed to retrieve a prediction response within the specified latency SLO"


@pytest.mark.slow
def test_a_model_that_is_late_is_answered_for(start: Any) -> None:
    """The model is held, and its applications have 100 ms, but for one that is patient."""
    served = start("held", dialects=["clipper", "plain"], clipper=APPS)

    def ask(app: str, body: Any) -> Any:
        answer = patience.post(f"{served.url}/{app}/predict", json=body, timeout=PATIENCE)
        assert answer.status_code == 200
        return answer.json()

    row = [8, None, None, None, None]
    late = ask("tiny", {"input": row})
    assert late.pop("query_id")
    assert late == {"output": -1, "default": True, "default_explanation": LATE}
    assert ask("churn", {"input": row})["output"] == "unknown"
    batch = ask("churn", {"input_batch": [row, row]})["batch_predictions"]
    assert [each["default"] for each in batch] == [True, True]
    assert batch[1]["query_id"] == batch[0]["query_id"] + 1
    served.let_go()
    patient = ask("patient", {"input": row})
    assert (patient["default"], patient["output"]["prediction"]) == (False, "no")
    assert served.healthy()


#: clipper_admin asks for a cloudpickle that Python 3.11 cannot import, so that what it needs is named one by one.
REQUIREMENTS = """
clipper_admin==0.4.1 cloudpickle==3.1.2 numpy==1.26.4 PyYAML==6.0.3 requests==2.32.5 urllib3==2.5.0 idna==3.10
charset-normalizer==3.4.4 certifi==2025.10.5 docker==7.1.0 kubernetes==34.1.0 six==1.17.0 python-dateutil==2.9.0.post0
websocket-client==1.9.0 durationpy==0.10 google-auth==2.43.0 oauthlib==3.3.1 requests-oauthlib==2.0.0 cachetools==6.2.2
rsa==4.9.1 pyasn1==0.6.1 pyasn1-modules==0.4.2 prometheus-client==0.23.1 redis==5.3.1 psutil==7.1.3 jinja2==3.1.6
MarkupSafe==3.0.3 jsonschema==4.25.1 attrs==25.4.0 referencing==0.37.0 rpds-py==0.29.0 typing_extensions==4.15.0
jsonschema-specifications==2025.9.1
"""

CLIENT = '''
import json, sys
import requests
from clipper_admin import ClipperConnection
from clipper_admin.container_manager import ContainerManager

class Address(ContainerManager):
    """Where the server is, which a container manager would have started."""
    cluster_identifier = "bessemer"

    def connect(self): pass
    def get_query_addr(self): return sys.argv[1]
    def get_admin_addr(self): return sys.argv[1]

conn = ClipperConnection(Address())
conn.connect()
told = {
    "apps": conn.get_all_apps(),
    "app": conn.get_app_info("churn"),
    "absent": conn.get_app_info("other"),
    "linked": conn.get_linked_models("churn"),
    "models": conn.get_all_models(),
    "model": conn.get_model_info("tiny", "1.0.0"),
    "version": conn.get_current_model_version("tiny"),
}
url = "http://%s/%s/predict" % (conn.get_query_addr(), "churn")
headers = {"Content-type": "application/json"}
told["answer"] = requests.post(url, headers=headers, data=json.dumps({"input": [8, None, None, None, None]})).json()
try:
    conn.set_model_version("tiny", "1.0.0")
except Exception as error:
    told["forbidden"] = str(error)
print(json.dumps(told))
'''


@pytest.mark.slow
def test_clippers_own_client(start: Any) -> None:
    python = environments.environment("clipper", "--no-deps", *REQUIREMENTS.split())
    served = start(dialects=["clipper"], clipper={**APPS, "slo": "300s"})
    told = json.loads(environments.run(python, CLIENT, f"127.0.0.1:{served.port}"))
    assert told["apps"] == ["churn", "patient", "tiny"]
    assert (told["app"]["name"], told["app"]["latency_slo_micros"]) == ("churn", 300_000_000)
    assert told["absent"] is None
    assert told["linked"] == ["tiny"]
    assert told["models"] == ["tiny:1.0.0"]
    assert told["model"]["model_version"] == told["version"] == "1.0.0"
    assert told["answer"]["output"]["prediction"] == "no"
    assert not told["answer"]["default"]
    assert "status code: 403" in told["forbidden"]
