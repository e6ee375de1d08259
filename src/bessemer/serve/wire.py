"""What stands between the transport and the dialects: a request, a response, the batch in the middle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from bessemer.serve.errors import RequestError

if TYPE_CHECKING:
    import numpy as np

JSON = "application/json"
BINARY = "application/octet-stream"


@dataclass(slots=True)
class Request:
    """One HTTP request, read whole. `path` is percent-decoded; the names of headers are lowercase."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(slots=True)
class Response:
    """One HTTP response; the transport adds Content-Length, Date and Connection."""

    status: int = 200
    body: bytes = b""
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class Batch:
    """What a dialect read from a request.

    rows: how many; feeds: for each input an array (rows, 1) of its tensor type.
    explain: whether the answer has contributions.
    context: what the dialect's `encode` must know of the request (its id, the outputs asked for).
    """

    rows: int
    feeds: dict[str, np.ndarray[Any, Any]]
    explain: bool = False
    context: Any = None


@dataclass(slots=True)
class Predictions:
    """What the model says about a batch.

    outputs: the graph's outputs by name: `prediction` (N,), `probability` (N, K), `score` (N, K').
    base, contributions: when explained, float64 (N,) and, for each group of features, float64 (N,): what they
        add to the raw score (of the predicted class where there are several). base + their sum = `explained`.
    """

    outputs: Mapping[str, np.ndarray[Any, Any]]
    base: np.ndarray[Any, Any] | None = None
    explained: np.ndarray[Any, Any] | None = None
    contributions: Mapping[str, np.ndarray[Any, Any]] = field(default_factory=dict)


def to_json(value: Any) -> bytes:
    """JSON bytes; numpy arrays and scalars are taken, float32 in its own shortest digits, NaN as null.

    >>> import numpy as np
    >>> to_json({"p": np.float32(0.1)})
    b'{"p":0.1}'
    """
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)


def json_response(value: Any, status: int = 200) -> Response:
    return Response(status, to_json(value))


def read_json(request: Request) -> Any:
    """The request's body as JSON.

    Raises:
        RequestError: 415 when the content type says it is something else, 400 when it is not valid JSON.
    """
    kind, _, parameters = request.headers.get("content-type", JSON).partition(";")
    kind = kind.strip().lower()
    if kind != JSON and not kind.endswith("+json"):
        raise RequestError(
            415, f"the content type '{kind}' is not JSON", fix=f"send the header 'content-type: {JSON}'"
        )
    charset = parameters.lower().partition("charset=")[2].strip(' "')
    if charset not in ("", "utf-8", "utf8"):
        raise RequestError(415, f"the charset '{charset}' is not UTF-8", fix="send UTF-8")
    return parse_json(request.body)


def parse_json(body: bytes | memoryview) -> Any:
    """JSON (RFC 8259) to values; NaN, Infinity and text that is not UTF-8 are refused with 400."""
    if not body:
        raise RequestError(400, "the request has no body", fix="send a JSON body")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        fix = "send null for a missing value" if b"NaN" in bytes(body) else ""
        raise RequestError(400, f"the body is not valid JSON: {error}", fix=fix) from None
