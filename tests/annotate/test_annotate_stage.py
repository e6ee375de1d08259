"""Tasks, classes and labels that are not there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessemer.annotate.classes import ordered
from bessemer.annotate.spec import AnnotateSpec
from bessemer.annotate.stage import run
from bessemer.core.artifact import Artifact
from bessemer.core.errors import DataError, ProjectError
from bessemer.core.stage import Context
from bessemer.core.store import Store

DATA = Path(__file__).resolve().parents[3] / "shared/data"
TYPES = {
    "int64": "BIGINT",
    "double": "DOUBLE",
    "string": "VARCHAR",
    "bool": "BOOLEAN",
    "timestamp[us]": "TIMESTAMP",
}


class Room:
    def __init__(self, folder: Path) -> None:
        self.folder, self.store, self.told = folder, Store(folder / "store"), list[str]()
        (folder / "work").mkdir()

    def run(
        self, y: Any, kind: pa.DataType | None = None, *, task: str | None = None, **spec: Any
    ) -> Artifact:
        table = y if isinstance(y, pa.Table) else pa.table({"x": range(len(y)), "y": pa.array(y, kind)})
        path = self.store.temporary() / "in.parquet"
        pq.write_table(table, path)
        columns = [{"name": f.name, "dtype": TYPES[str(f.type)]} for f in table.schema]
        data = self.store.put("data", {"data.parquet": path}, {"rows": table.num_rows, "columns": columns})
        ctx = Context(
            store=self.store, stage="annotate", shared={"target": "y", "task": task}, seed=7,
            project_dir=self.folder, workdir=self.folder / "work",
            emit=lambda kind, d: self.told.append(str(d.get("text", ""))),
        )  # fmt: skip
        self.given = self.store.get(data)
        return self.store.get(run(AnnotateSpec(**spec), {"data": data}, ctx)["labelled"])

    def table(self, artifact: Artifact, name: str = "data.parquet") -> dict[str, list[Any]]:
        return dict(pq.read_table(artifact.path(name).open("rb")).to_pydict())


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


@pytest.mark.parametrize(
    ("values", "task", "classes"),
    [
        ([True, False] * 3, "binary", [False, True]),
        ([1, 0] * 3, "binary", [0, 1]),
        ([2, 1] * 3, "binary", [1, 2]),
        ([1, -1] * 3, "binary", [-1, 1]),
        (["yes", "no"] * 3, "binary", ["no", "yes"]),
        (["Yes", "No"] * 3, "binary", ["No", "Yes"]),
        (["good", "bad"] * 3, "binary", ["good", "bad"]),
        (["<=50K", ">50K"] * 3, "binary", ["<=50K", ">50K"]),
        (["b", "a", "c"] * 3, "multiclass", ["a", "b", "c"]),
        ([5, 3, 4] * 3, "multiclass", [3, 4, 5]),
        ([0.0, 1.0] * 3, "binary", [0, 1]),
        ([3.0, 1.0, 2.0] * 3, "multiclass", [1, 2, 3]),
        ([0.5, 1.5] * 3, "regression", []),
        (list(range(21)) * 2, "regression", []),
        ([i / 7 for i in range(50)], "regression", []),
    ],
)
def test_task_and_classes(room: Room, values: list[Any], task: str, classes: list[Any]) -> None:
    labelled = room.run(values)
    assert labelled.meta["task"] == task
    assert labelled.meta["classes"] == classes
    assert [type(c) for c in labelled.meta["classes"]] == [type(c) for c in classes]
    assert labelled.meta["positive"] == (classes[1] if task == "binary" else None)
    assert sum(labelled.meta["counts"].values()) == (len(values) if classes else 0)


def test_whole_decimals_become_integers_in_the_data(room: Room) -> None:
    labelled = room.run([0.0, 1.0, None, 1.0, 0.0])
    assert room.table(labelled)["y"] == [0, 1, 1, 0]
    assert pq.read_schema(labelled.path("data.parquet").open("rb")).field("y").type == pa.int64()


def test_nothing_missing_is_the_same_file(room: Room) -> None:
    labelled = room.run(["a", "b"] * 3)
    assert labelled.files["data.parquet"] == room.given.files["data.parquet"]
    assert set(labelled.files) == {"data.parquet"}


def test_rows_without_a_label_are_kept_and_counted(room: Room) -> None:
    labelled = room.run(["a", None, "b", "", "a", "b", "  "])
    assert room.table(labelled)["x"] == [0, 2, 4, 5]
    assert room.table(labelled, "unlabelled.parquet")["x"] == [1, 3, 6]
    assert (labelled.meta["rows"], labelled.meta["unlabelled"]) == (4, 3)
    assert any("3 rows have no label" in text for text in room.told)


def test_infinite_targets_have_no_label(room: Room) -> None:
    labelled = room.run([0.5, float("inf"), 1.5, float("-inf"), float("nan"), 2.5])
    assert room.table(labelled)["y"] == [0.5, 1.5, 2.5]
    assert labelled.meta["unlabelled"] == 3


def test_task_overrides(room: Room) -> None:
    assert room.run([1, 2, 3] * 3, task="regression").meta["task"] == "regression"
    assert room.run([0, 1] * 3, task="regression").meta["classes"] == []
    assert room.run(list(range(30)) * 2, task="multiclass").meta["classes"] == list(range(30))
    assert room.run([f"v{i}" for i in range(60)] * 2, task="multiclass").meta["task"] == "multiclass"


def test_positive_overrides(room: Room) -> None:
    assert room.run(["a", "b"] * 2, positive="a").meta["classes"] == ["b", "a"]
    assert room.run([True, False] * 2, positive=False).meta["positive"] is False
    assert room.run([0, 1] * 2, positive=0).meta["classes"] == [1, 0]


@pytest.mark.parametrize(
    ("values", "task", "spec", "says"),
    [
        (["a", "b"] * 2, "regression", {}, "regression predicts numbers"),
        ([0.5, 1.5] * 2, "binary", {}, "has decimals"),
        (["a", "b", "c"] * 2, "binary", {}, "has 3"),
        (["a", "b"] * 2, "multiclass", {}, "task: binary"),
        (list(range(1001)) * 2, "multiclass", {}, "1,000 are the most"),
        (["ham", "spam"] * 2, None, {"positive": "spm"}, "did you mean 'spam'"),
        (["a", "b", "c"] * 2, None, {"positive": "a"}, "is for two classes"),
    ],
)
def test_settings_that_do_not_go_with_the_target(
    room: Room, values: list[Any], task: str | None, spec: dict[str, Any], says: str
) -> None:
    with pytest.raises(ProjectError) as caught:
        room.run(values, task=task, **spec)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("values", "kind", "says"),
    [
        ([None, None], pa.string(), "has no value in any row"),
        (["", ""], None, "has no value in any row"),
        ([float("inf")] * 2, None, "has no value in any row"),
        ([3, 3, None], None, "is constant: every row has 3"),
        (["x", "x"], None, "every row has 'x'"),
        ([f"v{i}" for i in range(60)] * 2, None, "text with 60 different values"),
        ([0, 1], pa.timestamp("us"), "is a time"),
        (["a", "a", "b", "b", "c"], None, "classes with a single row: 'c'"),
        (["a", "a", "b"], None, "classes with a single row: 'b'"),
    ],
)
def test_targets_nothing_can_be_learned_for(room: Room, values: list[Any], kind: Any, says: str) -> None:
    with pytest.raises(DataError) as caught:
        room.run(values, kind)
    assert says in str(caught.value)
    assert caught.value.fix


def test_missing_target_offers_the_nearest(room: Room) -> None:
    with pytest.raises(ProjectError) as caught:
        room.run(pa.table({"x": [1, 2], "Y": [0, 1]}))
    assert "no column 'y'" in str(caught.value)
    assert "did you mean 'Y'" in str(caught.value)


def test_rare_classes_set_aside(room: Room) -> None:
    labelled = room.run(["a", "a", "it's", "b", "b"], rare="set_aside")
    assert labelled.meta["classes"] == ["a", "b"]
    assert labelled.meta["task"] == "binary"
    assert room.table(labelled, "unlabelled.parquet")["y"] == ["it's"]
    assert labelled.meta["unlabelled"] == 1


def test_awkward_target_name_and_same_bytes(tmp_path: Path) -> None:
    digests = set()
    for run_number in range(2):
        folder = tmp_path / str(run_number)
        folder.mkdir()
        digests.add(Room(folder).run([None, "a", "b"] * 4).ref.digest)
    assert len(digests) == 1


@given(st.lists(st.sampled_from(["no", "yes", "a", "b", "B", "0", "1"]), min_size=2, max_size=5, unique=True))
def test_order_does_not_depend_on_the_order_given(values: list[str]) -> None:
    assert ordered(values) == ordered(values[::-1])
    assert sorted(ordered(values)) == sorted(values)


@pytest.mark.parametrize(
    ("name", "target", "task"),
    [
        ("telco", "Churn", "binary"),
        ("adult", "income", "binary"),
        ("california", "median_house_value", "regression"),
    ],
)
def test_real_tables(room: Room, name: str, target: str, task: str) -> None:
    table = pyarrow.csv.read_csv(DATA / name / "train.csv")
    table = table.rename_columns(["y" if column == target else column for column in table.column_names])
    assert room.run(table).meta["task"] == task


def test_classes_that_differ_only_in_case_are_refused(room: Room) -> None:
    with pytest.raises(DataError, match="'No' and 'no'; 'Yes' and 'yes'"):
        room.run(["No", "no", "Yes", "yes", "maybe"] * 4)
