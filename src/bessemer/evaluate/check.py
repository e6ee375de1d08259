"""What is known before the stage runs: faults of its columns, and the fingerprint of the champion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bessemer.core.errors import Fault, did_you_mean
from bessemer.core.store import file_digest
from bessemer.evaluate.spec import EvaluateSpec


def check_columns(spec: EvaluateSpec, columns: Mapping[str, str], shared: Mapping[str, Any]) -> list[Fault]:
    """Every slice and every column of groups must be a column, and what gates name beside them a target.

    Args:
        columns: name -> type of the landed data.
        shared: project-wide settings: `further`, [name, task] of each target beside the main one.
    """
    targets = [name for name, _ in shared.get("further", ())]
    return [*unknown_slices(spec, columns), *unknown_targets(spec, targets)]


def unknown_targets(spec: EvaluateSpec, targets: Sequence[str]) -> Iterator[Fault]:
    """A fault for each target of `gates.targets` that is none of these."""
    for name in spec.gates.targets:
        if name not in targets:
            fix = did_you_mean(name, targets) or "gates of the main target stand in `gates` itself"
            path = f"evaluate.gates.targets.{name}"
            yield Fault(path, None, f"'{name}' is no target beside the main one", fix)


def unknown_slices(spec: EvaluateSpec, columns: Iterable[str]) -> list[Fault]:
    """A fault for each slice, and each column of groups or to search, that is not one of the columns."""
    known = list(columns)
    groups = spec.fairness.groups if spec.fairness is not None else ()
    named = [(f"evaluate.slices.{k}", name) for k, name in enumerate(spec.slices)]
    named += [(f"evaluate.fairness.groups.{k}", name) for k, name in enumerate(groups)]
    searched = spec.find_slices.columns if spec.find_slices is not None else ()
    named += [(f"evaluate.find_slices.columns.{k}", name) for k, name in enumerate(searched)]
    return [
        Fault(path, None, f"no column '{name}'", did_you_mean(name, known))
        for path, name in named
        if name not in known
    ]


def fingerprint(
    spec: EvaluateSpec, project_dir: Path, memo: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The digest of the champion's file, which the stage reads from outside the store."""
    if spec.champion is None:
        return {}
    path = project_dir / spec.champion
    return {"champion": file_digest(path)[0] if path.is_file() else "missing"}
