"""Categories: each level is looked up once and gives a row of a small table of numbers.

The table's columns are indicators, the frequency, the rank and the target means; its last row is for levels
that were not seen in training (or were too rare to be kept): no indicator, frequency 0, rank -1, prior mean.
Missing is a level of its own where the train part has missing values; else it counts as unseen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from bessemer.core.signature import DType
from bessemer.prepare.transforms.base import Block, CrossFit, Feature, TrainColumn
from bessemer.prepare.transforms.levels import add_index, key_sql
from bessemer.prepare.transforms.target_mean import fit_target_mean, mean_names

if TYPE_CHECKING:
    from bessemer.package.graph import GraphBuilder
    from bessemer.prepare.spec import PrepareSpec

#: More means than this say more about noise than about the category.
_MOST_MEANS = 19


@dataclass(frozen=True)
class FittedCategorical:
    """`table` (levels + 1, features) float32; `levels` in order of the index, None for missing."""

    dtype: DType
    levels: tuple[Any, ...]
    table: np.ndarray
    features: tuple[Feature, ...]
    crossfit: CrossFit | None

    def add(self, builder: GraphBuilder, value: str) -> Block:
        index = add_index(builder, value, self.dtype, self.levels)
        rows = builder.op("Reshape", [index, builder.constant(np.array([-1], dtype=np.int64))])
        return Block(builder.op("Gather", [builder.constant(self.table), rows], axis=0), index)


class Categorical:
    """Indicators for few levels; frequency, rank and cross-fitted target mean for many."""

    dtypes: ClassVar[tuple[DType, ...]] = ("string", "integer", "boolean", "number")
    encodings: ClassVar[tuple[str, ...]] = ("indicator", "frequency", "rank", "target_mean")
    portable: ClassVar[bool] = True

    def fit(self, column: TrainColumn, spec: PrepareSpec, encode: Sequence[str] | None) -> FittedCategorical:
        key = key_sql(column.x, column.column.dtype)
        found = column.levels(key, spec.max_categories)
        levels, counts = tuple(k for k, _ in found), [n for _, n in found]
        chosen = tuple(encode) if encode else _default(spec, column, len(levels))
        parts: list[tuple[list[Feature], np.ndarray]] = []
        if "indicator" in chosen:
            parts.append(_indicators(column.column.name, levels, spec.max_onehot))
        rows = sum(int(n) for n in column.target.rows)
        parts += [
            p for p in (_frequency(column, counts, rows), _rank(column, counts)) if p[0][0].kind in chosen
        ]
        crossfit = None
        if "target_mean" in chosen:
            means, folded = fit_target_mean(column, key, levels, spec.smoothing)
            first = sum(len(features) for features, _ in parts)
            crossfit = CrossFit(tuple(range(first, first + means.shape[1])), folded)
            parts.append((_mean_features(column), means))
        features = tuple(feature for some, _ in parts for feature in some)
        table = np.concatenate([values for _, values in parts], axis=1).astype(np.float32)
        return FittedCategorical(column.column.dtype, levels, table, features, crossfit)


def _default(spec: PrepareSpec, column: TrainColumn, levels: int) -> tuple[str, ...]:
    few = levels <= spec.max_onehot
    chosen = ("indicator",) if few else ("frequency", "rank")
    wanted = spec.target_mean and levels > 2
    return (*chosen, "target_mean") if wanted and column.target.means <= _MOST_MEANS else chosen


def _indicators(name: str, levels: Sequence[Any], most: int) -> tuple[list[Feature], np.ndarray]:
    shown = ["(missing)" if level is None else str(level) for level in levels[: max(most, 1)]]
    features = [Feature(f"{name} = {s}", name, "indicator", f"1 where {name} is {s}, else 0") for s in shown]
    return features, np.eye(len(levels) + 1, len(shown), dtype=np.float32)


def _frequency(column: TrainColumn, counts: Sequence[int], rows: int) -> tuple[list[Feature], np.ndarray]:
    name = column.column.name
    meaning = f"share of training rows with this value of {name}; 0 for unseen values"
    values = np.array([*counts, 0], dtype=np.float64).reshape(-1, 1) / max(rows, 1)
    return [Feature(f"{name}: frequency", name, "frequency", meaning)], values


def _rank(column: TrainColumn, counts: Sequence[int]) -> tuple[list[Feature], np.ndarray]:
    name = column.column.name
    meaning = f"place of this value of {name} by frequency, 0 is the most frequent; -1 for unseen values"
    values = np.array([*range(len(counts)), -1], dtype=np.float64).reshape(-1, 1)
    return [Feature(f"{name}: rank", name, "rank", meaning)], values


def _mean_features(column: TrainColumn) -> list[Feature]:
    name, target = column.column.name, column.target
    return [
        Feature(f"{name}: {label}", name, "target_mean", f"{label} over the training rows with this {name}")
        for label in mean_names(target)
    ]
