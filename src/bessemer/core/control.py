"""Asking a running server to change what it serves, with the key of an administrator."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from typing import Any

from bessemer.core.errors import BessemerError, EnvironmentFault, UsageError
from bessemer.core.redaction import remember

#: A package is loaded and warmed before the answer, in seconds.
_PATIENCE = 600.0


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """The key is for this server, not for where it might send us."""

    def redirect_request(self, *_: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirects)


def ask(server: str, key_env: str, method: str, path: str, body: Any = None) -> dict[str, Any]:
    """What the server says.

    Raises:
        UsageError: the server refuses; EnvironmentFault: it does not answer.
    """
    if not server.startswith(("http://", "https://")):
        raise UsageError(f"'{server}' is no address of a server", fix="write it as http://HOST:PORT")
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(server.rstrip("/") + path, data=data, method=method)  # noqa: S310 - http only
    request.add_header("content-type", "application/json")
    if key := os.environ.get(key_env):
        request.add_header("authorization", f"Bearer {remember(key)}")
    try:
        with _OPENER.open(request, timeout=_PATIENCE) as answer:
            found: dict[str, Any] = json.load(answer)
            return found
    except urllib.error.HTTPError as error:
        raise _refused(error, key_env) from None
    except (OSError, ValueError) as error:
        raise EnvironmentFault(
            f"the server at {server} does not answer",
            why=str(error),
            fix="bessemer serve PACKAGE, or --server URL",
        ) from None


def _refused(error: urllib.error.HTTPError, key_env: str) -> BessemerError:
    try:
        told = json.load(error)["error"]
    except (ValueError, KeyError, TypeError):
        told = {}
    if isinstance(told, str):
        told = {"message": told}
    fix = told.get("fix", "")
    if error.code in (401, 403):
        fix = f"set {key_env} to a key with the scope admin: bessemer access add NAME --scope admin"
    return UsageError(
        told.get("message") or f"the server says {error.code}", why=told.get("why", ""), fix=fix
    )
