"""Scoring files: same rows in the same order, whatever the format; nothing half-written."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from bessemer.core.errors import DataError, UsageError
from bessemer.package.score import predict_file


@pytest.fixture
def model(make_trained: Any, build: Any) -> Any:
    return build(make_trained("binary", "lightgbm"))


@pytest.fixture
def table(make_rows: Any) -> pa.Table:
    rows = make_rows(700, seed=11)
    return rows.append_column("id", pa.array([f"{i:05d}" for i in range(700)]))


def jsonl(table: pa.Table) -> str:
    return "".join(json.dumps(row, default=str) + "\n" for row in table.to_pylist())


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl", "csv.gz"])
@pytest.mark.parametrize("threads", [1, 3])
def test_each_format_scores_as_the_table_does(
    ending: str, threads: int, make_trained: Any, build: Any, table: pa.Table, tmp_path: Path
) -> None:
    model = build(make_trained("binary", "lightgbm"), threads=threads)
    source = tmp_path / f"in.{ending}"
    if ending == "parquet":
        pq.write_table(table, source, row_group_size=150)
    elif ending == "jsonl":
        source.write_text(jsonl(table))
    else:
        pyarrow.csv.write_csv(table, tmp_path / "in.csv")
        if ending == "csv.gz":
            source.write_bytes(gzip.compress((tmp_path / "in.csv").read_bytes()))
    seen: list[int] = []
    rows = predict_file(
        model,
        source,
        tmp_path / "out.parquet",
        explain=True,
        keep=["id"],
        batch_rows=100,
        progress=seen.append,
    )
    assert rows == sum(seen) == 700
    out = pq.read_table(tmp_path / "out.parquet")
    expected = model.predict(table, explain=True)
    assert out.column_names == ["id", *expected.column_names]
    assert out["id"].to_pylist() == table["id"].to_pylist()
    for name in expected.column_names:
        if name == "prediction":
            assert out[name].to_pylist() == expected[name].to_pylist()
        else:
            np.testing.assert_allclose(out[name], expected[name], rtol=1e-5, atol=1e-6)


def test_csv_out_and_many_files_in_order(model: Any, table: pa.Table, tmp_path: Path) -> None:
    parts = tmp_path / "parts"
    parts.mkdir()
    for i in range(3):
        pq.write_table(table.slice(i * 100, 100), parts / f"part-{i}.parquet")
    keep = ["id", "city"]
    assert predict_file(model, parts, tmp_path / "folder.csv", keep=keep) == 300
    assert predict_file(model, parts / "part-*.parquet", tmp_path / "out.csv", keep=keep) == 300
    assert (tmp_path / "folder.csv").read_bytes() == (tmp_path / "out.csv").read_bytes()
    out = pyarrow.csv.read_csv(tmp_path / "out.csv")
    assert out.column_names == ["id", "city", "prediction", "probability"]
    assert out["id"].to_pylist() == list(range(300))
    assert out["prediction"].to_pylist() == model.predict(table.slice(0, 300))["prediction"].to_pylist()


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_an_empty_file_gives_an_empty_file(model: Any, table: pa.Table, tmp_path: Path, ending: str) -> None:
    empty = table.slice(0, 0)
    if ending == "parquet":
        pq.write_table(empty, tmp_path / "in.parquet")
    else:
        pyarrow.csv.write_csv(empty, tmp_path / "in.csv")
    assert predict_file(model, tmp_path / f"in.{ending}", tmp_path / "out.parquet") == 0
    assert pq.read_table(tmp_path / "out.parquet").column_names == ["prediction", "probability"]


def test_a_failure_leaves_the_old_output_and_no_other_file(
    model: Any, table: pa.Table, tmp_path: Path
) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    pq.write_table(table.set_column(0, "age", pa.array(["old"] * 700)), folder / "in.parquet")
    (folder / "out.parquet").write_bytes(b"before")
    with pytest.raises(DataError, match="column 'age', row 0: 'old'"):
        predict_file(model, folder / "in.parquet", folder / "out.parquet")
    assert (folder / "out.parquet").read_bytes() == b"before"
    assert sorted(p.name for p in folder.iterdir()) == ["in.parquet", "out.parquet"]


def test_what_is_refused(model: Any, table: pa.Table, tmp_path: Path) -> None:
    source = tmp_path / "in.parquet"
    pq.write_table(table, source)
    with pytest.raises(DataError, match="no file") as caught:
        predict_file(model, tmp_path / "im.parquet", tmp_path / "out.parquet")
    assert caught.value.fix == "did you mean 'in.parquet'?"
    with pytest.raises(UsageError, match="is the source itself"):
        predict_file(model, source, source)
    with pytest.raises(UsageError, match=r"cannot write 'out\.xls'"):
        predict_file(model, source, tmp_path / "out.xls")
    with pytest.raises(UsageError, match="no column 'ident' to keep"):
        predict_file(model, source, tmp_path / "out.parquet", keep=["ident"])
    (tmp_path / "cut.parquet").write_bytes(source.read_bytes()[:-50])
    with pytest.raises(DataError, match="as Parquet"):
        predict_file(model, tmp_path / "cut.parquet", tmp_path / "out.parquet")
    (tmp_path / "in.xls").write_bytes(b"x")
    with pytest.raises(DataError, match=r"cannot tell what 'in\.xls' is"):
        predict_file(model, tmp_path / "in.xls", tmp_path / "out.parquet")
    (tmp_path / "bad.csv").write_text("age,city\n1,a\nold,b\n")
    with pytest.raises(DataError, match="cannot read") as caught:
        predict_file(model, tmp_path / "bad.csv", tmp_path / "out.parquet")
    assert "old" in caught.value.why
