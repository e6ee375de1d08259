"""A file of another library in, a signed package out."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

from bessemer.core.signature import Signature
from bessemer.importers.models.assemble import members_of
from bessemer.importers.models.foreign import Asked
from bessemer.importers.models.formats import read
from bessemer.package.write import write_package


@dataclass(frozen=True)
class Made:
    """A package that was made of a model. title: of the form that it came in. size: of the package in bytes."""

    path: Path
    title: str
    signature: Signature
    notes: tuple[str, ...]
    size: int


def package_of(
    file: Path,
    out: Path,
    *,
    name: str,
    version: str = "1",
    target: str = "target",
    asked: Asked | None = None,
) -> Made:
    """Read the model in a file and write it as a package, signed with this user's key.

    Raises:
        FormatError: the file is refused, damaged, or holds what has no counterpart.
        UsageError: no model, or what was asked for does not fit it.
        PackageError: the graph does not say what the model says.
        StoreError: disk full or read-only.
    """
    kind, data, foreign = read(file, asked or Asked())
    signature, members = members_of(
        foreign, title=kind.TITLE, data=data, name=name, version=version, target=target
    )
    package = write_package(
        out,
        members,
        name=name,
        version=version,
        created=dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        task=signature.task,
        target=target,
    )
    return Made(out, kind.TITLE, signature, foreign.notes, package.size)
