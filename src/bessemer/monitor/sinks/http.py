"""What sinks that speak HTTP share: their address, their headers, and what an answer means."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from bessemer.core.errors import UsageError
from bessemer.core.exchange import Answer, ExchangeError, exchange
from bessemer.core.redaction import remember
from bessemer.core.secrets import secret
from bessemer.monitor.sinks.settings import SinkFault, SinkSettings, Variable

#: What is refused for what it says, and would be refused again.
_FOR_GOOD = frozenset({400, 413, 415, 422})
_SAID = 200  # characters of an answer that are shown


def _address(text: str) -> str:
    parts = urlsplit(text)
    plain = text.isascii() and text.isprintable() and " " not in text
    if parts.scheme not in ("http", "https") or not parts.hostname or not plain:
        raise ValueError(f"{text!r} is not an address: write https://host/path")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a password in a URL ends up in logs: put the header with it in `headers_env`")
    return text


Address = Annotated[str, AfterValidator(_address)]


class HttpSettings(SinkSettings):
    """An address, which may be a secret itself."""

    url: Address | None = Field(None, description="Where it is.")
    url_env: Variable | None = Field(
        None, description="The environment variable with its address, where whoever knows it may write there."
    )
    headers_env: Variable | None = Field(
        None, description="The environment variable with headers that it wants, as `name=value,name=value`."
    )

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        if (self.url is None) == (self.url_env is None):
            raise ValueError("give `url` or `url_env`")
        return self


def address_of(settings: HttpSettings) -> str:
    """The address, from the settings or from the environment.

    Raises:
        UsageError: the variable is not set, or has no address.
    """
    if settings.url is not None:
        return settings.url
    assert settings.url_env is not None
    found = secret(settings.url_env, "an address")
    try:
        return _address(found)
    except ValueError:
        # the value is not shown: it may be a secret
        raise UsageError(
            f"the environment variable {settings.url_env} has no address",
            fix=f"export {settings.url_env}=https://...",
        ) from None


def headers_of(variable: str | None) -> dict[str, str]:
    """Headers from an environment variable.

    Raises:
        UsageError: it is not set, or has no headers.
    """
    if variable is None:
        return {}
    headers = {}
    for part in secret(variable, "headers").split(","):
        name, equals, value = part.partition("=")
        if not equals or not name.strip() or not value.strip().isprintable():
            raise UsageError(
                f"the environment variable {variable} has no headers",
                fix=f"export {variable}=name=value,name=value",
            )
        headers[name.strip()] = remember(value.strip())
    return headers


def post(url: str, value: Any, *, timeout: float, headers: Mapping[str, str] | None = None) -> Answer:
    """Post a JSON value, or bytes as they are, and give the answer if it says that it was taken.

    Raises:
        SinkFault: it was not.
    """
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    all_headers = {"content-type": "application/json", **(headers or {})}
    host = urlsplit(url).hostname  # the rest of an address may be a secret
    try:
        answer = exchange(url, method="POST", headers=all_headers, body=body, timeout=timeout)
    except ExchangeError as error:
        raise SinkFault(f"{host} was not reached: {error}") from None
    if 200 <= answer.status < 300:
        return answer
    raise SinkFault(
        f"{host} answered {answer.status}",
        why=answer.body[:_SAID].decode("utf-8", "replace"),
        permanent=answer.status in _FOR_GOOD,
        after=_after(answer),
    )


def _after(answer: Answer) -> float:
    """What `Retry-After` asks for, in seconds; at most an hour."""
    text = answer.headers.get("retry-after", "").strip()
    return min(3600.0, float(text)) if text.isdecimal() else 0.0
