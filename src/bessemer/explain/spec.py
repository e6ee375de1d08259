"""What the project file may say about explanations."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError

from bessemer.core.errors import did_you_mean
from bessemer.core.spec import Spec
from bessemer.explain.method import parse_method
from bessemer.explain.plugins import EXPLAINERS, Explainer

#: What is found without being asked for.
USUAL = ["permutation", "contributions", "ale", "interactions", "partial_dependence_2d", "surrogate"]


def usual() -> dict[str, dict[str, Any]]:
    """The usual explainers with their defaults."""
    return {name: {} for name in USUAL}


def parse_explainers(value: Any) -> dict[str, dict[str, Any]]:
    """`[ale, {lime: {rows: 3}}]` as a mapping from the name to its settings.

    >>> parse_explainers(["permutation", {"permutation": {"repeats": 9}}])
    {'permutation': {'repeats': 9}}
    """
    if not isinstance(value, list | dict):
        raise ValueError(f"{value!r} is not a list of explainers: write [{', '.join(USUAL)}]")
    asked: dict[str, dict[str, Any]] = {}
    for entry in [value] if isinstance(value, dict) else value:
        named = {entry: None} if isinstance(entry, str) else entry
        if not isinstance(named, dict):
            raise ValueError(
                f"{entry!r} is not an explainer: write its name, or {{name: {{setting: value}}}}"
            )
        for name, settings in named.items():
            asked[str(name)] = _checked(str(name), {} if settings is None else settings)
    return asked


def _checked(name: str, settings: Any) -> dict[str, Any]:
    if name not in EXPLAINERS:
        raise ValueError(f"no explainer is called {name!r}; {did_you_mean(name, EXPLAINERS)}")
    if not isinstance(settings, dict):
        raise ValueError(f"{settings!r} are not settings of {name}: write {{{name}: {{setting: value}}}}")
    try:
        EXPLAINERS.load(name).Settings.model_validate(settings)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        known = ", ".join(EXPLAINERS.load(name).Settings.model_fields)
        raise ValueError(f"settings of {name}: {faults}; it has {known or 'none'}") from None
    return settings


class ExplainSpec(Spec):
    """Settings of the explain stage.

    >>> list(ExplainSpec().explainers)
    ['permutation', 'contributions', 'ale', 'interactions', 'partial_dependence_2d', 'surrogate']
    """

    rows: int = Field(
        2000, ge=10, le=1_000_000, description="How many test rows, drawn at random, are explained."
    )
    explainers: Annotated[
        dict[str, dict[str, Any]],
        BeforeValidator(parse_explainers, json_schema_input_type=list[str | dict[str, Any]]),
    ] = Field(
        default_factory=usual,
        description="What is found out, each a name or {name: {setting: value}}.",
    )
    method: Annotated[
        dict[str, dict[str, Any]],
        BeforeValidator(parse_method, json_schema_input_type=str | dict[str, Any]),
    ] = Field(
        default_factory=lambda: parse_method("auto"),
        description="How a score is taken apart into contributions, here and wherever the model is served: a name, or "
        "{name: {setting: value}}.",
    )
    samples: int = Field(
        5, ge=0, le=100, description="Worked examples of each kind: highest, lowest, borderline, mistakes."
    )

    def opened(self) -> dict[str, Explainer]:
        """The explainers that are asked for, each with its settings."""
        loaded = {name: EXPLAINERS.load(name) for name in self.explainers}
        return {
            name: kind(kind.Settings.model_validate(self.explainers[name])) for name, kind in loaded.items()
        }
