"""Splits by sets of categories, for trees that know `x <= t` only: each set becomes a feature that is 0 or 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from bessemer.core.signature import DType
from bessemer.importers.models.foreign import MOST_VALUES, Input, column, number, refused
from bessemer.package.trees.model import Tree
from bessemer.prepare.transforms.base import Feature
from bessemer.prepare.transforms.categorical import FittedCategorical

#: Most categories of the sets of all nodes together: a small file may name the same ones again and again.
_MOST_CODES = 5_000_000


def check_codes(count: int) -> None:
    """Hold the categories that all nodes ask for to what is read.

    Raises:
        FormatError: they are more.
    """
    if not 0 <= count <= _MOST_CODES:
        raise refused(f"the sets of the model have {count:,} categories", f"up to {_MOST_CODES:,} are read")


@dataclass(frozen=True)
class Levels:
    """The categories of a column: the value of each code, and what a split says of other values and of missing ones.

    values: code -> value, all texts or all whole numbers.
    other, missing: the feature of a set for a value that has no code, and for none (NaN: the tree decides).
    """

    values: Mapping[int, Any]
    other: float = 0.0
    missing: float = float("nan")

    @property
    def dtype(self) -> DType:
        return "string" if all(isinstance(value, str) for value in self.values.values()) else "integer"


@dataclass
class Sets:
    """The features of a model whose trees ask for sets.

    names: of its columns, in its order. levels: of those that are categories, by their place.
    """

    names: Sequence[str]
    levels: Mapping[int, Levels]
    _known: dict[tuple[int, frozenset[int]], int] = field(default_factory=dict)

    def place(self, column: int, codes: frozenset[int]) -> int:
        """A number above those of the columns for `the code is in this set`; `finished` gives the place it has then."""
        return self._known.setdefault((column, codes), len(self.names) + len(self._known))

    def finished(self, trees: Sequence[Tree], inside: float) -> tuple[tuple[Input, ...], tuple[Tree, ...]]:
        """The inputs, and the trees with their features in the inputs' order.

        Args:
            inside: the feature of a set for the codes in it (1 or 0); 1 - `inside` for the other known codes.
        """
        asked: dict[int, list[tuple[frozenset[int], int]]] = {}
        for (place, codes), number_of_set in self._known.items():
            asked.setdefault(place, []).append((codes, number_of_set))
        if sum(len(own) * len(self.levels[place].values) for place, own in asked.items()) > MOST_VALUES:
            raise refused("the model splits by too many sets of categories")
        order: list[int] = []
        inputs = []
        for place, name in enumerate(self.names):
            own = asked.get(place, [])
            if place not in self.levels:
                inputs.append(number(name))
                order.append(place)
            else:
                inputs.append(_categorical(name, self.levels[place], [codes for codes, _ in own], inside))
                order += [n for _, n in own] or [-1]
        found = np.full(len(self.names) + len(self._known), -1, dtype=np.int32)
        for new, old in enumerate(order):
            if old >= 0:
                found[old] = new
        return tuple(inputs), tuple(replace(tree, feature=found[tree.feature]) for tree in trees)


def _categorical(name: str, levels: Levels, sets: Sequence[frozenset[int]], inside: float) -> Input:
    """The column whose features say of each set whether the value is in it; one that no tree asks says 0."""
    codes, values = list(levels.values), list(levels.values.values())
    table = np.zeros((len(codes) + 2, max(1, len(sets))), dtype=np.float32)
    for k, wanted in enumerate(sets):
        table[:-2, k] = [inside if code in wanted else 1 - inside for code in codes]
    if sets:
        table[-2], table[-1] = levels.missing, levels.other
    features = tuple(
        _feature(name, [levels.values[c] for c in sorted(s) if c in levels.values]) for s in sets
    )
    unused = (Feature(name, name, "indicator", f"{name}, which no tree asks for"),)
    dtype = levels.dtype
    return column(name, dtype, FittedCategorical(dtype, (*values, None), table, features or unused, None))


def _feature(name: str, values: Sequence[Any]) -> Feature:
    shown = ", ".join(map(str, values[:5])) + (f" and {len(values) - 5} more" if len(values) > 5 else "")
    return Feature(f"{name}: {shown}", name, "indicator", f"whether {name} is one of {shown}")
