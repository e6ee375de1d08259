"""Bytes of a gRPC message to the message, with a refusal for what is none."""

from __future__ import annotations

from typing import Any

from bessemer.serve import protos
from bessemer.serve.errors import RequestError


def parse_message(name: str, body: bytes) -> Any:
    """A message of `serve.protos` from its bytes.

    Raises:
        RequestError: 400 when they are not such a message.

    >>> parse_message("org.pytorch.serve.grpc.inference.PredictionsRequest", b"\\n\\x05churn").model_name
    'churn'
    """
    from google.protobuf.message import DecodeError

    try:
        return protos.message(name).FromString(body)
    except (DecodeError, UnicodeDecodeError):
        raise RequestError(400, f"the message is no {name.rpartition('.')[2]}") from None
