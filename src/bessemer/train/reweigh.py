"""Weights of rows that make group and class independent before anything is learnt (Kamiran and Calders 2012)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bessemer.core.grouping import group
from bessemer.package.decision import places
from bessemer.stats.reweighing import reweighing

if TYPE_CHECKING:
    from bessemer.core.artifact import Artifact
    from bessemer.core.stage import Context
    from bessemer.train.learner import Part


def reweighed_parts(
    columns: Sequence[str], splits: Artifact, train: Part, valid: Part, ctx: Context
) -> tuple[Part, Part]:
    """The parts with the weights; as they are where no column is named.

    The factors come from the training rows alone. The validation rows have the same ones, so that early stopping and
    folds that are cut across both parts see one problem.
    """
    if not columns:
        return train, valid
    import pyarrow.parquet as pq

    tables = [
        pq.read_table(splits.path(f"{name}.parquet"), columns=list(columns)) for name in ("train", "valid")
    ]
    groups = [group(name, tables[0][name]) for name in columns]
    codes = [places(groups, table) for table in tables]
    _, code = np.unique(np.concatenate(codes), return_inverse=True)
    cut, classes = len(train), max(1, len(splits.meta["classes"]))
    own = np.ones(cut) if train.weight is None else train.weight
    label = train.y.astype(np.int64)
    factors = np.ones((int(code.max(initial=0)) + 1, classes))
    found = reweighing(code[:cut], label, own)
    factors[: found.shape[0], : found.shape[1]] = found
    used = factors[code[:cut], label]
    ctx.note(f"rows are weighed by {' and '.join(columns)} from {used.min():.3g} to {used.max():.3g}")
    return replace(train, weight=own * used), _weighed(valid, factors[code[cut:], valid.y.astype(np.int64)])


def _weighed(part: Part, factor: np.ndarray) -> Part:
    return replace(part, weight=factor if part.weight is None else part.weight * factor)
