"""Trees of another library, held to what trees are, and kept as ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from bessemer.core.errors import FormatError
from bessemer.importers.models.foreign import refused
from bessemer.package.trees.codec import decode, encode
from bessemer.package.trees.model import Trees
from bessemer.train.learner import Native

#: Most trees, and branches of all of them together.
MOST_TREES, MOST_BRANCHES = 200_000, 20_000_000


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Say of a file that is not what it seems that it is damaged, whatever part of it was found to be wrong.

    Raises:
        FormatError: it is.
    """
    try:
        yield
    except FormatError:
        raise
    except (
        ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError, StopIteration, RecursionError,
        MemoryError, ArithmeticError, AssertionError,
    ) as error:  # fmt: skip
        shown = str(error).splitlines()[0][:200] if str(error) else ""
        raise refused(
            f"the file is no {what} that can be read",
            f"{type(error).__name__}: {shown}",
            "export the model again",
        ) from None


def native_of(trees: Trees) -> Native:
    """The trees as they are kept.

    Raises:
        FormatError: a number is not finite, a tree points outside itself, or there are too many.
    """
    branches = sum(tree.branches for tree in trees.trees)
    if len(trees.trees) > MOST_TREES or branches > MOST_BRANCHES:
        raise refused(f"the model has {len(trees.trees):,} trees with {branches:,} branches: too many")
    for i, tree in enumerate(trees.trees):
        n = tree.branches
        shapes = [len(a) for a in (tree.threshold, tree.missing_left, tree.left, tree.right)]
        if shapes != [n] * 4 or len(tree.value) != n + 1 or len(tree.cover) != n + 1:
            raise refused(f"tree {i} of the model has other numbers of branches and leaves than it says")
        if np.isnan(tree.threshold).any() or not np.isfinite(tree.value.astype(np.float32)).all():
            raise refused(f"tree {i} of the model has thresholds or leaves that are no numbers")
        if not np.isfinite(tree.cover).all() or (tree.cover < 0).any():
            raise refused(f"tree {i} of the model has leaves with a weight that is no number")
        below = np.concatenate([tree.left, tree.right])
        if len(np.unique(below)) != 2 * n or (n and 0 in below):
            raise refused(f"tree {i} of the model has a branch or leaf with two parents")
    if not np.isfinite(trees.base).all():
        raise refused("the model starts from a score that is no number")
    content = encode(trees)
    try:
        decode(content)
    except FormatError as error:
        raise refused("the trees of the model point outside themselves", error.why) from None
    return Native("trees", "trees.bin", content)
