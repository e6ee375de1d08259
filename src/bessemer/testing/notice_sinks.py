"""What every receiver of the monitor's notices must do. Run each check over yours:

    @pytest.mark.parametrize("check", CHECKS)
    def test_my_sink(check):
        check(MySink, {"url": listening}, {"url": nobody}, heard)

The first settings are for a receiver that listens, the second for one that is not there; `heard` gives all that the
receiver has, as one text. A check raises AssertionError with what is wrong.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, get_args

from bessemer.monitor.alerts.notice import Notice, NoticeKind
from bessemer.monitor.plugins import Sink
from bessemer.monitor.sinks.settings import SinkFault, SinkSettings

Settings = Mapping[str, Any]
Heard = Callable[[], str]
Check = Callable[[type[Sink], Settings, Settings, Heard], None]

_GRACE = 30.0  # seconds beyond its time-out


def finding(number: int, kind: NoticeKind = "finding", **changes: Any) -> Notice:
    """A notice with a title of its own."""
    column = f"column {number}"
    values: dict[str, Any] = {
        "severity": "error",
        "subject": f"tiny/1.0.0/input/{column}/psi",
        "event": "open 2026-03-01T00:00:00.000000 1",
        "model": "tiny",
        "version": "1.0.0",
        "title": f"tiny 1.0.0: '{column}' has moved",
        "text": "the PSI is 0.3",
        "todo": "Look at it.\nbessemer log tiny",
        "start": "2026-03-01T00:00:00.000000",
        "end": "2026-03-01T01:00:00.000000",
        "since": "2026-03-01T00:00:00.000000",
        "at": "2026-03-01T01:00:01.000000",
        "body": {
            "detector": "psi",
            "column": column,
            "of": "input",
            "kind": "drift",
            "text": "the PSI is 0.3",
        },
    }
    return Notice(kind, **{**values, **changes})


def _made(kind: type[Sink], settings: Settings) -> Sink:
    return kind(kind.Settings.model_validate(dict(settings)))


def check_settings(kind: type[Sink], settings: Settings, nobody: Settings, heard: Heard) -> None:
    """They are `SinkSettings`, every one is described, and what it gets by default are kinds of notices."""
    assert issubclass(kind.Settings, SinkSettings), "the settings are not `SinkSettings`"
    bare = [name for name, field in kind.Settings.model_fields.items() if not field.description]
    assert not bare, f"settings without a description: {bare}"
    made = kind.Settings.model_validate(dict(settings))
    assert set(made.send) <= set(get_args(NoticeKind))
    again = kind.Settings.model_validate(
        {**settings, "name": "other", "severity": "critical", "timeout": "3s"}
    )
    assert (again.name, again.severity, again.timeout) == ("other", "critical", 3.0)


def check_delivery(kind: type[Sink], settings: Settings, nobody: Settings, heard: Heard) -> None:
    """When `send` returns the receiver has all of them, in order; the same twice is no fault."""
    one, sent = _made(kind, settings), [finding(number) for number in range(30)]
    one.send(sent)
    one.send(sent[-2:])
    text = heard()
    places = [text.find(f"column {number}'") for number in range(30)]
    assert -1 not in places, f"not all have arrived: {places}"
    assert places == sorted(places), "they arrived in another order"


def check_every_kind(kind: type[Sink], settings: Settings, nobody: Settings, heard: Heard) -> None:
    """It takes all that it gets by default, and tests; whatever texts and names there are."""
    one = _made(kind, settings)
    for each in [*kind.Settings.model_validate(dict(settings)).send, "test"]:
        one.send([finding(31, each)])
    strange: dict[str, Any] = {
        "title": 'a "title" with ü, <b> & \x1b[31m\n lines',
        "text": "x" * 20_000,
        "subject": "y" * 2_000,
    }
    one.send(
        [finding(32, **strange), finding(33, text="", todo="", start="", end="", since="", at="", body={})]
    )
    assert "column 33'" in heard()


def check_nobody(kind: type[Sink], settings: Settings, nobody: Settings, heard: Heard) -> None:
    """A receiver that is not there is a `SinkFault` that says why, in time, and not before `send`."""
    one = _made(kind, {"timeout": "1s", **nobody})
    begun = time.monotonic()
    fault = _fault(one)
    assert fault is not None, "nobody was there, and it said that it had delivered"
    assert str(fault)
    assert not fault.permanent, "a receiver that is away is not one that refuses"
    assert fault.delivered == 0
    assert time.monotonic() - begun < _GRACE, "it has not kept its time"


def _fault(sink: Sink) -> SinkFault | None:
    try:
        sink.send([finding(0), finding(1)])
    except SinkFault as fault:
        return fault
    return None


CHECKS: tuple[Check, ...] = (check_settings, check_delivery, check_every_kind, check_nobody)
