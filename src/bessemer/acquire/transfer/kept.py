"""Copies of remote files that are kept between runs: a copy for each version, at most so many bytes."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Iterable
from pathlib import Path

from bessemer.acquire.transfer.remote import Remote
from bessemer.core.errors import UsageError
from bessemer.core.spec import parse_size

#: The variable that says how much is kept, and what it is without it.
VARIABLE = "BESSEMER_CACHE_SIZE"
_MOST = 20 * 2**30
_DAY = 86_400.0
#: Days that the copies of an address are kept although nothing asks for them.
_UNUSED = 30 * _DAY


def most_bytes() -> int:
    """How much may be kept.

    Raises:
        UsageError: the variable does not say a size.
    """
    said = os.environ.get(VARIABLE, "")
    if said.strip() == "0":
        return 0
    try:
        return parse_size(int(said) if said.isdecimal() else said) if said else _MOST
    except ValueError as error:
        raise UsageError(f"{VARIABLE}: {error}") from error


class Kept:
    """The copies of one address.

    A copy stands under a name made of the file's own and its version: it is there whole, or not at all. What is not
    kept (a file without a version, or beyond the size) stands in the work folder, which ends with the stage.

    Args:
        cache: what outlives the run. work: what ends with it. key: the address, and what else tells it apart.
    """

    def __init__(self, cache: Path, work: Path, key: str) -> None:
        name = hashlib.sha256(key.encode()).hexdigest()[:20]
        self._root, self._folder, self._work = (
            cache / "files",
            cache / "files" / name,
            work / "fetched" / name,
        )

    def paths(self, remotes: list[Remote]) -> list[Path]:
        """Where each file stands, or will stand, in the order of the list.

        The room goes to the first files of the list, so that a folder that is too large has the same files in each run.
        """
        room = most_bytes() - self._of_others(sum(remote.size or 0 for remote in remotes))
        found = []
        for remote in remotes:
            size = remote.size or 0
            keep = bool(remote.version) and size <= room
            room -= size if keep else 0
            digest = hashlib.sha256(f"{remote.address}\n{remote.version}".encode()).hexdigest()[:20]
            found.append((self._folder if keep else self._work) / digest / remote.local_name())
        return found

    def _of_others(self, needed: int) -> int:
        """The bytes that the copies of other addresses take, when those that were not used for long have gone."""
        if not self._root.is_dir():
            return 0
        now, total, old = time.time(), 0, []
        for folder in self._root.iterdir():
            if folder == self._folder or not folder.is_dir():
                continue
            age, size = now - folder.stat().st_mtime, _size(folder)
            if age > _UNUSED:
                shutil.rmtree(folder, ignore_errors=True)
            else:
                total += size
                old += [(age, size, folder)] if age > _DAY else []
        for _, size, folder in sorted(old, reverse=True):
            if total + needed <= most_bytes():
                break
            shutil.rmtree(folder, ignore_errors=True)
            total -= size
        return total

    def forget_all_but(self, paths: Iterable[Path]) -> None:
        """Remove the copies of files that changed or have gone; note that the others were used today."""
        used = {
            path.relative_to(self._folder).parts[0] for path in paths if path.is_relative_to(self._folder)
        }
        if not self._folder.is_dir():
            return
        os.utime(self._folder)
        for entry in self._folder.iterdir():
            if entry.name not in used:
                shutil.rmtree(entry, ignore_errors=True)


def forget_files(cache: Path) -> None:
    """Remove all copies, of whatever address."""
    shutil.rmtree(cache / "files", ignore_errors=True)


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
