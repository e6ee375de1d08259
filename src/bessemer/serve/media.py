"""Media types: what a request's body is, and in which form it wants its answer (RFC 9110, 8.3 and 12.5.1)."""

from __future__ import annotations

from collections.abc import Sequence

from bessemer.serve.errors import RequestError, shown
from bessemer.serve.wire import Request

CSV = "text/csv"
JSON_LINES = "application/jsonlines"
NPY = "application/x-npy"
NPZ = "application/x-npz"
RECORDIO = "application/x-recordio-protobuf"
PARQUET = "application/vnd.apache.parquet"

_MOST_RANGES = 32


def media_type(request: Request) -> tuple[str, dict[str, str]]:
    """The content type of a request in lower case, '' where it names none, and its parameters.

    >>> media_type(Request("POST", "/", headers={"content-type": "Text/CSV; label_size=0"}))
    ('text/csv', {'label_size': '0'})
    """
    kind, *rest = request.headers.get("content-type", "").split(";")
    pairs = (part.partition("=") for part in rest if part.strip())
    parameters = {name.strip().lower(): value.strip(' "') for name, _, value in pairs}
    return kind.strip().lower(), parameters


def check_charset(parameters: dict[str, str]) -> None:
    """Refuse (415) a body that says it is not UTF-8."""
    charset = parameters.get("charset", "utf-8").lower()
    if charset not in ("utf-8", "utf8", "us-ascii"):
        raise RequestError(415, f"the charset {shown(charset)} is not UTF-8", fix="send UTF-8")


def negotiate(accept: str, offered: Sequence[str], default: str) -> str:
    """Which of the offered types answers an Accept header; the default where any will do.

    Raises:
        RequestError: 406 when it accepts none of them.

    >>> negotiate("text/html, text/*;q=0.5, application/json;q=0", ["application/json", "text/csv"], "application/json")
    'text/csv'
    """
    if not accept or accept == "*/*":
        return default
    ranges = [_range(text) for text in accept.split(",", _MOST_RANGES)[:_MOST_RANGES]]
    for _, wanted in sorted((each for each in ranges if each[0] > 0), key=lambda each: -each[0]):
        for kind in (default, *offered):
            if kind in offered and wanted in (kind, "*/*", kind.partition("/")[0] + "/*"):
                return kind
    raise RequestError(406, f"the answer cannot be {shown(accept)}", fix="accept " + ", ".join(offered))


def _range(text: str) -> tuple[float, str]:
    """The quality and the type of one range of an Accept header."""
    kind, *parameters = text.split(";")
    quality = 1.0
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                quality = float(value)
            except ValueError:
                quality = 0.0
    return quality, kind.strip().lower()
