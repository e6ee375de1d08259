"""Recording rules: the share of bad requests of each objective, over each window of its alerts."""

from __future__ import annotations

from typing import Any

from bessemer.monitor.slo import WINDOWS, Objective, SloSpec, span

#: A request that was refused for its values is its client's affair.
_BAD = 'bessemer_requests_total{result=~"failed|late"}'
_ALL = 'bessemer_requests_total{result=~"ok|failed|late"}'
_ANSWERED = "bessemer_request_duration_seconds"


def bad_share(seconds: float) -> str:
    """The name of the rule for a window; its labels are `model` and `slo`.

    >>> bad_share(300)
    'model:bessemer_slo_bad:ratio_rate5m'
    """
    return f"model:bessemer_slo_bad:ratio_rate{span(seconds)}"


#: The share of the budget that is left, of the objective's period.
BUDGET_LEFT = "model:bessemer_slo_budget_left:ratio"


def windows(slo: SloSpec) -> list[dict[str, Any]]:
    """The rules of the windows that alerts look at."""
    return [_rule(bad_share(w), each, _share(each, w)) for each in slo.objectives() for w in WINDOWS]


def budgets(slo: SloSpec) -> list[dict[str, Any]]:
    """The rules of what is left of the period's budgets."""
    return [
        _rule(BUDGET_LEFT, each, f"1 - ({_share(each, slo.period)}) / {each.budget:.9g}")
        for each in slo.objectives()
    ]


def _rule(name: str, objective: Objective, expression: str) -> dict[str, Any]:
    return {"record": name, "expr": expression, "labels": {"slo": objective.label}}


def _share(objective: Objective, seconds: float) -> str:
    window = span(seconds)
    if objective.within is None:
        return f"{_rate(_BAD, window)} / {_rate(_ALL, window)}"
    good = _rate(f'{_ANSWERED}_bucket{{le="{objective.within!r}"}}', window)
    return f"1 - {good} / {_rate(f'{_ANSWERED}_count', window)}"


def _rate(series: str, window: str) -> str:
    return f"sum by (model) (rate({series}[{window}]))"
