"""The key of answers that carry a mark: a file of random bytes that the one who serves keeps."""

from __future__ import annotations

from pathlib import Path

from bessemer.core.errors import UsageError

#: Bytes of a key, at least.
SHORTEST = 16


def mark_key(path: Path) -> bytes:
    """The key of the marks.

    Raises:
        UsageError: the file cannot be read, or the key is too short.
    """
    try:
        key = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"cannot read the key of the marks '{path}'",
            why=error.strerror or "",
            fix=f"head -c 32 /dev/urandom > {path}",
        ) from None
    if len(key) < SHORTEST:
        raise UsageError(
            f"the key of the marks '{path}' has {len(key)} bytes",
            fix=f"it has {SHORTEST} at least: head -c 32 /dev/urandom > {path}",
        )
    return key
