"""A file of another library in, a signed package out."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bessemer.core.signature import Signature
from bessemer.importers.models.assemble import members_of
from bessemer.importers.models.foreign import Asked
from bessemer.importers.models.formats import read
from bessemer.importers.models.trees import reading
from bessemer.package.write import write_package


@dataclass(frozen=True)
class Made:
    """A package that was made of a model.

    title: of the form that it came in. size: of the package in bytes. threshold: see `Foreign`.
    """

    path: Path
    title: str
    signature: Signature
    notes: tuple[str, ...]
    size: int
    threshold: float


@dataclass(frozen=True)
class Ready:
    """A model that was read, as the members of a package that nobody has written yet."""

    title: str
    signature: Signature
    notes: tuple[str, ...]
    members: Mapping[str, bytes]
    name: str
    version: str
    threshold: float

    def write(self, out: Path) -> Made:
        """Write the package, signed with this user's key.

        Raises:
            StoreError: disk full or read-only.
        """
        package = write_package(
            out,
            self.members,
            name=self.name,
            version=self.version,
            created=dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            task=self.signature.task,
            target=self.signature.target,
        )
        return Made(out, self.title, self.signature, self.notes, package.size, self.threshold)


def ready_of(
    file: Path, *, name: str, version: str = "1", target: str = "target", asked: Asked | None = None
) -> Ready:
    """Read the model in a file; nothing is written.

    Raises:
        FormatError: the file is refused, damaged, or holds what has no counterpart.
        UsageError: no model, or what was asked for does not fit it.
        PackageError: the graph does not say what the model says.
    """
    kind, data, foreign = read(file, asked or Asked())
    with reading(f"model ({kind.TITLE})"):
        signature, members = members_of(
            foreign, title=kind.TITLE, data=data, name=name, version=version, target=target
        )
    return Ready(kind.TITLE, signature, foreign.notes, members, name, version, foreign.threshold)


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
    return ready_of(file, name=name, version=version, target=target, asked=asked).write(out)
