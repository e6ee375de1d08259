"""The nouns of a program on one row: flat values of known sizes, and a handful of kinds of statements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from bessemer.core.signature import Field
from bessemer.export.numeric.refusal import UncarriedError

Type = Literal["f32", "f64", "i64", "i32", "bool", "str"]


@dataclass(frozen=True, eq=False)
class Value:
    """size numbers or texts. data: (size,), where they are the same in every row."""

    number: int
    type: Type
    size: int
    data: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Operand:
    """The elements of a value that a statement takes, in order; places: (n,) positions in it."""

    value: Value
    places: np.ndarray

    @cached_property
    def whole(self) -> bool:
        """Whether these are all of them, each once, in order."""
        return len(self.places) == self.value.size and bool(
            np.array_equal(self.places, np.arange(self.value.size))
        )

    @cached_property
    def single(self) -> bool:
        """Whether all are the same one."""
        return bool((self.places == self.places[0]).all())

    @property
    def constants(self) -> np.ndarray | None:
        return None if self.value.data is None else self.value.data[self.places]


@dataclass(frozen=True, eq=False)
class Each:
    """out[i] = operator(operands[0][i], operands[1][i], ...). said: the operator's attributes."""

    operator: str
    said: Mapping[str, Any]
    operands: tuple[Operand, ...]
    out: Value


@dataclass(frozen=True, eq=False)
class Take:
    """out[i] = the operands' elements one after another."""

    operands: tuple[Operand, ...]
    out: Value


@dataclass(frozen=True, eq=False)
class Rows:
    """out = the rows of a constant table (L, W) that the operand's whole numbers say, one after another."""

    table: np.ndarray
    operands: tuple[Operand]
    out: Value


@dataclass(frozen=True, eq=False)
class Dense:
    """Stacks of products: out (G, I, M) of x (G, I, K) and constant weights (G, K, M)."""

    weights: np.ndarray
    rows: int
    operands: tuple[Operand]
    out: Value


@dataclass(frozen=True, eq=False)
class Fold:
    """out[i] = the sum, or the greatest, of `run` elements of the operand, from i * run on."""

    operator: Literal["Add", "Max"]
    run: int
    operands: tuple[Operand]
    out: Value


@dataclass(frozen=True, eq=False)
class Trees:
    """out (K,) = the sums of trees over the operand's features. arrays: as `package.trees.kernel.arrays_of` gives."""

    arrays: Mapping[str, Any]
    operands: tuple[Operand]
    out: Value


Statement = Each | Take | Rows | Dense | Fold | Trees


@dataclass(frozen=True)
class Program:
    """inputs: the columns, in order, and the value that each is. outputs: by name."""

    inputs: tuple[tuple[Field, Value], ...]
    statements: tuple[Statement, ...]
    outputs: Mapping[str, Value]

    def needed(self, *names: str) -> Program:
        """The part that some outputs need; all inputs stay."""
        live = {self.outputs[name].number for name in names}
        kept: list[Statement] = []
        for statement in reversed(self.statements):
            if statement.out.number in live:
                kept.append(statement)
                live |= {operand.value.number for operand in statement.operands}
        return Program(self.inputs, tuple(reversed(kept)), {name: self.outputs[name] for name in names})

    def behind(self, start: str, *names: str) -> Program:
        """The part from one output to others, without inputs.

        Raises:
            UncarriedError: they need more than that.
        """
        first = self.needed(start)
        done = {statement.out.number for statement in first.statements}
        whole = self.needed(*names)
        rest = tuple(s for s in whole.statements if s.out.number not in done)
        given = {value.number for _, value in self.inputs} | done - {self.outputs[start].number}
        if any(operand.value.number in given for s in rest for operand in s.operands):
            raise UncarriedError("its answers need more than its features")
        return Program((), rest, whole.outputs)
