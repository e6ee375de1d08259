"""What the project file may say about monitoring."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from bessemer.core.errors import did_you_mean
from bessemer.core.plugin_settings import Named, parse_named
from bessemer.core.spec import Duration, Spec
from bessemer.monitor.alerts.spec import Alerts, AlertsSpec
from bessemer.monitor.plugins import DETECTORS, USUAL, USUAL_WATCHERS, WATCHERS
from bessemer.monitor.rate import Rate, parse_rate
from bessemer.monitor.retrain_spec import Retrain
from bessemer.monitor.slo import SloSpec
from bessemer.monitor.watching.suspects import Suspects, SuspectsSpec


def _known(value: Any) -> Any:
    for name in value if isinstance(value, list) else []:
        if name not in DETECTORS:
            raise ValueError(f"no detector is called {name!r}; {did_you_mean(name, DETECTORS)}")
    return value


def _long_enough(seconds: float) -> float:
    if seconds < 1:
        raise ValueError(f"a window of {seconds:g} s is too short: write 1s or more, as 15m or 1h")
    return seconds


def _usual_watchers() -> Named:
    return {name: {} for name in USUAL_WATCHERS}


def _watchers(value: Any) -> Named:
    """A list is all there are; a mapping changes some of the usual ones, adds others, and leaves out what is false.

    >>> found = _watchers({"age": False, "cusum": {"odds": 2.0}})
    >>> "age" in found, found["cusum"], "skew" in found
    (False, {'odds': 2.0}, True)
    """
    if not isinstance(value, dict):
        return _named(value)
    out = {name for name, settings in value.items() if settings is False}
    wanted = [{name: {} if settings in (True, False) else settings} for name, settings in value.items()]
    found = {**_usual_watchers(), **_named(wanted)}
    return {name: settings for name, settings in found.items() if name not in out}


def _named(value: Any) -> Named:
    return parse_named(value, WATCHERS, "a watcher", ", ".join(USUAL_WATCHERS), USUAL_WATCHERS)


def _check_season(name: str, settings: Any, every: float) -> None:
    from bessemer.monitor.watching.earlier import EarlierSpec

    spec = WATCHERS.load(name).Settings.model_validate(settings)
    try:
        if isinstance(spec, EarlierSpec):
            spec.check(every)
    except ValueError as error:
        raise ValueError(f"settings of {name}: {error}") from None


MONTHLY = parse_rate("1 per month")


class MonitorSpec(Spec):
    """How the prediction log is watched.

    >>> MonitorSpec(every="15m").every
    900.0
    """

    every: Annotated[Duration, AfterValidator(_long_enough)] = Field(
        3600.0, description="The length of a window, and how often one is looked at."
    )
    rows: int = Field(
        200, ge=1, description="The fewest rows of a window; one with fewer goes on until it has them."
    )
    false_alarms: Rate = Field(
        MONTHLY, description="How often anything may be found while nothing changes, as '1 per month'."
    )
    silence: Duration | None = Field(
        86_400.0,
        gt=0,
        description="After so long a window is looked at however few rows it has: a log may have stopped; "
        "null waits for them.",
    )
    detectors: Annotated[list[str], BeforeValidator(_known)] = Field(
        list(USUAL), description="What is watched; see the table of detectors."
    )
    watchers: Annotated[
        Named,
        BeforeValidator(
            _watchers, json_schema_input_type=list[str | dict[str, Any]] | dict[str, bool | dict[str, Any]]
        ),
    ] = Field(
        default_factory=_usual_watchers,
        description="What else is watched in the log: a mapping {name: {setting: value}} beside the usual ones (false "
        "leaves one out), or a list of all there are to be.",
    )
    alerts: Alerts = Field(
        default_factory=AlertsSpec,
        description="Where findings go: a list of receivers, or `{to: [...]}` with other settings.",
    )
    retrain: Retrain = Field(
        None, description="When it is trained again, compared and deployed; see the page of retraining."
    )
    again: list[Duration] = Field(
        [86_400.0, 7 * 86_400.0],
        description="When a window is so old it is looked at again: labels come late.",
    )
    suspects: Suspects = Field(
        default_factory=SuspectsSpec,
        description="What is done to clients that are found: one action for all watchers of clients, or settings.",
    )
    slo: SloSpec | None = Field(
        None, description="What is promised to those who ask: `availability`, `latency`, over a `period`."
    )
    log: str | None = Field(
        None, description="The folder of the prediction log; the one of `serve: log:` by default."
    )
    store: str = Field(".bessemer/monitor.db", description="The file in which windows and findings are kept.")
    keep: Duration = Field(365 * 86_400.0, description="Windows older than this are forgotten.")

    @model_validator(mode="after")
    def _seasons(self) -> MonitorSpec:
        for name, settings in self.watchers.items():
            if "season" in settings:
                _check_season(name, settings, self.every)
        return self

    @property
    def false_alarm(self) -> float:
        """The probability of a finding in one window in which nothing has changed; at most a half."""
        return min(0.5, self.false_alarms * self.every)
