"""Targets beside the main one: each judged as the main one is, and null in rows that have none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from bessemer.annotate.check import check_columns
from bessemer.annotate.spec import AnnotateSpec
from bessemer.annotate.stage import run
from bessemer.core.artifact import Artifact
from bessemer.core.errors import DataError, ProjectError
from bessemer.core.stage import Context
from bessemer.core.store import Store

WORDS = [f"word {i}" for i in range(5000)]
TYPES = {"int64": "BIGINT", "double": "DOUBLE", "string": "VARCHAR", "bool": "BOOLEAN"}


def annotated(
    folder: Path, table: pa.Table, target: str, *further: Any, said: list[str] | None = None, **spec: Any
) -> Artifact:
    """The artifact; `further` are names, or (name, task)."""
    store, told = Store(folder / "store"), said if said is not None else []
    path = store.temporary() / "in.parquet"
    pq.write_table(table, path)
    columns = [{"name": f.name, "dtype": TYPES[str(f.type)]} for f in table.schema]
    data = store.put("data", {"data.parquet": path}, {"rows": table.num_rows, "columns": columns})
    (folder / "work").mkdir(exist_ok=True)
    named = [[one, None] if isinstance(one, str) else list(one) for one in further]
    shared = {"target": target, "task": None, "further": named}
    ctx = Context(
        store=store, stage="annotate", shared=shared, seed=7, project_dir=folder, workdir=folder / "work",
        emit=lambda kind, d: told.append(str(d.get("text", ""))),
    )  # fmt: skip
    return store.get(run(AnnotateSpec(**spec), {"data": data}, ctx)["labelled"])


def rows(artifact: Artifact, name: str = "data.parquet") -> pa.Table:
    return pq.ParquetFile(artifact.path(name)).read()


def test_each_target_has_its_own_task(tmp_path: Path, shared: Path) -> None:
    adult = pa.csv.read_csv(shared / "adult" / "train.csv").slice(0, 4000)
    said: list[str] = []
    made = annotated(tmp_path, adult, "income", "hours_per_week", "occupation", said=said, rare="set_aside")
    hours, occupation = made.meta["further"]
    assert (made.meta["target"], made.meta["task"], made.meta["rows"]) == ("income", "binary", 4000)
    assert (hours["name"], hours["task"], hours["classes"], hours["missing"]) == (
        "hours_per_week",
        "regression",
        [],
        0,
    )
    missing = adult["occupation"].to_pylist().count("")
    assert occupation["task"] == "multiclass"
    assert occupation["missing"] >= missing > 0
    assert sum(occupation["counts"].values()) == 4000 - occupation["missing"]
    assert rows(made)["occupation"].null_count == occupation["missing"]
    assert rows(made)["hours_per_week"].equals(adult["hours_per_week"])
    assert any("have no occupation: they teach the other targets alone" in text for text in said)


@pytest.mark.slow
def test_without_a_further_target_nothing_is_said_of_any(tmp_path: Path) -> None:
    made = annotated(tmp_path, pa.table({"x": [1, 2, 3, 4], "y": [0, 1, 0, 1]}), "y")
    assert "further" not in made.meta


def test_what_is_no_label_is_null_and_rows_without_the_main_target_are_set_aside(tmp_path: Path) -> None:
    table = pa.table(
        {
            "y": ["a", "b", "a", "b", "a", "b", None, ""],
            "n": pa.array([1.5, float("inf"), None, 2.5, 0.5, 0.5, 3.5, 4.5]),
            "c": pa.array([1.0, 2.0, 1.0, float("inf"), 2.0, 1.0, 2.0, 3.0]),
            "t": ["u", " ", None, "v", "v", "u", "w", "w"],
            "more": ["u", " ", None, "v", "v", "u", "w", "w"],
        }
    )
    made = annotated(tmp_path, table, "y", "n", "c", "t")
    found = rows(made)
    assert found["n"].to_pylist() == [1.5, None, None, 2.5, 0.5, 0.5]
    assert found["c"].to_pylist() == [1, 2, 1, None, 2, 1]
    assert found["t"].to_pylist() == ["u", None, None, "v", "v", "u"]
    assert found["more"].to_pylist() == table["more"].to_pylist()[:6], "a column that is no target stays"
    assert [one["missing"] for one in made.meta["further"]] == [2, 1, 2]
    assert rows(made, "unlabelled.parquet")["t"].to_pylist() == ["w", "w"]


def test_classes_that_are_whole_numbers_are_integers_and_rare_ones_are_null(tmp_path: Path) -> None:
    table = pa.table({"y": [0, 1] * 4, "c": pa.array([1.0, 2.0, 1.0, 2.0, 1.0, 2.0, None, 7.0])})
    made = annotated(tmp_path, table, "y", "c", rare="set_aside")
    (one,) = made.meta["further"]
    assert (one["task"], one["classes"], one["missing"]) == ("binary", [1, 2], 2)
    assert rows(made)["c"].type == pa.int64()
    assert rows(made)["c"].to_pylist() == [1, 2, 1, 2, 1, 2, None, None]
    with pytest.raises(DataError, match="'c' has classes with a single row: 7"):
        annotated(tmp_path, table, "y", "c")


@pytest.mark.parametrize(
    ("column", "task", "error", "words"),
    [
        ([*WORDS, "word 1"], None, DataError, "`task: {z: multiclass}`"),
        ([*WORDS, "word 1"], "multiclass", ProjectError, "5,000 classes, 1,000 are the most"),
        ([1.5] * 5001, None, DataError, "'z' is constant"),
        ([None] * 5001, None, DataError, "'z' has no value in any row that has 'y'"),
        ([0.5, 1.5, 2.5] * 1667, "binary", ProjectError, "task: {z: regression}"),
        (["a", "b", "A"] * 1667, None, DataError, "differ only in case"),
    ],
)  # fmt: skip
def test_targets_that_cannot_be_told(
    tmp_path: Path, column: list[Any], task: str | None, error: type[Exception], words: str
) -> None:
    kind = pa.string() if all(one is None for one in column) else None
    table = pa.table({"y": [0, 1] * 2500 + [1], "z": pa.array(column, kind)})
    with pytest.raises(error) as caught:
        annotated(tmp_path, table, "y", ("z", task))
    assert words in str(caught.value) + str(getattr(caught.value, "fix", ""))


def test_columns_of_answers_have_names_of_their_own(tmp_path: Path) -> None:
    table = pa.table({"y": ["late", "Early", "b"] * 4, "late": [True, False] * 6, "b": [0.5, 1.5, 2.5] * 4})
    with pytest.raises(DataError, match="two columns 'probability_late'"):
        annotated(tmp_path, table, "y", "late")
    assert [one["name"] for one in annotated(tmp_path, table, "y", "b").meta["further"]] == ["b"]
    # x with the class y_z, and x_y with the class z
    both = pa.table({"m": [0, 1] * 6, "x": ["y_z", "b", "c"] * 4, "x_y": ["Z", "d", "e"] * 4})
    with pytest.raises(DataError, match="two columns 'probability_x_y_Z'"):
        annotated(tmp_path, both, "m", "x", "x_y")


def test_targets_that_are_no_columns_are_told_of_at_once() -> None:
    shared = {"target": "incme", "task": None, "further": [["hours", None], ["age", None]]}
    faults = check_columns(AnnotateSpec(), {"income": "VARCHAR", "age": "BIGINT"}, shared)
    assert [(fault.path, fault.what) for fault in faults] == [
        ("target", "no column 'incme' in the data"),
        ("target", "no column 'hours' in the data"),
    ]
