"""What was done about training again, kept in the monitor's store: one row a retraining, changed as it goes on."""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from bessemer.monitor.store import MonitorStore

#: What it is at; a killed one goes on there.
Step = Literal["training", "comparing", "deploying", "ended"]
#: deployed: it has some of the requests, and nobody waited for the end of its trial. promoted, rolled_back: what
#: came of its trial. ready: it won, and there is nowhere to deploy it. kept: the served model stays.
Outcome = Literal["", "deployed", "promoted", "rolled_back", "ready", "kept", "failed"]

_TABLE = """
CREATE TABLE IF NOT EXISTS retrainings (
  id INTEGER PRIMARY KEY, model TEXT NOT NULL, begun TEXT NOT NULL, step TEXT NOT NULL, record TEXT NOT NULL
)
"""


@dataclass(frozen=True)
class Retraining:
    """One retraining of a model.

    cause, reason: why. champion: the package that was served. version, package: of the challenger.
    attempts: how often it was begun or gone on with. posted: the package was given to the server, or was about to be.
    comparison: what the comparison gave, as JSON. why: the outcome in words. times: naive, UTC.
    """

    id: int
    model: str
    begun: dt.datetime
    cause: str
    reason: str
    champion: str
    version: str
    step: Step = "training"
    outcome: Outcome = ""
    why: str = ""
    package: str = ""
    attempts: int = 1
    posted: bool = False
    comparison: Mapping[str, Any] = field(default_factory=dict)
    ended: dt.datetime | None = None

    @property
    def serves(self) -> bool:
        """Whether its model answers all requests now."""
        return self.outcome == "promoted"

    @property
    def lost(self) -> bool:
        """Whether its model was not to be served."""
        return self.outcome in ("kept", "failed", "rolled_back")

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; times are ISO 8601."""
        value = asdict(self)
        value["begun"] = self.begun.isoformat()
        value["ended"] = self.ended.isoformat() if self.ended else None
        return value

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Retraining:
        times = {
            name: dt.datetime.fromisoformat(value[name]) if value[name] else None
            for name in ("begun", "ended")
        }
        return cls(**{**value, **times})


class Retrainings:
    """The retrainings in a store.

    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     kept = Retrainings(MonitorStore(Path(folder) / "monitor.db"))
    ...     one = kept.begin("churn", dt.datetime(2026, 3, 1), "by_hand", "asked for", "churn-1.bsm", "1")
    ...     one = kept.update(one, step="ended", outcome="kept")
    ...     one.version, kept.latest("churn").outcome
    ('1.1', 'kept')
    """

    def __init__(self, store: MonitorStore) -> None:
        self._store = store
        with store.transaction() as connection:
            connection.execute(_TABLE)

    def begin(
        self, model: str, now: dt.datetime, cause: str, reason: str, champion: str, version: str
    ) -> Retraining:
        """Write down a new one. Its version is that of the project file and a number that no other has."""
        with self._store.transaction() as connection:
            number = connection.execute("SELECT coalesce(max(id), 0) + 1 FROM retrainings").fetchone()[0]
            made = Retraining(int(number), model, now, cause, reason, champion, f"{version}.{number}")
            connection.execute("INSERT INTO retrainings VALUES (?, ?, ?, ?, ?)", _row(made))
        return made

    def update(
        self,
        one: Retraining,
        also: Callable[[sqlite3.Connection, Retraining], None] | None = None,
        **changes: Any,
    ) -> Retraining:
        """Write down how far one has come. also: what belongs into the same transaction."""
        made = replace(one, **changes)
        with self._store.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO retrainings VALUES (?, ?, ?, ?, ?)", _row(made))
            if also is not None:
                also(connection, made)
        return made

    def all(self, model: str | None = None) -> list[Retraining]:
        """The retrainings of a model, or of all, the oldest first."""
        with self._store.transaction() as connection:
            rows = connection.execute(
                "SELECT record FROM retrainings WHERE ? IS NULL OR model = ? ORDER BY id", (model, model)
            ).fetchall()
        return [Retraining.from_json(json.loads(row[0])) for row in rows]

    def latest(self, model: str) -> Retraining | None:
        return next(reversed(self.all(model)), None)


def _row(one: Retraining) -> tuple[Any, ...]:
    return one.id, one.model, one.begun.isoformat(), one.step, json.dumps(one.to_json())
