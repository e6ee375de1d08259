"""Differentially private training: what the project file says of it, who can, and what it does not go with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field

from bessemer.core.errors import Fault
from bessemer.core.spec import Spec

if TYPE_CHECKING:
    from bessemer.core.signature import Task
    from bessemer.train.learner import Part
    from bessemer.train.spec import TrainSpec

#: The learners that can, by the parameter that takes it.
WAYS: Mapping[str, str] = {"network": "objective"}

#: Values of the network's parameters that private training does not go with, and why.
_AGAINST: Mapping[tuple[str, Any], str] = {
    ("learning_rate", "auto"): "its trial looks at training rows without noise: give a number",
    ("precision", "bfloat16"): "gradients of single rows are made in float32: leave it out",
    ("sampler", "balanced"): "each row has to come with the same chance: leave it out",
}


def _rising(ends: tuple[float, float]) -> tuple[float, float]:
    if not ends[0] < ends[1]:
        raise ValueError(f"{list(ends)} is no range\nwrite the lower end first, as [0, 100]")
    return ends


_End = Annotated[float, Field(ge=-1e30, le=1e30)]


class PrivateSpec(Spec):
    """What may be learnt from one row at most (Dwork et al. 2006; Abadi et al. 2016)."""

    epsilon: float = Field(gt=0, le=50, description="how much one training row may change, at most")
    delta: float = Field(
        1e-5, ge=1e-30, lt=1, description="chance that more is given away; below 1 / training rows"
    )
    max_grad_norm: float = Field(
        1.0, gt=0, le=1e6, description="to what length the gradient of each row is shortened"
    )
    accountant: Literal["prv", "rdp"] = Field(
        "prv",
        description="how steps are added up: by numeric composition of privacy loss, or of Renyi's divergence, "
        "quicker and less tight",
    )
    target_range: Annotated[tuple[_End, _End], AfterValidator(_rising), Field(strict=False)] | None = Field(
        None,
        description="of a target that is a number: between which it lies, known without the rows; what lies beyond "
        "is put there",
        examples=[[0, 100]],
    )


def parse_private(value: Any) -> Any:
    """`private: 3` is `private: {epsilon: 3}`, `false` is none.

    >>> parse_private(3)
    {'epsilon': 3.0}
    """
    if value is None or value is False:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | Mapping | PrivateSpec):
        raise ValueError(f"{value!r} does not say how private: write private: {{epsilon: 3}}")
    return {"epsilon": float(value)} if isinstance(value, int | float) else value


def private_fault(spec: TrainSpec) -> str:
    """What of the other settings does not go with private training, or ''."""
    if _names_private(spec.params.get("objective")):
        return "params.objective: private training is asked for by `train: {private: {epsilon: 3}}`"
    if spec.private is None:
        return ""
    if spec.learner not in WAYS:
        return f"private: `{spec.learner}` has no private training; say `learner: {' or '.join(WAYS)}`"
    if spec.robust or WAYS[spec.learner] in spec.params:
        other = "`robust`" if spec.robust else f"the parameter {WAYS[spec.learner]}"
        return f"private: {other} says what a step minimises, and so does this: leave one of them out"
    if spec.outliers:
        return "private: the outlier model would ship what training rows look like: leave `outliers` out"
    if spec.class_weight == "balanced":
        return (
            "private: `class_weight: balanced` follows from how many rows each class has: give the weights yourself, "
            "as class_weight: {yes: 3}"
        )
    if spec.reweigh:
        return "private: what `reweigh` lets a row count follows from the other rows: leave it out"
    if spec.learning_curve:
        return "private: every fit of `learning_curve` would spend epsilon anew: leave it out"
    return _params_fault(spec.params)


def _params_fault(params: Mapping[str, Any]) -> str:
    for (name, value), why in _AGAINST.items():
        if params.get(name) == value:
            return f"private: params.{name}: {value}: {why}"
    if params.get("mixup"):
        return "private: params.mixup: a row's gradient would be that of two: leave it out"
    return ""


def _names_private(objective: Any) -> bool:
    return objective == "private" or (isinstance(objective, Mapping) and "private" in objective)


def with_private(learner: str, params: Mapping[str, Any], private: PrivateSpec | None) -> dict[str, Any]:
    """The parameters of a learner, with private training among them where it is asked for."""
    if private is None or learner not in WAYS:
        return dict(params)
    return {**params, WAYS[learner]: {"private": private.model_dump(mode="json")}}


def check_private(spec: TrainSpec, task: Task, train: Part, valid: Part, keys: Part | None) -> None:
    """Hold what is asked for against the rows that are there.

    Raises:
        ProjectError: delta is no small chance among so many rows, the range of a number is not said, there are no
            validation rows, or rows stand in training twice.
    """
    from bessemer.core.errors import ProjectError

    if spec.private is None:
        return
    faults = []
    if spec.private.delta >= 1 / len(train):
        what = (
            f"a delta of {spec.private.delta:g} lets one of {len(train)} training rows be published as it is"
        )
        faults.append(Fault("train.private.delta", None, what, f"say {0.1 / len(train):.1g} or less"))
    if (fault := _range_fault(spec.private, task)) is not None:
        faults.append(fault)
    if not len(valid):
        what = "without validation rows the figures of training rows are written down as they are"
        faults.append(Fault("train.private", None, what, "give `prepare: {split: ...}` a validation part"))
    if keys is not None:
        what = "rows that mark the model are made of training rows, which would then count twice"
        faults.append(Fault("train.private", None, what, "leave `protect` out"))
    if faults:
        raise ProjectError(faults)


def _range_fault(private: PrivateSpec, task: Task) -> Fault | None:
    path, given = "train.private.target_range", private.target_range is not None
    if task == "regression" and not given:
        what = "the target is a number, and its mean and range may not be taken from the rows"
        fix = "say within which it lies: private: {epsilon: 3, target_range: [0, 100]}"
        return Fault(path, None, what, fix)
    if task != "regression" and given:
        return Fault(path, None, f"a range is of a number, and this is a {task} task", "leave it out")
    return None
