"""Copies of remote files: what is kept, for how long, and under which names."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessemer.acquire.transfer.kept import Kept, most_bytes
from bessemer.acquire.transfer.remote import Remote
from bessemer.core.errors import UsageError

DAY = 86_400.0


def remote(name: str, size: int = 100, version: str = "1") -> Remote:
    return Remote(f"b/{name}", name, size, version)


def keep(kept: Kept, *remotes: Remote) -> list[Path]:
    paths = kept.paths(list(remotes))
    for path, each in zip(paths, remotes, strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * (each.size or 0))
    kept.forget_all_but(paths)
    return paths


def test_each_version_has_a_place_of_its_own(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "cache", tmp_path / "work", "s3://b/")
    (old,) = keep(kept, remote("day=1/a.csv"))
    assert old.parts[-2:] == ("day=1", "a.csv")
    assert old.is_relative_to(tmp_path / "cache")
    (new,) = keep(kept, remote("day=1/a.csv", version="2"))
    assert new != old
    assert (old.exists(), new.exists()) == (False, True)
    (unknown,) = kept.paths([remote("a.csv", version="")])
    assert unknown.is_relative_to(tmp_path / "work")


def test_room_goes_to_the_first_and_old_copies_make_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BESSEMER_CACHE_SIZE", "250")

    def of(address: str) -> Kept:
        return Kept(tmp_path / "cache", tmp_path / "work", address)

    def aged(path: Path, days: float) -> None:
        folder = tmp_path / "cache" / "files" / path.relative_to(tmp_path / "cache" / "files").parts[0]
        os.utime(folder, (time.time() - days * DAY,) * 2)

    remotes = [remote(name) for name in "abc"]
    paths = keep(of("one"), *remotes)
    assert [path.is_relative_to(tmp_path / "cache") for path in paths] == [True, True, False]

    (of_today,) = of("two").paths([remote("a")])
    assert of_today.is_relative_to(tmp_path / "work"), "what was used today is not taken away"
    aged(paths[0], 2)
    (path,) = keep(of("two"), remote("a"))
    assert path.is_relative_to(tmp_path / "cache")
    assert not paths[0].exists()

    aged(path, 31)
    of("three").paths([])
    assert not path.exists(), "nobody asked for it in a month"


@pytest.mark.parametrize(("said", "size"), [("", 20 * 2**30), ("0", 0), ("5 MB", 5 * 2**20), ("77", 77)])
def test_how_much_is_kept(said: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BESSEMER_CACHE_SIZE", said)
    assert most_bytes() == size


def test_a_size_that_is_none_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BESSEMER_CACHE_SIZE", "much")
    with pytest.raises(UsageError, match="BESSEMER_CACHE_SIZE: 'much' is not a size"):
        most_bytes()


@given(st.text(max_size=400))
def test_no_name_leads_out_of_the_folder(name: str) -> None:
    made = Remote("", name, None, "").local_name()
    assert not made.is_absolute()
    assert ".." not in made.parts
    assert made.parts
    assert all(len(part.encode()) <= 200 for part in made.parts)
    assert not set("*?[]\\\0") & set(str(made))
