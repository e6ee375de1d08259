"""Where an Elasticsearch is, who asks, and a client for it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError, model_validator

from bessemer.core.errors import MissingExtra, UsageError
from bessemer.core.secrets import secret
from bessemer.core.spec import Spec

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


def _address(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{text!r} is not an address: write https://host:9200")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a password in a URL ends up in logs: use `username` and `password_env`")
    return text.rstrip("/")


ElasticUrl = Annotated[str, AfterValidator(_address)]
#: How names of indices, templates and files begin: nothing that leads out of a folder.
Prefix = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.]*$", max_length=100)]


def check_prefix(prefix: str) -> str:
    """The prefix, where it is one.

    Raises:
        UsageError: it is none.

    >>> check_prefix("bessemer")
    'bessemer'
    """
    try:
        return TypeAdapter(Prefix).validate_python(prefix)
    except ValidationError:
        raise UsageError(
            f"{prefix!r} is no prefix",
            why="indices, templates and files are named by it",
            fix="small letters, digits, '_' and '.', beginning with a letter or a digit; at most 100",
        ) from None


class ElasticLogin(Spec):
    """How to log in. Secrets stand in environment variables.

    >>> ElasticLogin(api_key_env="ELASTIC_API_KEY").api_key_env
    'ELASTIC_API_KEY'
    """

    api_key_env: Variable | None = Field(
        None, description="The environment variable with an API key, in the encoded form."
    )
    username: str | None = Field(None, min_length=1, description="Or a user's name.")
    password_env: Variable | None = Field(
        None, description="The environment variable with that user's password."
    )
    ca: str | None = Field(
        None,
        min_length=1,
        description="A file with the certificates to trust, in PEM, where the system has others.",
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.username is None) != (self.password_env is None):
            raise ValueError("`username` and `password_env` go together")
        if self.username is not None and self.api_key_env is not None:
            raise ValueError("give `api_key_env`, or `username` and `password_env`")
        return self


class ElasticIndices(ElasticLogin):
    """Where documents go.

    >>> ElasticIndices(url="https://es:9200/").url
    'https://es:9200'
    """

    url: ElasticUrl = Field(description="The server, as https://host:9200.")
    prefix: Prefix = Field("bessemer", description="How the names of indices and templates begin.")


def connect(url: str, login: ElasticLogin, timeout: float, retries: int = 2) -> Elasticsearch:
    """A client; nothing is asked yet.

    Args:
        timeout: seconds that one request may take.
        retries: how often a request is made again that got no answer.

    Raises:
        MissingExtra: the client is not installed.
        UsageError: a variable is not set, or the file with certificates is not there.
    """
    try:
        from elasticsearch import Elasticsearch
    except ModuleNotFoundError:
        raise MissingExtra("elasticsearch", "elasticsearch", "elastic") from None
    # what it says of each attempt that failed is said by whoever asked, once
    logging.getLogger("elastic_transport").setLevel(logging.ERROR)
    more = credentials(login)
    if login.ca and url.startswith("https:"):
        more["ca_certs"] = login.ca
    return Elasticsearch(url, request_timeout=timeout, max_retries=retries, retry_on_timeout=False, **more)


def credentials(login: ElasticLogin) -> dict[str, Any]:
    """What is shown to the server, from the environment.

    Raises:
        UsageError: a variable is not set, or the file with certificates is not there.
    """
    if login.ca and not Path(login.ca).is_file():
        raise UsageError(f"no file '{login.ca}'", why="`ca` names it", fix="check the path")
    if login.api_key_env:
        return {"api_key": secret(login.api_key_env, "an API key of Elasticsearch")}
    if login.username and login.password_env:
        return {"basic_auth": (login.username, secret(login.password_env, "a password of Elasticsearch"))}
    return {}
