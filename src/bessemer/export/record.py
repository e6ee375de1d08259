"""`EXPORT.json`: what stands in a folder that was exported, what from, and how it was proven."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bessemer._version import __version__
from bessemer.core import canonical
from bessemer.core.store import file_digest, write_atomic
from bessemer.export.proof import Proof
from bessemer.package.model import Model

NAME = "EXPORT.json"
FORMAT = 1


def write_record(
    out: Path, target: str, settings: dict[str, Any], model: Model, proof: Proof
) -> dict[str, Any]:
    """Write the record of a folder that is complete.

    Returns:
        what stands in it.
    """
    told = {
        "format": FORMAT,
        "target": target,
        "settings": settings,
        "package": {
            "name": model.name,
            "version": model.version,
            "manifest_sha256": model.manifest.digest,
        },
        "bessemer": __version__,
        "proof": proof.to_json(),
        "files": {path.relative_to(out).as_posix(): _file(path) for path in files_of(out)},
    }
    write_atomic(out / NAME, canonical.dump_bytes(told, indent=2) + b"\n")
    return told


def files_of(out: Path) -> list[Path]:
    """The files of a folder but its record, in the order of their names."""
    return sorted(path for path in out.rglob("*") if path.is_file() and path.name != NAME)


def _file(path: Path) -> dict[str, Any]:
    digest, size = file_digest(path)
    return {"sha256": digest, "bytes": size}
