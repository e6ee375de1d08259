"""The keys of the owner's models, kept beside the owner's key, and which of them disputes have shown.

    owner/marks/ROOT/keys.parquet   the raw rows
    owner/marks/ROOT/mark.json      what they follow from, and the certificate
    owner/marks/ROOT/NAME           what else was made for them, as the encoder of `blind`; mark.json has its hash
    owner/marks/ROOT/shown.json     the blocks that were shown: written before a block leaves this machine
    owner/marks/ROOT/shown.lock     held while a block is taken

ROOT is the start of the root that the certificate commits to. Whoever reads the rows can remove the mark, so the files
are the owner's alone (mode 0600).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bessemer.core import canonical
from bessemer.core.errors import StoreError, UsageError
from bessemer.core.lock import Busy, exclusive
from bessemer.core.store import explained, write_atomic
from bessemer.package.certificate import MEMBER, Certificate
from bessemer.package.keys import write_secret
from bessemer.protect.commit import Made, check_opened, hashes
from bessemer.protect.covers import rows_as_json
from bessemer.protect.owner import owner_folder, owner_key

if TYPE_CHECKING:
    import numpy as np

    from bessemer.core.artifact import Artifact


_DISPUTE = Busy(
    "another dispute is taking a block of these keys",
    "two at once could show the same block",
    "wait for it, and run this again",
)
#: Seconds to wait for it: a block is written in much less.
_WAIT = 10.0


@dataclass(frozen=True)
class Mark:
    """The opened keys of one model.

    rows: as they are committed to. labels: (n,) what the model was taught. secret: of this mark alone.
    """

    certificate: Certificate
    rows: list[dict[str, Any]]
    labels: np.ndarray
    secret: bytes


def keep(keys: Artifact, certificate: Artifact) -> Path:
    """Keep the keys of a run, once; gives the folder."""
    said = Certificate.from_json(certificate.json(MEMBER))
    folder = _folder(said)
    facts = keys.json("keys.json")
    material = facts.get("material", {})
    if not (folder / "mark.json").exists():
        for name in ("keys.parquet", *material):
            write_secret(folder / name, keys.bytes(name))
        facts = {"made": facts["made"], "material": material, "certificate": said.to_json()}
        write_secret(folder / "mark.json", canonical.dump_bytes(facts, indent=1))
    return folder


def open_mark(certificate: Certificate) -> Mark:
    """The keys that a certificate commits to.

    Raises:
        UsageError: they are not kept here, or this is not the owner's key, or the certificate is of other keys.
        StoreError: what is kept is damaged.
    """
    folder = _folder(certificate)
    if not (folder / "mark.json").exists():
        raise UsageError(
            f"the keys of certificate {certificate.root[:16]} are not kept here",
            why=f"there is no {folder}",
            fix="bessemer watermark embed in the project that the package is of, which takes them from its cache",
        )
    rows, made, material = _kept(folder)
    key = owner_key()
    labels = check_opened(key, made, rows, certificate, material)
    return Mark(certificate, rows, labels, made.secret(key))


def _kept(folder: Path) -> tuple[list[dict[str, Any]], Made, dict[str, str]]:
    """The raw rows, what they follow from, and the hashes of what else is kept."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with explained("reading", folder):
            rows = rows_as_json(pq.read_table(folder / "keys.parquet"))
            facts = json.loads((folder / "mark.json").read_text(encoding="utf-8"))
            made, material = Made(**facts["made"]), dict(facts.get("material", {}))
            found = hashes({name: (folder / Path(name).name).read_bytes() for name in material})
        if not rows or len(rows) != made.keys:
            raise ValueError(f"{len(rows)} rows in keys.parquet, {made.keys} keys in mark.json")
        if changed := [name for name, one in material.items() if found[name] != one]:
            raise ValueError(f"{changed[0]} is not what mark.json has the hash of")
    except (OSError, ValueError, TypeError, KeyError, RecursionError, pa.ArrowException) as error:
        raise StoreError(
            f"the keys in '{folder}' are damaged",
            why=(str(error).splitlines() or [type(error).__name__])[0],
            fix="take the files from a copy; or move all but shown.json away, "
            "and run `bessemer watermark embed` in the project that the package is of",
        ) from None
    return rows, made, material


def shown(certificate: Certificate) -> list[int]:
    """The blocks that disputes have shown, ascending.

    Raises:
        StoreError: what is kept of them cannot be read.
    """
    path = _folder(certificate) / "shown.json"
    if not path.exists():
        return []
    try:
        return sorted({int(block) for block in json.loads(path.read_text(encoding="utf-8"))})
    except (OSError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise StoreError(
            f"'{path}' cannot be read",
            why=str(error),
            fix="mend it: a list of the numbers of the blocks that were shown",
        ) from None


@contextmanager
def next_block(certificate: Certificate) -> Iterator[int]:
    """A block that nobody has seen. It counts as shown when the `with` ends well; nobody else is given it meanwhile.

    Raises:
        UsageError: all have been shown.
        EnvironmentFault: another process is taking one, and does not end.
    """
    folder = _folder(certificate)
    with exclusive(folder / "shown.lock", wait=_WAIT, busy=_DISPUTE):
        before = shown(certificate)
        fresh = [block for block in range(certificate.blocks) if block not in before]
        if not fresh:
            raise UsageError(
                f"all {certificate.blocks} blocks of keys have been shown",
                why="what somebody has seen proves nothing to the next one: it may have been taught or filtered since",
                fix="train the next version with more `protect: {disputes: ...}`",
            )
        yield fresh[0]
        write_atomic(folder / "shown.json", json.dumps([*before, fresh[0]]).encode())


def _folder(certificate: Certificate) -> Path:
    return owner_folder() / "marks" / certificate.root[:16]
