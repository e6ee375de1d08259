"""The key of the owner of models: 32 random bytes in the user's config folder, or in the environment, nowhere else.

    owner/owner.key   the key, 64 hex digits, mode 0600

BESSEMER_OWNER_KEY has the 64 digits instead, for build machines. Who has the key can claim every model that was marked
with it; who loses it can claim none of them.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from pathlib import Path

from bessemer.core.errors import UsageError
from bessemer.core.redaction import remember
from bessemer.core.store import explained
from bessemer.package.keys import config_folder, write_secret

VARIABLE = "BESSEMER_OWNER_KEY"
_BYTES = 32


def owner_folder() -> Path:
    """Where the key is kept, and what its disputes have shown."""
    return config_folder() / "owner"


def key_path() -> Path:
    return owner_folder() / "owner.key"


def owner_id(key: bytes) -> str:
    """The public name of a key: a hash that does not tell it, 64 hex digits.

    >>> owner_id(bytes(32))[:16]
    '71a5a4725634379c'
    """
    return hashlib.sha256(b"bessemer owner\n" + key).hexdigest()


def make_key() -> str:
    """Make this user's key; gives its id.

    Raises:
        UsageError: there is one, here or in the environment.
        StoreError: the config folder cannot be written.
    """
    path = key_path()
    if os.environ.get(VARIABLE, "").strip():
        raise UsageError(
            f"{VARIABLE} is set, and its key comes before the one that would be made",
            why="models would still be marked with the key of the variable",
            fix=f"unset {VARIABLE}, and run this again; or keep to the key that it has",
        )
    if path.exists():
        raise UsageError(
            f"there is an owner key: {path}",
            why="without it no model that was marked with it can be claimed any more",
            fix="keep it; to begin anew all the same, move the file to a safe place first",
        )
    write_secret(path, secrets.token_hex(_BYTES).encode() + b"\n")
    return owner_id(_kept(path))


def owner_key() -> bytes:
    """The key: of the environment, else of the config folder.

    Raises:
        UsageError: there is none, or it is not 64 hex digits.
    """
    if text := os.environ.get(VARIABLE, "").strip():
        return _parsed(text, f"the environment variable {VARIABLE}")
    path = key_path()
    if not path.exists():
        raise UsageError(
            "there is no owner key to mark models with, or to claim them by",
            fix=f"bessemer watermark keygen, or export {VARIABLE}=...",
        )
    return _kept(path)


def existing_owner_id() -> str:
    """The id of the key, or 'none'; what the cache of the stage goes by."""
    return owner_id(owner_key()) if os.environ.get(VARIABLE, "").strip() or key_path().exists() else "none"


def _kept(path: Path) -> bytes:
    with explained("reading", path):
        return _parsed(path.read_text(encoding="ascii", errors="replace").strip(), f"'{path}'")


def _parsed(text: str, where: str) -> bytes:
    if not re.fullmatch(r"[0-9a-fA-F]{64}", text):
        raise UsageError(
            f"{where} is not an owner key",
            why="it is not 64 hex digits",
            fix="bessemer watermark keygen makes one",
        )
    return bytes.fromhex(remember(text))
