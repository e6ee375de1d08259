"""Who signs packages and whom we trust.

    keys/signing.key    this user's Ed25519 key (PKCS 8 PEM, mode 0600), made on first use
    keys/signing.pub    its public part; give it to those who load your packages
    trusted/*.pub       public keys of others that are trusted here

under the user's config folder, or the folder BESSEMER_CONFIG_DIR names. BESSEMER_SIGNING_KEY is the path of
a key to sign with instead, for build machines. Ed25519 is RFC 8032.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bessemer.core.errors import SignatureError, UsageError
from bessemer.core.store import explained, write_atomic

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PUBLIC_BYTES, SIGNATURE_BYTES = 32, 64


def config_folder() -> Path:
    """The folder of keys: BESSEMER_CONFIG_DIR, else the user's config folder."""
    if named := os.environ.get("BESSEMER_CONFIG_DIR"):
        return Path(named)
    import platformdirs

    return Path(platformdirs.user_config_dir("bessemer"))


def key_id(public: bytes) -> str:
    """A short name of a public key: the first 16 hex digits of its SHA-256.

    >>> key_id(bytes(32))
    '66687aadf862bd77'
    """
    return hashlib.sha256(public).hexdigest()[:16]


def _signing_path() -> Path:
    named = os.environ.get("BESSEMER_SIGNING_KEY")
    return Path(named) if named else config_folder() / "keys" / "signing.key"


def public_of(key: Ed25519PrivateKey) -> bytes:
    """The 32 bytes of a private key's public part."""
    return key.public_key().public_bytes_raw()


def signing_key() -> Ed25519PrivateKey:
    """The key this user signs with; it is made if there is none.

    Raises:
        UsageError: the file is not an unencrypted Ed25519 key, or the one BESSEMER_SIGNING_KEY names is missing.
        StoreError: the config folder cannot be written.
    """
    path = _signing_path()
    if not path.exists():
        if os.environ.get("BESSEMER_SIGNING_KEY"):
            raise UsageError(
                f"BESSEMER_SIGNING_KEY names '{path}', which does not exist",
                fix="write the key there, or unset the variable to use this user's own key",
            )
        _make(path)
    return _read_private(path)


def existing_key_id() -> str:
    """The id of the key that would sign, or 'none' where the first use has yet to make it."""
    path = _signing_path()
    return key_id(public_of(_read_private(path))) if path.exists() else "none"


def _read_private(path: Path) -> Ed25519PrivateKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        with explained("reading", path):
            key = load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise UsageError(
            f"'{path}' is not a private key",
            why=str(error),
            fix="delete it to have a new one made; packages signed with the old one need its public key trusted",
        ) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError(f"'{path}' is a key of another kind", fix="openssl genpkey -algorithm ed25519")
    return key


def _make(path: Path) -> None:
    """Make a key. Of two runs that do so at once, the one that comes second uses the key of the first."""
    from cryptography.hazmat.primitives import serialization as s
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption())
    write_secret(path, pem)
    write_atomic(path.with_suffix(".pub"), public_pem(public_of(_read_private(path))))


def write_secret(path: Path, content: bytes) -> None:
    """Write a file that only this user may read, whole or not at all. One that is there already stays as it is.

    Raises:
        StoreError: the folder cannot be written.
    """
    with explained("making a key in", path.parent):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fd, name = tempfile.mkstemp(dir=path.parent, prefix=".part-")  # mkstemp gives mode 0600
        try:
            with os.fdopen(fd, "wb") as f:
                f.write(content)
                f.flush()
                os.fsync(f.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(name, path)
        finally:
            Path(name).unlink()


def public_pem(public: bytes) -> bytes:
    """A public key as PEM text (SubjectPublicKeyInfo)."""
    from cryptography.hazmat.primitives import serialization as s
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    key = Ed25519PublicKey.from_public_bytes(public)
    return key.public_bytes(s.Encoding.PEM, s.PublicFormat.SubjectPublicKeyInfo)


def read_public(path: str | Path) -> bytes:
    """The 32 bytes of the Ed25519 public key in a PEM file.

    Raises:
        UsageError: no such file, or it holds something else.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(Path(path).read_bytes())
    except OSError as error:
        raise UsageError(f"cannot read the public key '{path}'", why=error.strerror or str(error)) from None
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise UsageError(
            f"'{path}' is not an Ed25519 public key in PEM form",
            fix="ask the signer for keys/signing.pub of their Bessemer config folder",
        )
    return key.public_bytes_raw()


def trusted_keys() -> tuple[bytes, ...]:
    """The public keys packages may be signed with: this user's own and those in trusted/."""
    own = _signing_path()
    mine = [public_of(_read_private(own))] if own.exists() else []
    folder = config_folder() / "trusted"
    others = sorted(folder.glob("*.pub")) if folder.is_dir() else []
    return tuple(dict.fromkeys([*mine, *(read_public(path) for path in others)]))


def trust_key(path: str | Path) -> Path:
    """Trust a public key from now on; gives the file it was kept in.

    Raises:
        UsageError: the file is not a public key.
    """
    public = read_public(path)
    kept = config_folder() / "trusted" / f"{key_id(public)}.pub"
    write_atomic(kept, public_pem(public))
    return kept


def sign(key: Ed25519PrivateKey, message: bytes) -> bytes:
    """The 96 bytes of manifest.sig: public key, then signature. Nothing in them needs parsing."""
    return public_of(key) + key.sign(message)


def check_signature(signed: bytes, message: bytes) -> bytes:
    """The public key that signed the message.

    Raises:
        SignatureError: the signature is not by the key beside it, over these bytes.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    public = signed[:PUBLIC_BYTES]
    try:
        if len(signed) != PUBLIC_BYTES + SIGNATURE_BYTES:
            raise InvalidSignature
        Ed25519PublicKey.from_public_bytes(public).verify(signed[PUBLIC_BYTES:], message)
    except (InvalidSignature, ValueError):
        raise SignatureError(
            "the signature of the package is wrong",
            why="the manifest, or the signature, is not what was signed",
            fix="get the package again from where it was made",
        ) from None
    return public
