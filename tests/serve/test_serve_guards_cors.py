"""CORS: which pages may call, what a preflight is answered, what every answer has."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from bessemer.serve.errors import RequestError
from bessemer.serve.guards.guard import Guard
from bessemer.serve.guards.spec import AccessSpec, CorsSpec

APP, OTHER, EVIL = "https://app.example", "http://localhost:3000", "https://evil.example"


def guard_of(*origins: str, **more: Any) -> Guard:
    return Guard(AccessSpec(), CorsSpec(origins=list(origins), **more))


def asked(origin: str | None, method: str = "POST") -> dict[str, str]:
    headers = {"access-control-request-method": method, "access-control-request-headers": "content-type"}
    return headers if origin is None else {**headers, "origin": origin}


@pytest.mark.parametrize("origin", [APP, OTHER])
@pytest.mark.parametrize("credentials", [False, True])
def test_a_preflight_from_an_allowed_page(origin: str, credentials: bool) -> None:
    guard = guard_of(APP, OTHER, credentials=credentials, max_age=60, headers=["Content-Type", "x-api-key"])
    answer = guard.preflight("OPTIONS", asked(origin))
    assert answer is not None
    assert (answer.status, answer.body) == (200, b"")
    sent = [*answer.headers, *guard.response_headers(asked(origin))]  # what the app sends
    names = [name for name, _ in sent if name != "vary"]
    assert len(names) == len(set(names)), "a browser refuses a header of these that is there twice"
    headers = dict(reversed(sent))
    assert headers.pop("vary") == "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"
    assert headers.pop("access-control-allow-credentials", None) == ("true" if credentials else None)
    headers.pop("access-control-expose-headers", None)
    assert headers == {
        "access-control-allow-origin": origin,
        "access-control-allow-methods": "GET, HEAD, POST",
        "access-control-allow-headers": "content-type, x-api-key",
        "access-control-max-age": "60",
    }


@pytest.mark.parametrize(
    "origin",
    [
        EVIL, "null", "https://app.example.evil.example", "https://app.example:444", "http://app.example", "",
        "https://evilapp.example", "https://app.example/", "HTTPS://APP.EXAMPLE", "*", "https://app.example, https://x",
    ],
)  # fmt: skip
def test_other_pages_get_no_permission(origin: str) -> None:
    guard = guard_of(APP)
    with pytest.raises(RequestError) as caught:
        guard.preflight("OPTIONS", asked(origin))
    assert caught.value.status == 403
    assert not any(name.startswith("access-control") for name, _ in caught.value.headers)
    assert guard.response_headers({"origin": origin}) == (("vary", "Origin"),)


def test_what_is_no_preflight_goes_its_way() -> None:
    guard = guard_of(APP)
    assert guard.preflight("OPTIONS", {"origin": APP}) is None
    assert guard.preflight("OPTIONS", asked(None)) is None
    assert guard.preflight("POST", asked(APP)) is None
    assert Guard(AccessSpec()).preflight("OPTIONS", asked(APP)) is None


def test_answers_have_the_headers_that_their_page_needs() -> None:
    guard = guard_of(APP, credentials=True, expose=["retry-after"])
    assert dict(guard.response_headers({"origin": APP})) == {
        "access-control-allow-origin": APP,
        "access-control-allow-credentials": "true",
        "access-control-expose-headers": "retry-after",
        "vary": "Origin",
    }
    assert guard.response_headers({}) == (("vary", "Origin"),)
    assert Guard(AccessSpec()).response_headers({"origin": APP}) == ()


def test_every_page_where_said_and_never_with_credentials() -> None:
    guard = guard_of("*")
    answer = guard.preflight("OPTIONS", asked(EVIL))
    assert answer is not None
    found = dict(guard.response_headers({"origin": EVIL}))
    assert found["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in found
    assert "vary" not in found
    assert guard.response_headers({}) == ()
    with pytest.raises(ValidationError, match="name the origins"):
        guard_of("*", credentials=True)


@pytest.mark.parametrize(
    "origin",
    ["app.example", "https://app.example/", "https://*.example", "null", "https://a b", "https://", "x\r\ny"],
)
def test_what_is_no_origin_is_refused_in_the_project_file(origin: str) -> None:
    with pytest.raises(ValidationError, match="is not an origin"):
        guard_of(origin)


def test_a_header_that_would_break_the_answer_is_refused_in_the_project_file() -> None:
    with pytest.raises(ValidationError, match="not the name of a header"):
        guard_of(APP, expose=["x\r\nset-cookie"])
