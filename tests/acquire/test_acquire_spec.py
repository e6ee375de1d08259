"""The section of the project file, and the shorthand for a bare path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from bessemer.acquire.shorthand import source_from_path
from bessemer.acquire.spec import AcquireSpec, kind_of
from bessemer.core.errors import ProjectError


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("a/customers.parquet", {"parquet": "a/customers.parquet"}),
        ("x.csv.zip", {"csv": "x.csv.zip"}),
        ("X.TSV", {"csv": "X.TSV"}),
        ("s3://b/part-*.jsonl.gz", {"jsonl": "s3://b/part-*.jsonl.gz"}),
        ("https://h/x.csv?key=1", {"csv": "https://h/x.csv?key=1"}),
        ("python://pkg/data/x.csv", {"csv": "python://pkg/data/x.csv"}),
        ("shop.sqlite", {"sql": "sqlite:///shop.sqlite"}),
        ("postgres://u@h/db", {"sql": "postgres://u@h/db"}),
    ],
)
def test_shorthand(path: str, source: dict[str, str]) -> None:
    assert source_from_path(path) == source


def test_shorthand_of_folders(tmp_path: Path) -> None:
    (tmp_path / "in/deep").mkdir(parents=True)
    (tmp_path / "in/deep/1.parquet").touch()
    assert source_from_path("in", tmp_path) == {"parquet": "in"}
    (tmp_path / "in/2.csv").touch()
    for path in ("in", "in.xyz"):
        with pytest.raises(ProjectError) as caught:
            source_from_path(path, tmp_path)
        assert caught.value.faults[0].path == "data"
        assert caught.value.faults[0].fix


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ({"sources": {"d": {"cvs": "a.csv"}}}, "'cvs' is not a kind of source: did you mean 'csv'"),
        ({"sources": {"d": {"csv": "a.csv", "delimitr": ";"}}}, "Extra inputs"),
        ({"sources": {"a": {"csv": "a.csv"}, "b": {"csv": "b.csv"}}}, "2 sources (a, b) need `sql`"),
        (
            {"sources": {"a": {"csv": "a.csv"}, "A": {"csv": "b.csv"}}, "sql": "select 1"},
            "differ only by case",
        ),
        ({"sources": {}, "engine": "dukdb"}, "did you mean 'duckdb'"),
        ({"sources": {"d": {"sql": "sqlite:///a", "table": "t", "query": "select 1"}}}, "not both"),
        ({"python": "no function"}, "pattern"),
        ({"sources": {"d": {"csv": "a.csv", "sha256": "abc"}}}, "pattern"),
        ({"sources": {"d": {}}}, "no kind of source"),
    ],
)
def test_faults(section: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        AcquireSpec.model_validate(section)
    assert says in str(caught.value)


def test_every_field_is_described() -> None:
    spec = AcquireSpec.model_validate({"sources": {"d": {"csv": "a.csv"}}})
    source = spec.sources["d"]
    assert kind_of(source) == "csv"
    for model in (AcquireSpec, type(source)):
        assert all(field.description for name, field in model.model_fields.items())
