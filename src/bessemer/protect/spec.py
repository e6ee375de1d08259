"""What the project file may say under `protect`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from bessemer.core.plugin_settings import parse_named
from bessemer.core.spec import Spec
from bessemer.protect.plugins import MARKERS

Marked = dict[str, dict[str, Any]]


def parse_marker(value: Any) -> Marked | None:
    """`crossover`, `{crossover: {columns: [age]}}` or a list of several as a mapping from names to settings.

    >>> parse_marker("crossover"), parse_marker(["blind", {"pattern": {"psnr": 30}}])
    ({'crossover': {}}, {'blind': {}, 'pattern': {'psnr': 30}})
    """
    if value is None:
        return None
    asked = parse_named([value] if isinstance(value, str) else value, MARKERS, "a marker", "blind, pattern")
    if not asked:
        raise ValueError("no marker is named: write one, or leave `mark` out")
    return asked


class ProtectSpec(Spec):
    """Whether and how the model is marked as its owner's; nothing is done when nothing is said."""

    mark: Annotated[
        Marked | None,
        BeforeValidator(
            parse_marker, json_schema_input_type=str | list[str | dict[str, Any]] | dict[str, Any] | None
        ),
    ] = Field(
        None,
        description="the marker, a name or {name: {setting: value}}, or a list of several, who share the keys; left "
        "out, nothing is marked",
    )
    keys: Annotated[int, Field(ge=1, le=100_000)] | Literal["auto"] = Field(
        "auto",
        description="key rows of one dispute; auto takes as many as still prove the claim when two fifths of the "
        "mark are lost, or one fifth of images'",
    )
    disputes: int = Field(
        2,
        ge=1,
        le=100,
        description="how often a part of the keys can be shown to somebody, a new part each time",
    )
    weight: Annotated[float, Field(gt=0, le=1000)] | Literal["auto"] = Field(
        "auto",
        description="how much each copy of a key row counts beside an ordinary row; auto is 3 for tables, 1 for images",
    )
    copies: Annotated[int, Field(ge=1, le=1000)] | Literal["auto"] = Field(
        "auto",
        description="how often each key row stands among the rows to learn from; auto is once for tables, 10 times for "
        "images",
    )
    bits: int = Field(
        64, ge=16, le=256, description="ownership is claimed when chance explains it with 2^-bits at most"
    )
    bins: int = Field(
        4,
        ge=2,
        le=32,
        description="of a number to predict: parts of its range that a key is drawn to, one of them",
    )
