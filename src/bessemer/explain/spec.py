"""What the project file may say about explanations."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from bessemer.core.plugin_settings import opened, parse_named
from bessemer.core.spec import Spec
from bessemer.explain.method import parse_method
from bessemer.explain.plugins import EXPLAINERS, Explainer

#: What is found without being asked for.
USUAL = ["permutation", "contributions", "ale", "interactions", "partial_dependence_2d", "surrogate"]
#: What is found beside that where a column is an image.
OF_IMAGES = ["saliency_maps"]


def usual() -> dict[str, dict[str, Any]]:
    """The usual explainers with their defaults."""
    return {name: {} for name in USUAL}


def parse_explainers(value: Any) -> dict[str, dict[str, Any]]:
    """`[ale, {lime: {rows: 3}}]` as a mapping from the name to its settings.

    >>> parse_explainers(["permutation", {"permutation": {"repeats": 9}}])
    {'permutation': {'repeats': 9}}
    """
    return parse_named(value, EXPLAINERS, "an explainer", ", ".join(USUAL), USUAL)


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

    def opened(self, images: bool = False) -> dict[str, Explainer]:
        """The explainers that are asked for, each with its settings. images: whether a column is an image: then the
        usual ones are more."""
        wanted = images and self.explainers == usual()
        return opened({**self.explainers, **{name: {} for name in OF_IMAGES if wanted}}, EXPLAINERS)
