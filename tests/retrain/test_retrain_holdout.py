"""Which rows are fresh, where the data's types have changed between two trainings."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bessemer.core.artifact import Artifact
from bessemer.core.errors import DataError
from bessemer.core.store import Store
from bessemer.retrain.holdout import fresh_rows


def splits(folder: Path, **parts: pa.Table) -> Artifact:
    """An artifact as `prepare` makes it; the truth of a row is its number."""
    store, files = Store(folder), {}
    for name in ("train", "valid", "test"):
        table = parts.get(name, next(iter(parts.values())).slice(0, 0))
        path = folder / f"{name}.parquet"
        folder.mkdir(exist_ok=True)
        pq.write_table(table, path)
        np.save(folder / f"{name}.y.npy", np.arange(table.num_rows, dtype=np.float64))
        files |= {path.name: path, f"{name}.y.npy": folder / f"{name}.y.npy"}
    return store.get(store.put("splits", files, {"target": "y", "task": "regression", "classes": []}))


def fresh(folder: Path, before: pa.Table, after: pa.Table) -> list[float]:
    champion = splits(folder / "before", train=before)
    with fresh_rows(splits(folder / "after", test=after), champion) as holdout:
        assert pq.read_metadata(holdout.part).num_rows == holdout.rows
        return [float(value) for value in holdout.truth]


def column(*values: Any, kind: Any = None) -> pa.Table:
    return pa.table({"k": pa.array(values, kind)})


DAY = dt.date(2026, 1, 1)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (column(1, 2, 3), column(1.0, 2.0, 3.0, 4.5)),
        (column(1.0, 2.0, 3.0), column(1, 2, 3, 4)),
        (column(1, 2, 3, kind=pa.int8()), column(1, 2, 3, 4)),
        (column(0.1, 0.2, 0.3, kind=pa.float32()), column(0.1, 0.2, 0.3, 0.4)),
        (column(0.1, 0.2, 0.3), column(0.1, 0.2, 0.3, 0.4, kind=pa.float32())),
        (
            column(*[DAY + dt.timedelta(i) for i in range(3)]),
            column(*[dt.datetime(2026, 1, 1) + dt.timedelta(i) for i in range(4)]),
        ),
        (column("1", "2", "3"), column(1.0, 2.0, 3.0, 4.0)),
        (column(1, 2, 3), column("1", "2", "3", "four")),
        (column(True, False, None), column("true", "false", None, "neither")),
        (
            column("2026-01-01", "2026-01-02", "2026-01-03"),
            column(*[dt.datetime(2026, 1, 1) + dt.timedelta(i) for i in range(4)]),
        ),
    ],
    ids=lambda table: str(table.schema.field("k").type),
)
def test_a_row_is_the_same_in_another_type(tmp_path: Path, before: pa.Table, after: pa.Table) -> None:
    assert fresh(tmp_path, before, after) == [3.0]


def test_rows_are_told_by_all_that_both_have(tmp_path: Path) -> None:
    before = pa.table({"row": [1, 2], "place": [3, 4], "gone": [0, 0]})
    after = pa.table({"row": [1, 2, 1], "place": [3, 5, 3], "new": [9, 9, 9]})
    assert fresh(tmp_path, before, after) == [1.0]


def test_missing_is_not_an_empty_text(tmp_path: Path) -> None:
    assert fresh(tmp_path, column("", "a"), column("", "a", None)) == [2.0]


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        (pa.table({"x": [1]}), pa.table({"y": [1]}), "no column in common"),
        (pa.table({"file_row_number": [1]}), pa.table({"file_row_number": [1]}), "rename the column"),
        (pa.table({"a": [1]}), pa.table({"a": [1], "File_Row_Number": [1]}), "rename the column"),
    ],
)
def test_what_cannot_be_compared_is_said(
    tmp_path: Path, before: pa.Table, after: pa.Table, says: str
) -> None:
    with pytest.raises(DataError, match=says):
        fresh(tmp_path, before, after)
