"""Whether each receiver can be reached, before it matters."""

from __future__ import annotations

import datetime as dt

from bessemer.core.errors import BessemerError
from bessemer.monitor.alerts.notice import Notice
from bessemer.monitor.alerts.receiver import Receiver, receivers_of
from bessemer.monitor.alerts.spec import AlertsSpec


def tried(spec: AlertsSpec) -> list[tuple[str, str]]:
    """Send a test to each receiver, past the outbox: its name, and what went wrong or ''."""
    return [(receiver.label, _sent(receiver)) for receiver in receivers_of(spec)]


def _sent(receiver: Receiver) -> str:
    try:
        receiver.open().send([_test()])
    except BessemerError as error:
        return str(error)
    return ""


def _test() -> Notice:
    now = dt.datetime.now(dt.UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
    return Notice(
        "test",
        "info",
        "bessemer/test",
        now,
        "test",
        "0",
        title="This is a test of Bessemer's alerts",
        text="If you can read it, findings will reach you here.",
        todo="There is nothing to do.",
        at=now,
    )
