"""`data: FILE`, the short way to say where the data is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bessemer.core.errors import Fault, ProjectError


def expand(value: dict[str, Any], folder: Path | None = None) -> list[Fault]:
    """Turn `data: FILE` into the source it stands for; `folder` is the one of the project file."""
    from bessemer.acquire.sources import source_from_path

    path = value.get("data")
    if path is None:
        if "acquire" not in value:
            return [
                Fault(
                    "",
                    None,
                    "nothing says where the data is",
                    "add `data: FILE`, or `acquire: {sources: ...}`",
                )
            ]
        return []
    acquire = value.setdefault("acquire", {})
    if not isinstance(path, str) or not isinstance(acquire, dict):
        return []  # the types themselves are reported by the schema
    if "sources" in acquire:
        return [
            Fault("data", None, "both `data` and `acquire.sources` say where the data is", "keep one of them")
        ]
    try:
        acquire["sources"] = {"data": source_from_path(path, folder)}
    except ProjectError as error:
        return list(error.faults)
    return []
