"""Since when a rule is broken: what is remembered from run to run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bessemer.core.artifact import ArtifactRef
from bessemer.core.errors import BessemerError
from bessemer.core.run import Run
from bessemer.core.store import Store
from bessemer.validate.findings import PARTS, BrokenContract, Finding, Part

#: Where the store keeps it: one record, rules that are broken to {run, time, runs, part}.
_FOLDER, _NAME = "contract", "broken"
_SHOWN = ("run", "time", "runs")


def since(store: Store) -> dict[str, dict[str, Any]]:
    """Of each rule that the newest run broke: the first of the runs in a row that broke it, when that was, and how many
    they are. A run that stopped before it looked at a rule says nothing of it."""
    return {name: {key: known[key] for key in _SHOWN} for name, known in _known(store).items()}


def _known(store: Store) -> dict[str, dict[str, Any]]:
    return dict(store.record(_FOLDER, _NAME) or {})


def updated(
    known: Mapping[str, Mapping[str, Any]],
    findings: Iterable[Finding],
    run: str,
    time: str,
    judged: Part = "whole",
) -> dict[str, dict[str, Any]]:
    """What is remembered after a run: rules that it kept are forgotten, those that it did not come to stay as they are.

    >>> found = [Finding("age: min", "min", "age", "quarantine", 1, 0.5)]
    >>> once = updated({"x: max": {"run": "a", "time": "t0", "runs": 3}}, found, "b", "t1")
    >>> updated(once, found, "c", "t2")
    {'age: min': {'run': 'b', 'time': 't1', 'runs': 2, 'part': 'rows'}}
    >>> sorted(updated(once, [Finding("y: removed", "removed", "y", "stop", part="shape")], "c", "t2", "shape"))
    ['age: min', 'y: removed']
    """
    beyond = PARTS[PARTS.index(judged) + 1 :]
    kept = {name: dict(before) for name, before in known.items() if before.get("part", "rows") in beyond}
    new = {"run": run, "time": time, "runs": 0}
    for finding in findings:
        before = known.get(finding.name, new)
        kept[finding.name] = {**before, "runs": before["runs"] + 1, "part": finding.part}
    return kept


def remember(store: Store, run: Run, quarantine: ArtifactRef | None, error: BaseException | None) -> None:
    """Enter what a run found, if it came as far as to look.

    Args:
        quarantine: of that run; None where it has none. error: what stopped the run.
    """
    judged: Part = "whole"
    if isinstance(error, BrokenContract):
        findings, judged = error.findings, error.judged
    elif quarantine is not None:
        try:
            findings = found_in(store, quarantine)
        except BessemerError:  # damaged or gone: the next run says it
            return
    else:
        return
    store.write_record(_FOLDER, _NAME, updated(_known(store), findings, run.id, run.started, judged))


def found_in(store: Store, quarantine: ArtifactRef) -> tuple[Finding, ...]:
    """The findings beside a quarantine."""
    artifact = store.get(quarantine)
    if "findings.json" not in artifact.files:
        return ()
    return tuple(Finding.from_json(value) for value in artifact.json("findings.json"))
