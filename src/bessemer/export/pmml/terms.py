"""What a program's elements are while they are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element

from bessemer.export.pmml.words import constant, reference
from bessemer.export.rowwise.program import Trees, Type


@dataclass(frozen=True)
class Term:
    """An element: a field's name, or '' and its constant.

    finite: whether it is never infinite. late: whether trees have a part in it.
    """

    kind: Type
    name: str = ""
    constant: Any = None
    finite: bool = False
    late: bool = False

    @property
    def expression(self) -> Element:
        if not self.name:
            return constant(self.constant, self.kind)
        return reference(self.name, "" if self.kind == "str" else None)


@dataclass(frozen=True)
class Sum:
    """One output of trees: the field that gets it, and the fields of the features."""

    name: str
    trees: Trees
    place: int
    features: Mapping[int, str]
