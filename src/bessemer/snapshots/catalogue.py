"""The catalogue of snapshots: an entry in the store for each content that landed, newest last, and their names.

    snapshots/000003.json        the third snapshot: when, by which run, digest of `raw`, rows, columns, sources
    snapshot-names/NAME.json     which snapshot a name stands for

An entry is never removed: what is removed by policy says so in its entry, and can be told as such.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from bessemer.core.artifact import Artifact, ArtifactRef
from bessemer.core.errors import StoreError, UsageError, did_you_mean
from bessemer.core.store import Store

_ENTRIES, _NAMES = "snapshots", "snapshot-names"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,99}")
#: What a name may not look like, because it is something else already.
_TAKEN = re.compile(r"v\d+|latest(~\d+)?|previous|[0-9a-f]{4,64}", re.IGNORECASE)
_RECENT = re.compile(r"latest(?:~(\d+))?|previous")


@dataclass(frozen=True)
class Snapshot:
    """One content of `raw`, as an acquire landed it.

    version: 1 for the first. time: ISO 8601 in UTC. run: the run that landed it. digest: of the artifact `raw`.
    key: of the acquire that made it. columns: [{name, dtype}]. sources: name -> kind, uri, fingerprint, rows, and
    the position up to which an incremental one was read. contract: what the last validation of it found, {} before
    one. removed: {time, why} where its rows are gone. names: what it is called.
    """

    version: int
    time: str
    run: str
    digest: str
    key: str
    rows: int
    columns: Sequence[Mapping[str, str]]
    sources: Mapping[str, Mapping[str, Any]]
    contract: Mapping[str, Any] = field(default_factory=dict)
    removed: Mapping[str, str] | None = None
    names: tuple[str, ...] = ()

    @property
    def ref(self) -> ArtifactRef:
        return ArtifactRef("raw", self.digest)

    def __str__(self) -> str:
        return f"v{self.version}"

    def called(self) -> str:
        """The version with its names.

        >>> Snapshot(3, "", "", "", "", 0, (), {}, names=("clean", "q3")).called()
        'v3 (clean, q3)'
        """
        return f"{self} ({', '.join(self.names)})" if self.names else str(self)

    def to_json(self) -> dict[str, Any]:
        """The snapshot as plain JSON data."""
        return {"snapshot": str(self), **asdict(self), "names": list(self.names)}


class Catalogue:
    """The snapshots of a store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def entries(self) -> list[Snapshot]:
        """All snapshots, the first first."""
        names: dict[int, list[str]] = {}
        for name, version in self.names().items():
            names.setdefault(version, []).append(name)
        found = []
        for name in self.store.records(_ENTRIES):
            if record := self.store.record(_ENTRIES, name):
                version = int(record["version"])
                found.append(Snapshot(**{**record, "names": tuple(names.get(version, ()))}))
        return found

    def names(self) -> dict[str, int]:
        """name -> version, in the order of the names."""
        records = {name: self.store.record(_NAMES, name) for name in self.store.records(_NAMES)}
        return {name: int(record["version"]) for name, record in records.items() if record}

    def landed(self, raw: Artifact, *, run: str, key: str, time: str) -> Snapshot:
        """The entry of what an acquire gave: the newest one where that has the same content, else a new one."""
        written = self.store.records(_ENTRIES)
        record = self.store.record(_ENTRIES, written[-1]) if written else None
        newest = Snapshot(**record) if record else None
        if newest and newest.digest == raw.ref.digest:
            if newest.removed:  # it was removed, and the same rows have been read again
                newest = replace(newest, removed=None)
                self._write(newest)
            return newest
        made = Snapshot(
            version=int(written[-1]) + 1 if written else 1,
            time=time,
            run=run,
            digest=raw.ref.digest,
            key=key,
            rows=raw.meta["rows"],
            columns=raw.meta["columns"],
            sources=raw.meta["sources"],
        )
        self._write(made)
        return made

    def judged(self, snapshot: Snapshot, contract: Mapping[str, Any]) -> None:
        """Write down what the validation of a snapshot found."""
        self._write(replace(snapshot, contract=dict(contract)))

    def gone(self, snapshot: Snapshot, *, time: str, why: str) -> None:
        """Write down that the rows of a snapshot were removed."""
        self._write(replace(snapshot, removed={"time": time, "why": why}))

    def _write(self, snapshot: Snapshot) -> None:
        value = asdict(snapshot)
        del value["names"]
        self.store.write_record(_ENTRIES, f"{snapshot.version:06d}", value)

    # names --------------------------------------------------------------------------------------------
    def tag(self, ref: str, name: str, *, move: bool = False) -> Snapshot:
        """Give a snapshot a name; a snapshot with a name is kept until the name is taken away.

        Args:
            move: whether a name that another snapshot has may be taken from it.

        Raises:
            UsageError: no such snapshot, not a name, or another one's. StoreError: its rows are gone.
        """
        if not _NAME.fullmatch(name):
            fix = "begin with a letter; letters, digits, `_`, `.` and `-` may follow, as in before-the-sale"
            raise UsageError(f"'{name}' cannot be a name", fix=fix)
        if _TAKEN.fullmatch(name):
            raise UsageError(f"'{name}' cannot be a name", why="it means a version or a digest already")
        snapshot = self.find(ref)
        if not self.store.has(snapshot.ref):
            raise lost(snapshot)
        now = self.names().get(name)
        if now not in (None, snapshot.version) and not move:
            fix = f"bessemer data tag {snapshot} {name} --move"
            raise UsageError(f"'{name}' is the name of v{now}", fix=fix)
        self.store.write_record(_NAMES, name, {"version": snapshot.version})
        return self.find(str(snapshot))

    def untag(self, name: str) -> Snapshot:
        """Take a name away; gives the snapshot that had it.

        Raises:
            UsageError: no snapshot has it.
        """
        names = self.names()
        if name not in names:
            raise UsageError(f"no snapshot is called '{name}'", fix=did_you_mean(name, names))
        self.store.delete_record(_NAMES, name)
        return self.find(f"v{names[name]}")

    # finding ------------------------------------------------------------------------------------------
    def find(self, ref: str) -> Snapshot:
        """The snapshot that a text means: v3, a name, latest, previous, latest~2, a run or a digest's beginning.

        Raises:
            UsageError: none, or more than one.
        """
        entries = self.entries()
        if not entries:
            raise UsageError(f"no snapshot '{ref}'", why="nothing has landed yet", fix="bessemer run")
        found = self._meant(ref, entries)
        if len(found) == 1:
            return found[0]
        if found:
            shown = ", ".join(each.called() for each in found[-5:])
            raise UsageError(f"'{ref}' could be any of {shown}", fix="give the version, as v3")
        if _RECENT.fullmatch(ref):
            count = f"{len(entries)} snapshot{'s' * (len(entries) != 1)}"
            raise UsageError(f"no snapshot '{ref}'", why=f"{count} landed so far", fix="bessemer data log")
        known = [*(str(each) for each in reversed(entries)), *self.names(), "latest", "previous"]
        raise UsageError(f"no snapshot '{ref}'", fix=f"{did_you_mean(ref, known)}; bessemer data log")

    def _meant(self, ref: str, entries: Sequence[Snapshot]) -> list[Snapshot]:
        named = [each for each in entries if ref in each.names or ref.lower() == str(each)]
        if named:
            return named
        if recent := _RECENT.fullmatch(ref):
            back = 1 if ref == "previous" else int(recent[1] or 0)
            return [entries[-1 - back]] if back < len(entries) else []
        found = {}
        if len(ref) >= 4:
            digests = {self._landed_by(name) for name in self.store.records("runs") if name.startswith(ref)}
            # content that came back has several entries: the newest of them is meant
            found = {
                each.digest: each
                for each in entries
                if each.digest.startswith(ref.lower()) or each.digest in digests
            }
        return list(found.values())

    def _landed_by(self, run: str) -> str | None:
        """The digest of the data that a run worked on."""
        record = self.store.record("runs", run) or {"stages": []}
        made = {name: digest for stage in record["stages"] for name, digest in stage["outputs"].items()}
        return made.get("raw")

    def open(self, ref: str) -> tuple[Snapshot, Artifact]:
        """A snapshot with its rows.

        Raises:
            UsageError: no such snapshot, or its rows are gone.
        """
        snapshot = self.find(ref)
        if not self.store.has(snapshot.ref):
            raise lost(snapshot)
        return snapshot, self.store.get(snapshot.ref)


def lost(snapshot: Snapshot) -> StoreError:
    """That the rows of a snapshot are not in the store any more, and why."""
    removed = snapshot.removed
    why = f"removed on {removed['time'][:10]}: {removed['why']}" if removed else "they are not in the store"
    fix = "take one that `bessemer data log` shows as kept; a name keeps a snapshot: bessemer data tag latest NAME"
    return StoreError(f"the rows of snapshot {snapshot.called()} are gone", why=why, fix=fix)
