"""Service level objectives: how fast their budget is spent, and what is left of it."""

from __future__ import annotations

from typing import Any, ClassVar

from bessemer.core.spec import Spec
from bessemer.monitor.finding import Kind, Test
from bessemer.monitor.slo import WINDOWS, Burn, Objective, SloSpec, burns, never_alerts, span
from bessemer.monitor.watching.earlier import ended
from bessemer.monitor.watching.spent import Counts, Past
from bessemer.monitor.watching.watched import Said, Watched
from bessemer.package.prediction_log.operations import LAG
from bessemer.stats.history import binomial_tail


class Slo:
    """The alerts of the SRE workbook, from the counters that the server writes beside its log.

    Of few requests one alone spends a budget fast: the p-value says how likely so many bad ones in the long window
    would be if the objective were just kept.

    All versions of the model count together, as in the rules for Prometheus: a deployment renews no budget.
    """

    kind: ClassVar[Kind] = "operations"
    again: ClassVar[bool] = False
    empty: ClassVar[bool] = True

    class Settings(Spec):
        """The objectives stand in `monitor: slo`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def watch(self, watched: Watched) -> Said:
        slo = watched.slo
        if slo is None:
            return Said()
        objectives = slo.objectives()
        past = Past.of(objectives, slo.period, ended(watched) - LAG, watched.memory)
        counts = past.counts(watched)
        alerting = [each for each in objectives if burns(slo.period, each.budget)]
        tests = [_test(each, slo, counts) for each in alerting if counts[each.label, slo.period][1]]
        figures = {each.label: _figures(each, slo, counts) for each in objectives}
        for label, words in never_alerts(slo).items():
            figures[label]["why"] = words
        return Said(tuple(tests), figures, past.memory())


def _burn(objective: Objective, counts: Counts, seconds: float) -> float:
    bad, total = counts[objective.label, seconds]
    return bad / total / objective.budget if total else 0.0


def _test(objective: Objective, slo: SloSpec, counts: Counts) -> Test:
    """The surest of the objective's alerts, corrected for their number."""
    alerts = burns(slo.period, objective.budget)
    found = [(_p(objective, alert, counts), alert) for alert in alerts]
    p, alert = min(found, key=lambda each: each[0])
    burn = min(_burn(objective, counts, seconds) for seconds in (alert.long, alert.short))
    left = 1 - _burn(objective, counts, slo.period)
    text = (
        f"{objective.label} ({alert.severity}): over {alert} the error budget is spent {burn:.3g} times as fast as it "
        f"may be; {max(0.0, left):.0%} of it is left for {span(slo.period)}"
    )
    return Test(
        *("slo", objective.label, "operations", f"burn rate over {span(alert.long)}", burn),
        text,
        min(1.0, p * len(alerts)),
        lambda probability: alert.factor,
        "service",
    )


def _p(objective: Objective, alert: Burn, counts: Counts) -> float:
    """1 unless both windows burn; then how likely that is by chance."""
    if any(_burn(objective, counts, seconds) <= alert.factor for seconds in (alert.long, alert.short)):
        return 1.0
    bad, total = counts[objective.label, alert.long]
    return binomial_tail(bad, total, objective.budget)


def _figures(objective: Objective, slo: SloSpec, counts: Counts) -> dict[str, Any]:
    bad, total = counts[objective.label, slo.period]
    return {
        "target": objective.target,
        "within": objective.within,
        "period": slo.period,
        "bad": bad,
        "requests": total,
        "budget_left": 1 - _burn(objective, counts, slo.period),
        "burn": {span(seconds): _burn(objective, counts, seconds) for seconds in WINDOWS},
    }
