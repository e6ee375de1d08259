"""Some rows of many, even over the table: hashed places in stretches of one length.

Every k-th row would be even, too, but of data that come in turn (stations, out and back, hours of a day) it would be
the same few of each turn. Hashed places keep no step with anything; they follow from the numbers of rows alone,
whatever the threads.
"""

from __future__ import annotations

import numpy as np

from bessemer.stats.arrays import Bools, Ints

#: Fibonacci hashing (Knuth) and a round of mixing more: its multiples alone have a beat of their own.
_FIRST, _SECOND, _RANGE = 2654435769, 2146121005, 2**32

#: A column of a query of ours, which no table has.
_PLACE = '"place of the row, counted"'


def places(rows: int, most: int) -> Ints:
    """At most so many of the places 0, 1, ... of so many rows, in their order; (min(rows, most),).

    Each place is as likely as any other: stretches are of one length, and of more stretches than are wanted those
    count whose hashes are least.

    >>> places(10, 3).tolist(), places(3, 5).tolist()
    ([1, 4, 7], [0, 1, 2])
    """
    if rows <= most:
        return np.arange(rows)
    length = rows // most
    stretch = np.arange(rows // length)
    hashed = _mixed((stretch + 1) * _FIRST % _RANGE)
    kept = np.sort(np.argsort(_mixed(hashed))[:most])
    return kept * length + (hashed[kept] * length >> 32)


def _mixed(hashed: Ints) -> Ints:
    """Other numbers below 2^32, no two alike."""
    return (hashed ^ (hashed >> 16)) * _SECOND % _RANGE


def halves(rows: int) -> Bools:
    """Which rows (n,) belong to one half, the greater where there is one; of every two rows it is one or the other."""
    first = np.zeros(rows, dtype=np.bool_)
    first[places(rows, rows - rows // 2)] = True
    return first


def spread(relation: str, values: str, rows: int, most: int) -> str:
    """A query for expressions (`... AS name, ...`) at `places` of a relation, in their order.

    Ask for a column at a time where memory counts: DuckDB holds a whole row group of every column that it reads.

    Args:
        relation: what stands after FROM. rows: how many it has.
    """
    if rows <= most:
        return f"SELECT {values} FROM {relation}"
    numbered = f"SELECT {values}, row_number() OVER () - 1 AS {_PLACE} FROM {relation}"
    chosen = f"{_PLACE} IN ({_places(rows, most)})"
    return f"SELECT * EXCLUDE ({_PLACE}) FROM ({numbered}) WHERE {chosen} ORDER BY {_PLACE}"


def _places(rows: int, most: int) -> str:
    """`places` in SQL: no list of them has to be bound."""
    length = rows // most
    first = _mix(f"((stretch + 1) * {_FIRST} % {_RANGE})")
    hashed = f"SELECT stretch, {first} AS hashed FROM range({rows // length}) AS stretches(stretch)"
    place = f"stretch * {length} + ((hashed * {length}) >> 32)"
    return f"SELECT {place} FROM ({hashed}) ORDER BY {_mix('hashed')} LIMIT {most}"


def _mix(hashed: str) -> str:
    return f"(xor({hashed}, {hashed} >> 16) * {_SECOND} % {_RANGE})"
