"""What goes wrong with an Elasticsearch, in the words of whoever must mend it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bessemer.core.errors import EnvironmentFault

_LONGEST = 400


class ElasticFault(EnvironmentFault):
    """A request that was not answered. status: 0 where no answer came. kind: Elasticsearch's own name for it, or ''.

    passes: whether the same may work later.
    """

    def __init__(self, why: str, fix: str = "", status: int = 0, kind: str = "") -> None:
        super().__init__(f"Elasticsearch: {why}", fix=fix)
        self.said, self.status, self.kind = why, status, kind

    @property
    def passes(self) -> bool:
        return self.status in (0, 401, 403, 408, 429) or self.status >= 500


@contextmanager
def explained() -> Iterator[None]:
    """Turns every error of the client into an `ElasticFault`."""
    from elasticsearch import ApiError, SerializationError, TransportError, UnsupportedProductError

    try:
        yield
    except UnsupportedProductError as error:
        raise ElasticFault(str(error), "give the address of an Elasticsearch") from None
    except ApiError as error:
        raise of_answer(int(error.meta.status), error.body, str(error.message)) from None
    except (TransportError, SerializationError) as error:
        raise ElasticFault(
            _short(f"{type(error).__name__}: {error.message}"), "check its address and that it runs"
        ) from None


def of_answer(status: int, body: Any, message: str = "") -> ElasticFault:
    """What an answer that refuses says.

    >>> print(of_answer(401, {"error": {"type": "security_exception", "reason": "unable to authenticate"}}))
    Elasticsearch: unable to authenticate
      fix: check the API key, or the user and the password
    """
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return ElasticFault(
            _short(str(error or message or f"status {status}")), _fix(status, message), status, message
        )
    kind, reason = str(error.get("type", "")), str(error.get("reason", ""))
    cause = error.get("caused_by") or next(iter(error.get("root_cause") or ()), None) or {}
    deeper = str(cause.get("reason", "")) if isinstance(cause, dict) else ""
    text = f"{reason}: {deeper}" if deeper and deeper not in reason else reason
    return ElasticFault(_short(text or kind), _fix(status, kind), status, kind)


def _fix(status: int, kind: str) -> str:
    if kind == "media_type_header_exception":
        return "install the client of the server's version, as `pip install 'elasticsearch<9'` for 8.x"
    return {
        401: "check the API key, or the user and the password",
        403: "give the user or the API key the rights: see docs/elastic.md",
        413: "let the server take longer requests: `http.max_content_length`",
    }.get(status, "")


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
