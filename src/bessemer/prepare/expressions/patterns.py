"""Constant text patterns, as the full-match RE2 expressions that the graph runs.

DuckDB and onnxruntime both match with RE2, so a pattern means the same in both; LIKE and the plain searches are
spelled out as such patterns.
"""

from __future__ import annotations

import re

from bessemer.prepare.expressions.tree import Refusal

#: The functions of (text, constant) that are patterns; LIKE is the operator.
KINDS = ("starts_with", "ends_with", "contains", "regexp_matches", "regexp_full_match")

_ANY = "(?s:.*)"


def checked(kind: str, text: str) -> str:
    """The pattern, once it is known to be accepted.

    Raises:
        Refusal: it is empty, or not a regular expression RE2 takes.
    """
    if not text:
        raise Refusal(f"{kind} needs a pattern; an empty text is NULL here")
    if kind.startswith("regexp"):
        _check_regular(text)
    return text


def _check_regular(text: str) -> None:
    if re.search(r"\\[QC]", text):
        raise Refusal(
            f"the pattern '{text}' has \\Q or \\C, which are not accepted", "escape signs one by one: \\."
        )
    import duckdb

    try:
        with duckdb.connect() as connection:  # not the default one: that is the caller's
            connection.execute("SELECT regexp_full_match('', ?)", [text]).fetchall()
    except duckdb.Error as error:
        raise Refusal(
            f"the pattern '{text}' is not a regular expression: {str(error).splitlines()[0]}"
        ) from None


def escape(text: str) -> str:
    r"""The pattern that matches a text literally.

    >>> escape("a.b é")
    'a\\.b é'
    """
    return re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", text)


def like(pattern: str, escaped_by: str) -> str:
    """The RE2 pattern of a LIKE pattern: % is any text, _ any one character.

    >>> like("10\\\\%_%", "\\\\")
    '(?s)10%..*'

    Raises:
        Refusal: the escape character is the last one, or escapes nothing.
    """
    parts, signs = ["(?s)"], iter(pattern)
    for sign in signs:
        if escaped_by and sign == escaped_by:
            following = next(signs, "")
            if following not in {"%", "_", escaped_by} or not following:
                raise Refusal(f"in LIKE '{pattern}' the escape character must stand before %, _ or itself")
            parts.append(escape(following))
        else:
            parts.append({"%": ".*", "_": "."}.get(sign) or escape(sign))
    return "".join(parts)


def full_match(kind: str, text: str, escaped_by: str = "") -> str:
    """The RE2 pattern that the whole text must match.

    >>> full_match("contains", "a.b")
    '(?s:.*)a\\\\.b(?s:.*)'
    """
    if kind == "like":
        return like(text, escaped_by)
    if kind.startswith("regexp"):
        return f"(?:{text})" if kind == "regexp_full_match" else f"{_ANY}(?:{text}){_ANY}"
    head = "" if kind == "starts_with" else _ANY
    tail = "" if kind == "ends_with" else _ANY
    return f"{head}{escape(text)}{tail}"
