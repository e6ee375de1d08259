"""A program on one row as the body of a C99 function: no heap, no recursion, its memory known beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from bessemer.export.numeric.refusal import UncarriedError
from bessemer.export.rowwise.c_statements import WRITERS
from bessemer.export.rowwise.c_words import C_TYPES, HELPERS, array, literal, whole_type
from bessemer.export.rowwise.memory import Layout, layout
from bessemer.export.rowwise.program import Each, Operand, Program, Type, Value

#: The local array that values of each type live in.
_SLOTS: Mapping[Type, str] = {"f32": "f", "f64": "d", "i64": "n", "i32": "m", "bool": "b", "str": "s"}


@dataclass
class Code:
    """Writes one function.

    given: C expressions of values that stand elsewhere, by number: the first element's address.
    int8: weights of products are whole numbers from -127 to 127, with a scale for each column.
    """

    program: Program
    given: Mapping[int, str]
    int8: bool = False
    constants: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    helpers: set[str] = field(default_factory=set)
    texts: int = 0
    _arrays: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        outputs = [v for v in self.program.outputs.values() if v.number not in self.given]
        elsewhere = [s.out for s in self.program.statements if s.out.number in self.given]
        self._layout: Layout = layout(self.program.statements, outputs, elsewhere)
        for statement in self.program.statements:
            WRITERS[type(statement)](self, statement)

    @property
    def workspace(self) -> list[str]:
        """The declarations of its memory."""
        found = [
            f"{C_TYPES[kind]}{'' if kind == 'str' else ' '}{_SLOTS[kind]}[{size}];"
            for kind, size in sorted(self._layout.sizes.items())
        ]
        return [*found, f"char t[{self.texts}][TEXT];"] if self.texts else found

    @property
    def functions(self) -> list[str]:
        return [HELPERS[name] for name in HELPERS if name in self.helpers]

    @property
    def text_bytes(self) -> int:
        """A text that is cut here is longer than all that it is compared with."""
        texts = [
            text
            for s in self.program.statements
            for text in [
                *(s.said.get("keys_strings", ()) if isinstance(s, Each) else ()),
                *(
                    t
                    for o in s.operands
                    if o.value.type == "str" and o.value.data is not None
                    for t in o.value.data
                ),
            ]
        ]
        return max((len(text.encode()) for text in texts), default=0) + 2

    def base(self, value: Value) -> str:
        """Where a value starts, as `array + offset`."""
        if value.number in self.given:
            return self.given[value.number]
        place = self._layout.places[value.number]
        return f"{_SLOTS[value.type]} + {place}" if place else _SLOTS[value.type]

    def at(self, value: Value, index: str) -> str:
        """An element; `index` is a number or an expression."""
        base = self.base(value)
        if "row->" in base:  # a column
            return base
        if " + " in base:
            name, place = base.split(" + ")
            return f"{name}[{int(place) + int(index)}]" if index.isdigit() else f"{name}[{place} + {index}]"
        return f"{base}[{index}]"

    def element(self, operand: Operand, size: int) -> str:
        """The element of the loop's turn `i`."""
        constants = operand.constants
        if constants is not None:
            if size == 1 or operand.single:
                return literal(constants[0], operand.value.type)
            values = [literal(v, operand.value.type) for v in constants]
            return f"{self.array(C_TYPES[operand.value.type], values)}[i]"
        if size == 1 or operand.single:
            return self.at(operand.value, str(int(operand.places[0])))
        first = int(operand.places[0])
        if np.array_equal(operand.places, np.arange(first, first + size)):
            return self.at(operand.value, f"{first} + i" if first else "i")
        return self.at(operand.value, f"{self.whole(operand.places)}[i]")

    def array(self, kind: str, values: list[str]) -> str:
        """The name of a constant array; equal ones are there once."""
        body = array(kind, "@", values)
        if body not in self._arrays:
            self._arrays[body] = f"c{len(self._arrays)}"
            self.constants.append(body.replace("@[", f"{self._arrays[body]}[", 1))
        return self._arrays[body]

    def whole(self, values: np.ndarray) -> str:
        return self.array(whole_type(values), [str(int(v)) for v in values])

    def floats(self, values: np.ndarray) -> str:
        return self.array("float", [literal(v, "f32") for v in np.ravel(values)])

    def loop(self, size: int, line: str) -> None:
        self.lines.append(line if size == 1 else f"for (i = 0; i < {size}; i++) {line}")

    def solid(self, operand: Operand) -> str:
        """The address of elements that stand one after another."""
        first = int(operand.places[0])
        if not np.array_equal(operand.places, np.arange(first, first + len(operand.places))):
            raise UncarriedError("a product's elements do not stand side by side")
        if operand.value.data is not None:
            return f"{self.floats(operand.value.data)} + {first}"
        base = self.base(operand.value)
        return f"{base} + {first}" if first else base
