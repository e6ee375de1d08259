"""What scans of code found is kept for the next process, and is worth nothing where it is damaged."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs
import pytest

from bessemer.core import code, scans


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own."""
    folder = tmp_path / "cache"
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda name: str(folder / name))
    return folder


def test_a_file_that_was_scanned_is_not_parsed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    first = scans.known()
    found = code.code_of("bessemer.protect.stage", first)
    scans.keep(first)
    again = scans.known()
    assert again
    assert again == first

    def no_scan(file: Path) -> None:
        raise AssertionError(f"{file} was parsed again")

    monkeypatch.setattr(code, "_scan", no_scan)
    assert code.code_of("bessemer.protect.stage", again) == found


def test_one_that_changed_is(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "bessemer"
    root.mkdir()
    file = root / "stage.py"
    file.write_text("import numpy\n")
    monkeypatch.setattr(code, "ROOT", root)
    memo = scans.known()
    assert "numpy" in code.code_of("bessemer.stage", memo).packages
    scans.keep(memo)
    file.write_text("import pyarrow\n")
    os.utime(file, ns=(1, 1))
    code._scan.cache_clear()
    memo = scans.known()
    assert set(code.code_of("bessemer.stage", memo).packages) == {"pyarrow"}
    scans.keep(memo)
    assert len(scans.known()) == 1, "what was before is forgotten"


@pytest.mark.parametrize(
    "content", [b"", b"\xff", b"[" * 200_000, b"[1]", b'{"stage.py|1|2|3": 5}', b'{"stage.py|1|2|3": "a|b"}']
)
def test_damaged_it_is_nothing(content: bytes, cache: Path) -> None:
    scans.keep({"stage.py|1|2|3": "digest||"})
    (file,) = cache.rglob("*.json")
    assert scans.known() == {"stage.py|1|2|3": "digest||"}
    file.write_bytes(content)
    assert scans.known() == {}


def test_where_nothing_can_be_written_nothing_is(cache: Path) -> None:
    cache.write_text("a file where the folder should be")
    scans.keep({"stage.py|1|2|3": "digest||"})
    assert scans.known() == {}
