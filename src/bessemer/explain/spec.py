"""What the project file may say about explanations."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from bessemer.core.errors import did_you_mean
from bessemer.core.spec import Spec
from bessemer.explain.plugins import EXPLAINERS


def _known(value: Any) -> Any:
    for name in value if isinstance(value, list) else []:
        if name not in EXPLAINERS:
            raise ValueError(f"no way to rank columns is called {name!r}; {did_you_mean(name, EXPLAINERS)}")
    return value


class ExplainSpec(Spec):
    """Settings of the explain stage.

    >>> ExplainSpec().importance
    ['permutation', 'contributions']
    """

    rows: int = Field(
        2000, ge=10, le=1_000_000, description="How many test rows, drawn at random, are explained."
    )
    repeats: int = Field(
        5, ge=2, le=1000, description="How often each column is shuffled for permutation importance."
    )
    importance: Annotated[list[str], BeforeValidator(_known)] = Field(
        ["permutation", "contributions"],
        description="Ways to rank the columns: permutation (what is lost when a column is shuffled), "
        "contributions (how far a column moves the score).",
    )
    samples: int = Field(
        5, ge=0, le=100, description="Worked examples of each kind: highest, lowest, borderline, mistakes."
    )
