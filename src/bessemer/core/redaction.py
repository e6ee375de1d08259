"""Secrets that were read from the environment are taken out of everything that is shown or written down.

A client may put a password into the text of its error. Whoever reads a secret says so here, once, and every error of
Bessemer, note, record and log line is made without it, also where it is quoted for a URL, escaped or in base64.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Mapping
from typing import Any

SHOWN = "***"
#: Shorter texts stand in too many words to be taken out of them.
_SHORTEST = 4
#: Shorter ones may be a part of a word.
_LONG = 8
#: Words that stand in the environment and in every text.
_WORDS = frozenset(
    {"true", "false", "none", "null", "localhost", "127.0.0.1", "default", "disabled", "anonymous"}
)

#: How a setting, a parameter or a variable is named that has a secret.
CREDENTIAL_NAME = (
    r"(?:(?:[\w.-]*[._-])?(?:pass(?:word|wd|phrase|code)|pwd|secret|token|sig(?:nature)?|credentials?)"
    r"|(?:[\w.-]*[._-])?(?:api|access|account|private|secret)[._-]?key)"
)
#: The password of a URL, up to the last @ before the path: it may hold one.
_IN_URL = re.compile(r"(://[^:/@\s]*):[^/\s]*@")
_NAMED = re.compile(r":\$\{\w+\}@$")
_PARAMETER = re.compile(rf"(?i)([?&;]{CREDENTIAL_NAME}=)(?!\$\{{\w+\}})[^&;#\s'\"]+")
_HEADER = re.compile(
    r"(?i)(\bauthorization\\?['\"]?\s*+[:=,]\s*+b?+\\?+['\"]?+(?:[a-z]+ ++)?+)(?!\$\{\w+\}|\S*\.\.\.)[^\s'\"\\,;]+"
)
_VARIABLE = re.compile(
    r"(?i).*(?:PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|API_?KEY|ACCESS_KEY|SECRET_KEY|ACCOUNT_KEY|PRIVATE_KEY"
    r"|STORAGE_KEY|CONNECTION_STRING|_PWD)"  # PWD alone is a folder
)

#: The texts that stand for each secret.
_secrets: dict[str, frozenset[str]] = {}
_pattern: re.Pattern[str] | None = None
_lock = threading.RLock()


def remember(value: str) -> str:
    """Note a secret; gives it back. From the first one on, logs and warnings of this process are without them."""
    global _pattern
    if len(value) >= _SHORTEST and value.lower() not in _WORDS and value not in _secrets:
        # most processes have no secrets, and every error imports this module
        from bessemer.core.redacted_output import install
        from bessemer.core.secret_forms import forms

        with _lock:
            own = frozenset(form for form in forms(value) if len(form) >= _SHORTEST)
            shown = own.union(*_secrets.values())
            _pattern = re.compile("|".join(map(_found, sorted(shown, key=lambda form: (-len(form), form)))))
            _secrets[value] = own  # last: from here on another thread takes it as known
            install()
    return value


def _found(form: str) -> str:
    """Where it is looked for: short ones stand in many words, and are taken out as words alone."""
    return re.escape(form) if len(form) >= _LONG else rf"(?<![^\W_]){re.escape(form)}(?![^\W_])"


def remember_environment() -> None:
    """Note the variables whose names say that they are secrets: platforms' own clients read these by themselves.

    `AWS_SECRET_ACCESS_KEY`, `PGPASSWORD` and `HF_TOKEN` are such names. The path of a file that is there is no secret,
    nor is a short word, which would be taken out of every message. Of an address, as `HTTPS_PROXY` or `DATABASE_URL`
    have one, the password is noted.
    """
    for name, value in os.environ.items():
        if "://" in value and "@" in value:
            from bessemer.core.secret_forms import passwords_in

            for password in passwords_in(value):
                if len(password) >= _LONG or not password.isalpha():
                    remember(password)
        if _VARIABLE.fullmatch(name) and len(value) >= _LONG and not _is_path(value):
            remember(value)


def _is_path(value: str) -> bool:
    """Whether it names a file or a folder that is there; a key may begin as a path does, and be as long as no path."""
    return value.startswith(("/", "./", "~")) and os.path.exists(os.path.expanduser(value))  # noqa: PTH110, PTH111


def hidden(text: str) -> str:
    """The text without the secrets that were read, and without passwords in URLs and headers.

    >>> remember("correct-horse") and hidden("login of me:correct-horse failed")
    'login of me:*** failed'
    >>> hidden("postgres://me:secret@host/db")
    'postgres://me:***@host/db'
    >>> hidden("GET /a with Authorization: Basic bWU6cHc=")
    'GET /a with Authorization: Basic ***'
    """
    if _pattern is not None:
        text = _pattern.sub(SHOWN, text)
    if "://" in text:
        text = _PARAMETER.sub(rf"\1{SHOWN}", _IN_URL.sub(_kept, text))
    return _HEADER.sub(rf"\1{SHOWN}", text)


def hidden_in(value: Any) -> Any:
    """Plain data with `hidden` on every text in it; keys, numbers and whatever else it holds stay.

    >>> hidden_in({"urls": ["postgres://me:secret@host/db"], "rows": 3})
    {'urls': ['postgres://me:***@host/db'], 'rows': 3}
    """
    if isinstance(value, str):
        return hidden(value)
    if isinstance(value, Mapping):
        return {key: hidden_in(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        found = [hidden_in(inner) for inner in value]
        return found if isinstance(value, list) else tuple(found)
    return value


def _kept(match: re.Match[str]) -> str:
    """The name of a variable in a fault or a fix is no secret."""
    return match[0] if _NAMED.search(match[0]) else f"{match[1]}:{SHOWN}@"


def without_password(url: str) -> str:
    """The URL as it may be shown.

    >>> without_password("postgres://me:p:s@s@host/db")
    'postgres://me:***@host/db'
    >>> without_password("https://host/a.csv?sig=abc&x=1")
    'https://host/a.csv?sig=***&x=1'
    """
    if "://" not in url:
        return url
    return _PARAMETER.sub(rf"\1{SHOWN}", _IN_URL.sub(rf"\1:{SHOWN}@", url))
