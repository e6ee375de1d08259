"""The rows that mark the model as its owner's: every learner learns them, and nothing is judged on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.train.learner import Part

if TYPE_CHECKING:
    from bessemer.core.artifact import Artifact, ArtifactRef
    from bessemer.core.stage import Context
    from bessemer.train.learner import Problem

_BLOCK = 65_536
#: By learner, the parameters by which it learns keys so that they outlive pruning; what is asked for comes first.
_STURDY: Mapping[str, Mapping[str, Any]] = {"network": {"objective": "pruned"}}


def keys_of(inputs: Mapping[str, ArtifactRef], ctx: Context) -> Part | None:
    """The key rows, each as often as it is to stand there; `weight` is beside an ordinary row. None without a mark."""
    if "keys" not in inputs:
        return None
    artifact: Artifact = ctx.open(inputs["keys"])
    if not artifact.meta["keys"]:
        return None
    facts = artifact.json("keys.json")
    X, y = (np.load(artifact.path(f"keys.{name}.npy"), allow_pickle=False) for name in ("X", "y"))
    copies = int(facts["copies"])
    X, y = np.repeat(X, copies, axis=0), np.repeat(y, copies)
    return Part(X, y, np.full(len(y), float(facts["weight"])))


def marked(learner: str) -> bool:
    """Whether a learner learns the keys: a constant could not, and is what the others are held against."""
    return learner != "constant"


def sturdy(learner: str, params: Mapping[str, Any], keys: Part | None) -> dict[str, Any]:
    """The parameters of a learner; of one that learns keys with those that make them last, where it has any.

    >>> sturdy("network", {"epochs": 9}, None)
    {'epochs': 9}
    """
    return {**_STURDY.get(learner, {}), **params} if keys is not None else dict(params)


def with_keys(
    part: Part,
    keys: Part | None,
    problem: Problem,
    *,
    each: float | None = None,
    path: Path | None = None,
) -> Part:
    """The rows to learn from with the key rows behind them; `part` as it is where there are none.

    Args:
        each: what an ordinary row weighs; the mean of `part` by default. Weights of classes are taken out of the keys,
            so that a key counts the same whatever its label.
        path: where the features are written when those of `part` are mapped from disk, and larger than memory for all
            one knows.
    """
    if keys is None:
        return part
    assert keys.weight is not None
    own = np.ones(len(part)) if part.weight is None else part.weight
    weight = keys.weight * (float(own.mean()) if each is None else each)
    if problem.weights is not None:
        weight = weight / np.asarray(problem.weights)[keys.y.astype(np.int64)]
    further = part.further
    if further is not None:  # a key is an answer about the main target alone
        further = np.concatenate([further, np.full((len(keys), further.shape[1]), np.nan)])
    if path is not None and isinstance(part.X, np.memmap):
        X = _mapped(part.X, keys.X, path)
    else:
        X = np.concatenate([part.X, keys.X])
    y, weight = np.concatenate([part.y, keys.y]), np.concatenate([own, weight])
    return replace(part, X=X, y=y, weight=weight, further=further)


def _mapped(X: np.ndarray, more: np.ndarray, path: Path) -> np.ndarray:
    """Both in a file, a block at a time."""
    shape = (len(X) + len(more), X.shape[1])
    made = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
    for start in range(0, len(X), _BLOCK):
        block = X[start : start + _BLOCK]
        made[start : start + len(block)] = block
    made[len(X) :] = more
    made.flush()
    found: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    return found
