"""Fresh rows: those that the challenger was judged on and the champion has not seen either."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bessemer.core.artifact import Artifact
from bessemer.core.signature import Task
from bessemer.core.sql import connect, literal, quote

_MEMORY = 2**30


@dataclass(frozen=True)
class Holdout:
    """part: a Parquet file of raw rows. truth: class index or number (n,), in its order; classes in their order."""

    part: Path
    truth: NDArray[np.float64]
    task: Task
    classes: tuple[object, ...]

    @property
    def rows(self) -> int:
        return len(self.truth)


@contextmanager
def fresh_rows(challenger: Artifact, champion: Artifact) -> Iterator[Holdout]:
    """The test rows of the challenger's splits that are in no other part of the champion's, by all they hold in common.

    Whatever way rows were split, those that a model has trained or stopped on are left out, row by row. A row that is
    there twice, word for word, goes as well: it cannot be told which of the two was seen.

    Args:
        challenger, champion: their artifacts `splits`.
    """
    with tempfile.TemporaryDirectory(prefix="bessemer-fresh-") as folder:
        part, places = Path(folder) / "fresh.parquet", Path(folder) / "places.parquet"
        test = challenger.path("test.parquet")
        seen = [champion.path(f"{name}.parquet") for name in ("train", "valid")]
        named = [quote(name) for name in _shared(test, *seen)]
        # as text: a column may be of another type in other data; a line of a hundred million rows has a hash of its own
        row = f"md5(concat_ws(chr(31), {', '.join(_text(name) for name in named)}))"
        known = " UNION ALL ".join(f"SELECT {row} AS row FROM read_parquet({literal(path)})" for path in seen)
        connection = connect(threads=1, memory=_MEMORY, temporary=Path(folder) / "spill")
        connection.execute(
            f"COPY (SELECT place FROM (SELECT file_row_number AS place, {row} AS row FROM "
            f"read_parquet({literal(test)}, file_row_number = true)) ANTI JOIN ({known}) USING (row) ORDER BY place) "
            f"TO {literal(places)} (FORMAT parquet)"
        )
        connection.execute(
            f"COPY (SELECT t.* EXCLUDE (file_row_number) FROM read_parquet({literal(test)}, file_row_number = true) t "
            f"JOIN read_parquet({literal(places)}) p ON t.file_row_number = p.place ORDER BY p.place) "
            f"TO {literal(part)} (FORMAT parquet)"
        )
        kept = pq.read_table(places).column("place").to_numpy()
        truth = np.load(challenger.path("test.y.npy"), allow_pickle=False)[kept]
        meta = challenger.meta
        yield Holdout(part, truth, meta["task"], tuple(meta["classes"]))


def _shared(test: Path, *others: Path) -> list[str]:
    names = [set(pq.read_schema(path).names) for path in others]
    return [name for name in pq.read_schema(test).names if all(name in there for there in names)]


def _text(name: str) -> str:
    return f"coalesce(CAST({name} AS VARCHAR), chr(30))"
