"""Several targets in one model: who can, what of the settings that does not go with, and what each target counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.core.errors import Fault, did_you_mean

if TYPE_CHECKING:
    from bessemer.core.further import Further
    from bessemer.core.stage import Context
    from bessemer.train.learner import Part
    from bessemer.train.spec import TrainSpec

#: Learners of several targets.
LEARNERS = ("network",)
#: Objectives of a network that take all its outputs for those of one target.
OBJECTIVES = ("pgd", "trades", "noise")
_SHOWN = 10


def targets_of(shared: Mapping[str, Any]) -> list[str]:
    """The targets of the project-wide settings, the main one first.

    >>> targets_of({"target": "churned", "further": [["spend", None]]})
    ['churned', 'spend']
    """
    return [shared["target"], *(name for name, _ in shared.get("further", ()))]


def several_faults(spec: TrainSpec, shared: Mapping[str, Any]) -> Iterator[Fault]:
    """What does not go with the targets that the project names.

    Args:
        shared: `target`, and `further`: [name, task] of each target beside it.
    """
    targets = targets_of(shared)
    for name in spec.target_weights:
        if name not in targets:
            yield Fault(
                f"train.target_weights.{name}", None, f"'{name}' is no target", did_you_mean(name, targets)
            )
    if len(targets) == 1:
        return
    if spec.learner not in LEARNERS:
        key = "automl" if spec.automl is not None else "given" if spec.given is not None else "learner"
        who = f"`{spec.learner}`" if key == "learner" else f"`{key}`"
        what = f"the project has {len(targets)} targets, and {who} predicts one"
        yield Fault(f"train.{key}", None, what, f"say `train: {{learner: {' or '.join(LEARNERS)}}}`")
    for key in ("robust", "private"):
        if getattr(spec, key) is not None:
            what = f"`{key}` is about one target, and the project has {len(targets)}"
            yield Fault(f"train.{key}", None, what, "leave it out, or name one target")
    objective = spec.params.get("objective")
    for name in OBJECTIVES:
        if name == objective or (isinstance(objective, Mapping) and name in objective):
            what = f"the objective '{name}' is about one target, and the project has {len(targets)}"
            yield Fault("train.params.objective", None, what, "leave it out, or name one target")


def warn_of_unlearnt(further: Sequence[Further], train: Part, ctx: Context) -> None:
    """Warn of classes of further targets that no training row has: rows are split by the main target alone."""
    if train.further is None:
        return
    for one, values in zip(further, train.further.T, strict=True):
        there = set(np.unique(values[np.isfinite(values)]).tolist())
        if lacking := [str(name) for i, name in enumerate(one.classes) if i not in there]:
            shown = ", ".join(lacking[:_SHOWN]) + (" and more" if len(lacking) > _SHOWN else "")
            ctx.warn(
                f"no training row has the target '{one.name}' of class {shown}, which is hardly ever predicted so: "
                "join rare classes in `acquire: {sql: ...}`, or change `prepare: {split: ...}`"
            )


def shares_of(weights: Mapping[str, float], targets: Sequence[str]) -> tuple[float, ...]:
    """What the loss of each target counts, 1 where nothing is said.

    >>> shares_of({"spend": 0.5}, ["churned", "spend"])
    (1.0, 0.5)
    """
    return tuple(weights.get(name, 1.0) for name in targets)
