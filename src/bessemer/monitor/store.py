"""What was found, kept in SQLite: a row a window, a row a finding. Killed at any moment, it has whole windows."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bessemer.core.errors import EnvironmentFault

_TABLES = """
CREATE TABLE IF NOT EXISTS windows (
  model TEXT NOT NULL, version TEXT NOT NULL, start TEXT NOT NULL, "end" TEXT NOT NULL,
  rows INTEGER NOT NULL, looks INTEGER NOT NULL, alarm INTEGER NOT NULL, "check" TEXT NOT NULL,
  PRIMARY KEY (model, version, start)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS findings (
  model TEXT NOT NULL, version TEXT NOT NULL, start TEXT NOT NULL, place INTEGER NOT NULL,
  detector TEXT NOT NULL, "column" TEXT NOT NULL, kind TEXT NOT NULL, finding TEXT NOT NULL,
  PRIMARY KEY (model, version, start, place)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS memories (
  model TEXT NOT NULL, version TEXT NOT NULL, watcher TEXT NOT NULL, start TEXT NOT NULL, memory TEXT NOT NULL,
  PRIMARY KEY (model, version, watcher)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS alerts (
  model TEXT NOT NULL, version TEXT NOT NULL, subject TEXT NOT NULL, alert TEXT NOT NULL,
  PRIMARY KEY (model, version, subject)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS notices (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, model TEXT NOT NULL,
  at TEXT NOT NULL, notice TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS deliveries (
  sink TEXT NOT NULL, seq INTEGER NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL,
  queued REAL NOT NULL, due REAL NOT NULL, error TEXT NOT NULL,
  PRIMARY KEY (sink, seq)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS deliveries_waiting ON deliveries (sink, seq) WHERE state = 'waiting';
CREATE INDEX IF NOT EXISTS deliveries_seq ON deliveries (seq);
"""


#: What to do, by SQLite's primary result code; nothing that would lose what is kept.
_FIXES = {
    sqlite3.SQLITE_BUSY: "another process holds it: wait until that is done, or end it",
    sqlite3.SQLITE_LOCKED: "another process holds it: wait until that is done, or end it",
    sqlite3.SQLITE_FULL: "make room on its disk",
    sqlite3.SQLITE_IOERR: "see its disk: it may be full or failing",
    sqlite3.SQLITE_CANTOPEN: "see whether its folder is there and may be written",
    sqlite3.SQLITE_READONLY: "see the rights of the file and its folder",
    sqlite3.SQLITE_PERM: "see the rights of the file and its folder",
    sqlite3.SQLITE_CORRUPT: "name another file, and keep this one: `sqlite3 FILE .recover` may read parts of it",
    sqlite3.SQLITE_NOTADB: "name another file",
}


def unusable(path: Path, error: sqlite3.Error) -> EnvironmentFault:
    """What is said where a store cannot be read or written.

    >>> str(unusable(Path("a.db"), sqlite3.OperationalError("unknown")).what)
    'cannot use a.db'
    """
    code = getattr(error, "sqlite_errorcode", None)
    fix = _FIXES.get(code & 0xFF, "") if code is not None else ""
    return EnvironmentFault(f"cannot use {path}", why=str(error), fix=fix or "name another file")


@dataclass(frozen=True)
class Kept:
    """A window as it is kept: times as ISO 8601 (UTC), the check as `Check.to_json` gives it.

    looks: how often it was looked at: labels come late.
    """

    model: str
    version: str
    start: str
    end: str
    rows: int
    looks: int
    check: Mapping[str, Any]


class MonitorStore:
    """A file of windows and findings.

    Raises:
        EnvironmentFault: the file cannot be opened or is no such file.

    >>> import tempfile
    >>> nothing = {"alarm": False, "findings": []}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = MonitorStore(Path(folder) / "monitor.db")
    ...     store.keep(Kept("churn", "1", "2026-01-01T00:00:00", "2026-01-01T01:00:00", 9, 1, nothing))
    ...     store.last("churn", "1")
    '2026-01-01T01:00:00'
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        with self.transaction() as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(_TABLES)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A connection for one transaction: all of it, or nothing."""
        try:
            connection = sqlite3.connect(self.path, timeout=30)
            try:
                with connection:
                    yield connection
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise unusable(self.path, error) from error

    def keep(
        self,
        window: Kept,
        memories: Mapping[str, Mapping[str, Any]] | None = None,
        also: Callable[[sqlite3.Connection], None] | None = None,
    ) -> None:
        """Keep a window with its findings; one of the same model, version and start is replaced.

        Args:
            memories: what watchers remember, by their names, from now on; those that are not named keep theirs.
            also: what else belongs into the same transaction.
        """
        key = (window.model, window.version, window.start)
        with self.transaction() as connection:
            connection.execute("DELETE FROM findings WHERE (model, version, start) = (?, ?, ?)", key)
            connection.execute(
                "INSERT OR REPLACE INTO windows VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *key,
                    window.end,
                    window.rows,
                    window.looks,
                    int(window.check["alarm"]),
                    json.dumps(window.check),
                ),
            )
            connection.executemany(
                "INSERT INTO findings VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (*key, i, each["detector"], each["column"], each["kind"], json.dumps(each))
                    for i, each in enumerate(window.check["findings"])
                ],
            )

            connection.executemany(
                "INSERT OR REPLACE INTO memories VALUES (?, ?, ?, ?, ?)",
                [
                    (window.model, window.version, watcher, window.start, json.dumps(memory))
                    for watcher, memory in (memories or {}).items()
                ],
            )
            if also is not None:
                also(connection)

    def memories(self, model: str, version: str) -> dict[str, dict[str, Any]]:
        """What each watcher remembers of the windows of a model."""
        with self.transaction() as connection:
            found = connection.execute(
                "SELECT watcher, memory FROM memories WHERE (model, version) = (?, ?)", (model, version)
            ).fetchall()
        return {watcher: json.loads(memory) for watcher, memory in found}

    def last(self, model: str, version: str) -> str | None:
        """When the last window that was looked at ended; None where there was none."""
        with self.transaction() as connection:
            found = connection.execute(
                'SELECT max("end") FROM windows WHERE (model, version) = (?, ?)', (model, version)
            ).fetchone()[0]
        return None if found is None else str(found)

    def windows(
        self,
        model: str,
        version: str | None = None,
        since: str = "",
        *,
        most: int | None = None,
        oldest: bool = False,
    ) -> list[Kept]:
        """The windows of a model from a time on, the oldest first.

        Args:
            most: only so many, the newest of them; the oldest with `oldest`.
        """
        order = "start, version" if oldest or most is None else "start DESC, version DESC"
        with self.transaction() as connection:
            rows = connection.execute(
                'SELECT model, version, start, "end", rows, looks, "check" FROM windows '
                f"WHERE model = ? AND (? IS NULL OR version = ?) AND start >= ? ORDER BY {order} LIMIT ?",
                (model, version, version, since, -1 if most is None else most),
            ).fetchall()
        names = ("model", "version", "start", "end", "rows", "looks")
        found = [Kept(**dict(zip(names, row, strict=False)), check=json.loads(row[-1])) for row in rows]
        return found if "DESC" not in order else found[::-1]

    def unfinished(self, model: str, version: str, looks: int) -> list[tuple[str, str, int]]:
        """Start, end and looks of the windows that were looked at no more often than that, the oldest first."""
        with self.transaction() as connection:
            rows = connection.execute(
                'SELECT start, "end", looks FROM windows WHERE (model, version) = (?, ?) AND looks <= ? ORDER BY start',
                (model, version, looks),
            ).fetchall()
        return [(str(start), str(end), int(count)) for start, end, count in rows]

    def retract(self, model: str, version: str, after: str) -> int:
        """Remove the windows of a version that end after a time; gives how many."""
        with self.transaction() as connection:
            gone = connection.execute(
                'DELETE FROM windows WHERE (model, version) = (?, ?) AND "end" > ?', (model, version, after)
            ).rowcount
            connection.execute(
                "DELETE FROM findings WHERE (model, version) = (?, ?) AND NOT EXISTS (SELECT 1 FROM windows w "
                "WHERE (w.model, w.version, w.start) = (findings.model, findings.version, findings.start))",
                (model, version),
            )
            return gone

    def lock(self, model: str, version: str) -> Path:
        """The lock of whoever looks at the windows of a version."""
        mark = hashlib.sha256(json.dumps([model, version]).encode()).hexdigest()[:12]
        return self.path.with_name(f".{self.path.name}.{mark}.lock")

    def forget(self, before: str) -> int:
        """Remove what is older than a time; gives how many windows went."""
        with self.transaction() as connection:
            connection.execute("DELETE FROM findings WHERE start < ?", (before,))
            connection.execute("DELETE FROM memories WHERE start < ?", (before,))
            return connection.execute("DELETE FROM windows WHERE start < ?", (before,)).rowcount
