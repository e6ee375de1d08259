"""What an attack is, and what it is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

import numpy as np
import numpy.typing as npt

from bessemer.core.blocks import Block, blocks_of
from bessemer.core.signature import Signature, Task
from bessemer.stats.intervals import wilson

if TYPE_CHECKING:
    import pyarrow as pa

    from bessemer.core.artifact import Artifact
    from bessemer.core.constraints import Limit
    from bessemer.core.spec import Spec
    from bessemer.core.stage import Context
    from bessemer.package.session import GraphSession

Floats = npt.NDArray[np.float64]

#: What is found out: whether rows can be changed so that the answer is wrong (evasion), that they cannot be
#: (certificate), what the answers give away of the training rows (privacy) or of the model (extraction), and what a
#: few bad training rows do (poisoning).
Kind = Literal["evasion", "certificate", "privacy", "extraction", "poisoning"]


class Oracle(Protocol):
    """A model that is somewhere else, and answers.

    scores: whether it gives more than the class that it says.
    """

    @property
    def gives_scores(self) -> bool: ...

    def scores(self, table: pa.Table) -> Floats:
        """(N, K) of raw rows, the greatest is what is said; 1 and 0 where it gives no scores."""

    def table(self, X: npt.NDArray[np.float32], base: pa.Table) -> pa.Table:
        """Raw rows with moved values (N, F) in the place of their own."""


@dataclass(frozen=True)
class Victim:
    """The model under attack: the bytes that ship.

    facts: `model.json`; its `features` say of each column of the matrix which raw column it speaks for.
    native: the model in its own form (`package.natives`), of the kind `facts["native"]["kind"]`.
    splits: for attacks that look at training rows (privacy, poisoning, what values a column has).
    constraints: by raw column, what an attacker may change of it; for attacks that change raw rows.
    oracle: where the model is somewhere else and can only be asked; then `features` are what of its raw rows may be
        moved (`raw_matrix`), and there is no graph.
    """

    facts: Mapping[str, Any]
    signature: Signature
    model: Artifact
    splits: Artifact
    preprocessor: Artifact
    constraints: Mapping[str, Limit] = field(default_factory=dict)
    oracle: Oracle | None = None

    @property
    def task(self) -> Task:
        task: Task = self.facts["task"]
        return task

    @property
    def classes(self) -> list[Any]:
        return list(self.facts["classes"])

    @property
    def features(self) -> list[dict[str, Any]]:
        """`features.json`, in the order of the matrix's columns."""
        return list(self.facts["features"])

    @property
    def blocks(self) -> tuple[Block, ...]:
        """Columns of the matrix that mean something together: pixels, tokens."""
        return blocks_of(self.preprocessor.meta)

    @cached_property
    def session(self) -> GraphSession:
        """The shipped graph over raw rows."""
        from bessemer.package.session import GraphSession

        return GraphSession(self.model.bytes("model.onnx"), self.signature.inputs)

    @cached_property
    def native(self) -> bytes:
        return self.model.bytes(self.facts["native"]["file"])


#: What an attack asks of a model that it knows nothing else of.
Asks = Literal["scores", "answers"]


@dataclass(frozen=True)
class Sample:
    """Test rows that are attacked.

    table: N raw rows; X: (N, F) float32 features; y: (N,) float64, the class index or the value.
    confidence: of the intervals of what is found.
    others: where these are a part, all rows, which an attack may begin from.
    """

    table: pa.Table
    X: npt.NDArray[np.float32]
    y: Floats
    confidence: float = 0.95
    others: Sample | None = None

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True)
class Point:
    """One point of a curve.

    budget: how far a row may be moved, in the attack's own unit; None where it has none.
    value, low, high: what is measured (the share of rows still right, for evasion) and its interval.
    more: other figures by name: `queries` (mean a row), `cost`, `seconds`...
    """

    budget: float | None
    value: float
    low: float
    high: float
    more: Mapping[str, float] = field(default_factory=dict)


def share_point(budget: float | None, hits: int, rows: int, confidence: float, **more: float) -> Point:
    """A share of rows as a point, with Wilson's interval.

    >>> share_point(0.1, 0, 10, 0.95, queries=3).value
    0.0
    """
    return Point(budget, hits / rows, *wilson(hits, rows, confidence), more)


@dataclass(frozen=True)
class Found:
    """What an attack has found out.

    measure: what `value` of the points is, in words ("accuracy under attack", "certified share").
    unit: what `budget` is, in words ("largest change of a pixel, of 1", "columns changed"); '' where there is none.
    rows: how many rows were attacked.
    notes: what a reader has to know. samples: a few attacked rows, before and after, as JSON.
    """

    measure: str
    unit: str
    rows: int
    curve: tuple[Point, ...]
    notes: tuple[str, ...] = ()
    samples: tuple[Mapping[str, Any], ...] = ()


class Attack(Protocol):
    """One way to attack a model, or to show that it cannot be.

    kind: what is found out. Settings: what the project file may say of it.
    An attack that needs nothing but answers may say so by `ASKS: ClassVar[Asks]`; then it also runs against servers.
    """

    kind: ClassVar[Kind]
    Settings: ClassVar[type[Spec]]

    def __init__(self, settings: Any) -> None: ...

    def refuses(self, victim: Victim) -> str:
        """Why this model cannot be attacked in this way, in a sentence; '' where it can."""

    def attack(self, victim: Victim, sample: Sample, ctx: Context, advance: Callable[[], None]) -> Found:
        """What is found. The same seed gives the same; `advance` is called once for each row of the sample, or so."""
