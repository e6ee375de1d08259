"""Writing the files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bessemer.core.store import write_atomic
from bessemer.monitor.rules.alerting import budget_burns, service
from bessemer.monitor.rules.dashboard import dashboard
from bessemer.monitor.rules.recording import budgets, windows
from bessemer.monitor.rules.route import ROUTE
from bessemer.monitor.slo import never_alerts
from bessemer.monitor.spec import MonitorSpec

_HEAD = "# Made by `bessemer monitor rules` from the project file: write it anew rather than change it.\n"


def files(spec: MonitorSpec) -> dict[str, str]:
    """What each file has in it, by name."""
    return {
        "bessemer.rules.yml": _HEAD + _unalerted(spec) + _yaml({"groups": _groups(spec)}),
        "alertmanager.example.yml": "# An example: put your receivers in the place of the addresses.\n"
        + _yaml(ROUTE),
        "bessemer.dashboard.json": json.dumps(dashboard(spec.slo), indent=2, ensure_ascii=False) + "\n",
    }


def _unalerted(spec: MonitorSpec) -> str:
    words = never_alerts(spec.slo).values() if spec.slo is not None else ()
    return "".join(f"# {each}.\n" for each in words)


def _groups(spec: MonitorSpec) -> list[dict[str, Any]]:
    """Rules of one group are evaluated one after the other: alerts see the shares of the same moment."""
    groups: list[dict[str, Any]] = [{"name": "bessemer-service", "rules": service(spec.every, spec.silence)}]
    if spec.slo is not None:
        groups.append({"name": "bessemer-slo", "rules": [*windows(spec.slo), *budget_burns(spec.slo)]})
        # of a whole period: dear, and slow to change
        groups.append({"name": "bessemer-slo-budgets", "interval": "5m", "rules": budgets(spec.slo)})
    return groups


def write(spec: MonitorSpec, folder: Path) -> list[Path]:
    """Write the files into a folder, which is made; gives their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, text in files(spec).items():
        write_atomic(folder / name, text.encode())
        paths.append(folder / name)
    return paths


def _yaml(value: dict[str, Any]) -> str:
    import yaml

    text: str = yaml.safe_dump(value, sort_keys=False, width=1000, allow_unicode=True)
    return text
