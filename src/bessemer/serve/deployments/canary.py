"""Whether a canary goes on, is promoted or is rolled back: from what it and the other did since its step began."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bessemer.serve.deployments.state import Gates
from bessemer.serve.statistics import LATENCIES

#: How sure an early end must be: it is looked at every second, so a usual 5 % would come by chance.
_SURE = 4.0


@dataclass(frozen=True)
class Verdict:
    """kind: `wait`, `pass` or `fail`; why: in words."""

    kind: str
    why: str = ""


def since(now: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """What one statistics snapshot has more than an earlier one.

    >>> since({"requests": 5, "latencies": [2, 1]}, {"requests": 2, "latencies": [1, 1]})
    {'requests': 3, 'latencies': [1, 0]}
    """
    found: dict[str, Any] = {}
    for name, value in now.items():
        if isinstance(value, Mapping):
            found[name] = since(value, before.get(name, {}))
            continue
        old = before.get(name, [0] * len(value) if isinstance(value, list) else 0)
        found[name] = (
            [a - b for a, b in zip(value, old, strict=True)] if isinstance(value, list) else value - old
        )
    return found


def quantile(counts: list[int], share: float) -> float:
    """The upper edge of the histogram's bucket in which a quantile of the latencies lies; NaN where there are none.

    >>> quantile([5, 4, 1], 0.95)
    0.0005
    """
    total, seen = sum(counts), 0
    for edge, count in zip(LATENCIES, counts, strict=False):
        seen += count
        if total and seen >= share * total:
            return edge
    return math.nan


def error_rate(done: Mapping[str, Any]) -> tuple[float, int]:
    """The share of requests that failed by the server's fault or came late, and of how many."""
    failed = done["failed"] + done["late"]
    total = done["requests"] + failed
    return (failed / total if total else 0.0), total


def judge(
    gates: Gates,
    canary: Mapping[str, Any],
    other: Mapping[str, Any],
    seconds: float,
    metrics: tuple[float, float] | None,
    deaths: int = 0,
) -> Verdict:
    """Judge a step of a canary.

    Args:
        gates: what it is held to.
        canary, other: what the two have done since the step began.
        seconds: how long ago that is.
        metrics: the metric of the canary and of the other, or None while there are too few labels.
        deaths: how many of the server's processes have died meanwhile.
    """
    if deaths > gates.deaths:
        return Verdict("fail", f"{deaths} processes of the server died during its trial")
    rate, total = error_rate(canary)
    base, others = error_rate(other)
    if total and _surely_worse(rate, total, base, others, gates.error_rate):
        return Verdict("fail", f"{rate:.1%} of its requests failed, {base:.1%} of the other's")
    if total < gates.requests or seconds < gates.seconds:
        return Verdict("wait")
    if rate > base + gates.error_rate:
        return Verdict("fail", f"{rate:.1%} of its requests failed, {base:.1%} of the other's")
    slow, usual = quantile(canary["latencies"], 0.95), quantile(other["latencies"], 0.95)
    if slow > usual * gates.latency:
        return Verdict("fail", f"its 95th percentile is {slow * 1e3:g} ms, the other's {usual * 1e3:g} ms")
    if not gates.metric:
        return Verdict("pass")
    if metrics is None:
        return Verdict("wait", f"fewer than {gates.labels} labels")
    mine, theirs = metrics
    worse = mine > theirs * (1 + gates.worse_by) if gates.metric == "mae" else mine < theirs - gates.worse_by
    if worse:
        return Verdict("fail", f"its {gates.metric} is {mine:.4g}, the other's {theirs:.4g}")
    return Verdict("pass")


def _surely_worse(rate: float, total: int, base: float, others: int, margin: float) -> bool:
    """Whether the difference of two shares is above the margin by `_SURE` of its standard errors."""
    spread = rate * (1 - rate) / total + (base * (1 - base) / others if others else 0.0) + 0.25 / total**2
    return rate - base - margin > _SURE * math.sqrt(spread)
