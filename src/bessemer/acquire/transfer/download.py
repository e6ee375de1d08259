"""From a listing to files on this disk: only what is new or changed comes over the network."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bessemer.acquire.transfer.kept import Kept
from bessemer.acquire.transfer.remote import Advance, Changed, Origin, Remote
from bessemer.core.errors import DataError, StoreError
from bessemer.core.store import explained

if TYPE_CHECKING:
    from bessemer.core.stage import Context

#: Files up to this size are fetched several at once; larger ones one by one, in blocks that come several at once.
_SMALL = 8 * 2**20
_ROUNDS = 3


def brought(origin: Origin, kept: Kept, shown: str, ctx: Context) -> list[Path]:
    """The files of a place on this disk, in the order of their listing.

    Where one changes while it is fetched, all are listed again.

    Raises:
        DataError: nothing is there, it cannot be read, or it changes faster than it can be read.
        StoreError: the disk has no room for it.
    """
    for _ in range(_ROUNDS):
        remotes = origin.listed()
        paths = kept.paths(remotes)
        missing = [
            (remote, path)
            for remote, path in zip(remotes, paths, strict=True)
            if not remote.version or not _is_there(remote, path)
        ]
        try:
            came = _fetched(origin, missing, shown, ctx)
        except Changed:
            continue
        changed = origin.changed([remote for remote, _ in missing])
        for remote, path in missing:
            if remote.address in changed:
                path.unlink()
        if not changed:
            kept.forget_all_but(paths)
            if 0 < len(missing) < len(remotes):
                ctx.note(f"{len(missing):,} of {len(remotes):,} files of '{shown}' were new or changed")
            return [came.get(path, path) for path in paths]
    raise DataError(
        f"'{shown}' changes while it is read",
        why=f"{_ROUNDS} attempts, and each time a file was another one at the end",
        fix="read it when nobody writes, or have files written under another name first and then renamed",
    )


def _is_there(remote: Remote, path: Path) -> bool:
    """Small files are not flushed one by one: after a power cut one may be there and empty."""
    return path.exists() and remote.size in (None, path.stat().st_size)


def _fetched(
    origin: Origin, missing: list[tuple[Remote, Path]], shown: str, ctx: Context
) -> dict[Path, Path]:
    """Fetch all; gives where those stand whose version was another one than listed: not where it would be taken for
    the listed one in the next run."""
    if not missing:
        return {}
    total = sum(remote.size or 0 for remote, _ in missing)
    _check_room(total, missing[0][1], ctx)
    known = total if all(remote.size is not None for remote, _ in missing) else None
    lock = threading.Lock()
    elsewhere: dict[Path, Path] = {}
    with ctx.progress(f"downloading {_words(missing, shown)}", known) as bar:

        def advance(size: int) -> None:
            with lock:
                bar.advance(size)

        def fetch(remote: Remote, path: Path) -> None:
            version = _fetch(origin, remote, path, advance)
            if version != remote.version:
                aside = ctx.workdir / "fetched" / "other" / path.parent.name / path.name
                aside.parent.mkdir(parents=True, exist_ok=True)
                shutil.move(path, aside)
                elsewhere[path] = aside

        small: list[tuple[Remote, Path]] = []
        large: list[tuple[Remote, Path]] = []
        for pair in missing:
            several = (pair[0].size or 0) <= _SMALL or origin.workers == 1
            (small if several else large).append(pair)
        with _pool(min(origin.workers, len(small) or 1)) as pool:
            for future in [pool.submit(fetch, *pair) for pair in small]:
                future.result()
        for pair in large:
            fetch(*pair)
    return elsewhere


@contextmanager
def _pool(workers: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that begin nothing more once something has failed."""
    pool = ThreadPoolExecutor(workers, "bessemer-fetch")
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _fetch(origin: Origin, remote: Remote, path: Path, advance: Advance) -> str:
    """One file: it is at `path` whole or not at all. What is unfinished stands beside it, for the next run."""
    with explained("downloading into", path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    if not remote.version:
        part.unlink(missing_ok=True)
    version = origin.fetch(remote, part, advance)
    with explained("downloading", path):
        part.replace(path)
    return version


def _check_room(needed: int, path: Path, ctx: Context) -> None:
    free = shutil.disk_usage(ctx.workdir).free
    if needed > free:
        raise StoreError(
            f"no room for {needed / 2**20:,.0f} MB to download",
            why=f"the disk of {ctx.workdir.parent} has {free / 2**20:,.0f} MB free",
            fix="free some space, or read fewer files (a glob, a folder of one day)",
        )


def _words(missing: list[tuple[Remote, Path]], shown: str) -> str:
    return missing[0][1].name if len(missing) == 1 else f"{len(missing):,} files of {shown}"
