"""What an explainer found: one shape for all, which states its baseline and its error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

#: What the content of an explanation looks like; `bessemer.testing.explainers.CONTENT` says it of each, and checks it.
Kind = Literal[
    "importance",
    "attributions",
    "curves",
    "surfaces",
    "interactions",
    "rules",
    "counterfactuals",
    "influence",
    "prototypes",
    "surrogate",
    "maps",
]


@dataclass(frozen=True)
class Baseline:
    """What an explanation is measured against.

    text: in words, to follow "compared with". value: the score of the baseline, one a class in multiclass (K,), where
    the explanation is on the scale of the score; else empty.
    """

    text: str
    value: tuple[float, ...] = ()


@dataclass(frozen=True)
class Error:
    """How far an explanation may be from what it claims.

    measure: a short name: "additivity gap", "standard error", "fidelity R²", "precision"...
    value: the measure of the worst case, or None where it cannot be measured; `text` then says why.
    text: what the value means, in a sentence.
    """

    measure: str
    value: float | None
    text: str


@dataclass(frozen=True)
class Explanation:
    """What one explainer found. content: as its kind says, JSON values only; NaN and infinity are not allowed.

    >>> found = Explanation("importance", Baseline("the rows as they are"), Error("none", 0.0, "it is exact"))
    >>> found.to_json()["baseline"]
    {'text': 'the rows as they are', 'value': []}
    """

    kind: Kind
    baseline: Baseline
    error: Error
    content: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "baseline": {"text": self.baseline.text, "value": list(self.baseline.value)},
            "error": {"measure": self.error.measure, "value": self.error.value, "text": self.error.text},
            "content": dict(self.content),
        }
