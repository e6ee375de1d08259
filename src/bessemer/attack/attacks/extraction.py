"""Extraction: a copy of the model, learnt from its answers alone.

Tramer et al., "Stealing machine learning models via prediction APIs" (2016); Orekondy, Schiele and Fritz, "Knockoff
nets" (2019), whose attacker asks about rows that he has or can make up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from bessemer.attack.answers import Answers
from bessemer.attack.parts import part_rows, sampled
from bessemer.attack.protocol import Found, Sample, Victim, share_point
from bessemer.attack.protocol import Kind as AttackKind
from bessemer.attack.proxies import KINDS, Floats32, Kind, Says, classifier, regressor
from bessemer.core.errors import FormatError
from bessemer.core.spec import Spec
from bessemer.core.stage import Context

if TYPE_CHECKING:
    import pyarrow as pa

Floats = npt.NDArray[np.float64]
#: The share of the answers that choose which copy is kept.
_KEPT_BACK = 5
#: Questions that teach anything.
_FEWEST = 20


class ExtractionSettings(Spec):
    """What the attacker asks, and what he is told."""

    queries: list[Annotated[int, Field(ge=_FEWEST, le=100_000)]] = Field(
        [100, 300, 1000, 3000], min_length=1, max_length=20, description="questions, a copy for each number"
    )
    rows: Literal["real", "mixed"] = Field(
        "real",
        description="what is asked about: rows of the training part, without their labels, or mixed ones, each "
        "column from a row of its own",
    )
    told: Literal["scores", "answers"] = Field(
        "scores", description="what the model says: scores, or the answer"
    )


class Extraction:
    """From scores or answers; any classifier."""

    kind: ClassVar[AttackKind] = "extraction"
    Settings: ClassVar[type[Spec]] = ExtractionSettings

    def __init__(self, settings: ExtractionSettings) -> None:
        self.settings = settings

    def refuses(self, victim: Victim) -> str:
        if victim.task == "regression":
            return "how often a copy agrees is of classes, and the target is a number"
        return "" if int(victim.splits.meta["rows"]["train"]) else "there are no rows to ask about"

    def attack(self, victim: Victim, sample: Sample, ctx: Context, advance: Callable[[], None]) -> Found:
        truth = Answers(victim, sample).answers(sample.X, np.arange(len(sample)))
        asked = unseen(self._asked(victim, ctx.rng("extraction", "rows"), sample.confidence), sample)
        scores = Answers(victim, asked).scores(asked.X, np.arange(len(asked))).astype(np.float64)
        points, taken = [], dict[str, int]()
        for queries in sorted({min(one, len(asked)) for one in self.settings.queries}):
            rng = ctx.rng("extraction", queries)
            kind, copy = self._copy(asked.X[:queries], scores[:queries], rng)
            said = copy(sample.X).argmax(axis=1)
            right = float((said == sample.y).mean())
            taken[kind] = taken.get(kind, 0) + 1
            agreeing = int((said == truth).sum())
            points.append(
                share_point(float(queries), agreeing, len(sample), sample.confidence, accuracy_of_copy=right)
            )
        for _ in range(len(sample)):
            advance()
        return Found(
            "test rows that a copy answers as the model does",
            "questions that the copy was learnt from",
            len(sample),
            tuple(points),
            self._notes(truth, sample, taken, len(asked)),
        )

    def _asked(self, victim: Victim, rng: np.random.Generator, confidence: float) -> Sample:
        """As many rows as are asked about at most, in an order of chance."""
        most = max(self.settings.queries)
        table, y = part_rows(victim, "train", most, rng)
        if self.settings.rows == "mixed":
            table = mixed(table, most, rng)
            return sampled(victim, table, np.zeros(len(table)), confidence)
        order = rng.permutation(len(y))
        return sampled(victim, table.take(order), y[order], confidence)

    def _copy(self, X: Floats32, scores: Floats, rng: np.random.Generator) -> tuple[str, Says]:
        """The kind of copy that agrees best on the answers that were kept back, learnt from all of them."""
        back, seed = max(1, len(X) // _KEPT_BACK), int(rng.integers(2**31))
        answers = scores.argmax(axis=1)

        def agreeing(kind: Kind) -> float:
            said = self._learnt(kind, X[back:], scores[back:], seed)(X[:back]).argmax(axis=1)
            return float((said == answers[:back]).mean())

        best = max(KINDS, key=agreeing)
        return best, self._learnt(best, X, scores, seed)

    def _learnt(self, kind: Kind, X: Floats32, scores: Floats, seed: int) -> Says:
        if self.settings.told == "scores":
            return regressor(kind, X, scores, seed)
        return classifier(kind, X, scores.argmax(axis=1), scores.shape[1], seed)

    def _notes(
        self, truth: npt.NDArray[np.int64], sample: Sample, taken: dict[str, int], most: int
    ) -> tuple[str, ...]:
        common = np.bincount(truth).max() / len(truth)
        kinds = ", ".join(f"{kind} ({times})" for kind, times in sorted(taken.items()))
        notes = [
            f"the model itself is right for {float((truth == sample.y).mean()):.1%} of these rows; "
            f"whoever always says its most frequent answer agrees with it on {common:.1%}",
            f"the attacker knows the features that the graph makes of a row, and takes the best of "
            f"{', '.join(KINDS)} by answers kept back: {kinds}",
        ]
        if most < max(self.settings.queries):
            notes.append(
                f"there are no more than {most} rows to ask about that are not judged by; `rows: mixed` makes up others"
            )
        return tuple(notes)


def unseen(asked: Sample, judged: Sample) -> Sample:
    """The rows to ask about that are none of those that the copy is judged by.

    Raises:
        FormatError: too few are left.
    """
    known = {row.tobytes() for row in judged.X}
    rows = np.array([i for i, row in enumerate(asked.X) if row.tobytes() not in known], dtype=np.int64)
    if len(rows) < _FEWEST:
        raise FormatError(f"only {len(rows)} rows to ask about are none of those that the copy is judged by")
    return Sample(asked.table.take(rows), asked.X[rows], asked.y[rows], asked.confidence)


def mixed(table: pa.Table, count: int, rng: np.random.Generator) -> pa.Table:
    """So many rows, every column's values drawn on their own from those of the table."""
    import pyarrow as pa

    columns = {name: table[name].take(rng.integers(0, len(table), count)) for name in table.column_names}
    return pa.table(columns)
