"""Writing a package: the whole of it or nothing, and read back before anyone else sees it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bessemer._version import __version__
from bessemer.core.errors import UsageError
from bessemer.core.store import replacing
from bessemer.package import keys
from bessemer.package.container import FIRST, pack
from bessemer.package.manifest import Manifest, describe
from bessemer.package.read import PackageContents, read_package

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def write_package(
    out: Path,
    members: Mapping[str, bytes | Path],
    *,
    name: str,
    version: str,
    created: str,
    task: str,
    target: str,
    key: Ed25519PrivateKey | None = None,
) -> PackageContents:
    """Write, sign and read back a package.

    Args:
        out: the file; it appears only when it is complete and has passed every check of `read_package`.
        members: what goes in, except the manifest and its signature: bytes, or files that hold them.
        created: UTC, ISO 8601; it and the signature are all that differs between two packages of the same
            members.
        key: who signs; by default this user's key.

    Returns:
        the package as it reads.

    Raises:
        PackageError: the members do not make a package that can be read.
        StoreError: disk full or read-only.
    """
    for reserved in FIRST:
        if reserved in members:
            raise UsageError(f"'{reserved}' is written by Bessemer", fix="leave it out of the members")
    key = key or keys.signing_key()
    content = {n: c if isinstance(c, bytes) else c.read_bytes() for n, c in members.items()}
    manifest = Manifest(name, version, created, __version__, task, target, describe(content)).to_bytes()
    content["manifest.json"] = manifest
    content["manifest.sig"] = keys.sign(key, manifest)
    with replacing(out) as temporary:
        with temporary.open("wb") as f:
            for piece in pack(content):
                f.write(piece)
        return read_package(temporary, trust=[keys.public_of(key)])
