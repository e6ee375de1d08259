"""PagerDuty's Events API v2, and what speaks like it: an incident opens, is said again, and is resolved."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from typing import Any

from pydantic import Field, field_validator

from bessemer.core.secrets import secret
from bessemer.monitor.alerts.notice import Notice, NoticeKind
from bessemer.monitor.sinks.http import Address, post
from bessemer.monitor.sinks.settings import SinkFault, SinkSettings, Variable

_SUMMARY, _KEY, _DETAIL = 1024, 255, 4000  # characters


class PagerDutySettings(SinkSettings):
    send: list[NoticeKind] = Field(
        ["finding", "resolved"], description="Also `action`: as change events, which wake nobody."
    )
    routing_key_env: Variable = Field(description="The environment variable with the integration key.")
    url: Address = Field(
        "https://events.pagerduty.com", description="Where it is; `https://events.eu.pagerduty.com`."
    )

    @field_validator("send")
    @classmethod
    def _no_windows(cls, kinds: list[NoticeKind]) -> list[NoticeKind]:
        if "window" in kinds:
            raise ValueError(
                "an incident for every window would wake somebody for nothing: leave `window` out"
            )
        return kinds


class PagerDuty:
    """A finding triggers, its end resolves: by `dedup_key` it is one incident, however often it is sent."""

    Settings = PagerDutySettings

    def __init__(self, settings: PagerDutySettings) -> None:
        self._settings = settings
        self._key = secret(settings.routing_key_env, "the integration key")

    def send(self, notices: Sequence[Notice]) -> None:
        until = time.monotonic() + self._settings.timeout
        for done, notice in enumerate(notices):
            try:
                for path, event in events_of(notice):
                    left = max(0.001, until - time.monotonic())
                    url = self._settings.url.rstrip("/") + path
                    post(url, {"routing_key": self._key, **event}, timeout=left)
            except SinkFault as fault:
                fault.delivered = done
                raise


def events_of(notice: Notice) -> list[tuple[str, dict[str, Any]]]:
    """What is sent for a notice: path and event, without the key. A test opens an incident and resolves it."""
    if notice.kind == "action":
        return [("/v2/change/enqueue", {"payload": _change(notice)})]
    trigger: dict[str, Any] = {
        "event_action": "trigger",
        "dedup_key": _dedup(notice.subject),
        "payload": _payload(notice),
    }
    resolve: dict[str, Any] = {"event_action": "resolve", "dedup_key": _dedup(notice.subject)}
    wanted = {"resolved": [resolve], "test": [trigger, resolve]}.get(notice.kind, [trigger])
    return [("/v2/enqueue", event) for event in wanted]


def _payload(notice: Notice) -> dict[str, Any]:
    return {
        **_change(notice),
        "severity": notice.severity,
        "component": notice.model,
        "group": notice.version,
        "class": str(notice.body.get("kind", notice.kind)),
    }


def _change(notice: Notice) -> dict[str, Any]:
    at = {"timestamp": notice.at + "Z"} if notice.at else {}
    details = {name: getattr(notice, name)[:_DETAIL] for name in ("text", "todo", "since", "start", "end")}
    return {
        "summary": notice.title[:_SUMMARY],
        "source": f"bessemer {notice.model} {notice.version}",
        **at,
        "custom_details": {**details, "id": notice.id},
    }


def _dedup(subject: str) -> str:
    """The subject, or its digest where it is too long.

    >>> _dedup("churn/1.0.0/input/tenure/psi")
    'churn/1.0.0/input/tenure/psi'
    """
    return subject if len(subject) <= _KEY else hashlib.sha256(subject.encode()).hexdigest()
