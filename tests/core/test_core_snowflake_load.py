"""What is told to Snowflake of files, whose paths it takes apart by rules of its own."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bessemer.core.snowflake_load import loaded


@pytest.mark.parametrize("name", ["it's 5%", "back\\slash", "über uns"])
def test_put_is_given_plain_names_and_raw_paths(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files lie where no pattern may be, and have one name; temporary files have a folder that is odd."""
    odd = tmp_path / name
    odd.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(odd))
    files = [tmp_path / f"[{number}]*" / "rows.parquet" for number in range(2)]
    for number, file in enumerate(files):
        file.parent.mkdir()
        pq.write_table(pa.table({"a": [number]}), file)
    brought: list[Path] = []
    values: list[int] = []

    def run(sql: str) -> None:
        if found := re.fullmatch(
            r"PUT 'file://((?:[^'\\]|\\.)*)' @BESSEMER_STAGE_3 AUTO_COMPRESS = FALSE", sql
        ):
            file = Path(re.sub(r"\\(.)", r"\1", found[1]))
            brought.append(file)
            values.extend(pq.read_table(file)["a"].to_pylist())

    assert loaded(run, 3, pa.schema({"a": pa.int64()}), files) == '"BESSEMER_SOURCE_3"'
    assert values == [0, 1]
    assert len({file.name for file in brought}) == 2, "one would be put over the other"
    assert not any(file.exists() for file in brought)
    assert all(file.exists() for file in files)
