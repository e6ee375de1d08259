"""Since when a rule is broken: what is remembered from run to run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bessemer.core.artifact import ArtifactRef
from bessemer.core.errors import BessemerError
from bessemer.core.run import Run
from bessemer.core.store import Store
from bessemer.validate.findings import BrokenContract, Finding

#: Where the store keeps it: one record, rules that are broken to {run, time, runs}.
_FOLDER, _NAME = "contract", "broken"


def since(store: Store) -> dict[str, dict[str, Any]]:
    """Of each rule that the newest run broke: the first of the runs in a row that broke it, when that was, and how many
    they are."""
    return dict(store.record(_FOLDER, _NAME) or {})


def updated(
    known: Mapping[str, Mapping[str, Any]], findings: Iterable[Finding], run: str, time: str
) -> dict[str, dict[str, Any]]:
    """What is remembered after a run: rules that it kept are forgotten.

    >>> found = [Finding("age: min", "min", "age", "quarantine", 1, 0.5)]
    >>> once = updated({"x: max": {"run": "a", "time": "t0", "runs": 3}}, found, "b", "t1")
    >>> updated(once, found, "c", "t2")
    {'age: min': {'run': 'b', 'time': 't1', 'runs': 2}}
    """
    names = dict.fromkeys(finding.name for finding in findings)
    new = {"run": run, "time": time, "runs": 0}
    return {name: {**(before := known.get(name, new)), "runs": before["runs"] + 1} for name in names}


def remember(store: Store, run: Run, quarantine: ArtifactRef | None, error: BaseException | None) -> None:
    """Enter what a run found, if it came as far as to look.

    Args:
        quarantine: of that run; None where it has none. error: what stopped the run.
    """
    if isinstance(error, BrokenContract):
        findings = error.findings
    elif quarantine is not None:
        try:
            findings = found_in(store, quarantine)
        except BessemerError:  # damaged or gone: the next run says it
            return
    else:
        return
    store.write_record(_FOLDER, _NAME, updated(since(store), findings, run.id, run.started))


def found_in(store: Store, quarantine: ArtifactRef) -> tuple[Finding, ...]:
    """The findings beside a quarantine."""
    artifact = store.get(quarantine)
    if "findings.json" not in artifact.files:
        return ()
    return tuple(Finding.from_json(value) for value in artifact.json("findings.json"))
