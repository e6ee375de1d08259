"""Columns that are absent, and values that are not of their column's type: facts, not matters of chance."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from bessemer.monitor.finding import Kind, Test
from bessemer.monitor.reference import Reference
from bessemer.monitor.window import Window


class Schema:
    """The model takes an absent column, and a value of another type, for missing; nobody else would say a word."""

    kind: ClassVar[Kind] = "schema"

    def tests(self, reference: Reference, window: Window) -> Iterator[Test]:
        for name in window.absent:
            yield Test("schema", name, "schema", "absent", 1.0, f"the column '{name}' is not there")
        for name, column in window.columns.items():
            if column.wrong:
                examples = ", ".join(repr(value) for value in column.examples)
                text = (
                    f"{column.wrong:,} values of '{name}' are not of type {column.sketch.dtype}: {examples}"
                )
                yield Test("schema", name, "schema", "wrong type", float(column.wrong), text)
