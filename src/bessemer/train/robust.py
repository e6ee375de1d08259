"""Robust training: one word for every learner that has it, and what it costs on rows as they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bessemer.core.artifact import Artifact
    from bessemer.core.errors import Fault
    from bessemer.core.plugin_settings import Named
    from bessemer.core.signature import Task
    from bessemer.train.candidates import Trial
    from bessemer.train.certified.reach import Reach
    from bessemer.train.learner import Part
    from bessemer.train.outcome import Candidate
    from bessemer.train.spec import TrainSpec


@dataclass(frozen=True)
class Way:
    """How a learner is trained robustly: the methods, and the parameter that takes one with its settings; '' where the
    problem says where rows may be moved (`Problem.reach`)."""

    methods: tuple[str, ...]
    parameter: str = ""


#: By learner.
WAYS: Mapping[str, Way] = {
    "network": Way(("pgd", "trades", "noise"), "objective"),
    "lightgbm": Way(("certified",)),
    "xgboost": Way(("certified",)),
}


def parse_robust(value: Any) -> Named | None:
    """`pgd`, or `{trades: {eps: 0.1}}`, as a mapping of one method to its settings.

    Raises:
        ValueError: it is neither, or no learner has the method; the text says how to mend it.

    >>> parse_robust("pgd")
    {'pgd': {}}
    """
    from bessemer.core.errors import did_you_mean

    if value is None:
        return None
    named = {value: {}} if isinstance(value, str) else value
    if not isinstance(named, dict) or len(named) != 1:
        raise ValueError(
            f"{value!r} is no method of robust training: write robust: pgd, or {{pgd: {{eps: 0.1}}}}"
        )
    name, given = next(iter(named.items()))
    known = list(dict.fromkeys(method for way in WAYS.values() for method in way.methods))
    if name not in known:
        raise ValueError(f"no method of robust training is called {name!r}; {did_you_mean(str(name), known)}")
    return {str(name): given or {}}


def robust_fault(learner: str, robust: Named, params: Mapping[str, Any]) -> str:
    """What is wrong with asking this learner for it, or ''."""
    if learner not in WAYS:
        return f"robust: `{learner}` has no robust training; say `learner: {' or '.join(WAYS)}`"
    way, (method,) = WAYS[learner], robust
    if method not in way.methods:
        return f"robust: {learner} knows {', '.join(way.methods)}, not {method}"
    if way.parameter in params:
        return (
            f"robust: it sets the parameter {way.parameter}, which `params` sets too: leave one of them out"
        )
    return _settings_fault(robust) if method == "certified" else ""


def _settings_fault(robust: Named) -> str:
    """What is wrong with the settings of a method that is no learner's parameter, or ''."""
    from pydantic import ValidationError

    from bessemer.train.certified.settings import CertifiedSettings

    ((method, settings),) = robust.items()
    try:
        CertifiedSettings.model_validate(settings)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        return f"robust: settings of {method}: {faults}; it has {', '.join(CertifiedSettings.model_fields)}"
    return ""


def robust_column_faults(robust: Named | None, columns: Mapping[str, str]) -> list[Fault]:
    """A fault for each constraint on a column that is not there, or that its type (name -> SQL type) does not take."""
    from bessemer.core.constraints import faults

    if robust is None or "certified" not in robust:
        return []
    from bessemer.train.certified.settings import CertifiedSettings

    limits = CertifiedSettings.model_validate(robust["certified"]).constraints
    return list(faults(limits, columns, "train.robust.certified.constraints"))


def with_robust(learner: str, params: Mapping[str, Any], robust: Named | None) -> dict[str, Any]:
    """The parameters of a learner, the method among them where it is the one that is asked."""
    if robust is None or learner not in WAYS or not WAYS[learner].parameter:
        return dict(params)
    return {**params, WAYS[learner].parameter: robust}


def reach_of(
    spec: TrainSpec, splits: Artifact, preprocessor: Artifact, train: Part, task: Task
) -> Reach | None:
    """Where rows may be moved in training, for a learner that asks; None for others, and where nothing is asked.

    Raises:
        ProjectError: the target is a number.
    """
    from bessemer.core.errors import Fault, ProjectError
    from bessemer.train.certified.reach import reach_of

    if spec.robust is None or "certified" not in spec.robust:
        return None
    if task == "regression":
        what = "certified training is for classes, and the target is a number"
        raise ProjectError([Fault("train.robust", None, what, "leave it out")])
    return reach_of(spec.robust["certified"], splits, preprocessor, train.X)


def plainly(trial: Trial) -> Trial:
    """The same without robust training: it says nothing to trackers, and keeps its checkpoints apart."""
    callbacks = trial.callbacks
    own = replace(
        callbacks,
        workdir=callbacks.workdir / "plain",
        fingerprint=f"{callbacks.fingerprint}/plain",
        on_round=lambda name, step, value: None,
        note=lambda text: None,
    )
    own.workdir.mkdir(parents=True, exist_ok=True)
    spec, problem = trial.spec.model_copy(update={"robust": None}), replace(trial.problem, reach=None)
    return replace(trial, spec=spec, problem=problem, callbacks=own)


def price(robust: Candidate, plain: Candidate, trial: Trial) -> str:
    """What robust training costs, in a sentence, and what it gives where that is known for sure."""
    told = (
        f"robust training: {trial.problem.metric.name} {robust.value:.4g} on the rows as they are, "
        f"{plain.value:.4g} without it, in {robust.fit_seconds / max(plain.fit_seconds, 1e-9):.1f} times the time"
    )
    reach = trial.problem.reach
    if reach is None or not len(trial.valid):  # rows that were learnt from would say too much
        return told
    from bessemer.train.certified.standing import standing

    now, before = (standing(one, trial.problem, trial.valid, reach) for one in (robust, plain))
    half = ", held apart at a probability of one half," if trial.problem.task == "binary" else ""
    return (
        f"{told}; of the validation rows, which also chose the round, {now}, whatever is moved by "
        f"{reach.settings.eps:g}{half} and {before} without it"
    )
