"""The secret that noise follows from: this user's alone, beside the signing keys, and in no artifact.

    keys/noise.secret    32 bytes, mode 0600, made on first use

under the user's config folder (`package.keys.config_folder`).
"""

from __future__ import annotations

import secrets
from typing import Any

from bessemer.core import canonical
from bessemer.core.errors import UsageError
from bessemer.core.store import explained
from bessemer.package.keys import config_folder, write_secret

_BYTES = 32


def user_secret() -> bytes:
    """This user's 32 bytes; they are made where there are none.

    Raises:
        UsageError: the file holds something else.
        StoreError: the config folder cannot be read or written.
    """
    path = config_folder() / "keys" / "noise.secret"
    if not path.exists():
        write_secret(path, secrets.token_bytes(_BYTES))
    with explained("reading", path):
        content = path.read_bytes()
    if len(content) != _BYTES:
        raise UsageError(
            f"'{path}' has {len(content)} bytes and not {_BYTES}: it is not the secret that noise follows from",
            fix="put back the one that was there, or delete it to have a new one made; noise is then another",
        )
    return content


def run_secret(run: Any) -> int:
    """256 bits for one training (HKDF with SHA-256; RFC 5869): the same for the same run and user, known to no other.

    run: all that training depends on, as plain JSON. What two runs differ in has to be in it: with the same noise on
    both, their difference would show what noise hides.
    """
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    info = canonical.dump_bytes(run)
    return int.from_bytes(HKDF(SHA256(), _BYTES, salt=b"bessemer/private", info=info).derive(user_secret()))
