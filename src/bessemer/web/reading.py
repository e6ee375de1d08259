"""The monitor's store as somebody reads it who must not touch it: nothing is written, no file is made."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from bessemer.monitor.alerts.open_alerts import Alert
from bessemer.monitor.store import Kept, unusable
from bessemer.retrain.records import Retraining

_WAIT = 30.0  # seconds for a writer to let go


class Reading:
    """What is in a store at one moment.

    >>> import tempfile
    >>> from bessemer.monitor.store import MonitorStore
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "monitor.db"
    ...     MonitorStore(path).keep(Kept("churn", "1", "2026-01-01", "2026-01-02", 9, 1, {"alarm": 0, "findings": []}))
    ...     with reading(path) as now:
    ...         now.models(), [window.rows for window in now.newest("churn", 5)], now.retrainings("churn")
    (['churn'], [9], [])
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def models(self) -> list[str]:
        """The models that were looked at, by name."""
        rows = self._connection.execute("SELECT DISTINCT model FROM windows ORDER BY model")
        return [str(row[0]) for row in rows]

    def ended(self, model: str) -> str:
        """When the newest window of a model ended; '' where there is none."""
        found = self._connection.execute('SELECT max("end") FROM windows WHERE model = ?', (model,))
        return str(found.fetchone()[0] or "")

    def newest(self, model: str, most: int, since: str = "") -> Iterator[Kept]:
        """The windows that end at a time or later, the newest first, one after the other: a check may be large."""
        rows = self._connection.execute(
            # the keys first: a sort would carry the checks along
            'WITH wanted AS (SELECT version, start FROM windows WHERE model = ? AND "end" >= ? '
            "ORDER BY start DESC, version DESC LIMIT ?) "
            'SELECT w.version, w.start, w."end", w.rows, w.looks, w."check" FROM wanted JOIN windows w '
            "ON (w.model, w.version, w.start) = (?, wanted.version, wanted.start)",
            (model, since, most, model),
        )
        for version, start, end, count, looks, check in rows:
            yield Kept(model, version, start, end, count, looks, json.loads(check))

    def alerts(self, model: str) -> list[Alert]:
        """What is open, the oldest first."""
        rows = self._connection.execute("SELECT alert FROM alerts WHERE model = ?", (model,))
        found = [Alert(**json.loads(row[0])) for row in rows]
        return sorted(found, key=lambda alert: (alert.since, alert.subject))

    def retrainings(self, model: str) -> list[Retraining]:
        """The newest first; none where nothing was ever trained again."""
        there = self._connection.execute(
            "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'retrainings'"
        )
        if there.fetchone() is None:
            return []
        rows = self._connection.execute(
            "SELECT record FROM retrainings WHERE model = ? ORDER BY id DESC", (model,)
        )
        return [Retraining.from_json(json.loads(row[0])) for row in rows]


@contextmanager
def reading(path: Path) -> Iterator[Reading]:
    """Read a store, all of it as it is at one moment.

    Raises:
        EnvironmentFault: it cannot be read, or is no store.
    """
    try:
        with closing(_connected(path)) as connection:
            connection.execute("BEGIN")
            yield Reading(connection)
    except sqlite3.Error as error:
        raise unusable(path, error) from error


def at_rest(path: Path) -> bool:
    """Whether nobody is writing: a writer has a write-ahead log beside the file."""
    return not wal(path).exists()


def wal(path: Path) -> Path:
    """The write-ahead log of a store."""
    return path.with_name(path.name + "-wal")


def _connected(path: Path) -> sqlite3.Connection:
    # without a log, SQLite would make one to read beside it, unless it is told that nobody writes
    still = "&immutable=1" if at_rest(path) else ""
    return sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro{still}", uri=True, timeout=_WAIT)
