"""The OpenAPI description and the page made from it, looked at by a browser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from serve_browser import Browser

import patience
from bessemer.core.signature import Field, Signature
from bessemer.serve import page
from bessemer.serve.batching import Lane
from bessemer.serve.dialect import Subject
from bessemer.serve.openapi import describe, example_row
from bessemer.serve.predictor import Predictor
from bessemer.serve.repository import Repository
from bessemer.testing.models import TASKS, tiny_session


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


@pytest.mark.parametrize("task", TASKS)
def test_openapi_is_whole(task: str, send: Any) -> None:
    description = orjson.loads(send("GET", "/openapi.json", task=task).body)
    assert description["openapi"] == "3.1.0"
    assert description["info"]["title"] == "tiny"
    operations = [operation for methods in description["paths"].values() for operation in methods.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    tags = {tag["name"] for tag in description["tags"]}
    for operation in operations:
        assert set(operation["tags"]) <= tags
        assert "200" in operation["responses"]
    for reference in references(description):
        start, _, name = reference.rpartition("/")
        assert start == "#/components/schemas"
        assert name in description["components"]["schemas"]
    row = description["components"]["schemas"]["Row"]
    assert row["required"] == ["tenure"]
    assert row["properties"]["monthly charges"]["type"] == ["number", "null"]


@pytest.mark.parametrize("task", TASKS)
def test_every_example_of_the_description_is_answered(task: str, send: Any) -> None:
    description = orjson.loads(send("GET", "/openapi.json", task=task).body)
    asked = 0
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            body = b""
            wanted = operation.get("requestBody", {})
            example = wanted.get("content", {}).get("application/json", {}).get("example")
            if example is not None:
                body = orjson.dumps(example)
                asked += 1
            elif wanted.get("required"):
                continue  # a body that is no JSON, or that only its own clients write
            allowed = 403 if path.endswith(("/load", "/unload")) else 200  # nobody may administer
            assert send(method.upper(), path, body, task=task).status == allowed, path
    assert asked >= 5


def test_an_example_is_made_from_the_domains_where_there_is_no_sample() -> None:
    fields = (
        Field("n", "integer", "float32", domain={"min": 0, "max": 9}),
        Field("x", "number", "float32"),
        Field("b", "boolean", "float32"),
        Field("s", "string", "string", domain={"categories": ["Bern", "Basel"]}),
        Field("t", "timestamp", "int64"),
    )
    signature = Signature(fields, (), task="regression", target="y")
    row = example_row(Subject("m", "1", signature))
    assert row == {"n": 4, "x": 1, "b": True, "s": "Bern", "t": "2024-01-31T12:00:00Z"}


def test_the_page_cannot_be_broken_by_a_name() -> None:
    fields = (Field("</script><script>alert(1)</script>", "number", "float32"),)
    subject = Subject("<b>m</b>", "1", Signature(fields, (), task="regression", target="<i>"))
    lane = Lane(subject, Predictor(subject.signature, tiny_session("regression"), None))
    models = Repository(subject.spec, [lane])
    text = page.render(describe(models, [])).body.decode()
    assert text.count("<script") == 2
    assert text.count("</script>") == 2
    assert "<b>m</b>" not in text
    assert "://" not in text.replace("http://www.w3.org", ""), "nothing comes from elsewhere"


def test_home_leads_to_the_page(served: Any) -> None:
    answer = patience.get(served.url, headers={"accept": "text/html,*/*;q=0.8"}, follow_redirects=True)
    assert answer.url.path == "/docs"
    assert "default-src 'none'" in answer.headers["content-security-policy"]


@pytest.mark.slow
def test_the_page_in_a_browser(served: Any) -> None:
    with Browser() as browser:
        browser.open(f"{served.url}/docs")
        assert browser.evaluate("document.querySelectorAll('nav a').length") >= 13
        browser.evaluate("document.querySelector('button.main').click()")
        browser.wait_for("document.querySelector('.status')")
        assert browser.evaluate("document.querySelector('.status').textContent") == "200 OK"
        assert browser.evaluate("document.querySelector('.answer').textContent") == "yes"
        assert browser.evaluate("document.querySelectorAll('.track.signed').length") == 5
        assert "curl 'http://" in browser.evaluate("document.body.innerText")
        browser.evaluate("location.hash = '#post_v2_models_tiny_infer'")
        browser.wait_for("document.querySelector('.title h2').textContent.endsWith('/infer')")
        browser.evaluate("document.querySelector('button.main').click()")
        browser.wait_for("document.querySelector('.status.good')")
        assert browser.errors == []
        browser.evaluate("document.querySelector('textarea').value = '{'")
        browser.evaluate("document.querySelector('button.main').click()")
        browser.wait_for("document.querySelector('.status.bad')")
        assert "not valid JSON" in browser.evaluate("document.querySelector('#route pre').textContent")
