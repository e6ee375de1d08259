"""A real server, the rules that are written for it, a real Prometheus and Alertmanager, and who is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from serve_client import Served
from telemetry_tools import BODY

import patience
from bessemer.cli import group
from bessemer.monitor.metrics import LastWindow, listen
from bessemer.monitor.store import Kept, MonitorStore
from patience import until
from ports import free_port
from prometheus_tools import alertmanager, asked, scraping

FIGURE = {"accuracy": {"value": 0.9, "low": 0.8, "high": 1.0}}
CHECK = {
    "alarm": True,
    "findings": [{"kind": "drift"}],
    "columns": {"tenure": {"psi": {"statistic": "PSI", "value": 0.3, "p_value": 1e-9}}},
    "performance": {"labelled": 3, "rows": 9, "measured": FIGURE, "estimated": FIGURE, "reference": FIGURE},
    "figures": {
        "slo": {"availability": {"budget_left": 0.5}},
        "cost": {"per_1000_rows": 0.1, "currency": "CHF"},
    },
}
#: What only tells something in a trial.
QUIET = ("bessemer_model_canary", "bessemer_model_shadow")


class Hook:
    """Who is told by Alertmanager."""

    def __init__(self) -> None:
        self.alerts: list[dict[str, Any]] = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                told = json.loads(self.rfile.read(int(self.headers["content-length"])))
                hook.alerts += [{**alert, "receiver": self.path} for alert in told["alerts"]]
                self.send_response(200)
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def burning(self) -> set[tuple[str, str, str]]:
        """Receiver, objective and severity of the budgets that burn."""
        return {
            (alert["receiver"], alert["labels"]["slo"], alert["labels"]["severity"])
            for alert in self.alerts
            if alert["labels"]["alertname"] == "BessemerErrorBudgetBurn" and alert["status"] == "firing"
        }


@pytest.fixture
def hook() -> Iterator[Hook]:
    found = Hook()
    yield found
    found.close()


def rules(folder: Path) -> Path:
    """What the command writes."""
    (folder / "bessemer.yaml").write_text(
        "data: x.csv\ntarget: y\nmonitor: {slo: {availability: 99.9%, latency: {p99: 10s}}}\n"
    )
    done = CliRunner().invoke(group, ["monitor", "rules", "-o", "operations"])
    assert done.exception is None, done.output
    return folder / "operations"


def receivers(folder: Path, url: str) -> dict[str, Any]:
    """The example's route, quick, and with our addresses."""
    text = (folder / "alertmanager.example.yml").read_text().replace("http://localhost:9095", url)
    config: dict[str, Any] = yaml.safe_load(text)
    config["route"]["group_wait"] = config["route"]["group_interval"] = "1s"
    return config


def ask(served: Served, times: int, together: int = 1) -> list[int]:
    with patience.Client(base_url=served.url) as client, ThreadPoolExecutor(together) as pool:
        sent = pool.map(lambda _: client.post("/predict", content=BODY).status_code, range(times))
        return list(sent)


def monitored(folder: Path, stack: ExitStack) -> str:
    last = LastWindow(MonitorStore(folder / "monitor.db"), "tiny", "1.0.0")
    last.saw(Kept("tiny", "1.0.0", "2026-01-01T00:00:00", "2026-01-01T01:00:00", 9, 1, CHECK))
    address = f"127.0.0.1:{free_port()}"
    stack.callback(listen(last, address))
    return address


@pytest.mark.slow
def test_who_promised_is_told_when_it_is_not_kept(
    start: Any, hook: Hook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two servers of one model: one is well; the other takes 11 s a request, and whatever waits for those is late."""
    monkeypatch.chdir(tmp_path)
    well: Served = start(log={"folder": str(tmp_path / "log")})
    ill: Served = start("slow", threads=1, queue=8, timeout=0.3)
    folder = rules(tmp_path)
    with ExitStack() as stack:
        pages = stack.enter_context(alertmanager(tmp_path / "alerts", receivers(folder, hook.url)))
        targets = [f"127.0.0.1:{well.port}", f"127.0.0.1:{ill.port}", monitored(tmp_path, stack)]
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(folder / "bessemer.rules.yml")],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [pages]}]}]},
            "scrape_configs": [{"job_name": "bessemer", "static_configs": [{"targets": targets}]}],
        }
        url = stack.enter_context(scraping(tmp_path / "prometheus", config))
        until(lambda: len(asked(url, "up == 1")) == 3)

        def kept() -> bool:
            ask(well, 20)
            assert patience.get(f"{well.url}/nowhere").status_code == 404
            good = asked(url, 'model:bessemer_slo_bad:ratio_rate1h{slo="availability"} == 0')
            # whatever stops this machine makes a request or two late
            quick = asked(url, 'model:bessemer_slo_bad:ratio_rate1h{slo="latency_p99"} < 0.05')
            return bool(good) and bool(quick)

        until(kept)
        assert not [one for one in hook.burning() if one[0] == "/pages"], (
            "a promise that is kept pages nobody"
        )

        def told() -> bool:
            ask(ill, 4, together=4)
            return hook.burning() >= {("/pages", "availability", "page"), ("/pages", "latency_p99", "page")}

        until(told)
        firing = [alert for alert in hook.alerts if alert["labels"]["alertname"] == "BessemerErrorBudgetBurn"]
        assert {alert["labels"]["model"] for alert in firing} == {"tiny"}
        assert "tiny spends its error budget of availability" in " ".join(
            a["annotations"]["summary"] for a in firing
        )
        findings = [alert for alert in hook.alerts if alert["labels"]["alertname"] == "BessemerModelFinding"]
        assert {(each["receiver"], each["labels"]["kind"]) for each in findings} == {("/tickets", "drift")}
        until(lambda: empty_panels(folder, url) == [], "something in every panel")


def empty_panels(folder: Path, url: str) -> list[tuple[str, str]]:
    """Panels for which the dashboard's own queries find nothing at Prometheus, and the queries."""
    found = json.loads((folder / "bessemer.dashboard.json").read_text())
    empty = []
    for panel in (panel for panel in found["panels"] if panel["type"] != "row"):
        for target in panel["targets"]:
            query = target["expr"].replace("$__rate_interval", "5m")
            for name in ("$model", "$version", "$dialect"):
                query = query.replace(name, ".*")
            if not asked(url, query) and not any(name in query for name in QUIET):
                empty.append((panel["title"], query))
    # the budget's rule is evaluated every five minutes: its first time may not have come
    return [(title, query) for title, query in empty if "budget_left:ratio" not in query]
