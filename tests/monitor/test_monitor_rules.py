"""Rules, route and dashboard: read by the tools they are for, and made of metrics that there are."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from prometheus_client.parser import text_string_to_metric_families

from bessemer.cli import group
from bessemer.monitor.metrics import LastWindow
from bessemer.monitor.rules.write import files
from bessemer.monitor.slo import SloSpec
from bessemer.monitor.spec import MonitorSpec
from bessemer.monitor.store import Kept, MonitorStore
from bessemer.monitor.watchers.cost import Cost
from bessemer.monitor.watching.earlier import EarlierSpec
from bessemer.serve.statistics import LATENCIES, Statistics
from bessemer.serve.telemetry.facts import ModelFacts, ServerFacts
from bessemer.serve.telemetry.prometheus import render
from prometheus_tools import prometheus

SLO = SloSpec(availability="99.9%", latency={"p99": "50ms", "p99.9": "1s"})
SPEC = MonitorSpec(slo=SLO)
EMPTY = MonitorSpec()
_NAME = re.compile(r"\b(?:model:)?bessemer_\w+(?::\w+)?")
_VARIABLES = {"$__rate_interval": "5m", "$model": "a", "$version": "b", "$dialect": "c"}


def rules(spec: MonitorSpec) -> list[dict[str, Any]]:
    groups = yaml.safe_load(files(spec)["bessemer.rules.yml"])["groups"]
    return [rule for one in groups for rule in one["rules"]]


def dashboard(spec: MonitorSpec) -> dict[str, Any]:
    return dict(json.loads(files(spec)["bessemer.dashboard.json"]))


def panels(spec: MonitorSpec) -> list[dict[str, Any]]:
    return [panel for panel in dashboard(spec)["panels"] if panel["type"] != "row"]


def expressions(spec: MonitorSpec) -> list[str]:
    found = [rule["expr"] for rule in rules(spec)]
    found += [target["expr"] for panel in panels(spec) for target in panel["targets"]]
    return found


def queries(spec: MonitorSpec) -> list[str]:
    variables = dashboard(spec)["templating"]["list"]
    return [each["query"]["query"] for each in variables if each["type"] == "query"]


def exported(tmp_path: Path) -> set[str]:
    """The names of the samples that a server and a monitor tell."""
    statistics = Statistics()
    statistics.ran(rows=1, requests=1, infer=0.1)
    statistics.dialects["plain"] = 1
    server = ServerFacts(refused={503: 1}, dropped={"prediction_log": 1}, cold_start=1.0)
    text = render([ModelFacts("m", "1", (statistics.snapshot(),))], server)[0].decode()
    figure = {"accuracy": {"value": 0.9, "low": 0.8, "high": 1.0}}
    check = {
        "findings": [],
        "columns": {"a": {"psi": {"statistic": "PSI", "value": 0.1, "p_value": 0.2}}},
        "performance": {
            "labelled": 3,
            "rows": 9,
            "measured": figure,
            "estimated": figure,
            "reference": figure,
        },
        "figures": {
            "slo": {"availability": {"budget_left": 0.5}},
            "cost": {"per_1000_rows": 0.1, "currency": "CHF"},
        },
        "alarm": False,
    }
    last = LastWindow(MonitorStore(tmp_path / "monitor.db"), "m", "1")
    last.saw(Kept("m", "1", "2026-01-01T00:00:00", "2026-01-01T01:00:00", 9, 1, check))
    both = [*text_string_to_metric_families(text), *text_string_to_metric_families(last.text())]
    return {sample.name for family in both for sample in family.samples}


@pytest.mark.parametrize("spec", [SPEC, EMPTY], ids=["objectives", "none"])
def test_every_metric_that_is_named_is_told(spec: MonitorSpec, tmp_path: Path) -> None:
    known = exported(tmp_path) | {rule["record"] for rule in rules(spec) if "record" in rule}
    named = {name for text in [*expressions(spec), *queries(spec)] for name in _NAME.findall(text)}
    assert len(named) > 25
    assert not named - known


def test_the_dashboard_shows_every_metric_of_a_server(tmp_path: Path) -> None:
    shown = {name for text in expressions(SPEC) for name in _NAME.findall(text)}
    apart = {"bessemer_build_info", "bessemer_model_info", "bessemer_server_start_time_seconds"}
    apart |= {"bessemer_model_last_run_timestamp_seconds", "bessemer_monitor_window_seconds"}
    families = {re.sub(r"_(bucket|sum|count|created)$", "", name) for name in exported(tmp_path)}
    told = {re.sub(r"_(bucket|sum|count)$", "", name) for name in shown}
    assert not families - told - apart


def checked(text: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    (tmp_path / "rules.yml").write_text(text)
    command = [prometheus("promtool"), "check", "rules", "--lint=all", "--lint-fatal", tmp_path / "rules.yml"]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True)


@pytest.mark.parametrize("spec", [SPEC, EMPTY], ids=["objectives", "none"])
def test_promtool_reads_every_expression(spec: MonitorSpec, tmp_path: Path) -> None:
    done = checked(files(spec)["bessemer.rules.yml"], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(rules(spec))} rules found" in done.stdout
    drawn = []
    for text in [target["expr"] for panel in panels(spec) for target in panel["targets"]]:
        for name, value in _VARIABLES.items():
            text = text.replace(name, value)
        assert "$" not in text
        drawn.append({"record": f"drawn:{len(drawn)}", "expr": text})
    done = checked(yaml.safe_dump({"groups": [{"name": "drawn", "rules": drawn}]}), tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    broken = checked(files(spec)["bessemer.rules.yml"].replace("expr: ", "expr: (", 1), tmp_path)
    assert broken.returncode != 0, "the tool finds what is wrong"


def test_edges_are_those_that_a_server_tells() -> None:
    text = render([ModelFacts("m", "1", (Statistics().snapshot(),))], ServerFacts())[0].decode()
    for edge in LATENCIES[:-1]:
        spec = MonitorSpec(slo=SloSpec(latency={"p99": edge}))
        (found,) = set(re.findall(r'le="([^"]+)"', files(spec)["bessemer.rules.yml"]))
        assert f'bessemer_request_duration_seconds_bucket{{le="{found}",' in text


def series(name: str, values: str, **labels: str) -> dict[str, str]:
    named = ", ".join(f'{key}="{value}"' for key, value in labels.items())
    return {"series": f"{name}{{{named}}}", "values": values}


_ENDED = "bessemer_monitor_window_end_timestamp_seconds"


def counted(ok: str, failed: str, slow: str = "") -> list[dict[str, str]]:
    found = [series("bessemer_requests_total", ok, model="m", version="1", result="ok")]
    found.append(series("bessemer_requests_total", failed, model="m", version="1", result="failed"))
    found.append(series("bessemer_requests_total", "0+5000x4400", model="m", version="1", result="refused"))
    if slow:
        duration = "bessemer_request_duration_seconds"
        found.append(series(f"{duration}_bucket", slow, model="m", version="1", le="0.05"))
        found.append(series(f"{duration}_count", ok, model="m", version="1"))
    return found


def burning(at: str, *found: tuple[str, str]) -> dict[str, Any]:
    """The labels of the alerts that are expected to burn then."""
    alerts = []
    for severity, window in found:
        alerts.append({"severity": severity, "window": window, "slo": "availability", "model": "m"})
    return {"at": at, "alerts": alerts}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("input_series", "expected"),
    [
        # never a failure: never an alarm, whatever clients send
        (counted("0+100x4400", "0x4400"), [burning("1h"), burning("3d")]),
        # 2 % of 100 a minute: 20 times the budget's pace, found as soon as both windows say so, and over when it ends
        (
            counted("0+98x600 58800+100x3800", "0+2x600 1200x3800"),
            [burning("1h", ("page", "1h"), ("page", "6h"), ("ticket", "1d"), ("ticket", "3d"))],
        ),
        # ten hours later the short windows are quiet, and one after the other the alerts with them
        (
            counted("0+98x120 11760+100x4300", "0+2x120 240x4300"),
            [burning("2h10m", ("page", "6h"), ("ticket", "1d"), ("ticket", "3d")), burning("10h")],
        ),
        # 0.35 %: 3.5 times: tickets alone
        (counted("0+9965x4400", "0+35x4400"), [burning("1d", ("ticket", "1d"), ("ticket", "3d"))]),
        # 0.15 %: 1.5 times: the slowest alone
        (counted("0+9985x4400", "0+15x4400"), [burning("3d", ("ticket", "3d"))]),
        # 0.09 %: it lasts
        (counted("0+9991x4400", "0+9x4400"), [burning("3d")]),
    ],
    ids=["none", "fast", "over", "slow", "slowest", "kept"],
)
def test_alerts_come_when_they_must(
    input_series: list[dict[str, str]], expected: list[dict[str, Any]], tmp_path: Path
) -> None:
    """By Prometheus' own engine, on series by the minute."""
    spec = MonitorSpec(slo=SloSpec(availability="99.9%"))
    (tmp_path / "bessemer.rules.yml").write_text(files(spec)["bessemer.rules.yml"])
    tests = [
        {
            "eval_time": each["at"],
            "alertname": "BessemerErrorBudgetBurn",
            "exp_alerts": [{"exp_labels": labels} for labels in each["alerts"]],
        }
        for each in expected
    ]
    # texts are no part of what is compared here
    bare = yaml.safe_load((tmp_path / "bessemer.rules.yml").read_text())
    bare["groups"] = [one for one in bare["groups"] if one["name"] == "bessemer-slo"]
    for rule in (rule for one in bare["groups"] for rule in one["rules"]):
        rule.pop("annotations", None)
    (tmp_path / "bare.yml").write_text(yaml.safe_dump(bare))
    test = {
        "rule_files": ["bare.yml"],
        "evaluation_interval": "10m",
        "tests": [{"interval": "1m", "input_series": input_series, "alert_rule_test": tests}],
    }
    (tmp_path / "test.yml").write_text(yaml.safe_dump(test))
    done = subprocess.run(
        [str(prometheus("promtool")), "test", "rules", "test.yml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("alert", "silence", "input_series", "at", "fires"),
    [
        (
            "BessemerCanaryStays",
            86_400.0,
            series("bessemer_model_canary", "1x3000", version="2"),
            "5m",
            False,
        ),
        (
            "BessemerCanaryStays",
            86_400.0,
            series("bessemer_model_canary", "1x3000", version="2"),
            "1430m",
            False,
        ),
        (
            "BessemerCanaryStays",
            86_400.0,
            series("bessemer_model_canary", "1x3000", version="2"),
            "1450m",
            True,
        ),
        (
            "BessemerCanaryStays",
            86_400.0,
            series("bessemer_model_canary", "1x700 0x20 1x900", version="2"),
            "1500m",
            False,
        ),
        ("BessemerMonitorSilent", 86_400.0, series(_ENDED, "0x3000", version="1"), "1500m", False),
        ("BessemerMonitorSilent", 86_400.0, series(_ENDED, "0x3000", version="1"), "1710m", True),
        ("BessemerMonitorSilent", 7200.0, series(_ENDED, "0x3000", version="1"), "390m", True),
        ("BessemerMonitorSilent", None, series(_ENDED, "0x3000", version="1"), "2900m", False),
        ("BessemerMonitorAhead", 86_400.0, series(_ENDED, "1000000x3000", version="1"), "30m", True),
        ("BessemerMonitorAhead", 86_400.0, series(_ENDED, "0+60x3000", version="1"), "30m", False),
    ],
)
def test_a_canary_stays_after_a_day_and_a_monitor_is_silent_after_its_silence(
    alert: str, silence: float | None, input_series: dict[str, str], at: str, fires: bool, tmp_path: Path
) -> None:
    bare = yaml.safe_load(files(MonitorSpec(silence=silence))["bessemer.rules.yml"])
    found = [rule for rule in bare["groups"][0]["rules"] if rule["alert"] == alert]
    for rule in found:
        rule.pop("annotations")
    (tmp_path / "bare.yml").write_text(yaml.safe_dump({"groups": [{"name": "bare", "rules": found}]}))
    version = re.findall(r'version="(\d)"', input_series["series"])[0]
    alerts = [{"exp_labels": {"severity": "ticket", "version": version}}] if fires else []
    test = {
        "rule_files": ["bare.yml"],
        "evaluation_interval": "5m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [input_series],
                "alert_rule_test": [{"eval_time": at, "alertname": alert, "exp_alerts": alerts}],
            }
        ],
    }
    (tmp_path / "test.yml").write_text(yaml.safe_dump(test))
    command = [str(prometheus("promtool")), "test", "rules", "test.yml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_objective_without_alerts_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bessemer.yaml").write_text(
        "data: x.csv\ntarget: y\nmonitor: {slo: {availability: 20%, period: 7d}}\n"
    )
    done = CliRunner().invoke(group, ["monitor", "rules"])
    assert done.exception is None, done.output
    assert "availability can raise no alert" in done.output
    assert "# availability can raise no alert" in (tmp_path / "operations" / "bessemer.rules.yml").read_text()


def test_the_route_is_one_that_alertmanager_takes(tmp_path: Path) -> None:
    (tmp_path / "route.yml").write_text(files(SPEC)["alertmanager.example.yml"])
    amtool = str(prometheus("amtool"))
    done = subprocess.run([amtool, "check-config", "route.yml"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    for severity, receiver in (("page", "pages"), ("ticket", "tickets")):
        command = [amtool, "config", "routes", "test", "--config.file=route.yml", f"severity={severity}"]
        told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True).stdout
        assert told.strip() == receiver


# the dashboard ---------------------------------------------------------------------------------------
def lost(given: Any, taken: Any, path: str = "") -> Iterator[str]:
    """What is in a value and not in another."""
    if isinstance(given, dict):
        for key, value in given.items():
            if not isinstance(taken, dict) or key not in taken:
                yield f"{path}/{key}"
            else:
                yield from lost(value, taken[key], f"{path}/{key}")
    elif isinstance(given, list):
        if not isinstance(taken, list) or len(given) != len(taken):
            yield path
        else:
            for i, (one, other) in enumerate(zip(given, taken, strict=True)):
                yield from lost(one, other, f"{path}/{i}")
    elif given != taken:
        yield path


def understood(value: dict[str, Any]) -> list[str]:
    """What Grafana's published model of a dashboard does not know of it."""
    register_default_plugins()
    return list(lost(value, json.loads(JSONEncoder().encode(Dashboard.from_json(value)))))


@pytest.mark.parametrize("spec", [SPEC, EMPTY], ids=["objectives", "none"])
def test_grafanas_own_model_takes_every_field_of_the_dashboard(spec: MonitorSpec) -> None:
    made = dashboard(spec)
    assert understood(made) == []
    made["panels"][1]["fieldConfig"]["defaults"]["units"] = "s"
    made["templating"]["list"][1]["multiple"] = True
    assert sorted(understood(made)) == [
        "/panels/1/fieldConfig/defaults/units",
        "/templating/list/1/multiple",
    ], "it tells what is wrong"


@pytest.mark.parametrize("spec", [SPEC, EMPTY], ids=["objectives", "none"])
def test_panels_do_not_overlap_and_have_numbers_of_their_own(spec: MonitorSpec) -> None:
    cells: set[tuple[int, int]] = set()
    found = dashboard(spec)["panels"]
    for panel in found:
        place = panel["gridPos"]
        mine = {(place["x"] + i, place["y"] + k) for i in range(place["w"]) for k in range(place["h"])}
        assert max(x for x, _ in mine) < 24
        assert not mine & cells, panel["title"]
        cells |= mine
    assert len({panel["id"] for panel in found}) == len(found)
    assert len({panel["title"] for panel in found}) == len(found)


def test_the_command_writes_what_the_project_file_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    slo = "{availability: 99.9%, latency: {p99: 50ms, p99.9: 1s}}"
    (tmp_path / "bessemer.yaml").write_text(f"data: x.csv\ntarget: y\nmonitor: {{slo: {slo}}}\n")
    done = CliRunner().invoke(group, ["monitor", "rules"])
    assert done.exception is None, done.output
    assert {path.name: path.read_text() for path in (tmp_path / "operations").iterdir()} == files(SPEC)
    (tmp_path / "bessemer.yaml").write_text("data: x.csv\ntarget: y\n")
    done = CliRunner().invoke(group, ["monitor", "rules", "-o", "other"])
    assert "There are no objectives" in done.output
    assert (tmp_path / "other" / "bessemer.rules.yml").read_text() == files(EMPTY)["bessemer.rules.yml"]
    (tmp_path / "file").write_text("")
    wrong = CliRunner().invoke(group, ["monitor", "rules", "-o", "file/folder"])
    assert "cannot write into" in str(wrong.exception)


def test_the_page_names_everything(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "operations.md").read_text("utf-8")
    names = {rule["alert"] for rule in rules(SPEC) if "alert" in rule}
    names |= {*SloSpec.model_fields, *EarlierSpec.model_fields, *Cost.Settings.model_fields}
    told = {name for name in exported(tmp_path) if name.startswith("bessemer_monitor_")}
    names |= {re.sub(r"performance_(low|high)$", "performance", name) for name in told}
    assert len(names) > 25
    assert not [name for name in names if f"`{name}`" not in page]
