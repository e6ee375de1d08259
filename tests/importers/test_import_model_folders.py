"""A model that is a folder is read within bounds, and nothing outside of it is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bessemer.core.errors import FormatError
from bessemer.importers.models import folders
from bessemer.importers.models.folders import files_of, names_of


def test_files_have_their_paths_below_the_folder(tmp_path: Path) -> None:
    (tmp_path / "b" / "c").mkdir(parents=True)
    (tmp_path / "b" / "c" / "deep.bin").write_bytes(b"1")
    (tmp_path / "a.txt").write_bytes(b"2")
    assert files_of(tmp_path) == {"a.txt": b"2", "b/c/deep.bin": b"1"}


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").symlink_to(tmp_path / "secret")
    with pytest.raises(FormatError, match="no plain file"):
        names_of(tmp_path / "model")


def test_a_pipe_does_not_hold_it_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FormatError, match="no plain file"):
        files_of(tmp_path)


def test_a_folder_has_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "LARGEST", 10)
    (tmp_path / "a").write_bytes(bytes(8))
    assert len(files_of(tmp_path)["a"]) == 8
    (tmp_path / "b").write_bytes(bytes(3))
    with pytest.raises(FormatError, match="more than 10 bytes"):
        files_of(tmp_path)
    monkeypatch.setattr(folders, "MOST_FILES", 1)
    with pytest.raises(FormatError, match="more than 1 files"):
        names_of(tmp_path)
    deep = tmp_path.joinpath("deep", *["x"] * (folders.DEEPEST + 1))
    deep.mkdir(parents=True)
    monkeypatch.setattr(folders, "MOST_FILES", 99)
    with pytest.raises(FormatError, match="deep"):
        names_of(tmp_path)
