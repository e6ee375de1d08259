"""A commitment to covers, from which their labels follow, and of which parts can be shown without the rest.

The covers are the leaves of a Merkle tree (RFC 6962, section 2.1), each with a salt of its own. The label of a cover is
an HMAC under its salt over the *root*, modulo the number of answers. So whoever changes one cover changes every label:
nobody can pick covers, or salts, for which a model that is there already gives the labels, other than by trying whole
trees, which takes as many tries as the claim is improbable. And a cover that is shown with its salt and its path can be
checked by anybody, without the owner's key, while those that are not shown stay secret.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bessemer.core import canonical

SALT_BYTES = 32


def leaf(place: int, salt: bytes, row: Mapping[str, Any]) -> bytes:
    """The hash of a cover: of its place, its salt and its canonical JSON."""
    return hashlib.sha256(b"\x00" + place.to_bytes(8, "big") + salt + canonical.dump_bytes(row)).digest()


def label_of(root: bytes, place: int, salt: bytes, choices: int) -> int:
    """What a marked model answers to the cover, from 0 to choices - 1.

    >>> label_of(bytes(32), 0, bytes(32), 10) in range(10)
    True
    """
    drawn = hmac.digest(salt, b"label" + root + place.to_bytes(8, "big"), hashlib.sha256)
    return int.from_bytes(drawn, "big") % choices  # of 2^256: no choice is favoured by more than 2^-240


@dataclass(frozen=True)
class Tree:
    """A Merkle tree over one leaf or more.

    >>> tree = Tree(tuple(leaf(k, bytes(32), {"a": k}) for k in range(5)))
    >>> follows(tree.root, 5, 3, tree.leaves[3], tree.path(3))
    True
    >>> follows(tree.root, 5, 2, tree.leaves[3], tree.path(3))
    False
    """

    leaves: tuple[bytes, ...]

    @property
    def root(self) -> bytes:
        return _root(self.leaves)

    def path(self, place: int) -> list[bytes]:
        """The hashes beside the way from a leaf to the root, the lowest first."""
        return _path(place, self.leaves)


def follows(root: bytes, size: int, place: int, own: bytes, path: Sequence[bytes]) -> bool:
    """Whether a leaf stands at its place in the tree of a root with so many leaves."""
    if not 0 <= place < size:
        return False
    found = _climbed(place, size, own, list(path))
    return found is not None and hmac.compare_digest(found, root)


def _root(leaves: Sequence[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    cut = _cut(len(leaves))
    return _node(_root(leaves[:cut]), _root(leaves[cut:]))


def _path(place: int, leaves: Sequence[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    cut = _cut(len(leaves))
    if place < cut:
        return [*_path(place, leaves[:cut]), _root(leaves[cut:])]
    return [*_path(place - cut, leaves[cut:]), _root(leaves[:cut])]


def _climbed(place: int, size: int, own: bytes, path: list[bytes]) -> bytes | None:
    """The root that a leaf and its path lead to; None where the path is of another length."""
    if size == 1:
        return None if path else own
    if not path:
        return None
    cut, beside = _cut(size), path.pop()
    if place < cut:
        below = _climbed(place, cut, own, path)
        return None if below is None else _node(below, beside)
    below = _climbed(place - cut, size - cut, own, path)
    return None if below is None else _node(beside, below)


def _cut(size: int) -> int:
    """The largest power of two below a size."""
    return 1 << (size - 1).bit_length() - 1


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()
