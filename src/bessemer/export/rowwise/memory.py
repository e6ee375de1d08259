"""Where the values of a program live while it runs: slots that are used again when a value is not needed any more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bessemer.export.rowwise.program import Statement, Type, Value


@dataclass(frozen=True)
class Layout:
    """places: of the first element of each value, by its number. sizes: how many slots each type takes."""

    places: Mapping[int, int]
    sizes: Mapping[Type, int]


def layout(
    statements: tuple[Statement, ...], outputs: Iterable[Value], given: Iterable[Value] = ()
) -> Layout:
    """First fit, in the order of the statements.

    Args:
        outputs: values that are needed to the end. given: those that stand elsewhere.
    """
    last: dict[int, int] = {}
    for at, statement in enumerate(statements):
        for operand in statement.operands:
            last[operand.value.number] = at
    last.update({value.number: len(statements) for value in outputs})
    elsewhere = {value.number for value in given}
    places: dict[int, int] = {}
    sizes: dict[Type, int] = {}
    live: dict[Type, list[tuple[int, int, int]]] = {}  # (start, stop, last statement that takes it)
    for at, statement in enumerate(statements):
        out = statement.out
        if out.number in elsewhere:
            continue
        taken = sorted(span for span in live.get(out.type, []) if span[2] >= at)
        start = _gap(taken, out.size)
        places[out.number] = start
        live[out.type] = [*taken, (start, start + out.size, last.get(out.number, at))]
        sizes[out.type] = max(sizes.get(out.type, 0), start + out.size)
    return Layout(places, sizes)


def _gap(taken: list[tuple[int, int, int]], size: int) -> int:
    start = 0
    for first, stop, _ in taken:
        if first - start >= size:
            return start
        start = max(start, stop)
    return start
