"""Forms of HTTP: multipart/form-data (RFC 7578) and application/x-www-form-urlencoded, to named parts."""

from __future__ import annotations

from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser
from urllib.parse import parse_qsl

from bessemer.serve.errors import RequestError
from bessemer.serve.wire import JSON, Request

_MOST_PARTS = 256
_MOST_HEAD = 8 * 1024
_URLENCODED = "application/x-www-form-urlencoded"
_MULTIPART = "multipart/form-data"


@dataclass(frozen=True)
class Part:
    """One field of a form: its bytes, its content type where it says one, and whether it was sent as a file."""

    body: bytes
    content_type: str = ""
    is_file: bool = False


def is_form(request: Request) -> bool:
    """Whether the body is a form, by its content type."""
    given = request.headers.get("content-type", JSON)
    return given != JSON and given.partition(";")[0].strip().lower() in (_URLENCODED, _MULTIPART)


def read_form(request: Request) -> dict[str, Part]:
    """The fields of a form by name; of a name that stands twice, the last.

    Raises:
        RequestError: 400 when the body is not what its content type says, 413 when it has more than 256 fields.

    >>> headers = {"content-type": "application/x-www-form-urlencoded"}
    >>> read_form(Request("POST", "/", headers=headers, body=b"data=%5B8%5D"))["data"].body
    b'[8]'
    """
    given = request.headers.get("content-type", "")
    if given.partition(";")[0].strip().lower() == _URLENCODED:
        return _urlencoded(request.body)
    message = Message()
    message["content-type"] = given
    boundary = message.get_boundary()
    if not boundary:
        raise RequestError(400, "the content type multipart/form-data names no boundary")
    return _multipart(request.body, boundary.encode("latin-1", "replace"))


def _urlencoded(body: bytes) -> dict[str, Part]:
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_PARTS
        )
    except ValueError as error:
        raise RequestError(400, f"the body is not a form: {error}") from None
    return {name: Part(value.encode("utf-8")) for name, value in pairs}


def _multipart(body: bytes, boundary: bytes) -> dict[str, Part]:
    # every boundary but the first has a line end before it that is no part of what it ends
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary, _MOST_PARTS + 2)
    if len(pieces) > _MOST_PARTS + 2:
        raise RequestError(413, f"the form has more than {_MOST_PARTS} fields")
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise RequestError(400, "the form does not end with its boundary")
    found: dict[str, Part] = {}
    for piece in pieces[1:-1]:
        name, part = _part(piece)
        found[name] = part
    return found


def _part(piece: bytes) -> tuple[str, Part]:
    """The name and content of what stands between two boundaries."""
    head, blank, content = piece.lstrip(b" \t").partition(b"\r\n\r\n")
    if not blank or not head.startswith(b"\r\n") or len(head) > _MOST_HEAD:
        raise RequestError(400, "a field of the form has no headers, or too long ones")
    try:
        headers = HeaderParser().parsestr(head[2:].decode("utf-8"))
    except UnicodeDecodeError:
        raise RequestError(400, "the headers of a field of the form are not UTF-8") from None
    name = headers.get_param("name", header="content-disposition")
    if not isinstance(name, str):
        raise RequestError(400, "a field of the form has no name")
    is_file = headers.get_param("filename", header="content-disposition") is not None
    kind = headers.get_content_type() if "content-type" in headers else ""
    return name, Part(content, kind, is_file)
