"""`EXPORT.json`: what stands in a folder that was exported, what from, and how it was proven."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
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
    out: Path,
    target: str,
    settings: dict[str, Any],
    model: Model,
    proof: Proof,
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    """Write the record of a folder that is complete.

    Args:
        notes: what the artefact lacks, in sentences.

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
        **({"notes": list(notes)} if notes else {}),
        "files": {path.relative_to(out).as_posix(): _file(path) for path in files_of(out)},
    }
    write_atomic(out / NAME, canonical.dump_bytes(told, indent=2) + b"\n")
    return told


def read_record(out: Path) -> dict[str, Any] | None:
    """The record of a folder; None where there is none, or it is something else of that name."""
    try:
        told = json.loads((out / NAME).read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    ours = isinstance(told, dict) and told.get("format") == FORMAT and isinstance(told.get("files"), dict)
    return told if ours else None


def strangers(out: Path, record: Mapping[str, Any]) -> list[str]:
    """The files of a folder that are not as its record lists them, by name; what Python compiled does not count."""
    listed = record["files"]
    return [
        name
        for path in sorted(out.rglob("*"))
        if (name := path.relative_to(out).as_posix()) != NAME
        and not (path.is_dir() and not path.is_symlink())
        and not (path.suffix == ".pyc" and path.parent.name == "__pycache__")
        and (path.is_symlink() or not path.is_file() or listed.get(name) != _file(path))
    ]


def files_of(out: Path) -> list[Path]:
    """The files of a folder but its record, in the order of their names."""
    return sorted(path for path in out.rglob("*") if path.is_file() and path.name != NAME)


def _file(path: Path) -> dict[str, Any]:
    digest, size = file_digest(path)
    return {"sha256": digest, "bytes": size}
