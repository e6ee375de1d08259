"""A log that stopped, labels that no longer come, and times among the inputs that have stopped moving."""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from bessemer.core.errors import UsageError, did_you_mean
from bessemer.core.spec import Duration, Spec
from bessemer.core.sql import quote
from bessemer.monitor.contract import contract_of
from bessemer.monitor.finding import Kind, Test
from bessemer.monitor.reference import Reference
from bessemer.monitor.tables import opened
from bessemer.monitor.watching.watched import Said, Watched
from bessemer.package.prediction_log.read import read_labels, read_log
from bessemer.stats.level import Level, expected_within, surprise

if TYPE_CHECKING:
    from bessemer.package.model import Model

#: So many windows make the usual age known; one that is up to twice the usual one is none.
_KNOWN, _TWICE = 20, math.log(2)
#: The logarithm of an age is taken to vary by no less than so much, squared.
_LEAST_VARIANCE = 0.1**2
_MINUTE, _DAY = 60.0, 86_400.0
#: Gaps of so long ago are usual still; one is longer than they are from this ratio on; so many are remembered.
_LATELY, _LONGER, _GAPS = 28 * _DAY, 1.25, 20


class StalenessSettings(Spec):
    """How long nothing may come."""

    rows: Duration | None = Field(
        None,
        description="For so long no row may come; by default a day, and no longer than usual gaps such as weekends.",
    )
    labels: Duration | None = Field(
        None, description="For so long no label may come, where labels came before; `null` does not ask."
    )
    inputs: dict[str, Duration] = Field(
        default_factory=dict,
        description="How old the newest value of an input that is a time may be, beside `newest_within` of the "
        "contract; other times are compared with their usual age.",
    )


class Staleness:
    """Gaps that are longer than the usual ones are facts. How old the newest value of a time is, is compared with how
    old it usually is."""

    kind: ClassVar[Kind] = "quality"
    again: ClassVar[bool] = False
    empty: ClassVar[bool] = True
    Settings: ClassVar[type[Spec]] = StalenessSettings

    def __init__(self, settings: StalenessSettings) -> None:
        self._settings = settings

    def watch(self, watched: Watched) -> Said:
        """Raises UsageError: a setting names what is no input of the model, or no time."""
        self.check(watched.model, watched.reference)
        names = [name for name in _times(watched.model) if name in watched.window.inputs]
        allowed = {**_promised(watched), **self._settings.inputs}
        minutes, newest = _seen(watched, names)
        figures: dict[str, Any] = {}
        memory: dict[str, Any] = {}
        tests = [
            *self._gap(watched, minutes, figures, memory),
            *self._labels(watched, figures, memory),
            *self._inputs(watched, newest, allowed, figures, memory),
        ]
        return Said(tuple(tests), figures, memory)

    def check(self, model: Model, reference: Reference) -> None:
        """Raises UsageError: a setting names what is no input of the model, or no time."""
        times = _times(model)
        for name in self._settings.inputs:
            if name not in times:
                raise UsageError(
                    f"monitor: watchers: staleness: inputs: '{name}' is no input that is a time",
                    fix=did_you_mean(name, times) if times else "leave it out: the model has no times",
                )

    # rows -----------------------------------------------------------------------------------------
    def _gap(
        self, watched: Watched, minutes: list[float], figures: dict[str, Any], memory: dict[str, Any]
    ) -> Iterator[Test]:
        window, before = watched.window, watched.memory
        since = float(before.get("newest", _seconds(window.start)))
        memory["newest"] = minutes[-1] + _MINUTE if minutes else since
        bounds = [since, *minutes, _seconds(window.end)]
        gaps = [(b - a, b) for a, b in pairwise(bounds)]
        longest, end = max(gaps)
        usual = (
            _usual_gap(before.get("gaps", ()), _seconds(window.start)) if self._settings.rows is None else 0.0
        )
        figures |= {"longest_gap": longest, "usual_gap": usual or None}
        allowed = max(_DAY if self._settings.rows is None else self._settings.rows, _LONGER * usual)
        ended = [[length, moment] for length, moment in gaps[:-1] if length >= _DAY]
        memory["gaps"] = [*before.get("gaps", ()), *ended][-_GAPS:]
        memory["told"] = told = before.get("told")
        if longest < allowed:
            return
        others = _others(watched, end - longest, end)
        figures["other_versions"] = dict(others)
        if others:  # another version answers in its place: nothing has stopped
            return
        over = end != bounds[-1]
        if over and told == end - longest:  # it was told while it lasted
            return
        memory["told"] = end - longest
        text = f"no rows for {_hours(longest)}, from {_moment(end - longest)} on, "
        text += "then they came again" if over else "and none since"
        text += f"; usual gaps are up to {_hours(usual)}" if usual else ""
        yield Test("staleness", "rows", self.kind, "hours without rows", longest / 3600, text, of="service")

    # labels ---------------------------------------------------------------------------------------
    def _labels(self, watched: Watched, figures: dict[str, Any], memory: dict[str, Any]) -> Iterator[Test]:
        allowed = self._settings.labels
        if allowed is None:
            return
        known = watched.memory.get("label")
        since = watched.window.start - dt.timedelta(seconds=0 if known else allowed)
        count, newest = read_labels(watched.log, watched.name, _utc(since), _utc(watched.window.end))
        last = newest.replace(tzinfo=dt.UTC).timestamp() if newest is not None else known
        memory["label"] = last
        figures["labels"] = count
        if last is None or _seconds(watched.window.end) - last <= allowed:
            return
        age = _seconds(watched.window.end) - last
        told = f"no labels for {_hours(age)}: the last came at {_moment(last)}"
        yield Test("staleness", "labels", self.kind, "hours without labels", age / 3600, told, of="service")

    # inputs ---------------------------------------------------------------------------------------
    def _inputs(
        self,
        watched: Watched,
        newest: Mapping[str, float],
        allowed: Mapping[str, float],
        figures: dict[str, Any],
        memory: dict[str, Any],
    ) -> Iterator[Test]:
        before = watched.memory.get("ages", {})
        kept = dict(before)
        figures["newest"] = {name: _moment(_last(newest) - age) for name, age in _ages(newest)}
        for name, age in _ages(newest):
            if name in allowed:
                yield from self._older(name, age, allowed[name])
            elif age >= 0:
                level = Level(*before.get(name, ()))
                yield from self._usual(name, math.log1p(age), level)
                kept[name] = level.add(math.log1p(age)).to_json()
        memory["ages"] = kept

    def _older(self, name: str, age: float, allowed: float) -> Iterator[Test]:
        if age > allowed:
            told = f"the newest '{name}' is {_hours(age)} old, {_hours(allowed)} are allowed"
            yield Test("staleness", name, self.kind, "age in hours", age / 3600, told)

    def _usual(self, name: str, age: float, level: Level) -> Iterator[Test]:
        if level.weight < _KNOWN * 0.9:
            return
        variance, known, freedom = max(level.variance, _LEAST_VARIANCE), level.weight, level.weight - 1
        p = surprise(age, level.mean, variance, known, freedom, least=_TWICE, one_sided=True)
        usual = _hours(math.expm1(level.mean))
        yield Test(
            *("staleness", name, self.kind, "logarithm of the ratio of ages", age - level.mean),
            f"the newest '{name}' is {_hours(math.expm1(age))} old, usually {usual}",
            p,
            partial(_critical, variance, known, freedom),
        )


def _usual_gap(gaps: Sequence[Sequence[float]], now: float) -> float:
    """How long gaps are that are usual: as long as two of the last weeks; nought where there were fewer.

    gaps: length and end of each, in seconds. One outage makes none usual.
    """
    lately = sorted((length for length, end in gaps if now - end <= _LATELY), reverse=True)
    return lately[1] if len(lately) > 1 else 0.0


def _times(model: Model) -> list[str]:
    return [field.name for field in model.signature.inputs if field.dtype == "timestamp"]


def _promised(watched: Watched) -> dict[str, float]:
    """`newest_within` of the contract in the package, by column."""
    contract = contract_of(watched.model)
    rules = contract.columns if contract is not None else {}
    return {name: own.newest_within for name, own in rules.items() if own.newest_within is not None}


def _critical(variance: float, known: float, freedom: float, probability: float) -> float:
    return expected_within(variance, known, freedom, min(1.0, 2 * probability), _TWICE)


def _seen(watched: Watched, names: list[str]) -> tuple[list[float], dict[str, float]]:
    """The minutes that have rows, ascending, in Unix seconds; and the newest value of each time, and of '' the last
    row, in Unix seconds."""
    if not watched.window.rows:
        return [], {}
    with opened(watched.window.path) as (connection, relation):
        minute = "epoch_us(time) // 60000000"
        found = connection.execute(f"SELECT DISTINCT {minute} FROM {relation} ORDER BY 1").fetchall()
        values = ", ".join(
            f"epoch_us(max({quote(f'in.{n}')}) FILTER (isfinite({quote(f'in.{n}')})))" for n in names
        )
        newest = connection.execute(
            f"SELECT epoch_us(max(time)){', ' + values if values else ''} FROM {relation}"
        ).fetchone()
    told = {name: us / 1e6 for name, us in zip(["", *names], newest, strict=True) if us is not None}
    return [row[0] * _MINUTE for row in found], told


def _last(newest: Mapping[str, float]) -> float:
    return newest.get("", math.nan)


def _ages(newest: Mapping[str, float]) -> list[tuple[str, float]]:
    return [(name, _last(newest) - value) for name, value in newest.items() if name]


def _others(watched: Watched, since: float, until: float) -> Counter[str]:
    """How many rows other versions of the model have in a time."""
    counts: Counter[str] = Counter()
    try:
        reader = read_log(
            watched.log, watched.name, since=since, until=until, labels=False, columns=["version"]
        )
    except UsageError:
        return counts  # nothing is left of the model in the log
    for batch in reader:
        counts.update({each["values"]: each["counts"] for each in batch.column(0).value_counts().to_pylist()})
    counts.pop(watched.model.version, None)
    return counts


def _seconds(moment: dt.datetime) -> float:
    return moment.replace(tzinfo=dt.UTC).timestamp()


def _utc(moment: dt.datetime) -> dt.datetime:
    return moment.replace(tzinfo=dt.UTC)


def _moment(seconds: float) -> str:
    try:
        return f"{dt.datetime.fromtimestamp(seconds, dt.UTC):%Y-%m-%d %H:%M}"
    except (OverflowError, ValueError, OSError):  # a year that the calendar does not have
        return f"{seconds:.0f} s since 1970"


def _hours(seconds: float) -> str:
    return f"{seconds / 86_400:,.1f} days" if seconds >= 2 * 86_400 else f"{seconds / 3600:,.1f} hours"
