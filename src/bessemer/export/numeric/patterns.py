r"""RE2's patterns as Python (with re.ASCII) and JavaScript (with the flag u) both read them.

The graph matches with RE2. Another engine that takes such a pattern may mean other texts by it: `\s` has a vertical tab
in Python and all of Unicode's spaces in JavaScript, and `[[:digit:]]` is a class of punctuation there.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from bessemer.export.numeric.refusal import UncarriedError

#: RE2's `\s`, and its classes of POSIX, as what stands in brackets.
_SPACE = r"\t\n\f\r "
_POSIX = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "blank": r"\t ",
    "digit": "0-9",
    "lower": "a-z",
    "space": r"\t\n\v\f\r ",
    "upper": "A-Z",
    "word": r"0-9A-Z_a-z",
    "xdigit": "0-9A-Fa-f",
}
#: The ends of a text; Python's `$` is before a last line end too.
_ENDS = {r"\A": "^", "$": r"(?![\s\S])", r"\z": r"(?![\s\S])"}
#: Escapes that mean the same everywhere; signs besides.
_SAME = frozenset("dDwWnrtfv")
#: Signs that JavaScript takes an escape of.
_SIGNS = frozenset("\\.+*?()|[]{}^$/")
#: What these languages' classes give, or once will give, another sense: `--`, `&&`, `~~`, `||`.
_DOUBLED = re.compile(r"(--|&&|~~|\|\|)")
_TOKEN = re.compile(
    r"""\(\?s:|\(\?s\)|\(\?:|\(\?.?  # groups: of these alone `(?s...` and `(?:` are read on
    |\[\^?\]?(?:\\.|\[:\^?\w+:\]|[^\]\\])*\]  # a class
    |\{\d+(?:,\d*)?\}\??  # a repetition
    |\\.|.""",
    re.VERBOSE | re.DOTALL,
)
_IN_CLASS = re.compile(r"\[:(\^?)(\w+):\]|\\(.)|(.)", re.DOTALL)


def common_pattern(pattern: str) -> str:
    r"""A pattern that matches the same whole texts there as it does in RE2.

    Raises:
        UncarriedError: it has what they read otherwise: flags but `s`, `\p`, `\b`, names of groups.

    >>> common_pattern(r"(?s:.*)a.b\s(?:[[:digit:]]+)\z")
    '[\\s\\S]*a[^\\n]b[\\t\\n\\f\\r ](?:[0-9]+)(?![\\s\\S])'
    """
    tokens = _TOKEN.findall(pattern)
    depths: list[bool] = []  # of each open group: whether dots match line ends in it
    lines = False
    found: list[str] = []
    for token in tokens:
        if token == "(?s)":  # noqa: S105
            if found:
                raise _otherwise(pattern)
            lines = True
            continue
        if token.startswith("("):
            if token not in ("(", "(?:", "(?s:"):
                raise _otherwise(pattern)
            depths.append(lines)
            lines = lines or token == "(?s:"  # noqa: S105
            token = "(?:"  # noqa: S105 -- nothing is captured
        elif token == ")":  # noqa: S105
            lines = depths.pop()
        elif token == ".":  # noqa: S105
            token = r"[\s\S]" if lines else r"[^\n]"
        else:
            token = _common(token, pattern)
        found.append(token)
    return "".join(found).replace(r"(?:[\s\S]*)", r"[\s\S]*")


def _common(token: str, pattern: str) -> str:
    if token in _ENDS:
        return _ENDS[token]
    if token.startswith("[") and len(token) > 1:
        return _class(token, pattern)
    if token.startswith("\\"):
        return _escape(token[1], pattern, lambda negated: f"[{'^' * negated}{_SPACE}]")
    if token in ("{", "}", "[", "]"):
        raise _otherwise(pattern)
    return token


def _escape(letter: str, pattern: str, space: Callable[[bool], str]) -> str:
    if letter in _SAME or letter in _SIGNS:
        return f"\\{letter}"
    if letter in "sS":
        return space(letter == "S")
    if letter.isalnum() or not letter.isascii():
        raise _otherwise(pattern)
    return letter


def _class(token: str, pattern: str) -> str:
    """What stands in brackets, without brackets inside."""
    negated, inside = token[1] == "^", token[1:-1].removeprefix("^")
    if _DOUBLED.search(inside):
        raise _otherwise(pattern)
    return f"[{'^' * negated}{''.join(_member(m, pattern) for m in _IN_CLASS.finditer(inside))}]"


def _member(found: re.Match[str], pattern: str) -> str:
    other, name, escaped, plain = found.groups()
    if name is not None:
        if other or name not in _POSIX:
            raise _otherwise(pattern)
        return _POSIX[name]
    if escaped is not None:
        if escaped == "S":
            raise _otherwise(pattern)
        return r"\-" if escaped == "-" else _escape(escaped, pattern, lambda negated: _SPACE)
    return f"\\{plain}" if plain in _SIGNS else plain


def _otherwise(pattern: str) -> UncarriedError:
    return UncarriedError(f"other languages read its pattern '{pattern}' otherwise")
