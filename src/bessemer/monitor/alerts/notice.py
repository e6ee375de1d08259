"""What is told to people and systems: a finding, its end, a window, an action."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

#: finding: something is out of the ordinary (also said again while it lasts); resolved: it is no more; window: what
#: came out for a window, whatever it was; action: something was done (a model was trained again); test: a trial.
NoticeKind = Literal["finding", "resolved", "window", "action", "test"]
#: From the least: the words of PagerDuty and of syslog.
Severity = Literal["info", "warning", "error", "critical"]

_ID = 32  # hexadecimal digits, half of SHA-256: no two of them meet


@dataclass(frozen=True)
class Notice:
    """Something to tell.

    subject: what it is about, the same for a finding, its repetitions and its end: receivers open and close by it.
    event: which of the things that are told of the subject this is: with it, `id` is the same whenever and by whomever
    it is made, so that a receiver that gets it twice can tell.
    model, version: of the package, as the server names it. start, end: of the window, ISO 8601 (naive, UTC); '' where
    there is none. since: the start of the first window in which it was found. at: when it was decided, naive UTC.
    title: one line that a person understands at night. text: what it says. todo: what to look at and what to run.
    body: JSON for machines: the finding, the window, the record of an action.

    >>> one = Notice("action", "info", "churn/1.0.0/retraining", "2026-03-01", "churn", "1.0.0", "trained again")
    >>> len(one.id), one.id == Notice(**{**one.__dict__, "text": "otherwise"}).id
    (32, True)
    """

    kind: NoticeKind
    severity: Severity
    subject: str
    event: str
    model: str
    version: str
    title: str
    text: str = ""
    todo: str = ""
    start: str = ""
    end: str = ""
    since: str = ""
    at: str = ""
    body: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """32 hexadecimal digits, made of kind, subject and event alone."""
        named = json.dumps([self.kind, self.subject, self.event]).encode()
        return hashlib.sha256(named).hexdigest()[:_ID]

    def to_json(self) -> dict[str, Any]:
        """One flat JSON object with `id` first; `version` is a text."""
        return {"id": self.id, **{each.name: getattr(self, each.name) for each in fields(self)}}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Notice:
        return cls(**{name: given for name, given in value.items() if name != "id"})
