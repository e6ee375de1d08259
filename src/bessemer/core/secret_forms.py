"""The texts in which a secret may turn up: as it is, quoted for a URL, escaped, in base64, and its parts."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterator
from urllib.parse import quote, quote_plus, unquote, unquote_plus

#: Shorter pieces of base64 stand in other texts by chance.
_SHORTEST_BASE64 = 8
#: Lines of a key that a client may show alone.
_SHORTEST_LINE = 16
#: Parts of an address that are not words.
_SHORTEST_PART, _LONG_PART = 8, 20
_PASSWORD_IN_URL = re.compile(r"://[^:/@\s]*:([^/\s]*)@")
#: `host=h password=p`, `Server=h;Pwd=p`, `https://h/?token=t`, `authorization=Bearer t,x-api-key=k`.
_NAMED = re.compile(
    r"(?i)(?:pass(?:word|wd|phrase)|pwd|secret|token|sig(?:nature)?|key|authorization|cookie)"
    r"\s*=\s*(?:(?:bearer|basic|apikey|token)(?:\s|%20)+)?('[^']*'|\"[^\"]*\"|[^\s;&,]+)"
)
_NAMES_IN_JSON = re.compile(r"(?i).*(?:private_key|secret|token|password)")


def forms(secret: str) -> set[str]:
    r"""Every text that stands for the secret, the longest of which should be looked for first.

    >>> {"p@ss word", "p%40ss%20word", "p%40ss+word"} <= forms("p@ss word")
    True
    >>> "hunter2-x" in forms("postgres://me:hunter2-x@host/db")
    True
    """
    found: set[str] = set()
    for text in {secret, secret.strip(), *_parts(secret)}:
        for plain in {text, unquote(text), unquote_plus(text)}:
            found |= {*_written(plain), *_base64(plain)}
    return found - {""}


def passwords_in(url: str) -> list[str]:
    """The passwords of the URLs in a text, as they are written there.

    >>> passwords_in("postgres://me:p%40ss@host/db")
    ['p%40ss']
    """
    return _PASSWORD_IN_URL.findall(url)


def _parts(secret: str) -> Iterator[str]:
    """The secrets inside one: the password of a URL or of a connection string, the key of a service account."""
    yield from passwords_in(secret)
    if secret.startswith(("http://", "https://")):
        yield from _in_address(secret)
    if "=" in secret:
        yield from (value.strip("'\"") for value in _NAMED.findall(secret))
    if "\n" in secret.strip():
        yield from (
            line for line in secret.split("\n") if len(line) >= _SHORTEST_LINE and "-----" not in line
        )
    if secret.lstrip().startswith("{"):
        yield from _in_json(secret)


def _in_address(url: str) -> Iterator[str]:
    """An address may be a secret itself: what follows the host, and the parts of it that look like keys."""
    _, _, after = url.partition("://")[2].partition("/")
    if len(after) >= _SHORTEST_LINE:
        yield after
    for part in re.split(r"[/?&=#;]", after):
        if len(part) >= _LONG_PART or (len(part) >= _SHORTEST_PART and re.search(r"\d", part)):
            yield part


def _in_json(text: str) -> Iterator[str]:
    try:
        value = json.loads(text)
    except ValueError:
        return
    for name, inner in value.items():
        if isinstance(inner, str) and _NAMES_IN_JSON.fullmatch(name) and not inner.startswith("http"):
            yield inner
            yield from (
                line for line in inner.split("\n") if len(line) >= _SHORTEST_LINE and "-----" not in line
            )


def _written(text: str) -> set[str]:
    escaped = json.dumps(text)[1:-1]
    quoted = {quote(text), quote(text, safe=""), quote_plus(text)}
    lower = {re.sub("%[0-9A-F]{2}", lambda code: code[0].lower(), each) for each in quoted}
    readable = json.dumps(text, ensure_ascii=False)[1:-1]
    shown = {text, escaped, readable, json.dumps(escaped)[1:-1], html.escape(text)}
    of_python = {repr(text)[1:-1], repr(text.encode("utf-8", "surrogatepass"))[2:-1]}
    # which quotes are escaped depends on the text around it
    bare = {each.replace("\\'", "'") for each in of_python}
    return shown | quoted | lower | bare | {each.replace("'", "\\'") for each in bare}


def _base64(text: str) -> Iterator[str]:
    """What base64 has of it wherever it stands in what is encoded: as in `user:password` of basic authentication."""
    data = text.encode("utf-8", "surrogatepass")
    for before in range(3):
        whole = base64.b64encode(bytes(before) + data).decode("ascii")
        # characters that depend on nothing but the secret: six bits each
        piece = whole[-(-8 * before // 6) : 8 * (before + len(data)) // 6]
        if len(piece) >= _SHORTEST_BASE64:
            yield piece
            yield piece.replace("+", "-").replace("/", "_")
