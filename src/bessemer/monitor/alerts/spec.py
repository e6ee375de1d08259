"""What the project file may say about where findings go."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from bessemer.core.plugin_settings import Named, parse_named
from bessemer.core.spec import Duration, Spec
from bessemer.monitor.alerts.notice import Severity
from bessemer.monitor.finding import Kind
from bessemer.monitor.plugins import SINKS

#: Of findings, by their kind. A model that was right and no longer is, and rows that it cannot read, are errors.
SEVERITIES: dict[Kind, Severity] = {
    "schema": "error",
    "quality": "warning",
    "drift": "warning",
    "performance": "error",
    "concept": "error",
    "adversary": "critical",
    "operations": "error",
    "model": "error",
}


def label_of(named: Named) -> str:
    """What a sink is called: its `name`, else its kind.

    >>> label_of({"slack": {"url_env": "SLACK_URL"}}), label_of({"webhook": {"name": "pager"}})
    ('slack', 'pager')
    """
    kind, settings = next(iter(named.items()))
    return str(settings.get("name") or kind)


def _sinks(value: Any) -> list[Named]:
    """`[console, {slack: {...}}]` as one `{kind: settings}` each, in their order; their names differ."""
    entries = value if isinstance(value, list) else [value]
    found = [{kind: settings} for entry in entries for kind, settings in _parsed(entry).items()]
    labels = [label_of(named) for named in found]
    if twice := next((label for label in labels if labels.count(label) > 1), None):
        raise ValueError(f"two receivers are called '{twice}': give one of them another `name`")
    return found


def _parsed(entry: Any) -> Named:
    return parse_named([entry], SINKS, "a receiver of alerts", "console")


class AlertsSpec(Spec):
    """Where findings go, and how often the same is said.

    >>> AlertsSpec(to=["console"]).remind
    86400.0
    """

    to: Annotated[list[Named], BeforeValidator(_sinks, json_schema_input_type=list[str | dict[str, Any]])] = (
        Field(default_factory=list, description="The receivers, each a name or {name: {setting: value}}.")
    )
    remind: Duration = Field(
        86_400.0, ge=1, description="While a finding lasts it is said again after this time."
    )
    resolve: int = Field(
        2, ge=1, description="In so many windows in a row it was looked for and not found: it is over."
    )
    lapse: Duration = Field(
        14 * 86_400.0,
        ge=1,
        description="Not seen for so long, it is over, also where nobody could look for it.",
    )
    most: int = Field(
        20,
        ge=1,
        description="Of each severity, the most that is open one by one, worse counted in; what is found beyond it is "
        "told as one.",
    )
    give_up: Duration = Field(
        3 * 86_400.0, ge=1, description="What a receiver has not taken for so long is set aside, and shown."
    )
    waiting: int = Field(
        10_000, ge=1, description="The most that waits for one receiver; beyond it the oldest is set aside."
    )
    severity: dict[Kind, Severity] = Field(
        default_factory=dict, description="Of findings, by their kind, where it is another than usual."
    )

    @model_validator(mode="after")
    def _stands_until_it_is_said_again(self) -> AlertsSpec:
        """Where a receiver ends alerts by itself, they must not end and begin while the finding lasts."""
        for named in self.to:
            kind, settings = next(iter(named.items()))
            lasts = getattr(SINKS.load(kind).Settings.model_validate(settings), "lasts", None)
            if lasts is not None and lasts <= self.remind:
                raise ValueError(
                    f"{label_of(named)}: `lasts` is {lasts:g} s, and the same is said again after `remind`, "
                    f"{self.remind:g} s: the alert would end while the finding is there; set `lasts` to more than that"
                )
        return self

    def severity_of(self, kind: Kind) -> Severity:
        return self.severity.get(kind, SEVERITIES[kind])


def parse_alerts(value: Any) -> Any:
    """A list is the receivers; a mapping with `to` has other settings too."""
    if isinstance(value, AlertsSpec | dict):
        return value
    return {"to": value}


Alerts = Annotated[
    AlertsSpec,
    BeforeValidator(parse_alerts, json_schema_input_type=AlertsSpec | list[str | dict[str, Any]]),
]
