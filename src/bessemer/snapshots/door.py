"""The Python door to a project's snapshots, as `Project.snapshots`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bessemer.core.artifact import Artifact
from bessemer.core.parquet import machine_explained
from bessemer.core.sql import connect, literal
from bessemer.core.store import Store
from bessemer.snapshots.catalogue import Catalogue, Snapshot
from bessemer.snapshots.diff import columns_changed, diff
from bessemer.snapshots.summary import summary


class Snapshots:
    """What has landed in a project, version by version.

    A snapshot is named by a text: `v3`, a name that it was given, `latest`, `previous`, `latest~2`, the id of a run or
    its beginning, or the beginning of the digest.

    Args:
        store: of the project. scratch: a folder for what does not fit in memory.
        threads, memory: what comparing may use, memory in bytes.
    """

    def __init__(self, store: Store, *, scratch: Path, threads: int, memory: int) -> None:
        self.store, self.catalogue = store, Catalogue(store)
        self._scratch, self._threads, self._memory = scratch, threads, memory

    def __repr__(self) -> str:
        return f"<Snapshots: {', '.join(each.called() for each in self.catalogue.entries()) or 'none yet'}>"

    def find(self, ref: str = "latest") -> Snapshot:
        """The snapshot that a text names.

        Raises:
            UsageError: none, or more than one.
        """
        return self.catalogue.find(ref)

    def rows(self, ref: str = "latest") -> Artifact:
        """The artifact `raw` of a snapshot; `.path("data.parquet")` is its file.

        Raises:
            UsageError: no such snapshot. StoreError: its rows are gone.
        """
        return self.catalogue.open(ref)[1]

    def log(self) -> list[dict[str, Any]]:
        """All snapshots, the newest first, each with `kept` (whether its rows are there) and `changed`, what is
        different from the one before: `rows` (more, or fewer), `columns` (added, removed, retyped) and `sources`, the
        names of those with other content. None for the first.
        """
        entries = self.catalogue.entries()
        found = []
        for before, each in zip([None, *entries], entries, strict=False):
            kept = self.store.has(each.ref)
            found.append({**each.to_json(), "kept": kept, "changed": before and _changed(before, each)})
        return found[::-1]

    def show(self, ref: str = "latest", *, rows: int = 5) -> dict[str, Any]:
        """One snapshot: what `log` has of it, and of its rows the `first` ones and the `statistics` by column.

        Raises:
            UsageError: no such snapshot. StoreError: its rows are gone.
        """
        snapshot, raw = self.catalogue.open(ref)
        (entry,) = (each for each in self.log() if each["version"] == snapshot.version)
        file = raw.path("data.parquet")
        with self._connection("reading") as connection:
            answer = connection.execute(f"SELECT * FROM read_parquet({literal(file)}) LIMIT {int(rows)}")
            names = [column[0] for column in answer.description]
            first = [dict(zip(names, row, strict=True)) for row in answer.fetchall()]
            return {**entry, "statistics": summary(connection, file, snapshot.columns), "first": first}

    def diff(self, a: str = "previous", b: str = "latest", *, key: Sequence[str] = ()) -> dict[str, Any]:
        """What changed from `a` to `b`; with `key` rows are followed by it, without whole rows are counted.

        Memory is bounded by the project's `resources`; what does not fit goes to disk.

        Returns:
            `a`, `b` (as `log` has them, in short), and what `bessemer.snapshots.diff.diff` gives.

        Raises:
            UsageError: no such snapshot or column. StoreError: rows are gone. DataError: the key is none.
        """
        (old, before), (new, after) = self.catalogue.open(a), self.catalogue.open(b)
        with self._connection("comparing") as connection:
            connection.execute("SET preserve_insertion_order = false")  # a diff sorts what it shows
            found = diff(connection, before, after, key)
        return {"a": _short(old), "b": _short(new), **found}

    def tag(self, ref: str, name: str, *, move: bool = False) -> Snapshot:
        """Give a snapshot a name, which keeps it from being removed; `move` takes the name from another one.

        Raises:
            UsageError: no such snapshot, or the text cannot be its name. StoreError: its rows are gone.
        """
        return self.catalogue.tag(ref, name, move=move)

    def untag(self, name: str) -> Snapshot:
        """Take a name away; gives the snapshot that had it.

        Raises:
            UsageError: no snapshot has it.
        """
        return self.catalogue.untag(name)

    @contextmanager
    def _connection(self, what: str) -> Iterator[Any]:
        self._scratch.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._scratch, prefix="snapshots-") as spill:
            connection = connect(threads=self._threads, memory=self._memory, temporary=Path(spill))
            try:
                with machine_explained(what, "the snapshots"):
                    yield connection
            finally:
                connection.close()


def _short(snapshot: Snapshot) -> dict[str, Any]:
    kept = ("snapshot", "names", "time", "run", "digest", "rows")
    return {name: value for name, value in snapshot.to_json().items() if name in kept}


def _changed(before: Snapshot, after: Snapshot) -> dict[str, Any]:
    old, new = before.sources, after.sources
    return {
        "rows": after.rows - before.rows,
        "columns": columns_changed(before.columns, after.columns),
        "sources": [
            name
            for name in dict.fromkeys([*old, *new])
            if old.get(name, {}).get("fingerprint") != new.get(name, {}).get("fingerprint")
        ],
    }
