"""What a project file may say of its engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from bessemer.acquire.at_engine import AtEngine
from bessemer.acquire.spec import AcquireSpec
from engines.agreement import context

SOURCES = {"sources": {"a": {"csv": "a.csv"}}}


def test_a_name_or_a_name_with_settings() -> None:
    assert AcquireSpec.model_validate(SOURCES).engine == {"duckdb": {}}
    assert AcquireSpec.model_validate({**SOURCES, "engine": "spark"}).engine_name == "spark"
    settings = {"master": "local[2]", "config": {"spark.executor.memory": "2g"}}
    spec = AcquireSpec.model_validate({**SOURCES, "engine": {"spark": settings}, "sample": 10})
    assert (spec.engine, spec.sample) == ({"spark": settings}, 10)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"engine": "sparkk"}, "did you mean 'spark'"),
        ({"engine": {"spark": {"mastr": "x"}}}, "mastr"),
        ({"engine": {"spark": {}, "duckdb": {}}}, "2 engines"),
        ({"engine": {"duckdb": {"threads": 2}}}, "it has none"),
        ({"engine": 5}, "5 is not an engine"),
        ({"sample": 5}, "needs an engine other than duckdb"),
        ({"sample": 0, "engine": "spark"}, "greater than or equal to 1"),
        ({"sample": 5, "engine": "spark", "python": "a:b"}, "do not go together"),
        ({"sources": {"a": {"at_engine": "a; drop table b"}}, "engine": "spark"}, "match pattern"),
    ],
)
def test_faults_say_what_to_write(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as refused:
        AcquireSpec.model_validate({**SOURCES, **given})
    assert words in str(refused.value)


def _kept(folder: Path, **changed: Any) -> str:
    """The name of the table that a section keeps at its engine."""
    given = {**SOURCES, "engine": {"spark": {"master": "local[1]"}}, "sample": 5, "sql": "select * from a"}
    spec = AcquireSpec.model_validate({**given, **changed})
    return AtEngine(spec, context(folder))._kept("select * from a", {"a": {"fingerprint": "same"}})


def test_sections_that_differ_keep_tables_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BESSEMER_PERSONAL_KEY", "one key of sixteen bytes")
    names = [
        _kept(tmp_path),
        _kept(tmp_path, sources={"a": {"csv": "a.csv", "null": ["-"]}}),
        _kept(tmp_path, personal={"name": "drop"}),
        _kept(tmp_path, personal={"name": "hash"}),
        _kept(tmp_path, engine={"spark": {"master": "local[2]"}}),
    ]
    monkeypatch.setenv("BESSEMER_PERSONAL_KEY", "other key of sixteen bytes")
    names.append(_kept(tmp_path, personal={"name": "hash"}))
    assert len(set(names)) == len(names)
    assert _kept(tmp_path) == names[0]
