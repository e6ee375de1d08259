"""Secrets that stand in a project file, where everybody reads them who reads the code."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bessemer.core.errors import Fault
from bessemer.core.redaction import CREDENTIAL_NAME, remember
from bessemer.core.yaml_lines import Document

_REFERENCE = re.compile(r"\$\{\w+\}")
#: What RFC 3986 has no place for in a password is left out, so that regular expressions in SQL are none.
_IN_URL = re.compile(r"://[^:/@\s'\"\[\]\\]*:([^/\s'\"\[\]\\]+)@")
#: `?password=...` of a URL; `host=h password=p` and `Server=h;Pwd=p` of a connection string.
_PARAMETER = re.compile(rf"(?i)[?&;\s]({CREDENTIAL_NAME})\s*=\s*([^&;#\s'\"]+)")
_CONNECTION = re.compile(r"(?i)://|\b(?:host|server|dbname|accountname|data source)\s*=")
_STATEMENT = re.compile(r"(?i)^\s*(?:select|with|from|--|/\*)\b|\bselect\b.*\bfrom\b", re.DOTALL)

#: Where credentials go. What other sections have as keys are mostly names of columns, and a column may be called so.
_SECTIONS = ("acquire", "monitor", "serve", "track", "retrain", "store")
_NAME = re.compile(rf"(?i)(?!max_|min_)(?:{CREDENTIAL_NAME}|(?:proxy[_-]?)?authorization|cookie)")
#: Settings whose keys are names of columns, or whose values are names of variables.
_OTHER_NAMES = re.compile(r"(?i)columns?|types|dtypes|schema|rename|fields|cast|expect|rules|.*_env")
#: What such a setting may also say: which of a platform's own mechanisms is to be used, or where a key's file is.
_MECHANISMS = frozenset(
    {"anon", "anonymous", "auto", "browser", "cache", "cloud", "default", "google_default"}
)
_FILE = re.compile(r".*\.(?:pem|key|p8|p12|pfx|crt|json|ya?ml|txt)")
_SCHEME = re.compile(r"(?i)\s*(?:basic|bearer|apikey|token)\s")
#: What writers of examples put in the place of a password.
_EXAMPLE = re.compile(r"(?i)[*.x]+|<.*>|password|passwd|pw|pass|secret|\.\.\.")

#: What the secrets of well-known services look like.
_SHAPES = {
    "an access key of AWS": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "a token of GitHub": r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,})",
    "a token of GitLab": r"\bglpat-[A-Za-z0-9_-]{20,}",
    "a token of Slack": r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}|hooks\.slack\.com/services/T\w+/B\w+/\w{16,}",
    "a token of Hugging Face": r"\bhf_[A-Za-z0-9]{30,}",
    "a key of Google": r"\bAIza[A-Za-z0-9_-]{35}",
    "a token of Databricks": r"\bdapi[0-9a-f]{32}",
    "a key of Stripe": r"\b(?:sk|rk)_live_[A-Za-z0-9]{16,}",
    "a key of Azure": r"AccountKey=[A-Za-z0-9+/]{40,}={0,2}",
    "a private key": r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----",
    "a token (JWT)": r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}",
    "a signed URL": r"(?i)[?&]X-(?:Amz|Goog)-Signature=[0-9a-f]{32,}",
}


@dataclass(frozen=True)
class _Found:
    """A secret, what it is, and how to do without it."""

    what: str
    secret: str
    fix: str


def literal_secrets(document: Document, text: str) -> list[Fault]:
    """A fault for each secret in a project file, with its line. From then on no message shows any of them.

    Args:
        document: the file as it was parsed.
        text: the file itself, in whose comments passwords may stand too.
    """
    lines = text.splitlines()
    faults, seen = [], set()
    for path, found in _in_values(document.value, ()):
        where = ".".join(path)
        remember(found.secret)
        seen.add(found.secret)
        faults.append(Fault(where, _line(document.line(where), lines, found.secret), found.what, found.fix))
    for number, line in enumerate(lines, 1):
        _, mark, comment = line.partition("#")
        for found in _in_text(comment, "NAME") if mark else ():
            if found.secret not in seen and not _EXAMPLE.fullmatch(found.secret):
                remember(found.secret)
                faults.append(Fault("", number, f"{found.what}, in a comment", "take it out"))
    return faults


def _line(first: int | None, lines: list[str], secret: str) -> int | None:
    """The line of the secret itself in a text of several lines."""
    head = secret.splitlines()[0]
    return next((n for n in range(first or 1, len(lines) + 1) if head in lines[n - 1]), first)


def _in_values(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], _Found]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _in_values(inner, (*path, str(key)))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _in_values(inner, (*path, str(number)))
    elif (named := _named(value, path)) is not None:
        yield path, named
    elif isinstance(value, str):
        name = re.sub(r"\W+", "_", path[-1]).upper() if path and not path[-1].isdigit() else "NAME"
        yield from ((path, found) for found in _in_text(value, name))


def _named(value: Any, path: tuple[str, ...]) -> _Found | None:
    """The value of a setting that is called as a secret is."""
    if not path or path[0] not in _SECTIONS or not _NAME.fullmatch(path[-1]):
        return None
    if any(_OTHER_NAMES.fullmatch(above) for above in path[:-1]) or isinstance(value, bool) or value is None:
        return None
    text = str(value).strip()
    rest = _REFERENCE.sub("", _SCHEME.sub("", f" {text}", count=1)).strip()
    if not rest or text.lower() in _MECHANISMS or _FILE.fullmatch(text) or not re.search(r"\w", rest):
        return None
    key, name = path[-1], re.sub(r"\W+", "_", path[-1]).upper()
    before = scheme[0].lstrip() if (scheme := _SCHEME.match(f" {text}")) else ""
    fix = f"take it from the environment: `{key}: {before}${{{name}}}`, or `{key}_env: {name}` where there is one"
    return _Found(
        f"'{key}' has its value in the project file", text[len(before) :], f"{fix}; export {name}=..."
    )


def _in_text(text: str, name: str) -> Iterator[_Found]:
    """Passwords in URLs and connection strings, and what looks like the token of a known service."""
    fix = f"write ${{{name}}} in its place, and export {name}=..."
    whole = ""
    for what, shape in _SHAPES.items():
        for match in re.finditer(shape, text):
            whole += match[0]
            secret = text[match.start() :].strip() if what == "a private key" else match[0]
            yield _Found(f"{what} stands in the project file", secret, fix)
    for password in _IN_URL.findall(text):
        if _REFERENCE.sub("", password):
            yield _Found("a password in a URL", password, _with("PASSWORD", "scheme://me:{}@host"))
    if _CONNECTION.search(text) and not _STATEMENT.search(text):
        for key, given in _PARAMETER.findall(text):
            if _REFERENCE.sub("", given) and given not in whole:
                yield _Found(f"'{key}' has its value in the project file", given, _with(key, f"{key}={{}}"))


def _with(name: str, example: str) -> str:
    variable = re.sub(r"\W+", "_", name).upper()
    written = example.replace("{}", f"${{{variable}}}")
    return f"take it from the environment: `{written}`; export {variable}=..."
