"""What a dispute shows: one block of keys, which anybody can hold against the certificate without the owner's key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.core.errors import FormatError
from bessemer.protect.commit import salt_of
from bessemer.protect.commitment import SALT_BYTES, Tree, follows, label_of, leaf

if TYPE_CHECKING:
    from bessemer.package.certificate import Certificate
    from bessemer.protect.marks import Mark

FORMAT = 1


@dataclass(frozen=True)
class Evidence:
    """Keys that were shown and checked. block: which. rows: raw. labels: (m,) what a marked model answers."""

    block: int
    rows: list[dict[str, Any]]
    labels: np.ndarray


def evidence_of(mark: Mark, block: int) -> dict[str, Any]:
    """A block of keys as a file for somebody else: each with its salt and its way to the root."""
    salts = [salt_of(mark.secret, place) for place in range(len(mark.rows))]
    tree = Tree(tuple(leaf(k, salt, row) for k, (salt, row) in enumerate(zip(salts, mark.rows, strict=True))))
    places = range(block * mark.certificate.block, (block + 1) * mark.certificate.block)
    return {
        "format": FORMAT,
        "root": mark.certificate.root,
        "block": block,
        "keys": [
            {
                "place": place,
                "row": mark.rows[place],
                "salt": salts[place].hex(),
                "path": [one.hex() for one in tree.path(place)],
            }
            for place in places
        ],
    }


def check_evidence(value: Any, certificate: Certificate) -> Evidence:
    """The keys in a file of evidence, when all of them are those that the certificate commits to.

    The label of each follows from its salt and the root, so the file does not say it.

    Raises:
        FormatError: it is no such file, it is of another certificate, or a key of it is not committed to.
    """
    try:
        if value["format"] > FORMAT:
            raise FormatError(f"the evidence has format {value['format']}, and this Bessemer reads {FORMAT}")
        block, keys = int(value["block"]), list(value["keys"])
        if value["root"] != certificate.root:
            raise FormatError("the evidence is of another certificate", fix="give the package that it is of")
        first = block * certificate.block
        if [key["place"] for key in keys] != list(range(first, first + certificate.block)):
            raise FormatError(
                "the evidence is no whole block of keys",
                why="who shows only some keys of a block may have chosen those that a model happens to hit",
            )
        root = bytes.fromhex(certificate.root)
        labels = [_checked(key, certificate, root) for key in keys]
    except (KeyError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
        raise FormatError("the evidence cannot be read", why=f"{type(error).__name__}: {error}") from None
    return Evidence(block, [key["row"] for key in keys], np.array(labels, dtype=np.int64))


def _checked(key: Mapping[str, Any], certificate: Certificate, root: bytes) -> int:
    """The label of a key.

    Raises:
        FormatError: the certificate does not commit to it.
    """
    place, salt = int(key["place"]), bytes.fromhex(key["salt"])
    if not isinstance(key["row"], dict):
        raise TypeError(f"the row of key {place} is no object")
    path = [bytes.fromhex(one) for one in key["path"]]
    own = leaf(place, salt, key["row"])
    if len(salt) != SALT_BYTES or not follows(root, certificate.keys, place, own, path):
        raise FormatError(
            f"key {place} of the evidence is not one that the certificate commits to",
            why="its row, its salt or its path was changed",
        )
    return label_of(root, place, salt, certificate.choices)
