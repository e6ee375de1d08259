"""A sink as the project file names it: what it is called, what it wants, and the sink itself once it is needed."""

from __future__ import annotations

from dataclasses import dataclass

from bessemer.monitor.alerts.notice import Notice
from bessemer.monitor.alerts.open_alerts import at_least
from bessemer.monitor.alerts.spec import AlertsSpec, label_of
from bessemer.monitor.plugins import SINKS, Sink
from bessemer.monitor.sinks.settings import SinkSettings


@dataclass(frozen=True)
class Receiver:
    """label: what it is called in the outbox. kind: its name in the table of sinks."""

    label: str
    kind: str
    settings: SinkSettings

    def wants(self, notice: Notice) -> bool:
        """Whether it gets a notice; a test goes to everybody."""
        if notice.kind == "test":
            return True
        # of windows every one is wanted, or none: there is nothing to be woken by
        severe = notice.kind == "window" or at_least(notice.severity, self.settings.severity)
        return notice.kind in self.settings.send and severe

    def open(self) -> Sink:
        """The sink.

        Raises:
            UsageError: a secret is not in the environment.
            MissingExtra: what it needs is not installed.
        """
        return SINKS.load(self.kind)(self.settings)


def receivers_of(spec: AlertsSpec) -> tuple[Receiver, ...]:
    """The receivers that the project file names, in its order."""
    found = []
    for named in spec.to:
        ((kind, settings),) = named.items()
        found.append(Receiver(label_of(named), kind, SINKS.load(kind).Settings.model_validate(settings)))
    return tuple(found)
