"""Raw rows as numbers that a plain tree can be fitted to, and that a reader can still follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bessemer.explain.values import raw_values

if TYPE_CHECKING:
    import pyarrow as pa

    from bessemer.explain.sample import Floats
    from bessemer.explain.values import Values

#: The largest number that a float32 holds, with room for rounding.
_LARGEST = 3e38


@dataclass(frozen=True)
class Question:
    """A column of the matrix.

    value: None for numbers and timestamps, which stand there as they are (timestamps in seconds after 1970); else the
    matrix has 1 where the raw column equals it and 0 elsewhere, also where it is missing.
    """

    column: str
    kind: str
    value: Any = None


def questions(table: pa.Table, columns: list[str], most: int) -> list[Question]:
    """What can be asked of the columns: numbers and timestamps as they are, the `most` frequent categories of each."""
    found: list[Question] = []
    for column in columns:
        values = raw_values(table.column(column))
        if values.numbers is not None:
            found.append(Question(column, values.kind))
        else:
            found += [Question(column, values.kind, value) for value in _frequent(values, most)]
    return found


def _frequent(values: Values, most: int) -> list[Any]:
    assert values.texts is not None
    counts: dict[Any, int] = {}
    for text in values.texts:
        if text is not None:
            counts[text] = counts.get(text, 0) + 1
    return sorted(counts, key=lambda text: (-counts[text], str(text)))[:most]


def matrix(table: pa.Table, asked: list[Question]) -> npt.NDArray[np.float32]:
    """The answers of N rows: float32 (N, Q); NaN is a missing number."""
    known = {name: raw_values(table.column(name)) for name in dict.fromkeys(q.column for q in asked)}
    found = np.empty((table.num_rows, len(asked)), dtype=np.float32)
    for place, question in enumerate(asked):
        values = known[question.column]
        if values.numbers is not None:
            found[:, place] = np.clip(_seconds(values), -_LARGEST, _LARGEST)
        else:
            assert values.texts is not None
            found[:, place] = [text == question.value for text in values.texts]
    return found


def _seconds(values: Values) -> Floats:
    assert values.numbers is not None
    return values.numbers / 1e6 if values.kind == "timestamp" else values.numbers
