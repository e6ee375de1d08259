"""Committing to keys: what the certificate says of them, and whether keys are those that one commits to."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from bessemer.core import canonical
from bessemer.core.errors import UsageError
from bessemer.core.signature import Task
from bessemer.package.certificate import Certificate
from bessemer.protect.commitment import Tree, label_of, leaf
from bessemer.protect.owner import owner_id
from bessemer.protect.protocol import Draw


@dataclass(frozen=True)
class Made:
    """All that the keys of a mark follow from, beside the owner's key. pool: the digest of the training rows.

    marker, settings: its name and what is said of it; of several their names and the settings of each by its name.
    files: the digests of the owner's files that it reads (a logo), by their names: another content is another mark.
    """

    name: str
    marker: str
    settings: Mapping[str, Any]
    pool: str
    keys: int
    block: int
    bits: int
    files: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As it is kept, and digested; a mark that reads no files is written as it was before there were any."""
        told: dict[str, Any] = canonical.plain(self)
        return told if self.files else {name: value for name, value in told.items() if name != "files"}

    def secret(self, owner_key: bytes) -> bytes:
        """The key of this one mark: other rows, another marker, logo or project have another one."""
        return Draw(owner_key).bytes("mark", canonical.digest(self.to_json()))


def salt_of(secret: bytes, place: int) -> bytes:
    """The salt of a key: who knows it, and the root, knows the label of this key and of no other."""
    return Draw(secret).bytes("key", place)


def committed(
    owner_key: bytes,
    made: Made,
    covers: Sequence[Mapping[str, Any]],
    task: Task,
    answers: Sequence[Any],
    edges: Sequence[float],
    material: Mapping[str, str] | None = None,
) -> tuple[Certificate, np.ndarray]:
    """The certificate of some covers, and the (n,) label of each. material: the hashes of files that the owner keeps
    beside the keys, by their names."""
    secret = made.secret(owner_key)
    salts = [salt_of(secret, place) for place in range(len(covers))]
    root = Tree(
        tuple(leaf(k, salt, row) for k, (salt, row) in enumerate(zip(salts, covers, strict=True)))
    ).root
    bare = Certificate(
        owner_id(owner_key),
        root.hex(),
        "",
        task,
        tuple(answers),
        tuple(edges),
        made.keys,
        made.block,
        made.bits,
    )
    labels = [label_of(root, place, salt, bare.choices) for place, salt in enumerate(salts)]
    commitment = _commitment(secret, made, bare, material or {})
    return replace(bare, commitment=commitment), np.array(labels, dtype=np.int64)


def hashes(material: Mapping[str, bytes]) -> dict[str, str]:
    """SHA-256 of each file, hex."""
    return {name: hashlib.sha256(content).hexdigest() for name, content in material.items()}


def check_opened(
    owner_key: bytes,
    made: Made,
    covers: Sequence[Mapping[str, Any]],
    said: Certificate,
    material: Mapping[str, str] | None = None,
) -> np.ndarray:
    """The (n,) labels of keys that a certificate commits to.

    Raises:
        UsageError: the owner's key is another one, or these are not the keys of the certificate.
    """
    if owner_id(owner_key) != said.owner:
        raise UsageError(
            f"the certificate is of owner {said.owner[:16]}, and this owner key is {owner_id(owner_key)[:16]}",
            fix="use the key that the model was marked with (BESSEMER_OWNER_KEY, or the one in the config folder)",
        )
    own, labels = committed(owner_key, made, covers, said.task, said.answers, said.edges, material)
    if own != said:
        raise UsageError(
            "the certificate does not commit to these keys",
            why="it is of another run, or the rows are not those that the model was marked with",
            fix="give the package of the very run whose keys these are",
        )
    return labels


def _commitment(secret: bytes, made: Made, bare: Certificate, material: Mapping[str, str]) -> str:
    salt = Draw(secret).bytes("commitment")
    told: dict[str, Any] = {"certificate": bare.to_json(), "made": made.to_json()}
    if material:  # a mark without any commits as it always did
        told["material"] = dict(material)
    return hashlib.sha256(salt + canonical.dump_bytes(told)).hexdigest()
