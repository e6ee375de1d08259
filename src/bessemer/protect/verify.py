"""Whose a model is: the keys of a certificate, put to a suspect."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.core import canonical
from bessemer.core.errors import PackageError, UsageError
from bessemer.core.store import replacing
from bessemer.package.certificate import MEMBER, Certificate, Verdict
from bessemer.package.read import read_package
from bessemer.package.remote.client import Door
from bessemer.protect.evidence import check_evidence, evidence_of
from bessemer.protect.marks import next_block, open_mark, shown
from bessemer.protect.suspects.suspect import Marked, open_suspect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bessemer.protect.suspects.suspect import Row

#: A file of evidence is read up to this size.
_MOST_BYTES = 256 * 2**20
#: The bits that evidence of another's has to reach, where who judges says nothing: the certificate is the claimant's.
JUDGE_BITS = 64


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
    """The verdict over all keys that no dispute has shown, or over all where all were shown; it says so then.

    Raises:
        UsageError: the keys are not kept here, the owner's key is another one, or the suspect cannot be asked.
    """
    mark, before = open_mark(release.certificate), shown(release.certificate)
    places = np.arange(release.certificate.keys)
    fresh = places[~np.isin(places // release.certificate.block, before)]
    asked = fresh if len(fresh) else places
    rows = [mark.rows[place] for place in asked]
    said = _said(release, suspect, rows, door)
    verdict = release.certificate.verdict(mark.labels[asked], said, shown=0 if len(fresh) else len(places))
    return verdict, {"by": "owner", "shown_blocks": before}


def verify_by_evidence(
    release: Release, suspect: str, file: Path, door: Door | None = None, bits: int = JUDGE_BITS
) -> tuple[Verdict, dict[str, Any]]:
    """The verdict over the block that a dispute has shown; it takes no key of the owner's. The owner could have chosen
    among the blocks, so p is multiplied by how many there are.

    Args:
        bits: a claim takes 2^-bits, or what the certificate says where that is less likely still.

    Raises:
        FormatError: the evidence is not what the certificate commits to.
        UsageError: no such file, or the suspect cannot be asked.
    """
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise UsageError(f"'{file}' is larger than {_MOST_BYTES // 2**20} MiB, and no evidence")
        value = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"cannot read the evidence '{file}'", why=str(error)) from None
    evidence = check_evidence(value, release.certificate)
    said = _said(release, suspect, evidence.rows, door)
    verdict = release.certificate.verdict(evidence.labels, said, looks=release.certificate.blocks, bits=bits)
    return verdict, {"by": "evidence", "block": evidence.block}


def dispute(certificate: Certificate, output: Path) -> dict[str, Any]:
    """Write the evidence of a block that nobody has seen, readable by this user alone; gives it. The block counts as
    shown once its file is written, and before it has its name.

    Raises:
        UsageError: all blocks have been shown, the keys are not kept here, or the file is there or cannot be.
        StoreError: disk full or read-only.
    """
    mark = open_mark(certificate)
    try:
        if output.exists():
            raise UsageError(f"'{output}' is there already", fix="name another file: a block is shown once")
        if not output.parent.is_dir():
            raise UsageError(f"there is no folder '{output.parent}'", fix="make it, or name another file")
        with replacing(output) as file:
            file.chmod(0o600)
            with next_block(certificate) as block:
                evidence = evidence_of(mark, block)
                file.write_bytes(canonical.dump_bytes(evidence, indent=1))
    except OSError as error:
        raise UsageError(f"cannot write '{output}'", why=str(error)) from None
    return evidence


def _said(release: Release, suspect: str, rows: Sequence[Row], door: Door | None) -> np.ndarray:
    return open_suspect(suspect, release.own, door).said(rows)
