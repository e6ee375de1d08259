"""Folders of Hugging Face's datasets keep what every source must do, without a network and without code."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from bessemer.acquire.spec import AcquireSpec
from bessemer.acquire.stage import fingerprint
from bessemer.core.errors import DataError
from bessemer.testing.sources import CHECKS, Check, Options, read

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _quiet() -> None:
    datasets.disable_progress_bars()


class Saved:
    """What `save_to_disk` writes: one schema, which nobody changes."""

    lacks = frozenset({"credentials", "interruption", "schema change"})

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, name: str, table: pa.Table) -> Options:
        datasets.Dataset(table).save_to_disk(str(self.folder / name))
        return {"datasets": str(self.folder / name)}

    def add(self, name: str, table: pa.Table) -> None:
        raise NotImplementedError

    def missing(self, name: str) -> Options:
        return {"datasets": str(self.folder / name)}

    def refused(self, name: str) -> Options:
        raise NotImplementedError

    def interrupted(self) -> AbstractContextManager[None]:
        return nullcontext()


class Repository(Saved):
    """A folder as it lies on the Hub: Parquet files by split."""

    def put(self, name: str, table: pa.Table) -> Options:
        (self.folder / name / "data").mkdir(parents=True)
        pq.write_table(table, self.folder / name / "data" / "train-00000-of-00001.parquet")
        return {"datasets": str(self.folder / name)}


@pytest.mark.parametrize("system", [Saved, Repository])
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_datasets(check: Check, system: type[Saved], tmp_path: Path) -> None:
    check(system(tmp_path / "there"), tmp_path / "here")


def pets() -> Any:
    picture = Image.new("RGB", (4, 3))
    features = datasets.Features(
        {
            "id": datasets.Value("int64"),
            "label": datasets.ClassLabel(names=["cat", "dog"]),
            "photo": datasets.Image(),
            "tags": datasets.List(datasets.Value("string")),
        }
    )
    rows = {"id": [1, 2, 3], "label": [0, 1, None], "photo": [picture] * 3, "tags": [["a"], [], None]}
    return datasets.Dataset.from_dict(rows, features=features)


def test_splits_and_features_of_save_to_disk(tmp_path: Path) -> None:
    datasets.DatasetDict(train=pets(), test=pets().select([2, 0])).save_to_disk(str(tmp_path / "pets"))
    found = read({"datasets": "pets", "split": "train"}, tmp_path)
    assert found["label"].to_pylist() == ["cat", "dog", None]
    assert found["tags"].to_pylist() == ['["a"]', "[]", None]
    assert found["photo"].to_pylist() == [None] * 3, "these images came from memory: they have no path"
    assert read({"datasets": "pets", "split": "test", "columns": ["id", "label"]}, tmp_path).num_rows == 2
    for options, said in (
        ({}, "2 splits, and none is named"),
        ({"split": "tset"}, "test"),
        ({"split": "test", "columns": ["lable"]}, "label"),
        ({"split": "test", "config": "x"}, "no configurations"),
    ):
        with pytest.raises(DataError) as caught:
            read({"datasets": "pets", **options}, tmp_path)
        assert said in str(caught.value)


def test_rows_that_were_chosen_and_shuffled_come_as_they_were_saved(tmp_path: Path) -> None:
    rows = datasets.Dataset.from_dict({"id": list(range(1000)), "x": list(range(1000))}).shuffle(seed=1)
    rows.select(range(500)).save_to_disk(str(tmp_path / "d"), num_shards=3)
    found = read({"datasets": "d"}, tmp_path, sql="select x, id from data")
    assert sorted(found["id"].to_pylist()) == sorted(rows.select(range(500))["id"])


def repository(folder: Path) -> None:
    (folder / "data").mkdir(parents=True)
    pq.write_table(pa.table({"id": [0, 1], "x": ["a", "b"]}), folder / "data" / "train-0.parquet")
    pq.write_table(pa.table({"id": [2], "x": ["c"]}), folder / "data" / "test-0.parquet")
    pq.write_table(pa.table({"id": [5, 6], "y": [1.5, 2.5]}), folder / "extra.parquet")
    (folder / "README.md").write_text(
        "---\nconfigs:\n- config_name: main\n  data_files:\n  - {split: train, path: data/train-*}\n"
        "  - {split: test, path: data/test-*}\n- config_name: more\n  data_files: extra.parquet\n---\n# Hello\n"
    )


def test_configurations_of_a_readme(tmp_path: Path) -> None:
    repository(tmp_path / "r")
    found = read({"datasets": "r", "config": "main", "split": "train"}, tmp_path)
    assert found.to_pydict() == {"id": [0, 1], "x": ["a", "b"]}
    assert read({"datasets": "r", "config": "more"}, tmp_path).to_pydict() == {"id": [5, 6], "y": [1.5, 2.5]}
    for options, said in (
        ({}, "one of main, more"),
        ({"config": "man"}, "main"),
        ({"config": "main"}, "splits"),
    ):
        with pytest.raises(DataError) as caught:
            read({"datasets": "r", **options}, tmp_path)
        assert said in str(caught.value)


def test_folders_of_images_keep_their_paths(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / "i" / name).mkdir(parents=True)
        Image.new("RGB", (4, 3)).save(tmp_path / "i" / name / "1.png")
    found = read({"datasets": "i"}, tmp_path)
    assert sorted(found["image"].to_pylist()) == ["cat/1.png", "dog/1.png"]
    assert sorted(found["label"].to_pylist()) == ["cat", "dog"]


def test_nothing_comes_from_elsewhere(tmp_path: Path) -> None:
    """Files that a README names at other places are refused, and no connection is even tried."""
    (tmp_path / "secret.csv").write_text("a,b\n1,2\n")
    for at in ("https://example.org/a.csv", "../secret.csv", str(tmp_path / "secret.csv")):
        folder = tmp_path / "r"
        folder.mkdir(exist_ok=True)
        (folder / "README.md").write_text(f"---\nconfigs:\n- config_name: main\n  data_files: {at}\n---\n")
        with pytest.raises(DataError):
            read({"datasets": "r"}, tmp_path)
    repository(tmp_path / "good")
    script = (
        "import socket, sys\n"
        "def refuse(*a, **k): raise SystemExit(f'a connection was tried: {a}')\n"
        "socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse\n"
        "from pathlib import Path\nfrom bessemer.testing.sources import read\n"
        "found = read({'datasets': 'good', 'config': 'main', 'split': 'train'}, Path(sys.argv[1]))\n"
        "assert found.num_rows == 2"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_no_code_of_a_dataset_runs(tmp_path: Path) -> None:
    repository(tmp_path / "r")
    (tmp_path / "r" / "r.py").write_text("raise SystemExit('code of the dataset ran')")
    with pytest.raises(DataError, match="'r' cannot be read") as caught:
        read({"datasets": "r", "config": "more"}, tmp_path)
    assert "scripts are no longer supported" in str(caught.value)


def test_the_fingerprint_is_of_all_files(tmp_path: Path) -> None:
    repository(tmp_path / "r")
    spec = AcquireSpec.model_validate({"sources": {"data": {"datasets": "r", "config": "more"}}})
    one = fingerprint(spec, tmp_path)
    assert fingerprint(spec, tmp_path) == one
    pq.write_table(pa.table({"id": [5, 6], "y": [1.5, 2.75]}), tmp_path / "r" / "extra.parquet")
    assert fingerprint(spec, tmp_path) != one
