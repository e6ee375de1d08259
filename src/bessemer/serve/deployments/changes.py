"""The changes there are, each from a state to a state: nothing here loads, waits or writes."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Set
from dataclasses import replace
from typing import Literal

from bessemer.core.errors import did_you_mean
from bessemer.serve.deployments.state import Canary, Gates, ModelState, State, known
from bessemer.serve.errors import RequestError

Mode = Literal["replace", "split", "canary", "shadow"]


def heaviest(model: ModelState) -> str:
    return max(model.traffic, key=lambda version: model.traffic[version])


def deploy(
    state: State,
    name: str,
    version: str,
    source: str,
    *,
    mode: Mode = "replace",
    weight: float = 0.1,
    gates: Gates | None = None,
    steps: tuple[float, ...] = (),
) -> State:
    """Add a version of a model.

    Args:
        mode: `replace`: it takes all requests and the others go; `split`: it takes the share `weight`;
            `canary`: the same, until its gates promote it or roll it back; `shadow`: it answers nobody.

    Raises:
        RequestError: 409 when this version is there already, or a canary is on trial.

    >>> one = deploy(State(), "churn", "1", "churn-1.bsm")
    >>> two = deploy(one, "churn", "2", "churn-2.bsm", mode="split", weight=0.25)
    >>> two.models["churn"].traffic
    {'1': 0.75, '2': 0.25}
    """
    if name not in state.models:
        return state.with_model(name, ModelState({version: source}, {version: 1.0}))
    model = state.models[name]
    if version in model.versions:
        raise RequestError(
            409, f"'{name} {version}' is deployed already", fix="give the new package another version"
        )
    if model.canary is not None and mode != "shadow":
        raise RequestError(
            409,
            f"'{name} {model.canary.version}' is on trial",
            fix=f"end it first: bessemer promote {name}, or bessemer rollback {name}",
        )
    # while a canary is on trial, what a rollback goes back to stays what was before the trial
    previous = model.previous if model.canary is not None else model.bare()
    versions = {**model.versions, version: source}
    if mode == "shadow":
        changed = replace(model, versions=versions, shadows=(*model.shadows, version))
    elif mode == "replace":
        kept = {v: s for v, s in versions.items() if v == version or v in model.shadows}
        changed = replace(model, versions=kept, traffic={version: 1.0}, labels=_living(model.labels, kept))
    else:
        stages = (steps or (weight,)) if mode == "canary" else (weight,)
        shares = [_shared(model.traffic, version, each) for each in stages]  # a wrong one is refused now
        changed = replace(model, versions=versions, traffic=shares[0])
        if mode == "canary":
            trial = Canary(version, heaviest(model), gates or Gates(), stages, 0, time.time())
            changed = replace(changed, canary=trial)
    return state.with_model(name, replace(changed, previous=previous, verdict=""))


def _shared(traffic: Mapping[str, float], version: str, weight: float) -> dict[str, float]:
    if not 0 < weight < 1:
        raise RequestError(400, f"the share {weight:g} is not between 0 and 1", fix="write 0.1, or 10%")
    others = {v: w for v, w in traffic.items() if v != version}
    total = sum(others.values())
    return {**{v: w / total * (1 - weight) for v, w in others.items()}, version: weight}


def _living(labels: Mapping[str, str], versions: Mapping[str, str]) -> dict[str, str]:
    return {label: version for label, version in labels.items() if version in versions}


def _version(model: ModelState, name: str, version: str) -> str:
    if version not in model.versions:
        fix = did_you_mean(version, model.versions)
        raise RequestError(404, f"the model '{name}' has no version '{version}'", fix=fix)
    return version


def weigh(state: State, name: str, weights: Mapping[str, float]) -> State:
    """Share a model's requests anew. A version without a weight stays loaded and answers those who name it."""
    model = known(state, name)
    for version, weight in weights.items():
        _version(model, name, version)
        if not 0 <= weight < math.inf:
            raise RequestError(400, f"the weight {weight:g} of '{version}' is negative, or no finite number")
    shares = {version: float(weight) for version, weight in weights.items() if weight > 0}
    if not shares:
        raise RequestError(400, "no version has a weight", fix='send {"1.0.0": 0.9, "1.1.0": 0.1}')
    shadows = tuple(version for version in model.shadows if version not in shares)
    changed = replace(model, traffic=shares, shadows=shadows, canary=None, previous=model.bare())
    return state.with_model(name, changed)


def promote(state: State, name: str, version: str = "", verdict: str = "") -> State:
    """Give a version all requests (without one: the canary, or the lightest share) and let the others go."""
    model = known(state, name)
    chosen = version or (
        model.canary.version if model.canary else min(model.traffic, key=lambda v: model.traffic[v])
    )
    _version(model, name, chosen)
    if dict(model.traffic) == {chosen: 1.0} and not model.canary:
        raise RequestError(409, f"'{name} {chosen}' has all requests already")
    shadows = tuple(v for v in model.shadows if v != chosen)
    kept = {v: s for v, s in model.versions.items() if v == chosen or v in shadows}
    changed = ModelState(
        kept, {chosen: 1.0}, shadows, _living(model.labels, kept), None, model.bare(), verdict
    )
    return state.with_model(name, changed)


def step(state: State, name: str) -> State:
    """Let a canary go on to its next share, or promote it after the last."""
    model = known(state, name)
    canary = model.canary
    if canary is None:
        return state
    if canary.step + 1 >= len(canary.steps):
        return promote(state, name, canary.version, f"{canary.version} was promoted: it kept its gates")
    later = replace(canary, step=canary.step + 1, since=time.time())
    shares = _shared(model.traffic, canary.version, later.steps[later.step])
    return state.with_model(name, replace(model, traffic=shares, canary=later))


def rollback(state: State, name: str, verdict: str = "") -> State:
    """Go back to what was before the last change of a model.

    Raises:
        RequestError: 409 when there is nothing to go back to.
    """
    model = known(state, name)
    if model.previous is None:
        raise RequestError(409, f"'{name}' has nothing to go back to", fix="deploy the package you want")
    return state.with_model(name, replace(model.previous, previous=model.bare(), verdict=verdict))


def remove(state: State, name: str, version: str = "") -> State:
    """Take a version out of service, or the whole model."""
    model = known(state, name)
    if not version or set(model.versions) == {_version(model, name, version)}:
        return state.with_model(name, None)
    canary, previous = model.canary, model.bare()
    if canary is not None and version in (canary.version, canary.against):
        canary = None
    elif canary is not None and model.previous is not None:  # a rollback of the trial does not bring it back
        previous = _without(model.previous, version)
    return state.with_model(
        name, replace(_without(model, version), canary=canary, previous=previous, verdict="")
    )


def _without(model: ModelState, version: str) -> ModelState:
    """A model of several versions without one of them."""
    versions = {v: s for v, s in model.versions.items() if v != version}
    traffic = {v: w for v, w in model.traffic.items() if v != version}
    shadows = tuple(v for v in model.shadows if v != version)
    if not traffic:
        left = [v for v in versions if v not in shadows] or list(versions)
        traffic = {left[-1]: 1.0}
        shadows = tuple(v for v in shadows if v not in traffic)
    labels = _living(model.labels, versions)
    return replace(model, versions=versions, traffic=traffic, shadows=shadows, labels=labels)


def touched(before: State, after: State) -> Set[str]:
    """The models that a change has changed.

    >>> one = deploy(State(), "churn", "1", "churn-1.bsm")
    >>> touched(one, deploy(one, "price", "1", "price-1.bsm"))
    {'price'}
    """
    names = {**before.models, **after.models}
    return {name for name in names if before.models.get(name) != after.models.get(name)}


def undo(state: State, before: State, after: State) -> State:
    """Take a change back, from the state it came to; what others have changed since stays."""
    for name in touched(before, after):
        if state.models.get(name) == after.models.get(name):
            state = state.with_model(name, before.models.get(name))
    return state


def label(state: State, name: str, text: str, version: str) -> State:
    """Give a version a name ('stable', 'canary'); without a version the label goes."""
    model = known(state, name)
    labels = {known_label: v for known_label, v in model.labels.items() if known_label != text}
    if version:
        labels[text] = _version(model, name, version)
    return state.with_model(name, replace(model, labels=labels))
