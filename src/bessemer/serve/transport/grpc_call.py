"""What a gRPC call has in common with a request: its metadata, its peer, the meaning of a status."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

import grpc

from bessemer.serve.wire import Response

Metadata = tuple[tuple[str, str], ...]

#: The code for each status of HTTP (see google.rpc.Code); what is not here is INTERNAL.
_CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    405: grpc.StatusCode.UNIMPLEMENTED,
    408: grpc.StatusCode.DEADLINE_EXCEEDED,
    409: grpc.StatusCode.ALREADY_EXISTS,
    412: grpc.StatusCode.FAILED_PRECONDITION,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    415: grpc.StatusCode.INVALID_ARGUMENT,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    499: grpc.StatusCode.CANCELLED,
    501: grpc.StatusCode.UNIMPLEMENTED,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
    507: grpc.StatusCode.RESOURCE_EXHAUSTED,
}
#: A message stands in a header: clients refuse headers of more than 8 KB, and a character may become nine.
_MOST_CHARACTERS = 800


def code_of(status: int) -> grpc.StatusCode:
    """The gRPC code of an HTTP status.

    >>> code_of(404), code_of(500)
    (<StatusCode.NOT_FOUND: (5, 'not found')>, <StatusCode.INTERNAL: (13, 'internal')>)
    """
    return _CODES.get(status, grpc.StatusCode.INTERNAL)


def details_of(response: Response) -> str:
    """The message of a refusal, cut where it is too long for a header.

    >>> details_of(Response(400, b"the request has 1 fault"))
    'the request has 1 fault'
    """
    text = response.body.decode("utf-8", "replace")
    return text if len(text) <= _MOST_CHARACTERS else text[: _MOST_CHARACTERS - 1] + "…"


def headers_of(metadata: Iterable[tuple[str, Any]]) -> dict[str, str]:
    """A call's metadata as headers; what is given twice is joined, what is binary is left out.

    >>> headers_of((("a", "1"), ("trace-bin", b"x"), ("a", "2")))
    {'a': '1, 2'}
    """
    found: dict[str, str] = {}
    for key, value in metadata:
        if isinstance(value, str):
            found[key] = f"{found[key]}, {value}" if key in found else value
    return found


@lru_cache(maxsize=1024)
def address_of(peer: str) -> str:
    """The address in what gRPC says of a peer; '' where it has none (a Unix socket).

    >>> address_of("ipv4:127.0.0.1:50112"), address_of("ipv6:%5B::1%5D:50112"), address_of("unix:")
    ('127.0.0.1', '::1', '')
    """
    kind, _, rest = peer.partition(":")
    if kind not in ("ipv4", "ipv6"):
        return ""
    return unquote(rest).rpartition(":")[0].strip("[]")


def certificate_of(shown: Mapping[str, Sequence[bytes]] | None) -> str:
    """The name in a client's certificate that gRPC has verified: as `guards.tls.peer_name`; '' without one.

    >>> certificate_of({"x509_common_name": [b"shop.example"]})
    'shop.example'
    """
    for kind in ("x509_common_name", "x509_subject_alternative_name"):
        for name in (shown or {}).get(kind, ()):
            if name:
                return name.decode("utf-8", "replace")
    return ""
