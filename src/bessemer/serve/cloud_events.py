"""CloudEvents 1.0 over HTTP, as KServe's server takes and gives them.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md, and
kserve/protocol/dataplane.py of KServe 0.21.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote
from uuid import uuid4

from bessemer.serve.errors import RequestError
from bessemer.serve.wire import JSON, Request, Response, parse_json, to_json

EVENTS = "application/cloudevents+json"
_REQUIRED = ("specversion", "source", "type", "id")
_OWN = frozenset({*_REQUIRED, "time", "datacontenttype", "data", "data_base64"})


@dataclass(frozen=True)
class Event:
    """An event that came in: its attributes, its data as JSON bytes, and whether it came in binary mode."""

    attributes: Mapping[str, str]
    data: bytes
    binary: bool


def is_binary(headers: Mapping[str, str]) -> bool:
    """Whether the headers of a request make it an event in binary mode."""
    return "ce-id" in headers and all(f"ce-{name}" in headers for name in _REQUIRED)


def read_event(request: Request) -> Event | None:
    """The event in a request; None where there is none.

    Raises:
        RequestError: 400 for an event in structured mode that lacks an attribute or data.
    """
    headers = request.headers
    if is_binary(headers):
        given = {name[3:]: unquote(text) for name, text in headers.items() if name.startswith("ce-")}
        return Event(given, request.body, binary=True)
    if headers.get("content-type", "").partition(";")[0].strip().lower() != EVENTS:
        return None
    body = parse_json(request.body)
    absent = [name for name in _REQUIRED if not isinstance(body, dict) or not isinstance(body.get(name), str)]
    if absent:
        raise RequestError(400, f"Cloud Event Exceptions: the event has no {', '.join(absent)}")
    attributes = {
        name: text
        for name, text in body.items()
        if isinstance(text, str) and name not in ("data", "data_base64")
    }
    return Event(attributes, _data(body), binary=False)


def looks_like_event(body: Any) -> bool:
    """Whether JSON that is not said to be an event is one, as KServe sees it."""
    return isinstance(body, dict) and {*_REQUIRED, "time", "data"} <= body.keys()


def _data(body: Mapping[str, Any]) -> bytes:
    if "data" in body:
        return to_json(body["data"])
    try:
        return base64.b64decode(body.get("data_base64", ""), validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise RequestError(400, "Cloud Event Exceptions: data_base64 is not base64") from None


class Replies:
    """Turns answers into events. CE_TYPE, CE_SOURCE and CE_MERGE of the environment are read once, as KServe has them.

    With CE_MERGE the answer keeps the attributes of the request that are not its own.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._type = environment.get("CE_TYPE", "io.kserve.inference.response")
        self._source = environment.get("CE_SOURCE", "")
        self._merge = environment.get("CE_MERGE", "").lower() == "true"

    def reply(self, event: Event, model: str, response: Response) -> Response:
        """The event that answers an event, in the same mode."""
        about = {
            "specversion": "1.0",
            "id": str(uuid4()),
            "source": self._source or f"io.kserve.inference.{model}",
            "type": self._type,
            "time": dt.datetime.now(dt.UTC).isoformat(),
        }
        if self._merge:
            about |= {name: text for name, text in event.attributes.items() if name not in _OWN}
        if event.binary:
            headers = tuple((f"ce-{name}", quote(text, safe=_SAFE)) for name, text in about.items())
            return Response(response.status, response.body, JSON, (*response.headers, *headers))
        body = to_json(about)[:-1] + b',"data":%b}' % response.body
        return Response(response.status, body, EVENTS, response.headers)


#: What stands as it is in a header: printable ASCII without the quote and the percent sign (section 3.1.3.2).
_SAFE = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')
