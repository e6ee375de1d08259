"""Scoring files: same rows in the same order, whatever the format; nothing half-written."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from bessemer.core.errors import DataError, UsageError
from bessemer.package.model import load
from bessemer.predict.job import predict


@pytest.fixture
def table(make_rows: Any) -> pa.Table:
    return make_rows(700, seed=11)


def jsonl(table: pa.Table) -> str:
    return "".join(json.dumps(row, default=str) + "\n" for row in table.to_pylist())


def written(table: pa.Table, path: Path) -> Path:
    name = path.name.removesuffix(".gz")
    if name.endswith("parquet"):
        pq.write_table(table, path, row_group_size=150)
        return path
    if name.endswith("jsonl"):
        data = jsonl(table).encode()
    else:
        plain = path.with_name("plain")
        delimiter = "\t" if name.endswith("tsv") else ","
        pyarrow.csv.write_csv(table, plain, pyarrow.csv.WriteOptions(delimiter=delimiter))
        data = plain.read_bytes()
        plain.unlink()
    path.write_bytes(gzip.compress(data) if path.name.endswith(".gz") else data)
    return path


def same(out: pa.Table, expected: pa.Table) -> None:
    for name in expected.column_names:
        if name == "prediction":
            assert out[name].to_pylist() == expected[name].to_pylist()
        else:
            np.testing.assert_allclose(out[name], expected[name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("ending", ["parquet", "csv", "tsv", "jsonl", "csv.gz", "jsonl.gz"])
@pytest.mark.parametrize("threads", [1, 3])
def test_each_format_scores_as_the_table_does(
    ending: str, threads: int, package: Path, table: pa.Table, tmp_path: Path
) -> None:
    model = load(package, threads=threads)
    source = written(table, tmp_path / f"in.{ending}")
    seen: list[int] = []
    done = predict(
        model,
        source,
        tmp_path / "out.parquet",
        explain=True,
        keep=["id"],
        batch_rows=100,
        told=lambda rows, before: seen.append(rows),
    )
    assert done.rows == sum(seen) == 700
    assert (done.taken_over, done.unstable) == (0, "")
    out = pq.read_table(tmp_path / "out.parquet")
    expected = model.predict(table, explain=True)
    assert out.column_names == ["id", *expected.column_names]
    assert out["id"].to_pylist() == table["id"].to_pylist()
    same(out, expected)


def test_the_parquet_is_read_alike_by_others(model: Any, table: pa.Table, tmp_path: Path) -> None:
    """The row groups were moved, and the footer was written, by our own code."""
    path = tmp_path / "out.parquet"
    predict(
        model, written(table, tmp_path / "in.parquet"), path, keep=["id", "désactivé", "note"], batch_rows=64
    )
    out = pq.read_table(path)
    facts = pq.ParquetFile(path).metadata
    assert (facts.num_rows, facts.num_row_groups) == (700, 11)
    assert [facts.row_group(i).num_rows for i in range(11)] == [64] * 10 + [60]
    statistics = facts.row_group(10).column(0).statistics
    assert (statistics.min, statistics.max) == ("00640", "00699")
    assert out["désactivé"].to_pylist() == table["désactivé"].to_pylist()
    assert polars.read_parquet(path).to_arrow()["note"].to_pylist() == table["note"].to_pylist()
    found = duckdb.sql(f"SELECT * FROM '{path}' WHERE id >= '00650'").to_arrow_table()
    assert found["probability"].to_pylist() == out.slice(650)["probability"].to_pylist()
    assert pq.read_table(path, filters=[("id", "=", "00321")]).num_rows == 1


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "tsv", "jsonl", "jsonl.gz"])
def test_texts_out(model: Any, table: pa.Table, tmp_path: Path, ending: str) -> None:
    source, path = written(table, tmp_path / "in.parquet"), tmp_path / f"out.{ending}"
    predict(model, source, path, keep=["id", "note"], batch_rows=300)
    reader = "read_json" if "json" in ending else "read_csv"
    columns = "{'id': 'VARCHAR', 'note': 'VARCHAR', 'prediction': 'VARCHAR', 'probability': 'FLOAT'}"
    out = duckdb.sql(f"SELECT * FROM {reader}('{path}', columns = {columns})").to_arrow_table()
    same(out, model.predict(table))
    assert out["id"].to_pylist() == table["id"].to_pylist()
    assert out["note"].to_pylist() == table["note"].to_pylist()


def test_many_files_in_order_of_name(model: Any, table: pa.Table, tmp_path: Path) -> None:
    parts = tmp_path / "parts"
    (parts / "later").mkdir(parents=True)
    for i, name in enumerate(
        ["part-0.parquet", "part-1.csv", "later/part-2.jsonl", "_SUCCESS", ".part-9.parquet"]
    ):
        if name.startswith(("_", ".")):
            (parts / name).write_bytes(b"no data")
        else:
            written(table.slice(i * 100, 100), parts / name)
    predict(model, parts, tmp_path / "folder.csv", keep=["id", "contract"], batch_rows=64)
    out = pyarrow.csv.read_csv(tmp_path / "folder.csv")
    assert out.column_names == ["id", "contract", "prediction", "probability"]
    assert out["id"].to_pylist() == [*range(200, 300), *range(200)]
    predict(model, parts / "part-*", tmp_path / "glob.csv", keep=["id", "contract"])
    out = pyarrow.csv.read_csv(tmp_path / "glob.csv")
    assert out["prediction"].to_pylist() == model.predict(table.slice(0, 200))["prediction"].to_pylist()


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_an_empty_file_gives_an_empty_file(model: Any, table: pa.Table, tmp_path: Path, ending: str) -> None:
    source = written(table.slice(0, 0), tmp_path / f"in.{ending}")
    assert predict(model, source, tmp_path / "out.parquet").rows == 0
    assert pq.read_table(tmp_path / "out.parquet").column_names == ["prediction", "probability"]
    assert predict(model, source, f"{tmp_path}/out/").rows == 0
    assert pq.read_table(tmp_path / "out").column_names == ["prediction", "probability"]


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_columns_that_may_be_missing_may_be_left_out(
    ending: str, model: Any, table: pa.Table, tmp_path: Path
) -> None:
    few = table.select(["id", "note", "tenure"])
    predict(model, written(few, tmp_path / f"in.{ending}"), tmp_path / "out.parquet")
    same(pq.read_table(tmp_path / "out.parquet"), model.predict(few))
    with pytest.raises(DataError, match="'tenure'"):
        predict(model, written(few.drop(["tenure"]), tmp_path / f"in.{ending}"), tmp_path / "out.parquet")


def test_a_csv_means_what_it_means_in_training(model: Any, tmp_path: Path) -> None:
    """NA is no value to the model; what is kept stays as it is written."""
    (tmp_path / "in.csv").write_text("id,tenure,monthly charges,contract\n007,1,NA,One year\nNA,2,,N/A\n")
    predict(model, tmp_path / "in.csv", tmp_path / "out.parquet", keep=["id"])
    out = pq.read_table(tmp_path / "out.parquet")
    assert out["id"].to_pylist() == ["007", "NA"]
    rows = [{"tenure": 1, "contract": "One year"}, {"tenure": 2}]
    assert out["probability"].to_pylist() == model.predict(rows)["probability"].to_pylist()


def test_a_failure_leaves_the_old_output_and_no_other_file(
    model: Any, table: pa.Table, tmp_path: Path
) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    bad = table.set_column(1, "tenure", pa.array(["old"] * 700))
    pq.write_table(bad, folder / "in.parquet")
    (folder / "out.parquet").write_bytes(b"before")
    with pytest.raises(DataError, match="column 'tenure', row 0: 'old'"):
        predict(model, folder / "in.parquet", folder / "out.parquet")
    assert (folder / "out.parquet").read_bytes() == b"before"
    assert sorted(p.name for p in folder.iterdir()) == ["in.parquet", "out.parquet"]


def test_what_is_refused(model: Any, table: pa.Table, tmp_path: Path) -> None:
    source = tmp_path / "in.parquet"
    pq.write_table(table, source)
    with pytest.raises(DataError, match="no file") as caught:
        predict(model, tmp_path / "im.parquet", tmp_path / "out.parquet")
    assert caught.value.fix == "did you mean 'in.parquet'?"
    with pytest.raises(UsageError, match="is the source itself"):
        predict(model, source, source)
    with pytest.raises(UsageError, match="is the source itself"):
        predict(model, source, f"{tmp_path}/")
    with pytest.raises(UsageError, match=r"cannot write 'out\.xls'"):
        predict(model, source, tmp_path / "out.xls")
    with pytest.raises(UsageError, match="no column 'ident' to keep"):
        predict(model, source, tmp_path / "out.parquet", keep=["ident"])
    with pytest.raises(UsageError, match="cannot keep 'prediction'"):
        predict(model, source, tmp_path / "out.parquet", keep=["prediction"])
    (tmp_path / "cut.parquet").write_bytes(source.read_bytes()[:-50])
    with pytest.raises(DataError, match="as Parquet"):
        predict(model, tmp_path / "cut.parquet", tmp_path / "out.parquet")
    (tmp_path / "in.xyz").write_bytes(b"x")
    with pytest.raises(DataError, match=r"cannot tell what 'in\.xyz' is"):
        predict(model, tmp_path / "in.xyz", tmp_path / "out.parquet")
    (tmp_path / "bad.csv").write_text("tenure,contract\n1,a\nold,b\n")
    with pytest.raises(DataError, match="cannot read") as bad:
        predict(model, tmp_path / "bad.csv", tmp_path / "out.parquet")
    assert "old" in bad.value.why
