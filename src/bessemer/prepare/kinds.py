"""What a column is taken as when the project file does not say: found from the train part.

A constant column, an all-missing one and an identifier tell a model nothing that holds for new rows; they are
left out, and the user is told. Everything else becomes features of its type; a string of many words is a text, the
base64 of PNG and JPEG files are images.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bessemer.core.media import is_image, is_image_sql
from bessemer.prepare.transforms.base import TrainColumn

#: A string whose values are distinct in this share of the rows is an identifier ...
_ID_SHARE = 0.95
#: ... where there are at least this many rows to see it.
_ID_ROWS = 20
#: Integers are identifiers only when they are also named like one.
_ID_NAME = re.compile(r"(?i:(^|[_\s-])(id|uuid|guid|index|rowid|rownum|row_number)$)|[a-z]I[dD]$")
#: A text has this many words on average, and is no category that repeats.
_TEXT_WORDS = 4.0
_TEXT_SHARE = 0.1
#: The estimate of distinct values is off by some percent; nearer to the limit than this it is counted.
_ESTIMATE = 0.6


@dataclass(frozen=True)
class Profile:
    """Facts about a column of the train part.

    rows, present: rows in all, and with a value.
    distinct: an estimate of the distinct values, some percent off.
    low, high: the smallest and largest value (0 and 1 of a boolean), None where all are missing.
    words: mean words (by spaces) of a string, 0 for other types.
    """

    rows: int
    present: int
    distinct: int
    low: Any
    high: Any
    words: float


@dataclass(frozen=True)
class Left:
    """A column that is left out, and why."""

    why: str


def profile(columns: Sequence[TrainColumn]) -> list[Profile]:
    """One query for a group of columns of the same table."""
    sums = ["count(*) AS n"]
    for c in columns:
        spaces = f"length({c.x}) - length(replace({c.x}, ' ', '')) + 1" if c.column.dtype == "string" else "0"
        value = f"CAST({c.x} AS BIGINT)" if c.column.dtype == "boolean" else c.x
        asked = {"present": f"count({c.x})", "distinct": c.distinct_sql()}
        asked |= {"low": f"min({value})", "high": f"max({value})", "words": f"coalesce(sum({spaces}), 0)"}
        sums += [f"{sql} AS {c.x}_{name}" for name, sql in asked.items()]
    (row,) = columns[0].query(f"SELECT {', '.join(sums)} FROM {columns[0].table}")
    rows = int(row[0])
    found = []
    for i in range(len(columns)):
        present, distinct, low, high, words = row[1 + 5 * i : 6 + 5 * i]
        found.append(Profile(rows, present, distinct, low, high, float(words) / max(present, 1)))
    return found


def kind_of(column: TrainColumn, facts: Profile) -> str | Left:
    """The name of the transform for a column, or why it is left out."""
    dtype = column.column.dtype
    if facts.present == 0:
        return Left("every value is missing")
    if facts.present == facts.rows and facts.low == facts.high:
        return Left("every value is the same")
    if dtype == "string":
        if _are_images(column, facts):
            return "image"
        if _is_id(column, facts) and facts.words < 2:
            return Left("nearly every value is different, as in an identifier")
        wordy = facts.words >= _TEXT_WORDS and facts.distinct > _TEXT_SHARE * facts.present
        return "text" if wordy else "categorical"
    if dtype == "integer":
        if _ID_NAME.search(column.column.name) and _is_id(column, facts):
            return Left("nearly every value is different and it is named like an identifier")
        return "number"
    return dtype


def _are_images(column: TrainColumn, facts: Profile) -> bool:
    """Whether every value is the base64 of an image; the smallest and the largest tell of most columns that not."""
    if not (is_image(facts.low) and is_image(facts.high)):
        return False
    here = column.here
    ((images,),) = here.query(f"SELECT bool_and({is_image_sql(here.x)}) FROM {here.table}")
    return bool(images)


def _is_id(column: TrainColumn, facts: Profile) -> bool:
    if facts.present < _ID_ROWS or facts.distinct < _ESTIMATE * facts.present:
        return False
    ((distinct,),) = column.query(f"SELECT count(DISTINCT {column.x}) AS n FROM {column.table}")
    return int(distinct) >= _ID_SHARE * facts.present
