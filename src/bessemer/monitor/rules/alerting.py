"""Alerting rules: budgets that burn, and what is wrong whatever was promised."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bessemer.monitor.rules.recording import bad_share
from bessemer.monitor.slo import Objective, SloSpec, burns, span

#: name, expression, for how long, severity, what it says, what to do.
_SERVICE = (
    (
        *("BessemerAbsent", "absent(bessemer_server_ready)", "5m", "page"),
        "No server answers the scraper.",
        "Look whether the server runs, and whether the scraper may read /metrics.",
    ),
    (
        *("BessemerServerNotReady", "bessemer_server_ready == 0", "5m", "page"),
        "The server {{ $labels.instance }} takes no requests.",
        "It is starting or stopping, and has been for five minutes; its error stream says why.",
    ),
    (
        *("BessemerModelNotReady", "bessemer_model_ready == 0", "10m", "ticket"),
        "{{ $labels.model }} {{ $labels.version }} takes no requests.",
        "`bessemer deployments` shows what is served.",
    ),
    (
        *("BessemerWorkersRestart", "increase(bessemer_worker_restarts_total[30m]) > 2", "0m", "ticket"),
        "Processes of {{ $labels.instance }} were started again {{ $value | humanize }} times in half an hour.",
        "The system's log says whether they were killed for their memory; a canary is the likeliest cause.",
    ),
    (
        "BessemerTurnsAway",
        'sum(rate(bessemer_refused_total{status=~"5.."}[5m])) > 0.01 * sum(rate(bessemer_requests_total[5m]))',
        *("5m", "page"),
        "{{ $value | humanize }} requests a second are turned away before a model sees them.",
        "The server is full: start more workers, or raise `serve: queue`.",
    ),
    (
        "BessemerQueueing",
        "sum by (model) (rate(bessemer_queue_seconds_total[5m])) "
        "/ sum by (model) (rate(bessemer_request_duration_seconds_sum[5m])) > 0.5",
        *("15m", "ticket"),
        "Requests to {{ $labels.model }} wait {{ $value | humanizePercentage }} of their time.",
        "Start more workers, or larger batches.",
    ),
    (
        *("BessemerRecordsLost", "increase(bessemer_telemetry_dropped_total[10m]) > 0", "0m", "ticket"),
        "{{ $value | humanize }} records of {{ $labels.what }} were lost in ten minutes.",
        "The disk is full or too slow.",
    ),
    (
        # the second half: of a canary that began just now, all that there is of the last day is 1 too
        "BessemerCanaryStays",
        "min_over_time(bessemer_model_canary[1d]) == 1 and bessemer_model_canary offset 1d == 1",
        *("0m", "ticket"),
        "{{ $labels.model }} {{ $labels.version }} has been on trial for a day.",
        "`bessemer deployments` says what it waits for; `bessemer promote` or `bessemer rollback` ends it.",
    ),
    (
        *("BessemerModelFinding", "bessemer_monitor_findings > 0", "0m", "ticket"),
        "The monitor has {{ $value }} findings ({{ $labels.kind }}) on {{ $labels.model }} {{ $labels.version }}.",
        "`bessemer monitor` says what they are.",
    ),
)


def service(every: float, silence: float | None) -> list[dict[str, Any]]:
    """The alerts that need no objective.

    Args:
        every: seconds between two windows of the monitor. silence: how long a window may wait for rows; None: as long
            as it takes, so that from the age of the last one nothing follows.
    """
    late = () if silence is None else (_silent(every, silence),)
    return [_rule(*each) for each in (*_SERVICE, _ahead(every), *late)]


def budget_burns(slo: SloSpec) -> list[dict[str, Any]]:
    """The alerts of the objectives."""
    return [rule for each in slo.objectives() for rule in _burns(each, slo.period)]


_WINDOW_END = "bessemer_monitor_window_end_timestamp_seconds"


def _silent(every: float, silence: float) -> tuple[str, str, str, str, str, str]:
    after = silence + 4 * every
    return (
        "BessemerMonitorSilent",
        f"time() - {_WINDOW_END} > {after:.10g}",
        *("15m", "ticket"),
        f"The monitor of {{{{ $labels.model }}}} {{{{ $labels.version }}}} has had no window for more than "
        f"{span(after)}.",
        "`bessemer monitor` does not run, or cannot read the log: its error stream says why.",
    )


def _ahead(every: float) -> tuple[str, str, str, str, str, str]:
    return (
        "BessemerMonitorAhead",
        f"{_WINDOW_END} - time() > {max(300.0, every):.10g}",
        *("15m", "ticket"),
        "The last window of {{ $labels.model }} {{ $labels.version }} ends in the future.",
        "The clock of the monitor or of a server was ahead: until that time comes no window ends. Set it right.",
    )


def _rule(name: str, expression: str, wait: str, severity: str, summary: str, todo: str) -> dict[str, Any]:
    rule: dict[str, Any] = {"alert": name, "expr": expression}
    if wait != "0m":
        rule["for"] = wait
    return {
        **rule,
        "labels": {"severity": severity},
        "annotations": {"summary": summary, "description": todo},
    }


def _burns(objective: Objective, period: float) -> Iterator[dict[str, Any]]:
    for burn in burns(period, objective.budget):
        limit = f'{{slo="{objective.label}"}} > {burn.factor * objective.budget:.9g}'
        yield {
            "alert": "BessemerErrorBudgetBurn",
            "expr": f"{bad_share(burn.long)}{limit} and {bad_share(burn.short)}{limit}",
            "labels": {"severity": burn.severity, "slo": objective.label, "window": span(burn.long)},
            "annotations": {
                "summary": f"{{{{ $labels.model }}}} spends its error budget of {objective.label} more than "
                f"{burn.factor:g} times as fast as it may: {{{{ $value | humanizePercentage }}}} of the requests are "
                f"bad over {span(burn.long)}, and over {span(burn.short)}.",
                "description": f"Promised is that {objective.says()}, over {span(period)}.",
            },
        }
