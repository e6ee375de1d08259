"""What is to be told, kept in SQLite until every receiver has it.

A notice is written in the transaction of what it is about, with a row for each receiver that wants it. Delivery is
another matter and comes after: a kill in between, or a receiver that is away, loses nothing. Receivers get notices in
the order in which they were made; one that fails waits by itself.
"""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bessemer.monitor.alerts.notice import Notice
from bessemer.monitor.alerts.open_alerts import Alert, Judged, lapsed, window_notice
from bessemer.monitor.alerts.receiver import Receiver, receivers_of
from bessemer.monitor.alerts.spec import AlertsSpec
from bessemer.monitor.store import Kept, MonitorStore

#: waiting: it will be sent, again if need be; dead: set aside, it is shown and sent only when somebody asks for it.
State = Literal["waiting", "delivered", "dead"]

_BATCH = 100
_CHARACTERS = 4_000_000  # of a batch, from which on no more is added
_SLOWEST = 600.0
_REASON = 500  # characters of an error that are kept


@dataclass(frozen=True)
class Waiting:
    """A notice on its way to a receiver. seq: its place in the order of all notices."""

    seq: int
    attempts: int
    notice: Notice


@dataclass(frozen=True)
class Delivery:
    """How it stands with a receiver: how many in each state, what went wrong last, and when it is tried again.

    due: seconds since 1970; None where nothing waits.
    """

    sink: str
    waiting: int
    delivered: int
    dead: int
    error: str
    due: float | None


def pause(attempts: int) -> float:
    """Seconds until the next attempt.

    >>> [pause(n) for n in (1, 2, 3, 30)]
    [1.0, 2.0, 4.0, 600.0]
    """
    return float(min(_SLOWEST, 2.0 ** (min(attempts, 30) - 1)))


class Outbox:
    """The notices and open alerts of a monitor's store.

    Args:
        clock: seconds since 1970, by which deliveries are timed.
    """

    def __init__(self, store: MonitorStore, spec: AlertsSpec, clock: Callable[[], float] = time.time) -> None:
        self._store, self._spec, self._clock = store, spec, clock
        self.receivers = receivers_of(spec)

    def judge(
        self, connection: sqlite3.Connection, window: Kept, now: dt.datetime, earlier: Kept | None = None
    ) -> None:
        """Open and close alerts by a window, and put down what is to be told of it, in the caller's transaction."""
        judged = Judged(_alerts(connection, window.model, window.version), window, self._spec, now, earlier)
        connection.execute(
            "DELETE FROM alerts WHERE (model, version) = (?, ?)", (window.model, window.version)
        )
        connection.executemany(
            "INSERT INTO alerts VALUES (?, ?, ?, ?)",
            [(a.model, a.version, a.subject, json.dumps(a.to_json())) for a in judged.opened.values()],
        )
        whole = window_notice(window, now.isoformat(timespec="microseconds"))
        self.add(connection, [whole, *judged.notices])

    def add(self, connection: sqlite3.Connection, notices: Iterable[Notice]) -> None:
        """Put notices down in the caller's transaction; one that is there already is not put down twice."""
        for notice in notices:
            wanted = [each.label for each in self.receivers if each.wants(notice)]
            if notice.kind == "window" and not wanted:
                continue  # the window itself is in the store
            row = (notice.id, notice.kind, notice.model, notice.at, json.dumps(notice.to_json()))
            put = connection.execute(
                "INSERT OR IGNORE INTO notices (id, kind, model, at, notice) VALUES (?, ?, ?, ?, ?)", row
            )
            if put.rowcount:
                now = self._clock()
                connection.executemany(
                    "INSERT INTO deliveries VALUES (?, ?, 'waiting', 0, ?, 0, '')",
                    [(label, put.lastrowid, now) for label in wanted],
                )

    def announce(self, notices: Iterable[Notice]) -> None:
        """Put notices down that belong to nothing else, such as actions and tests."""
        with self._store.transaction() as connection:
            self.add(connection, notices)

    def lapse(self, model: str, now: dt.datetime) -> None:
        """Close the alerts of any version of a model that nobody has seen for long."""
        with self._store.transaction() as connection:
            connection.execute("BEGIN IMMEDIATE")
            for alert, notice in lapsed(_alerts(connection, model), self._spec, now):
                connection.execute(
                    "DELETE FROM alerts WHERE (model, version, subject) = (?, ?, ?)",
                    (alert.model, alert.version, alert.subject),
                )
                self.add(connection, [notice])

    def alerts(self, model: str | None = None) -> list[Alert]:
        """What is open, the oldest first."""
        with self._store.transaction() as connection:
            found = _alerts(connection, model).values()
        return sorted(found, key=lambda alert: (alert.since, alert.subject))

    def claim(self, receiver: Receiver, most: int = _BATCH) -> list[Waiting]:
        """What a receiver is to get now, in order; for a while nobody else is given it.

        Nothing where the oldest is to be tried again later: what comes after it must not overtake it.
        """
        now = self._clock()
        with self._store.transaction() as connection:
            self._set_aside(connection, receiver.label, now)
            rows = _bounded(
                connection.execute(
                    "SELECT d.seq, d.attempts, d.due, n.notice FROM deliveries d JOIN notices n USING (seq) "
                    "WHERE d.sink = ? AND d.state = 'waiting' ORDER BY d.seq LIMIT ?",
                    (receiver.label, most),
                )
            )
            if not rows or rows[0][2] > now:
                return []
            # a claim ends by itself, so that what a killed process had in hand is sent by the next one
            self._mark(
                connection, receiver.label, [row[0] for row in rows], due=now + receiver.settings.timeout + 5
            )
        return [Waiting(seq, attempts, Notice.from_json(json.loads(text))) for seq, attempts, _, text in rows]

    def _set_aside(self, connection: sqlite3.Connection, label: str, now: float) -> None:
        """Bounded in age and in number: what is too old, and the oldest of too many."""
        connection.execute(
            "UPDATE deliveries SET state = 'dead', error = rtrim('given up: ' || error, ': ') "
            "WHERE sink = ? AND state = 'waiting' AND queued <= ?",
            (label, now - self._spec.give_up),
        )
        connection.execute(
            "UPDATE deliveries SET state = 'dead', error = rtrim('too many were waiting: ' || error, ': ') "
            "WHERE sink = ? AND state = 'waiting' AND seq <= (SELECT seq FROM deliveries "
            "WHERE sink = ? AND state = 'waiting' ORDER BY seq DESC LIMIT 1 OFFSET ?)",
            (label, label, self._spec.waiting),
        )

    def _mark(self, connection: sqlite3.Connection, label: str, seqs: Sequence[int], **values: Any) -> None:
        assigned = ", ".join(f"{name} = ?" for name in values)
        connection.executemany(
            f"UPDATE deliveries SET {assigned} WHERE sink = ? AND seq = ? AND state = 'waiting'",
            [(*values.values(), label, seq) for seq in seqs],
        )

    def delivered(self, receiver: Receiver, batch: Sequence[Waiting]) -> None:
        """A receiver has them."""
        with self._store.transaction() as connection:
            seqs = [each.seq for each in batch]
            self._mark(connection, receiver.label, seqs, state="delivered", error="")
            # the window itself is in the store; all that was to be kept for was the way
            connection.executemany(
                "DELETE FROM notices WHERE seq = ? AND kind = 'window' AND NOT EXISTS (SELECT 1 FROM deliveries d "
                "WHERE d.seq = notices.seq AND d.state != 'delivered')",
                [(seq,) for seq in seqs],
            )

    def failed(self, receiver: Receiver, batch: Sequence[Waiting], reason: str, after: float = 0.0) -> None:
        """They were not delivered; they are tried again, each time later, and not before `after` seconds."""
        attempts = batch[0].attempts + 1
        due, seqs = self._clock() + max(after, pause(attempts)), [each.seq for each in batch]
        with self._store.transaction() as connection:
            self._mark(connection, receiver.label, seqs, attempts=attempts, due=due, error=reason[:_REASON])

    def refused(self, receiver: Receiver, one: Waiting, reason: str) -> None:
        """The receiver does not take it, now or ever."""
        with self._store.transaction() as connection:
            self._mark(connection, receiver.label, [one.seq], state="dead", error=reason[:_REASON])

    def retry(self) -> int:
        """Send again what was set aside, and at once what is waiting; gives how much was set aside."""
        now = self._clock()
        with self._store.transaction() as connection:
            connection.execute("UPDATE deliveries SET due = 0 WHERE state = 'waiting'")
            return connection.execute(
                "UPDATE deliveries SET state = 'waiting', attempts = 0, due = 0, queued = ? WHERE state = 'dead'",
                (now,),
            ).rowcount

    def deliveries(self) -> list[Delivery]:
        """How it stands with each receiver, also with those that are no longer named."""
        with self._store.transaction() as connection:
            rows = connection.execute(
                "SELECT sink, sum(state = 'waiting'), sum(state = 'delivered'), sum(state = 'dead'), "
                "coalesce((SELECT error FROM deliveries e WHERE e.sink = d.sink AND error != '' "
                "ORDER BY state = 'waiting' DESC, seq DESC LIMIT 1), ''), "
                "min(CASE WHEN state = 'waiting' THEN due END) FROM deliveries d GROUP BY sink"
            ).fetchall()
        known = {row[0]: Delivery(*row) for row in rows}
        named = {each.label: Delivery(each.label, 0, 0, 0, "", None) for each in self.receivers}
        return list({**named, **known}.values())

    def notices(self, model: str | None = None, most: int = 100) -> list[Notice]:
        """What was told last, the newest first."""
        with self._store.transaction() as connection:
            rows = connection.execute(
                "SELECT notice FROM notices WHERE (? IS NULL OR model = ?) ORDER BY seq DESC LIMIT ?",
                (model, model, most),
            ).fetchall()
        return [Notice.from_json(json.loads(text)) for (text,) in rows]

    def forget(self, before: str) -> None:
        """Remove what was told before a time and waits for nobody; what waits too long, for whomever, waits no more."""
        late = self._clock() - self._spec.give_up
        first = dt.datetime.fromisoformat(before).replace(tzinfo=dt.UTC).timestamp()
        old = "SELECT seq FROM notices n WHERE at < ? AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.seq = n.seq "
        with self._store.transaction() as connection:
            connection.execute(
                "UPDATE deliveries SET state = 'dead' WHERE state = 'waiting' AND queued <= ?", (late,)
            )
            old = f"{old} AND d.state = 'waiting')"
            connection.execute(f"DELETE FROM deliveries WHERE seq IN ({old})", (before,))
            connection.execute(f"DELETE FROM notices WHERE seq IN ({old})", (before,))
            # windows that were delivered have no notice any more; that they were is counted as long as others are
            connection.execute(
                "DELETE FROM deliveries WHERE queued < ? AND seq NOT IN (SELECT seq FROM notices)", (first,)
            )


def _bounded(rows: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The first rows, until their texts are so many together: windows of wide tables are large."""
    found, size = [], 0
    for row in rows:
        found.append(row)
        size += len(row[-1])
        if size > _CHARACTERS:
            break
    return found


def _alerts(
    connection: sqlite3.Connection, model: str | None, version: str | None = None
) -> Mapping[str, Alert]:
    rows = connection.execute(
        "SELECT subject, alert FROM alerts WHERE (? IS NULL OR model = ?) AND (? IS NULL OR version = ?)",
        (model, model, version, version),
    ).fetchall()
    return {subject: Alert(**json.loads(text)) for subject, text in rows}
