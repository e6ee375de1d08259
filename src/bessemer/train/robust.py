"""Robust training: one word for every learner that has it, and what it costs on rows as they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bessemer.core.plugin_settings import Named
    from bessemer.train.candidates import Trial
    from bessemer.train.metrics import Metric
    from bessemer.train.outcome import Candidate


@dataclass(frozen=True)
class Way:
    """How a learner is trained robustly: the parameter that takes a method with its settings, and the methods."""

    parameter: str
    methods: tuple[str, ...]


#: By learner.
WAYS: Mapping[str, Way] = {"network": Way("objective", ("pgd", "trades", "noise"))}


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
    known = [method for way in WAYS.values() for method in way.methods]
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
    return ""


def with_robust(learner: str, params: Mapping[str, Any], robust: Named | None) -> dict[str, Any]:
    """The parameters of a learner, the method among them where it is the one that is asked."""
    if robust is None or learner not in WAYS:
        return dict(params)
    return {**params, WAYS[learner].parameter: robust}


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
    return replace(trial, spec=trial.spec.model_copy(update={"robust": None}), callbacks=own)


def price(robust: Candidate, plain: Candidate, metric: Metric) -> str:
    """What robust training costs, in a sentence."""
    return (
        f"robust training: {metric.name} {robust.value:.4g} on the rows as they are, {plain.value:.4g} without it, "
        f"in {robust.fit_seconds / max(plain.fit_seconds, 1e-9):.1f} times the time"
    )
