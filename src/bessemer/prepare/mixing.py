"""Chance from row numbers: an integer hash that is the same in SQL and in numpy, on every version of both.

Two rounds of folding and multiplying 32-bit words (T. Mueller's constants) and a last folding. It maps 32-bit
words one to one, so different rows have different numbers.
"""

from __future__ import annotations

import numpy as np

from bessemer.core.sql import quote

_WORD = 2**32 - 1
_FACTOR = 0x45D9F3B


def mixed_sql(x: str, seed: int) -> str:
    """A BIGINT from 0 to 2**32 - 1 that depends on the integer expression `x` and on the seed."""
    word = f"xor({x} & {_WORD}, {seed & _WORD})"
    for _ in range(2):
        word = f"((xor({word}, ({word}) >> 16) * {_FACTOR}) & {_WORD})"
    return f"xor({word}, ({word}) >> 16)"


def group_sql(name: str, seed: int) -> str:
    """A BIGINT from 0 to 2**63 - 1 that depends on the seed and on the value of a column, and on no version of
    anything. What has no value is one group."""
    return f"coalesce(CAST(md5_number_lower('{seed}:' || CAST({quote(name)} AS VARCHAR)) >> 1 AS BIGINT), 0)"


def mixed(x: np.ndarray, seed: int) -> np.ndarray:
    """The same for an array of integers (N,); int64.

    >>> mixed(np.arange(3), 7).tolist()
    [148231923, 3284760808, 592649042]
    """
    word = (x.astype(np.int64) & _WORD) ^ (seed & _WORD)
    for _ in range(2):
        word = ((word ^ (word >> 16)) * _FACTOR) & _WORD
    result: np.ndarray = word ^ (word >> 16)
    return result
