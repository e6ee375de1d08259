"""Signed packages of the tiny model, and the key that signed them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bessemer.package import keys
from bessemer.package.write import write_package
from bessemer.testing.models import tiny_members

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = keys.public_of(KEY)


def write_tiny(path: Path, *, name: str = "tiny", version: str = "1.0.0", task: Any = "binary") -> Path:
    """Write a package of the tiny model of a task."""
    write_package(
        path,
        tiny_members(task),
        name=name,
        version=version,
        created="2026-01-01T00:00:00Z",
        task=task,
        target="churned",
        key=KEY,
    )
    return path


def write_public(path: Path) -> Path:
    """Write the public key, for those who must trust it."""
    path.write_bytes(keys.public_pem(PUBLIC))
    return path
