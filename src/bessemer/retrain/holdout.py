"""Fresh rows: those that the challenger was judged on and the champion has not seen either."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bessemer.core.artifact import Artifact
from bessemer.core.errors import DataError
from bessemer.core.sql import connect, literal, quote
from bessemer.evaluate.champion import Wanted

_MEMORY = 2**30
_PLACE = "file_row_number"  # DuckDB's name


@dataclass(frozen=True)
class Holdout:
    """part: a Parquet file of raw rows. truth: class index or number (n,) of the wanted target, in its order."""

    part: Path
    truth: NDArray[np.float64]
    wanted: Wanted

    @property
    def rows(self) -> int:
        return len(self.truth)


@contextmanager
def fresh_rows(challenger: Artifact, champion: Artifact) -> Iterator[Holdout]:
    """The test rows of the challenger's splits that are in no other part of the champion's, by all they hold in common.

    Whatever way rows were split, those that a model has trained or stopped on are left out, row by row. A row that is
    there twice, word for word, goes as well: it cannot be told which of the two was seen.

    Values are compared in a type that holds both: what was an integer may have become a number, a date a time.

    Args:
        challenger, champion: their artifacts `splits`.

    Raises:
        DataError: there is nothing to tell rows by.
    """
    test = challenger.path("test.parquet")
    seen = [champion.path(f"{name}.parquet") for name in ("train", "valid")]
    shared = _shared(test, *seen)
    with tempfile.TemporaryDirectory(prefix="bessemer-fresh-") as folder:
        part, places = Path(folder) / "fresh.parquet", Path(folder) / "places.parquet"
        connection = connect(threads=1, memory=_MEMORY, temporary=Path(folder) / "spill")
        types = _types(connection, shared, test, *seen)
        # a line of a hundred million rows has a hash of its own
        row = f"md5(concat_ws(chr(31), {', '.join(_text(name, kind) for name, kind in types.items())}))"
        known = " UNION ALL ".join(f"SELECT {row} AS row FROM read_parquet({literal(path)})" for path in seen)
        connection.execute(
            f"COPY (SELECT place FROM (SELECT {_PLACE} AS place, {row} AS row FROM "
            f"read_parquet({literal(test)}, file_row_number = true)) ANTI JOIN ({known}) USING (row) ORDER BY place) "
            f"TO {literal(places)} (FORMAT parquet)"
        )
        connection.execute(
            f"COPY (SELECT t.* EXCLUDE ({_PLACE}) FROM read_parquet({literal(test)}, file_row_number = true) t "
            f"JOIN read_parquet({literal(places)}) p ON t.{_PLACE} = p.place ORDER BY p.place) "
            f"TO {literal(part)} (FORMAT parquet)"
        )
        kept = pq.read_table(places).column("place").to_numpy()
        truth = np.load(challenger.path("test.y.npy"), allow_pickle=False)[kept]
        meta = challenger.meta
        yield Holdout(part, truth, Wanted(meta["target"], meta["task"], tuple(meta["classes"])))


def _shared(test: Path, *others: Path) -> list[str]:
    here = pq.read_schema(test).names
    if taken := next((name for name in here if name.lower() == _PLACE), None):
        raise DataError(
            f"rows with a column '{taken}' cannot be compared with earlier ones",
            why="DuckDB calls the place of a row in its file so",
            fix="rename the column, in `acquire: sql` for example",
        )
    names = [set(pq.read_schema(path).names) for path in others]
    shared = [name for name in here if all(name in there for there in names)]
    if not shared:
        raise DataError(
            "the new model and the served one have no column in common",
            why="rows that the served one has learned from are told by what both have",
            fix="deploy by hand what is about something else: bessemer deploy",
        )
    return shared


def _types(connection: Any, names: list[str], *paths: Path) -> dict[str, str]:
    """The type in which the values of each column are compared, whichever each file has."""
    found: dict[str, list[str]] = {name: [] for name in names}
    for path in paths:
        columns = ", ".join(map(quote, names))
        rows = connection.execute(f"DESCRIBE SELECT {columns} FROM read_parquet({literal(path)})").fetchall()
        for name, row in zip(names, rows, strict=True):
            found[name].append(row[1])
    return {name: _common(connection, list(dict.fromkeys(kinds))) for name, kinds in found.items()}


def _common(connection: Any, kinds: list[str]) -> str:
    """The type of a union of what is not text, as DuckDB has it; text where it has none.

    Of FLOAT and DOUBLE it is FLOAT: a number that was written with fewer digits is not another one.
    """
    typed = [kind for kind in kinds if kind != "VARCHAR"]
    if set(typed) == {"FLOAT", "DOUBLE"}:
        return "FLOAT"
    union = " UNION ALL ".join(f"SELECT NULL::{kind} AS c" for kind in typed or ["VARCHAR"])
    try:
        return str(connection.execute(f"DESCRIBE {union}").fetchone()[1])
    except duckdb.Error:
        return "VARCHAR"


def _text(name: str, kind: str) -> str:
    """The SQL of a value as text: what can be read as the type is written as that type writes it."""
    read = f"CAST(TRY_CAST({quote(name)} AS {kind}) AS VARCHAR)"
    return f"coalesce({read}, CAST({quote(name)} AS VARCHAR), chr(30))"
