"""Whether it is time to train again, from what monitoring has kept."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bessemer.monitor.retrain_spec import Cause, RetrainSpec
from bessemer.monitor.store import Kept
from bessemer.retrain.records import Retraining

#: Which findings count for which cause.
KINDS: dict[str, frozenset[str]] = {
    "drift": frozenset({"drift"}),
    "performance": frozenset({"performance", "concept"}),
}


@dataclass(frozen=True)
class Reason:
    """Why a model is trained again. text: in words."""

    cause: Cause | Literal["by_hand"]
    text: str


def due(
    spec: RetrainSpec,
    windows: Sequence[Kept],
    last: Retraining | None,
    made: dt.datetime,
    now: dt.datetime,
    more_rows: Callable[[], float],
) -> Reason | None:
    """The first of the causes that the project file names and that holds now; none of them while it would be too often.

    Args:
        windows: the latest ones of the served version, the oldest first.
        last: the latest retraining, whatever came of it.
        made: when the served package was made. All times are naive and UTC.
        more_rows: how many more rows the sources have than the served model was made of, as a share; asked last.
    """
    if last is not None and (now - last.begun).total_seconds() < 1 / spec.at_most:
        return None
    since = max(made, last.begun) if last is not None else made
    fresh = [window for window in windows if _middle(window) >= since]
    for cause in spec.on:
        if cause == "schedule":
            found = _old(spec, since, now)
        elif cause == "new_data":
            found = _more(spec, more_rows())
        else:
            found = _found(spec, cause, fresh)
        if found:
            return Reason(cause, found)
    return None


def _middle(window: Kept) -> dt.datetime:
    """Windows follow on each other without gaps: one that began before and is mostly after counts as after."""
    start, end = (dt.datetime.fromisoformat(moment) for moment in (window.start, window.end))
    return start + (end - start) / 2


def _old(spec: RetrainSpec, since: dt.datetime, now: dt.datetime) -> str:
    days = (now - since).total_seconds() / 86_400
    return f"it is {days:.3g} days old" if days * 86_400 >= spec.every else ""


def _more(spec: RetrainSpec, share: float) -> str:
    return f"the sources have {share:.0%} more rows" if share >= spec.new_rows else ""


def _found(spec: RetrainSpec, cause: Cause, windows: Sequence[Kept]) -> str:
    """Found in each of the latest windows, so many as are asked for."""
    latest = windows[-spec.windows :]
    counted = [_of(cause, window) for window in latest]
    if len(latest) < spec.windows or not all(counted):
        return ""
    first = counted[-1][0]
    others = f", and {len(counted[-1]) - 1} more" if len(counted[-1]) > 1 else ""
    return f"{first['column']}: {first['text']}{others}"


def _of(cause: Cause, window: Kept) -> list[dict[str, Any]]:
    return [finding for finding in window.check["findings"] if finding["kind"] in KINDS[cause]]
