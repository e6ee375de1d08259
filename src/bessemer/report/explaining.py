"""What the page needs beside the graph to explain a prediction: the covers of the trees, and how parts add up."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from bessemer.package.natives import decode_ensemble
from bessemer.package.pairs import decode_paired
from bessemer.package.trees.arrays import Flat, flatten
from bessemer.package.trees.codec import decode
from bessemer.package.trees.model import Tree, Trees
from bessemer.report.compact import Packer, small


def forests_of(kind: str, content: bytes) -> list[Trees]:
    """All trees of a native model, in the order of the graph's operators; [] where it has none, or other ones."""
    if kind == "trees":
        return [decode(content)]
    if kind == "pairs":
        return forests_of(*decode_paired(content)[1:])
    if kind == "ensemble":
        return [trees for m in decode_ensemble(content) for trees in forests_of(m.kind, m.content)]
    return []


def added_names(kind: str, content: bytes, columns: Sequence[str]) -> list[list[str]]:
    """For each of `forests_of`: what the features are called that it asks beyond the model's own.

    Args:
        columns: the column of each of the model's features.
    """
    if kind == "trees":
        return [[]]
    if kind == "pairs":
        encoder, inner, rest = decode_paired(content)
        added = encoder.names(columns)
        return [[*added, *more] for more in added_names(inner, rest, columns)]
    if kind == "ensemble":
        return [names for m in decode_ensemble(content) for names in added_names(m.kind, m.content, columns)]
    return []


def explaining(kind: str, content: bytes) -> Any:
    """How contributions come from a native model; None where a page does not compute them.

    Trees are those of the graph: `forest` counts its operators of trees. A pair's part goes to its two owners.
    """
    return _explaining(kind, content, iter(range(1 << 30)))


def _explaining(kind: str, content: bytes, forest: Any) -> Any:
    if kind == "trees":
        return _of_trees(decode(content), forest)
    if kind in ("linear", "constant"):
        return {"kind": kind, **json.loads(content)}
    if kind == "pairs":
        encoder, inner_kind, inner = decode_paired(content)
        found = _explaining(inner_kind, inner, forest) if inner_kind in ("trees", "pairs") else None
        told = {"owners": encoder.owners.tolist(), "width": encoder.width}
        return found and {
            "kind": "pairs", "inner": found, "features": found["features"] - encoder.features, **told
        }  # fmt: skip
    if kind == "ensemble":
        parts = [(m.weight, _explaining(m.kind, m.content, forest)) for m in decode_ensemble(content)]
        return None if any(part is None for _, part in parts) else {"kind": "ensemble", "members": parts}
    return None


def _of_trees(trees: Trees, forest: Any) -> dict[str, Any]:
    base = np.array(trees.base, dtype=np.float64)
    for tree in trees.trees:
        if not tree.branches:  # the graph has these in a constant
            base[slice(None) if trees.width > 1 else tree.target] += (
                tree.value[0] if trees.width > 1 else tree.value[0, 0]
            )
    grown = any(tree.branches for tree in trees.trees)
    found = {"kind": "trees", "base": base.tolist(), "link": trees.link, "floor": trees.floor}
    return {**found, "forest": next(forest) if grown else None, "features": trees.features}


def with_covers(nodes: Sequence[list[Any]], forests: Sequence[Trees], packer: Packer) -> bool:
    """Add to each operator of trees the training weight in its leaves, where these are the native model's trees.

    Returns:
        False where they are others.
    """
    grown = [trees for trees in forests if any(tree.branches for tree in trees.trees)]
    if len(grown) != len(nodes):
        return False
    for node, trees in zip(nodes, grown, strict=True):
        flat = _flat(_grown(trees), trees.width)
        if len(flat.value) != node[3]["value"][2] // node[3]["width"]:
            return False
        node[3]["cover"] = packer.put(flat.cover)
    return True


def _grown(trees: Trees) -> list[Tree]:
    return [tree for tree in trees.trees if tree.branches]


def _flat(trees: Sequence[Tree], width: int) -> Flat:
    return flatten(trees, width)


def packed_forest(trees: Trees, nodes: int, packer: Packer) -> dict[str, Any]:
    """The first trees in the form of `report.compact`, as many as have so many nodes together, at least one."""
    grown, kept, size = _grown(trees), 0, 0
    for tree in grown:
        size += 2 * tree.branches + 1
        if kept and size > nodes:
            break
        kept += 1
    flat = _flat(grown[:kept], trees.width)
    return {"count": len(grown), **_packed(flat, trees, packer)}


def _packed(flat: Flat, trees: Trees, packer: Packer) -> dict[str, Any]:
    """Of each tree its branches first, then its leaves, as steps from node to node."""
    size = 2 * flat.branches + 1
    first = np.cumsum(size, dtype=np.int64) - size
    tree_of = np.repeat(np.arange(len(size)), flat.branches)
    own = np.arange(len(flat.feature)) - flat.first_branch()[tree_of]
    at, leaf = first[tree_of] + own, np.ones(int(size.sum()), dtype=bool)
    leaf[at] = False
    steps = [
        np.where(side >= 0, side, flat.branches[tree_of] - 1 - side) - own for side in (flat.left, flat.right)
    ]
    number = np.cumsum(leaf) - 1
    left, right, feature = (np.zeros(len(leaf), dtype=np.int64) for _ in range(3))
    left[:] = -1 - number
    left[at], right[at], feature[at] = *steps, flat.feature
    missing = np.zeros(len(leaf), dtype=np.bool_)
    missing[at] = flat.missing_left
    targets = np.repeat(flat.target, flat.branches + 1)
    return {
        "targets": trees.outputs,
        "width": int(flat.value.shape[1]),
        "root": packer.put(first.astype(np.int32)),
        "feature": packer.put(small(feature)),
        "left": packer.put(small(left)),
        "right": packer.put(small(right)),
        "threshold": packer.put(flat.threshold.astype(np.float32)),
        "missing_left": packer.put(missing),
        "value": packer.put(flat.value.reshape(-1).astype(np.float32)),
        "target": packer.put(small(targets)),
        "cover": packer.put(flat.cover.astype(np.float32)),
        "base": packer.put(np.zeros(trees.outputs, dtype=np.float32)),
    }
