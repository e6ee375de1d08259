"""What the dialects of gRPC share: messages as answers, refusals, deadlines."""

from __future__ import annotations

import re
from typing import Any

from bessemer.serve.errors import RequestError
from bessemer.serve.protos import message
from bessemer.serve.wire import Request, Response

PROTOBUF = "application/grpc"
_UNITS = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}


def reply(name: str, /, **fields: Any) -> Response:
    """A message as an answer; dictionaries and lists stand for messages inside it."""
    return sent(message(name)(**fields))


def sent(made: Any) -> Response:
    """A message that is made, as an answer."""
    return Response(200, made.SerializeToString(), PROTOBUF)


def refusal(error: RequestError) -> Response:
    """An error as the transport takes it: the body is the message of the status."""
    return Response(error.status, error.line.encode(), PROTOBUF, error.headers)


def seconds_left(request: Request) -> float | None:
    """What is left of a call's deadline, in seconds; None where it has none.

    >>> seconds_left(Request("GRPC", "/p.S/M", headers={"grpc-timeout": "250m"}))
    0.25
    """
    found = re.fullmatch(r"(\d{1,12})([HMSmun])", request.headers.get("grpc-timeout", ""))
    return int(found[1]) * _UNITS[found[2]] if found else None


def sooner(one: float | None, other: float | None) -> float | None:
    """The lesser of two times of which either may be absent.

    >>> sooner(None, 2.0), sooner(1.0, 2.0)
    (2.0, 1.0)
    """
    return other if one is None else one if other is None else min(one, other)
