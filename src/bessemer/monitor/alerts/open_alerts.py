"""Which findings are open: one alert while a finding lasts, said again after a time, and an end."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from bessemer.monitor.alerts.advice import title_of, todo_of
from bessemer.monitor.alerts.notice import Notice, NoticeKind, Severity
from bessemer.monitor.alerts.spec import AlertsSpec
from bessemer.monitor.finding import TESTED
from bessemer.monitor.store import Kept

_ORDER: tuple[Severity, ...] = ("info", "warning", "error", "critical")
_LISTED = 20
_MORE = "more"


@dataclass(frozen=True)
class Alert:
    """A finding that is open.

    since: the start of the first window in which it was found. seen: when it was last found; told: when it was last
    said; both when that was looked at, naive UTC. windows: in how many windows it was found. clear: in how many windows
    in a row it was then looked for and not found.
    """

    subject: str
    model: str
    version: str
    severity: Severity
    since: str
    seen: str
    told: str
    finding: Mapping[str, Any]
    windows: int = 1
    clear: int = 0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def at_least(severity: Severity, least: Severity) -> bool:
    """
    >>> at_least("error", "warning"), at_least("info", "warning")
    (True, False)
    """
    return _ORDER.index(severity) >= _ORDER.index(least)


def subject_of(window: Kept, finding: Mapping[str, Any]) -> str:
    """
    >>> window = Kept("churn", "1.0.0", "", "", 0, 1, {})
    >>> subject_of(window, {"of": "input", "column": "tenure", "detector": "psi"})
    'churn/1.0.0/input/tenure/psi'
    """
    return "/".join((window.model, window.version, finding["of"], finding["column"], finding["detector"]))


class Judged:
    """What a window does to the alerts of its model: `opened` has those that are open then, `notices` what is told.

    Args:
        alerts: those that are open, by subject.
        window: that was looked at. earlier: the same at its look before, where it was looked at again: then only counts
            what labels have brought, for the rest was judged in its time.
        now: when it was looked at, naive UTC.
    """

    def __init__(
        self,
        alerts: Mapping[str, Alert],
        window: Kept,
        spec: AlertsSpec,
        now: dt.datetime,
        earlier: Kept | None = None,
    ) -> None:
        self._window, self._spec, self._now, self._earlier = window, spec, now, earlier
        self._at = now.isoformat(timespec="microseconds")
        self._event = f"{window.start} {window.looks}"
        self.opened: dict[str, Alert] = {}
        self.notices: list[Notice] = []
        found = self._found(alerts)
        for subject, finding in found.items():
            self._is_there(alerts.get(subject), subject, finding)
        for subject, alert in alerts.items():
            if subject not in found:
                self._is_not_there(alert)

    def _found(self, alerts: Mapping[str, Alert]) -> dict[str, Mapping[str, Any]]:
        """What counts, by subject: what is open already, then the most severe, of them the surest, then others as one.

        What is less severe takes no room from what is more: of each severity, one opens until `most` of it or worse are
        open.
        """
        window = self._window
        before = (
            {subject_of(window, each) for each in self._earlier.check["findings"]} if self._earlier else set()
        )
        every = {subject_of(window, each): each for each in window.check["findings"]}
        new = {subject: each for subject, each in every.items() if subject not in before}
        kept = {subject: each for subject, each in new.items() if subject in alerts}
        others = {subject: each for subject, each in new.items() if subject not in alerts}
        open_now = [_ORDER.index(each.severity) for each in alerts.values() if not _is_more(each.finding)]
        rest = []
        for subject in sorted(others, key=lambda subject: -self._rank(others[subject])):
            rank = self._rank(others[subject])
            if sum(each >= rank for each in open_now) < self._spec.most:
                kept[subject] = others[subject]
                open_now.append(rank)
            else:
                rest.append(others[subject])
        if rest:
            finding = _together(rest)
            kept[subject_of(window, finding)] = finding
        return kept

    def _rank(self, finding: Mapping[str, Any]) -> int:
        return _ORDER.index(self._spec.severity_of(finding["kind"]))

    def _is_there(self, alert: Alert | None, subject: str, finding: Mapping[str, Any]) -> None:
        window, at = self._window, self._at
        severity = self._spec.severity_of(finding["kind"])
        if alert is None:
            new = Alert(subject, window.model, window.version, severity, window.start, at, at, finding)
            self._keep(new, "open")
            return
        grown = replace(alert, seen=at, finding=finding, windows=alert.windows + 1, clear=0)
        if not at_least(alert.severity, severity):
            # who wants only what is severe has not heard of it yet
            self._keep(replace(grown, told=at, severity=severity), "again", alert.severity)
        elif self._age(alert.told) >= self._spec.remind:
            self._keep(replace(grown, told=at), "again")
        else:
            self.opened[subject] = grown

    def _keep(self, alert: Alert, event: str, was: str = "") -> None:
        """Keep it open and tell it. was: how severe it was when it was told before, where that was less."""
        self.opened[alert.subject] = alert
        told = notice(alert, "finding", f"{event} {self._event}", self._at, self._window)
        self.notices.append(replace(told, body={**told.body, "was": was}) if was else told)

    def _is_not_there(self, alert: Alert) -> None:
        clear = alert.clear + self._was_looked_for(alert.finding)
        if clear >= self._spec.resolve:
            self.notices.append(notice(alert, "resolved", self._event, self._at, self._window))
        else:
            self.opened[alert.subject] = replace(alert, clear=clear)

    def _was_looked_for(self, finding: Mapping[str, Any]) -> bool:
        """Facts are looked for in every window with rows, what has a p-value where there was a test of it."""
        if finding["p_value"] is None:
            return self._earlier is None and self._window.rows > 0
        return _tested(self._window, finding) and not (self._earlier and _tested(self._earlier, finding))

    def _age(self, moment: str) -> float:
        return (self._now - dt.datetime.fromisoformat(moment)).total_seconds()


def lapsed(alerts: Mapping[str, Alert], spec: AlertsSpec, now: dt.datetime) -> Iterator[tuple[Alert, Notice]]:
    """Those that were not seen for so long that they are over, whoever could have looked for them."""
    at = now.isoformat(timespec="microseconds")
    before = (now - dt.timedelta(seconds=spec.lapse)).isoformat(timespec="microseconds")
    for alert in alerts.values():
        if alert.seen <= before:
            yield alert, notice(alert, "resolved", f"lapsed {alert.seen}", at)


def notice(alert: Alert, kind: NoticeKind, event: str, at: str, window: Kept | None = None) -> Notice:
    """What is told of an alert."""
    finding, over = alert.finding, kind == "resolved"
    named = f"{alert.model} {alert.version}: {title_of(finding)}"
    windows = "in one window" if alert.windows == 1 else f"in {alert.windows} windows"
    return Notice(
        kind,
        alert.severity,
        alert.subject,
        event,
        alert.model,
        alert.version,
        title=f"Over: {named}" if over else named,
        text=f"It was found {windows}; last: {finding['text']}" if over else finding["text"],
        todo="" if over else todo_of(finding, alert.model, alert.since),
        start=window.start if window else "",
        end=window.end if window else "",
        since=alert.since,
        at=at,
        body={**finding, "windows": alert.windows},
    )


def window_notice(window: Kept, at: str) -> Notice:
    """What is told of a window, whatever came out."""
    found = len(window.check["findings"])
    what = "nothing was found" if not found else "one finding" if found == 1 else f"{found} findings"
    return Notice(
        "window",
        "warning" if found else "info",
        f"{window.model}/{window.version}/window/{window.start}",
        str(window.looks),
        window.model,
        window.version,
        title=f"{window.model} {window.version}: {what} in {window.rows:,} rows",
        start=window.start,
        end=window.end,
        at=at,
        body={"looks": window.looks, **window.check},
    )


def _is_more(finding: Mapping[str, Any]) -> bool:
    return bool(finding["detector"] == _MORE)


def _together(findings: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Many findings as one: who is woken reads one message, and what is open stays bounded.

    Args:
        findings: the most severe first, whose kind it has.
    """
    listed = [f"'{each['column']}' ({each['detector']})" for each in findings[:_LISTED]]
    more = f" and {len(findings) - _LISTED} more" if len(findings) > _LISTED else ""
    return {
        "detector": _MORE,
        "column": _MORE,
        "of": "service",
        "kind": findings[0]["kind"],
        "statistic": "findings",
        "value": float(len(findings)),
        "threshold": None,
        "p_value": None,
        "text": f"{len(findings)} more findings: {', '.join(listed)}{more}",
    }


def _tested(window: Kept, finding: Mapping[str, Any]) -> bool:
    tests = window.check.get(TESTED[finding["of"]], {})
    return finding["detector"] in tests.get(finding["column"], {})
