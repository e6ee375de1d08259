"""A TreeEnsembleRegressor of a graph as a walker of our own (`_walker.c`), which gives the same bits sooner.

The graph stays the source: a walker is made from the node's attributes. What the walker does not know (another
comparison, another aggregation, a NaN for a threshold) is left to onnxruntime, which runs everything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

#: What a node must say for a walker to carry it, and what it means where it says nothing.
_FIXED: Mapping[str, bytes] = {"aggregate_function": b"SUM", "post_transform": b"NONE"}
_KNOWN = frozenset(
    (
        *_FIXED,
        *("n_targets", "base_values", "nodes_treeids", "nodes_nodeids", "nodes_featureids", "nodes_values"),
        *("nodes_modes", "nodes_truenodeids", "nodes_falsenodeids", "nodes_missing_value_tracks_true"),
        *("nodes_hitrates", "target_treeids", "target_nodeids", "target_ids", "target_weights"),
    )
)


class UnsuitedError(Exception):
    """A node that no walker carries: why."""


def arrays_of(node: Any) -> dict[str, Any]:
    """A TreeEnsembleRegressor's trees as `_walker.Walker` takes them, but for how many features there are.

    Returns:
        targets, width: K and how many values a leaf has (1 or K).
        root: (T,) int32, the first node of each tree, in the order in which they are added.
        feature, left, right: (M,) int32; a leaf's left is -1 - its number. threshold: (M,) float32.
        missing_left: (M,) bool. value: (L * width,) float32; target: (L,) int32; base: (K,) float32.

    Raises:
        UnsuitedError: the node says what no walker does.
    """
    said = {a.name: a for a in node.attribute}
    _check_words(said)
    tree, own = _ints(said, "nodes_treeids"), _ints(said, "nodes_nodeids")
    count = len(tree)
    modes = np.array(list(said["nodes_modes"].strings) if "nodes_modes" in said else [], dtype=object)
    leaf = modes == b"LEAF"
    if not count or len(own) != count or len(modes) != count or not (leaf | (modes == b"BRANCH_LEQ")).all():
        raise UnsuitedError("it compares otherwise than x <= threshold, or has no nodes")
    starts = np.flatnonzero(np.r_[True, tree[1:] != tree[:-1]])
    if len(np.unique(tree[starts])) != len(starts):
        raise UnsuitedError("the nodes of a tree do not stand together")
    find = _Places(tree, own)
    return {
        "root": starts.astype(np.int32),
        "feature": _as_int32(_sized(_ints(said, "nodes_featureids"), count)),
        "threshold": _sized(_floats(said, "nodes_values"), count),
        "missing_left": _missing(said, count),
        "right": _child(find, tree, _ints(said, "nodes_falsenodeids"), leaf),
        "base": _base(said),
        **_leaves(said, find, leaf, _child(find, tree, _ints(said, "nodes_truenodeids"), leaf)),
    }


def walker_of(arrays: Mapping[str, Any]) -> Any:
    """The `_walker.Walker` of what `arrays_of` found; it takes rows of as many features as its trees ask, or more.

    Raises:
        UnsuitedError: they are no trees, or too large ones.
        ImportError: the extension was not built.
    """
    from bessemer.package.trees._walker import Walker

    try:
        return Walker(features=int(arrays["feature"].max(initial=0)) + 1, **arrays)
    except (ValueError, OverflowError) as error:
        raise UnsuitedError(str(error)) from None


def score(walker: Any, x: np.ndarray) -> np.ndarray:
    """The sums (N, K) float32 of a walker for the rows x (N, F) float32, C-contiguous.

    Raises:
        ValueError: x is of another type or too narrow.
    """
    found = np.empty((len(x), walker.targets), dtype=np.float32)
    walker.score(x, found)
    return found


class _Places:
    """Where the node of a number stands, for each tree."""

    def __init__(self, tree: np.ndarray, own: np.ndarray) -> None:
        if (own < 0).any() or (own >= 1 << 31).any() or (tree < 0).any() or (tree >= 1 << 31).any():
            raise UnsuitedError("a number of a tree or node is out of range")
        key = (tree << 32) | own
        self._order = np.argsort(key, kind="stable")
        self._keys = key[self._order]
        if (self._keys[1:] == self._keys[:-1]).any():
            raise UnsuitedError("a node is there twice")

    def __call__(self, tree: np.ndarray, own: np.ndarray) -> np.ndarray:
        if (own < 0).any() or (own >= 1 << 31).any() or (tree < 0).any() or (tree >= 1 << 31).any():
            raise UnsuitedError("a number of a tree or node is out of range")
        wanted = (tree << 32) | own
        at = np.minimum(np.searchsorted(self._keys, wanted), len(self._keys) - 1)
        if (self._keys[at] != wanted).any():
            raise UnsuitedError("a node refers to one that is not there")
        found: np.ndarray = self._order[at]
        return found


def _check_words(said: Mapping[str, Any]) -> None:
    unknown = sorted(set(said) - _KNOWN)
    if unknown:
        raise UnsuitedError(f"it has the attribute '{unknown[0]}'")
    for name, word in _FIXED.items():
        if name in said and said[name].s != word:
            raise UnsuitedError(f"its {name} is {said[name].s.decode(errors='replace')}")
    if "n_targets" not in said or not 1 <= said["n_targets"].i <= 1 << 16:
        raise UnsuitedError("it has no targets, or too many")


def _ints(said: Mapping[str, Any], name: str) -> np.ndarray:
    return np.array(said[name].ints if name in said else [], dtype=np.int64)


def _floats(said: Mapping[str, Any], name: str) -> np.ndarray:
    return np.array(said[name].floats if name in said else [], dtype=np.float32)


def _sized(values: np.ndarray, count: int) -> np.ndarray:
    if len(values) != count:
        raise UnsuitedError("its attributes are of different lengths")
    return values


def _as_int32(values: np.ndarray) -> np.ndarray:
    if len(values) and (values.min() < -(1 << 31) or values.max() >= 1 << 31):
        raise UnsuitedError("a number is out of range")
    return values.astype(np.int32)


def _missing(said: Mapping[str, Any], count: int) -> np.ndarray:
    tracks = _ints(said, "nodes_missing_value_tracks_true")
    return _sized(tracks, count) == 1 if len(tracks) else np.zeros(count, dtype=np.bool_)


def _child(find: _Places, tree: np.ndarray, own: np.ndarray, leaf: np.ndarray) -> np.ndarray:
    """Where each branch's child stands; 0 for leaves."""
    found = np.zeros(len(tree), dtype=np.int32)
    branch = ~leaf
    found[branch] = find(tree[branch], _sized(own, len(tree))[branch])
    return found


def _base(said: Mapping[str, Any]) -> np.ndarray:
    targets, base = said["n_targets"].i, _floats(said, "base_values")
    if len(base) not in (0, targets):
        raise UnsuitedError("it has base values for some targets only")
    return base if len(base) else np.zeros(targets, dtype=np.float32)


def _leaves(said: Mapping[str, Any], find: _Places, leaf: np.ndarray, left: np.ndarray) -> dict[str, Any]:
    """Leaves in the order of their nodes: one value each, or one for each target in order."""
    targets = int(said["n_targets"].i)
    at = find(_ints(said, "target_treeids"), _ints(said, "target_nodeids"))
    ids = _sized(_ints(said, "target_ids"), len(at))
    weights = _sized(_floats(said, "target_weights"), len(at))
    counts = np.bincount(at, minlength=len(leaf))
    width = int(counts.max(initial=0))
    if (counts[leaf] != width).any() or counts[~leaf].any() or width not in (1, targets):
        raise UnsuitedError("its leaves have neither one value each nor one for each target")
    order = np.argsort(at, kind="stable")  # onnxruntime adds the values of a leaf in the order they are said
    ids, weights = ids[order], weights[order]
    if width > 1 and (ids.reshape(-1, targets) != np.arange(targets)).any():
        raise UnsuitedError("the targets of a leaf are not in order")
    number = np.cumsum(leaf) - 1
    return {
        "targets": targets,
        "width": width,
        "left": np.where(leaf, -1 - number, left).astype(np.int32),
        "value": weights,
        "target": _as_int32(ids[::width] if width > 1 else ids),
    }
