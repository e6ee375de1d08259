"""What a detector says of a column, and what becomes of it when all of them have spoken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

#: What it is about; an adversary is somebody who asks in order to find out how the model answers.
Kind = Literal["schema", "quality", "drift", "performance", "concept", "adversary", "operations", "model"]
#: `column` is an input of the model, an output (a metric counts as one), a client, or something of the service.
Of = Literal["input", "output", "client", "service"]

#: Where `Check.to_json` has what the tests of each of them said.
TESTED: dict[Of, str] = {"input": "columns", "output": "outputs", "client": "clients", "service": "service"}

#: What the tests of whole rows have in the place of a column.
WHOLE_ROWS = "whole rows"


@dataclass(frozen=True)
class Test:
    """A statistic of one column, and how likely it would be if nothing had changed.

    statistic: its name; value: what it is here.
    p_value: None where it is a fact and not a matter of chance (a column is absent): that is always found.
    threshold: the value that the statistic exceeds with a given probability if nothing has changed.
    text: what it says, in a sentence, where it is found.
    of: what `column` names.
    """

    detector: str
    column: str
    kind: Kind
    statistic: str
    value: float
    text: str
    p_value: float | None = None
    threshold: Callable[[float], float] | None = None
    of: Of = "input"


@dataclass(frozen=True)
class Finding:
    """What is out of the ordinary.

    p_value: of this test alone; None for facts. threshold: what the value had to exceed, all tests considered.
    """

    detector: str
    column: str
    kind: Kind
    statistic: str
    value: float
    threshold: float | None
    p_value: float | None
    text: str
    of: Of = "input"

    def to_json(self) -> dict[str, Any]:
        return {
            "detector": self.detector,
            "column": self.column,
            "of": self.of,
            "kind": self.kind,
            "statistic": self.statistic,
            "value": self.value,
            "threshold": self.threshold,
            "p_value": self.p_value,
            "text": self.text,
        }
