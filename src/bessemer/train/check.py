"""What of the section can be checked as soon as the data has landed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bessemer.core.errors import Fault, did_you_mean
from bessemer.train.robust import robust_column_faults
from bessemer.train.several import several_faults, targets_of

if TYPE_CHECKING:
    from bessemer.train.spec import TrainSpec


def check_columns(spec: TrainSpec, columns: Mapping[str, str], shared: Mapping[str, Any]) -> list[Fault]:
    """Columns of groups must be there and none of the targets, several targets need a learner of several, and a
    comparator that cannot run here is told of now, not after the training.

    Raises:
        MissingExtra, EnvironmentFault: see `check_needs`.
    """
    if spec.compare:
        from bessemer.train.comparators.compare import check_needs

        check_needs(spec)
    groups = spec.threshold.groups if spec.threshold is not None else []
    named = [(f"train.reweigh.{k}", name) for k, name in enumerate(spec.reweigh)]
    named += [(f"train.threshold.groups.{k}", name) for k, name in enumerate(groups)]
    unknown = [
        Fault(path, None, f"no column '{name}'", did_you_mean(name, columns))
        for path, name in named
        if name not in columns
    ]
    told = [
        Fault(
            path, None, f"'{name}' is a target, which no group is made of", "name an input, or leave it out"
        )
        for path, name in named
        if name in targets_of(shared)
    ]
    return [*several_faults(spec, shared), *unknown, *told, *robust_column_faults(spec.robust, columns)]


def fingerprint(spec: TrainSpec, project_dir: Path, memo: Mapping[str, str] | None = None) -> dict[str, str]:
    """The digests of a given package and of pretrained weights' files, which the stage reads from outside the store."""
    from bessemer.core.store import file_digest
    from bessemer.package.given import given_digest
    from bessemer.train.networks.encoders.paths import weights_of

    if spec.given is not None:
        return {f"given {spec.given}": given_digest(project_dir / spec.given)}
    paths = {name: project_dir / name for name in weights_of(spec.params)}
    return {
        f"weights {name}": file_digest(path)[0] if path.is_file() else "missing"
        for name, path in paths.items()
    }
