"""The cells of a sheet: which part of it is meant, and its rows with what merged cells say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from python_calamine import CalamineSheet

_CELL = r"([A-Za-z]{1,3})?([1-9]\d{0,6})?"
_AREA = re.compile(rf"{_CELL}(?::{_CELL})?")


@dataclass(frozen=True)
class Area:
    """Rows and columns from 0 on; the last of each belongs to it, and None has no end."""

    first_row: int = 0
    first_column: int = 0
    last_row: int | None = None
    last_column: int | None = None

    @classmethod
    def parse(cls, text: str) -> Area:
        """
        >>> Area.parse("B3:F200")
        Area(first_row=2, first_column=1, last_row=199, last_column=5)
        >>> Area.parse("B:F"), Area.parse("b3").first_row
        (Area(first_row=0, first_column=1, last_row=None, last_column=5), 2)
        """
        found = _AREA.fullmatch(text.strip().replace("$", ""))
        if not text.strip() or found is None:
            raise ValueError(f"'{text}' is no range of cells: write B3:F200, B3 or B:F")
        column, row, last_column, last_row = found.groups()
        area = cls(
            int(row) - 1 if row else 0,
            number(column) if column else 0,
            int(last_row) - 1 if last_row else None,
            number(last_column) if last_column else None,
        )
        if area.last_row is not None and area.last_row < area.first_row:
            raise ValueError(f"'{text}' ends before it begins")
        if area.last_column is not None and area.last_column < area.first_column:
            raise ValueError(f"'{text}' ends before it begins")
        return area

    def has_row(self, row: int) -> bool:
        return self.first_row <= row and (self.last_row is None or row <= self.last_row)

    def has_column(self, column: int) -> bool:
        return self.first_column <= column and (self.last_column is None or column <= self.last_column)


def number(column: str) -> int:
    """A column's place from 0 on.

    >>> number("A"), number("aa")
    (0, 26)
    """
    place = 0
    for letter in column.upper():
        place = place * 26 + ord(letter) - ord("A") + 1
    return place - 1


def letters(column: int) -> str:
    """What a spreadsheet calls a column.

    >>> letters(0), letters(26)
    ('A', 'AA')
    """
    found = ""
    column += 1
    while column:
        column, place = divmod(column - 1, 26)
        found = chr(ord("A") + place) + found
    return found


def rows_of(sheet: CalamineSheet, area: Area, null: frozenset[str], header: bool) -> Iterator[dict[int, Any]]:
    """The rows that have a value, as place of the column to value; a merged cell's value stands in all of its rows.

    Args:
        null: texts that are no value. header: the first row has names, which merged cells do not pass on.
    """
    start = sheet.start
    if start is None:
        return
    merged = sorted(sheet.merged_cell_ranges or [])
    held: list[tuple[int, int, int, Any]] = []  # last row, first and last column, value
    for number_, cells in enumerate(sheet.iter_rows()):
        if area.last_row is not None and number_ > area.last_row:
            return
        row = {start[1] + i: value for i, value in enumerate(cells) if not _is_missing(value, null)}
        held = [each for each in held if each[0] >= number_]
        while merged and merged[0][0][0] <= number_:
            (top, left), (bottom, right) = merged.pop(0)
            if top == number_ and left in row:
                held.append((bottom, left, right, row[left]))
        if not area.has_row(number_):
            continue
        for _, left, right, value in () if header else held:
            row |= dict.fromkeys(range(left, right + 1), value)
        row = {column: value for column, value in row.items() if area.has_column(column)}
        if row:
            yield row
            held, header = [] if header else held, False


def _is_missing(value: Any, null: frozenset[str]) -> bool:
    return value is None or (isinstance(value, str) and value in null)
