"""Which snapshots are kept, and why: the project's policy, names, and what runs and packages need."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bessemer.core.run import Run
from bessemer.snapshots.catalogue import Catalogue, Snapshot


class Policy(Protocol):
    """`acquire: {keep: ...}` of the project file."""

    @property
    def last(self) -> int: ...
    @property
    def days(self) -> float: ...
    @property
    def named(self) -> bool: ...


@dataclass(frozen=True)
class Verdict:
    """Whether the rows of a snapshot stay, and why."""

    snapshot: Snapshot
    kept: bool
    why: str

    def to_json(self) -> dict[str, Any]:
        """The verdict as plain JSON data."""
        shown = self.snapshot
        facts = {"snapshot": str(shown), "names": list(shown.names), "rows": shown.rows}
        return {**facts, "kept": self.kept, "why": self.why}


def built(runs: Sequence[Run]) -> dict[str, str]:
    """The digests of the data that the packages in the build folder were made from -> the package's file name.

    Args:
        runs: all of the project, the newest first: a later run replaces the package of an earlier one.
    """
    makers: dict[Path, Run] = {}
    for run in runs:
        if run.package is not None and run.package.is_file():
            makers.setdefault(run.package, run)
    return {digest: path.name for path, run in makers.items() if (digest := _data_of(run))}


def judge(
    catalogue: Catalogue, policy: Policy, used: Sequence[Run], packages: Mapping[str, str]
) -> list[Verdict]:
    """What becomes of each snapshot whose rows are in the store, the newest first.

    Args:
        used: the runs whose artifacts are kept. packages: digest of the data -> a package made from it.
    """
    now = dt.datetime.now(dt.UTC)
    runs = {_data_of(run): run.id for run in reversed(used)}
    # content that came back has two entries, and is one artifact: what keeps one of them keeps both
    reasons: dict[str, list[str]] = {}
    there = [each for each in reversed(catalogue.entries()) if catalogue.store.has(each.ref)]
    for place, each in enumerate(there):
        age = (now - dt.datetime.fromisoformat(each.time)).total_seconds() / 86_400
        named = ", ".join(each.names)
        found = [
            (each.digest in runs, f"run {runs.get(each.digest)} used it"),
            (each.digest in packages, f"{packages.get(each.digest)} was made from it"),
            (policy.named and bool(each.names), f"it is called {named}"),
            (place < policy.last, f"one of the last {policy.last}"),
            (age < policy.days, f"younger than {policy.days:g} days"),
        ]
        reasons.setdefault(each.digest, []).extend(why for holds, why in found if holds)
    return [
        Verdict(each, bool(reasons[each.digest]), (reasons[each.digest] or [_beyond(policy)])[0])
        for each in there
    ]


def remove(catalogue: Catalogue, verdicts: Sequence[Verdict]) -> None:
    """Write down of the snapshots that do not stay that they are gone; their rows go with the next sweep."""
    time = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    for each in verdicts:
        if not each.kept:
            catalogue.gone(each.snapshot, time=time, why=each.why)


def _beyond(policy: Policy) -> str:
    days = f" and older than {policy.days:g} days" if policy.days else ""
    unnamed = ", without a name" if policy.named else ""
    return f"not one of the last {policy.last}{days}{unnamed}"


def _data_of(run: Run) -> str | None:
    made = {name: digest for stage in run.stages for name, digest in stage.outputs.items()}
    return made.get("raw")
