"""Trees as bytes: a line of JSON, then the arrays, little-endian, in a fixed order. Same trees, same bytes."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from bessemer.core import canonical
from bessemer.core.errors import FormatError
from bessemer.package.trees.arrays import Flat, flatten, unflatten
from bessemer.package.trees.model import Trees

_ORDER = ("branches", "target", "feature", "threshold", "missing_left", "left", "right", "value", "cover")
_DTYPES = ("<i4", "<i4", "<i4", "<f4", "|b1", "<i4", "<i4", "<f4", "<f4")
_LINKS = ("identity", "logit", "log", "exp")


def encode(trees: Trees) -> bytes:
    """The bytes of trees whose leaves all have the same width; values and covers as float32.

    >>> decode(encode(Trees((), np.zeros(2), 3))).outputs
    2
    """
    flat = flatten(trees.trees, trees.width)
    head = {
        "trees": len(flat.branches),
        "branches": len(flat.feature),
        "width": trees.width,
        "base": [float(b) for b in trees.base],
        "features": trees.features,
        "link": trees.link,
        "floor": trees.floor,
    }
    arrays = [
        np.ascontiguousarray(getattr(flat, n), dtype=d).tobytes()
        for n, d in zip(_ORDER, _DTYPES, strict=True)
    ]
    return b"".join([canonical.dump_bytes(head), b"\n", *arrays])


def decode(content: bytes) -> Trees:
    """What `encode` wrote.

    Raises:
        FormatError: it is not that, or its trees point outside themselves.
    """
    line, _, rest = content.partition(b"\n")
    try:
        head = json.loads(line)
        flat = _arrays(head, rest)
        base = np.array(head["base"], dtype=np.float64)
        features, link, floor = int(head["features"]), head["link"], float(head["floor"])
        sound = link in _LINKS and _sound(flat, features, len(base))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _broken(str(error)) from error
    if not sound:
        raise _broken("a tree points outside itself")
    return Trees(unflatten(flat), base, features, link, floor)


def _broken(why: str) -> FormatError:
    return FormatError("the native trees cannot be read", why=why, fix="build the package again")


def _arrays(head: dict[str, Any], rest: bytes) -> Flat:
    t, b, w = int(head["trees"]), int(head["branches"]), int(head["width"])
    counts = {"branches": t, "target": t, "value": (b + t) * w, "cover": b + t}
    found, at = {}, 0
    for name, dtype in zip(_ORDER, _DTYPES, strict=True):
        count = counts.get(name, b)
        found[name] = np.frombuffer(rest, dtype=dtype, count=count, offset=at)
        at += found[name].nbytes
    if at != len(rest):
        raise ValueError(f"{len(rest) - at} bytes are left over")
    found["value"] = found["value"].reshape(b + t, w)
    return Flat(**found)


def _sound(flat: Flat, features: int, outputs: int) -> bool:
    """Whether every index is in range and every child stands after its branch: then every walk ends."""
    if int(flat.branches.sum()) != len(flat.feature) or (flat.branches < 0).any():
        return False
    if len(flat.feature) and not (flat.feature.min() >= 0 and flat.feature.max() < features):
        return False
    if len(flat.target) and not (flat.target.min() >= 0 and flat.target.max() < outputs):
        return False
    own = np.arange(len(flat.feature)) - np.repeat(flat.first_branch(), flat.branches)
    size = np.repeat(flat.branches, flat.branches)
    inside = [
        (side > own) & (side < size) | (side < 0) & (side >= -1 - size) for side in (flat.left, flat.right)
    ]
    return bool(inside[0].all() and inside[1].all())
