"""How single predictions are taken apart: the method of the project file, and the rows it compares with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import Field, ValidationError

from bessemer.core.errors import UsageError, did_you_mean
from bessemer.core.spec import Spec
from bessemer.package.attribution.chosen import Chosen
from bessemer.package.attribution.plugins import METHODS

if TYPE_CHECKING:
    from bessemer.core.stage import Context
    from bessemer.explain.sample import Drawn
    from bessemer.explain.subject import Subject


class NoSettings(Spec):
    """The method has none."""


class Background(Spec):
    """What a method compares with."""

    background: int = Field(
        100,
        ge=1,
        le=100_000,
        description="How many training rows, drawn at random, unknown columns take their values from; they travel "
        "in the package.",
    )


class KernelSettings(Background):
    """Settings of `kernel`."""

    coalitions: int = Field(
        1024,
        ge=4,
        le=1 << 16,
        description="How many sets of known columns the model is asked about; where there are no more it is exact.",
    )


class PermutationSettings(Background):
    """Settings of `permutation`."""

    rounds: int = Field(
        2,
        ge=2,
        le=1000,
        description="Orders of the columns for each background row, each used in both directions.",
    )


#: The settings of our own methods; one of somebody else has none but its background.
SETTINGS: Mapping[str, type[Spec]] = {
    "auto": NoSettings,
    "tree": NoSettings,
    "linear": NoSettings,
    "interventional": Background,
    "kernel": KernelSettings,
    "permutation": PermutationSettings,
}


def settings_of(name: str) -> type[Spec]:
    """What the project file may say of a method."""
    return SETTINGS.get(name) or (Background if METHODS.load(name).draws else NoSettings)


def parse_method(value: Any) -> dict[str, dict[str, Any]]:
    """`interventional` or `{interventional: {background: 200}}` as a mapping from the one name to its settings.

    >>> parse_method({"interventional": {"background": 200}})
    {'interventional': {'background': 200}}
    """
    named = {value: None} if isinstance(value, str) else value
    if not isinstance(named, dict) or len(named) != 1:
        raise ValueError(f"{value!r} is not a method: write its name, or {{name: {{setting: value}}}}")
    ((name, settings),) = named.items()
    if name not in METHODS:
        raise ValueError(f"no method is called {name!r}; {did_you_mean(str(name), METHODS)}")
    if not isinstance(settings, dict | None):
        raise ValueError(f"{settings!r} are not settings of {name}: write {{{name}: {{setting: value}}}}")
    try:
        settings_of(name).model_validate(settings or {})
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        known = ", ".join(settings_of(name).model_fields)
        raise ValueError(f"settings of {name}: {faults}; it has {known or 'none'}") from None
    return {name: settings or {}}


def with_method(
    subject: Subject, asked: Mapping[str, Mapping[str, Any]], training: Drawn, ctx: Context
) -> Subject:
    """The subject, explained by the method that is asked for.

    Raises:
        UsageError: the method does not explain this model; it says which do.
    """
    ((name, given),) = asked.items()
    if name == "auto":
        return subject
    kind = METHODS.load(name)
    if why := kind.refuses(subject.contributions.native):
        fits = ", ".join(subject.contributions.fits())
        raise UsageError(
            f"explain.method: '{name}' does not explain this model: {why}",
            fix=f"explain: {{method: ...}} with one of {fits}",
        )
    settings: dict[str, int] = settings_of(name).model_validate(given).model_dump()
    rows = None
    if kind.draws:
        rows = training.draw(settings.pop("background"), ctx.rng("background")).features
        settings["seed"] = int(ctx.rng("method").integers(1 << 31))
    chosen = Chosen(name, settings, rows)
    return replace(subject, contributions=subject.contributions.by(chosen))
