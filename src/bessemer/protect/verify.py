"""Whose a model is: the keys of a certificate, put to a suspect."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.core.errors import PackageError, UsageError
from bessemer.package.certificate import MEMBER, Certificate, Verdict
from bessemer.package.read import read_package
from bessemer.protect.evidence import check_evidence, evidence_of
from bessemer.protect.marks import open_mark, shown, take_block
from bessemer.protect.suspects.suspect import Door, Marked, open_suspect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bessemer.protect.suspects.suspect import Row

#: A file of evidence is read up to this size.
_MOST_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Release:
    """A signed package with a certificate: what a claim stands on.

    signer: the id of the key that signed it. created: when, as the signer said.
    """

    own: Marked
    name: str
    version: str
    created: str
    signer: str

    @property
    def certificate(self) -> Certificate:
        return self.own.certificate


def open_release(package: str | Path, key: str | Path | None = None) -> Release:
    """The package of a marked model, whose signature has to be trusted.

    Raises:
        PackageError: it is refused, or has no certificate.
    """
    from bessemer.package.keys import key_id

    contents = read_package(package, key=key)
    if MEMBER not in contents:
        raise PackageError(
            f"'{package}' has no certificate, so nothing can be claimed by it",
            why="a claim takes a commitment that was signed before the model was released",
            fix="set `protect: {mark: crossover}` in the project file and run `bessemer watermark embed`",
        )
    own = Marked(
        Certificate.from_json(contents.json(MEMBER)), contents.signature, contents.bytes("model.onnx")
    )
    manifest = contents.manifest
    return Release(own, manifest.name, manifest.version, manifest.created, key_id(contents.public_key))


def verify_by_owner(
    release: Release, suspect: str, door: Door | None = None
) -> tuple[Verdict, dict[str, Any]]:
    """The verdict over all keys that no dispute has shown, or over all where all were shown.

    Raises:
        UsageError: the keys are not kept here, the owner's key is another one, or the suspect cannot be asked.
    """
    mark, before = open_mark(release.certificate), shown(release.certificate)
    places = np.arange(release.certificate.keys)
    fresh = places[~np.isin(places // release.certificate.block, before)]
    asked = fresh if len(fresh) else places
    rows = [mark.rows[place] for place in asked]
    verdict = release.certificate.verdict(mark.labels[asked], _said(release, suspect, rows, door))
    return verdict, {"by": "owner", "shown_blocks": before}


def verify_by_evidence(
    release: Release, suspect: str, file: Path, door: Door | None = None
) -> tuple[Verdict, dict[str, Any]]:
    """The verdict over the block that a dispute has shown; it takes no key of the owner's. The owner could have chosen
    among the blocks, so p is multiplied by how many there are.

    Raises:
        FormatError: the evidence is not what the certificate commits to.
        UsageError: no such file, or the suspect cannot be asked.
    """
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise UsageError(f"'{file}' is larger than {_MOST_BYTES // 2**20} MiB, and no evidence")
        value = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read the evidence '{file}'", why=str(error)) from None
    evidence = check_evidence(value, release.certificate)
    said = _said(release, suspect, evidence.rows, door)
    verdict = release.certificate.verdict(evidence.labels, said, looks=release.certificate.blocks)
    return verdict, {"by": "evidence", "block": evidence.block}


def dispute(release: Release) -> dict[str, Any]:
    """The evidence of a block that nobody has seen; it counts as shown from now on.

    Raises:
        UsageError: all blocks have been shown, or the keys are not kept here.
    """
    mark = open_mark(release.certificate)
    return evidence_of(mark, take_block(release.certificate))


def _said(release: Release, suspect: str, rows: Sequence[Row], door: Door | None) -> np.ndarray:
    return open_suspect(suspect, release.own, door).said(rows)
