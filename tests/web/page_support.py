"""A monitor's store with windows of two versions, made by its own writers."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

from bessemer.monitor.alerts.outbox import Outbox
from bessemer.monitor.alerts.spec import AlertsSpec
from bessemer.monitor.store import Kept, MonitorStore
from bessemer.retrain.records import Retrainings

DAY = dt.datetime(2026, 3, 1)
HOSTILE = "</script><img src=x onerror=alert(1)>"


def drift_test(p: float) -> dict[str, Any]:
    return {"chi_square": {"statistic": "chi-square", "value": 9.0, "p_value": p}}


def window(hour: int, version: str, *, found: bool = False, column: str = "tenure") -> Kept:
    """An hour in which `column` has changed, or not."""
    finding = {
        "detector": "chi_square",
        "column": column,
        "of": "input",
        "kind": "drift",
        "p_value": 1e-9,
        "statistic": "chi-square",
        "value": 9.0,
        "threshold": 4.0,
        "text": f"the distribution of '{column}' moved",
    }
    figure = {"value": 0.8 - hour / 100, "low": 0.75 - hour / 100, "high": 0.85 - hour / 100}
    check = {
        "alarm": found,
        "false_alarm": 0.01,
        "findings": [finding] if found else [],
        "columns": {column: drift_test(1e-9 if found else 0.5), "plan": drift_test(0.9)},
        "outputs": {},
        "clients": {},
        "service": {},
        "performance": {
            "metric": "roc_auc",
            "labelled": 50 * hour,
            "rows": 500,
            "reference": {"roc_auc": figure},
            "estimated": {"roc_auc": figure},
            "measured": {"roc_auc": figure} if hour else {},
        },
        "figures": {},
    }
    start = DAY + dt.timedelta(hours=hour)
    end = start + dt.timedelta(hours=1)
    return Kept("churn", version, start.isoformat(), end.isoformat(), 500, 1, check)


class Filled:
    """Keeps windows as the monitor does: with what is told of them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.store = MonitorStore(path)
        self.outbox = Outbox(self.store, AlertsSpec())

    def keep(self, one: Kept) -> None:
        now = dt.datetime.fromisoformat(one.end)
        self.store.keep(one, also=lambda connection: self.outbox.judge(connection, one, now))

    def retrained(self) -> None:
        records = Retrainings(self.store)
        one = records.begin("churn", DAY, "drift", "tenure: moved", "churn-1.bsm", "1")
        records.update(one, step="ended", outcome="promoted", why="roc_auc is better", ended=DAY)
