"""What a model of a document says of a row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bessemer.importers.models.pmml.terms import Node


@dataclass(frozen=True)
class Answer:
    """The value of a regression, or a probability a class."""

    value: Node | None = None
    classes: Mapping[str, Node] = field(default_factory=dict)
