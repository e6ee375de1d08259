"""Prometheus' Alertmanager (API v2): it groups, silences and routes what is found."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from pydantic import Field, field_validator

from bessemer.core.spec import Duration
from bessemer.monitor.alerts.notice import Notice, NoticeKind
from bessemer.monitor.sinks.http import Address, headers_of, post
from bessemer.monitor.sinks.settings import SinkSettings, Variable

_AT_ONCE = dt.timedelta(minutes=1)


class AlertmanagerSettings(SinkSettings):
    send: list[NoticeKind] = Field(
        ["finding", "resolved"], description="What it gets: alerts and their ends."
    )
    url: Address = Field("http://127.0.0.1:9093", description="Where it is, without `/api/v2/alerts`.")
    headers_env: Variable | None = Field(
        None, description="The environment variable with headers that it wants, as `name=value,name=value`."
    )
    lasts: Duration = Field(
        2 * 86_400.0,
        ge=60,
        description="How long an alert stands without being said again; more than `remind` of the alerts.",
    )

    @field_validator("send")
    @classmethod
    def _alerts_alone(cls, kinds: list[NoticeKind]) -> list[NoticeKind]:
        if set(kinds) - {"finding", "resolved"}:
            raise ValueError("it takes alerts and their ends: leave out all but `finding` and `resolved`")
        return kinds


class Alertmanager:
    """All of them in one request. Alerts with the same labels are one, so that to send one twice changes nothing."""

    Settings = AlertmanagerSettings

    def __init__(self, settings: AlertmanagerSettings) -> None:
        self._settings = settings
        self._headers = headers_of(settings.headers_env)

    def send(self, notices: Sequence[Notice]) -> None:
        lasts = dt.timedelta(seconds=self._settings.lasts)
        now = dt.datetime.now(dt.UTC)
        # of one alert the last word counts: two that differ in one request would be in no order
        latest: dict[tuple[str, ...], dict[str, Any]] = {}
        for notice in notices:
            for alert in alerts_of(notice, now, lasts):
                latest[tuple(alert["labels"].values())] = alert
        alerts = list(latest.values())
        url = self._settings.url.rstrip("/") + "/api/v2/alerts"
        post(url, alerts, timeout=self._settings.timeout, headers=self._headers)


def alerts_of(notice: Notice, now: dt.datetime, lasts: dt.timedelta) -> list[dict[str, Any]]:
    """An alert, and the end of the one of its lesser severity where it was told with that before."""
    alert = alert_of(notice, now, lasts)
    if not (was := notice.body.get("was")):
        return [alert]
    return [{**alert, "labels": {**alert["labels"], "severity": was}, "endsAt": now.isoformat()}, alert]


def alert_of(notice: Notice, now: dt.datetime, lasts: dt.timedelta) -> dict[str, Any]:
    """An alert; one that is over ends now, a test in a minute."""
    ends = {"resolved": now, "test": now + _AT_ONCE}.get(notice.kind, now + lasts)
    begun = min(_moment(notice.since or notice.at, now), now)
    return {
        "labels": labels_of(notice),
        "annotations": {"summary": notice.title, "description": notice.text, "runbook": notice.todo},
        "startsAt": begun.isoformat(),
        "endsAt": ends.isoformat(),
    }


def labels_of(notice: Notice) -> dict[str, str]:
    """The same for a finding and its end; Alertmanager knows an alert by them."""
    found = {name: str(notice.body[name]) for name in ("detector", "column", "of") if name in notice.body}
    kind = str(notice.body.get("kind", notice.kind))
    return {
        "alertname": f"Bessemer{kind.capitalize()}",
        "model": notice.model,
        "version": notice.version,
        "severity": notice.severity,
        **{name: value for name, value in found.items() if value},
    }


def _moment(text: str, now: dt.datetime) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC) if text else now
