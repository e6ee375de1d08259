"""Several runs side by side: what was said, what was learned from, and what came of it. The first is the reference."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bessemer._version import __version__
from bessemer.core.errors import UsageError
from bessemer.report.compare_data import data_differences
from bessemer.report.compare_metrics import differences, importances, slices, two_names
from bessemer.report.compare_settings import settings_differences
from bessemer.report.html import STYLES, asset, embed, fill

if TYPE_CHECKING:
    from bessemer.core.artifact import Artifact

#: The most runs that fit beside each other.
MOST = 6
SCRIPTS = ("base.js", "charts.js", "forest.js", "tables.js", "views.js", "compare.js")


@dataclass(frozen=True)
class Side:
    """One run. facts: its record as JSON; artifacts: by their name in the flow; settings: of each stage."""

    facts: Mapping[str, Any]
    artifacts: Mapping[str, Artifact]
    settings: Mapping[str, Mapping[str, Any]]

    @property
    def run(self) -> str:
        return str(self.facts["run"])

    def json(self, kind: str) -> Any:
        """The JSON file of an artifact of that kind, None where the run did not make it."""
        return self.artifacts[kind].json(f"{kind}.json") if kind in self.artifacts else None


def comparison(sides: Sequence[Side]) -> dict[str, Any]:
    """What `bessemer report RUN1 RUN2 --json` prints and the page shows.

    Returns:
        runs, settings, data, metrics, importance, slices, leaderboard, gates, timings; see docs/report.md.

    Raises:
        UsageError: fewer than two runs or too many, one without an evaluation, or of different tasks, targets or
            classes.
    """
    _check(sides)
    evaluations = [side.json("evaluation") for side in sides]
    return {
        "runs": [_run(side, evaluation) for side, evaluation in zip(sides, evaluations, strict=True)],
        "task": evaluations[0]["task"],
        "bessemer": __version__,
        "settings": settings_differences([side.settings for side in sides]),
        "data": data_differences([side.artifacts for side in sides]),
        "metrics": differences([side.artifacts for side in sides]),
        "importance": importances([side.json("explanations") for side in sides]),
        "slices": slices(evaluations),
        "leaderboard": [_leaderboard(side.json("history")) for side in sides],
        "gates": _gates(evaluations),
        "timings": _timings([side.facts for side in sides]),
    }


def _check(sides: Sequence[Side]) -> None:
    if not 2 <= len(sides) <= MOST:
        raise UsageError(
            f"{len(sides)} runs cannot be compared", fix=f"name two to {MOST}: bessemer report last~1 last"
        )
    for side in sides:
        if "evaluation" not in side.artifacts or "splits" not in side.artifacts:
            raise UsageError(f"run {side.run} has no evaluation to compare", fix="bessemer runs")
    _same("tasks", sides, [str(side.json("evaluation")["task"]) for side in sides])
    _same("targets", sides, [str(side.artifacts["splits"].meta["target"]) for side in sides])
    _same("classes", sides, [_listed(side.artifacts["splits"].meta["classes"]) for side in sides])


def _same(what: str, sides: Sequence[Side], each: Sequence[str]) -> None:
    """The figures of runs that predict something else say nothing of each other."""
    if len(set(each)) > 1:
        said = "; ".join(f"{side.run}: {value}" for side, value in zip(sides, each, strict=True))
        raise UsageError(f"runs of different {what} cannot be compared: {said}", fix="bessemer runs")


def _listed(classes: Sequence[Any]) -> str:
    return ", ".join(map(str, classes))


def _run(side: Side, evaluation: Mapping[str, Any]) -> dict[str, Any]:
    model = side.json("model") or {}
    kept = ("run", "status", "started", "seconds")
    return {
        **{key: side.facts[key] for key in kept},
        "target": model.get("target"),
        "learner": model.get("learner"),
        "metric": evaluation["metric"],
        "passed": bool(evaluation["passed"]),
        "test_rows": evaluation["rows"],
    }


def _leaderboard(history: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    kept = ("learner", "metric", "value", "low", "high", "chosen", "note")
    return [{key: row.get(key) for key in kept} for row in (history or {}).get("leaderboard", [])[:30]]


def _gates(evaluations: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each gate of any run with what became of it in each; None where a run did not ask."""
    names = dict.fromkeys(
        gate["gate"] for evaluation in evaluations for gate in evaluation.get("gates") or []
    )
    found = []
    for name in names:
        own = [
            next((gate for gate in evaluation.get("gates") or [] if gate["gate"] == name), None)
            for evaluation in evaluations
        ]
        kept = ("passed", "required", "value", "why")
        found.append({"gate": name, "runs": [gate and {k: gate.get(k) for k in kept} for gate in own]})
    return found


def _timings(facts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Seconds of each stage in each run; None where it did not run."""
    stages = dict.fromkeys(stage["stage"] for one in facts for stage in one["stages"])
    found = []
    for name in stages:
        own = [next((s for s in one["stages"] if s["stage"] == name), None) for one in facts]
        kept = ("status", "seconds")
        found.append({"stage": name, "runs": [stage and {k: stage[k] for k in kept} for stage in own]})
    return found


def page_of(view: Mapping[str, Any], *, theme: str = "auto") -> str:
    """The comparison as one self-contained page; the same view gives the same text."""
    title = two_names([run["run"] for run in view["runs"]])
    parts = {
        "theme": theme,
        "generator": html.escape(str(view["bessemer"])),
        "title": html.escape(title),
        "heading": f'<h1>{len(view["runs"])} runs side by side</h1><p class="meta">{html.escape(title)}</p>',
        "summary": html.escape(summary(view)),
        "card": "",
        "style": "\n".join(asset(name) for name in STYLES),
        "script": "\n".join(asset(name) for name in SCRIPTS),
        "data": embed(view),
        "connect": "",
    }
    return fill(parts)


def summary(view: Mapping[str, Any]) -> str:
    """The comparison in a line for each run: its main metric, and the difference from the first.

    >>> figure = {"value": 0.9, "low": 0.8, "high": 0.95}
    >>> row = {"metric": "f1", "runs": [figure, figure], "differences": [None, {**figure, "verdict": "better"}]}
    >>> summary({"runs": [{"run": "a"}, {"run": "b"}], "metrics": {"rows": [row]}})
    'a: f1 0.9 [0.8, 0.95]; b: f1 0.9 [0.8, 0.95], better: +0.9 [+0.8, +0.95]'
    """
    lines = []
    for row in view["metrics"]["rows"][:1]:
        for run, figure, gap in zip(view["runs"], row["runs"], row["differences"], strict=True):
            said = f"{run['run']}: {row['metric']} {_figure(figure)}"
            lines.append(said + (f", {gap['verdict']}: {_figure(gap, '+')}" if gap else ""))
    return "; ".join(lines)


def _figure(figure: Mapping[str, Any] | None, sign: str = "") -> str:
    if figure is None:
        return "not known"
    known = figure["low"] is not None and figure["high"] is not None
    value, low, high = (
        f"{figure[key]:{sign}.4g}" if known or key == "value" else "" for key in ("value", "low", "high")
    )
    return f"{value} [{low}, {high}]" if known else value
