"""What a bare path stands for: files by their endings, folders by what is in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bessemer.acquire.shorthand import source_from_path
from bessemer.core.errors import ProjectError


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("a.xlsx", "excel"),
        ("a.XLS", "excel"),
        ("s3://b/a.ods", "excel"),
        ("a.avro", "avro"),
        ("a.orc", "orc"),
        ("t/metadata/00003-x.metadata.json", "iceberg"),
        ("a.json", "jsonl"),
        ("mongodb://host/db", "mongodb"),
        ("mongodb+srv://me:${PASSWORD}@host/db", "mongodb"),
    ],
)
def test_endings_and_schemes(path: str, kind: str) -> None:
    assert source_from_path(path) == {kind: path}


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        (["_delta_log/0.json", "a.parquet"], "delta"),
        (["metadata/v1.metadata.json", "data/a.parquet"], "iceberg"),
        (["dataset_dict.json", "train/data-0.arrow"], "datasets"),
        (["dataset_info.json", "state.json", "data-0.arrow"], "datasets"),
        (["cat/1.png", "dog/1.jpg"], "images"),
        (["cat/1.png", "metadata.csv"], "images"),
        (["a.csv", "logo.png"], "csv"),
        (["a.xlsx", "b/c.xls"], "excel"),
        (["a.parquet"], "parquet"),
    ],
)
def test_folders(files: list[str], kind: str, tmp_path: Path) -> None:
    for name in files:
        file = tmp_path / "data" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    assert source_from_path("data", tmp_path) == {kind: "data"}


def test_a_folder_of_several_kinds_is_a_fault(tmp_path: Path) -> None:
    for name in ("a.csv", "b.avro"):
        (tmp_path / name).touch()
    with pytest.raises(ProjectError, match="several kinds: avro, csv"):
        source_from_path(".", tmp_path)
