"""Constrained adaptive PGD: Auto-PGD over raw columns of a table, each step repaired to what the constraints allow.

Simonetto, Ghamizi and Cordy, Constrained adaptive attack: effective adversarial attack against deep neural networks
for tabular data (2024); the steps are those of Croce and Hein, Auto-PGD (2020).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from bessemer.attack.answers import check_twin, twin_of
from bessemer.attack.columns import WORDS, distances, table_of
from bessemer.attack.distance import BUDGET_TEXT, BUDGETS, within
from bessemer.attack.probe import hindered
from bessemer.attack.protocol import Found, Kind, Sample, Victim, share_point
from bessemer.attack.raw import RawRows, raw_rows
from bessemer.attack.slopes import Floats, slopes
from bessemer.attack.sound import STANDING
from bessemer.attack.surface import surface_of
from bessemer.attack.typed import reach, repaired
from bessemer.core.spec import Spec
from bessemer.core.stage import Context
from bessemer.package.head import FEATURES

#: Rows told of; of Auto-PGD: the share of steps that has to help, and how much of a step is taken beside the last one.
_SHOWN, _HELPS, _OF_STEP = 100, 0.75, 0.75
#: Rows that are moved together.
_TOGETHER = 256


class CAPGDSettings(Spec):
    """How far, and how long."""

    norm: Literal["l_inf"] = Field("l_inf", description="how a change is measured: l_inf over raw columns")
    budgets: list[Annotated[float, Field(gt=0, le=1e6)]] | None = Field(
        None, min_length=1, max_length=50, description=BUDGET_TEXT
    )
    steps: int = Field(20, ge=1, le=10_000, description="steps of a start")
    restarts: int = Field(2, ge=1, le=1000, description="starts: from the row, the others at random")


class CAPGD:
    """White box, for networks over tables; raw rows under the constraints."""

    kind: ClassVar[Kind] = "evasion"
    Settings: ClassVar[type[Spec]] = CAPGDSettings

    def __init__(self, settings: CAPGDSettings) -> None:
        self.settings = settings

    def refuses(self, victim: Victim) -> str:
        if victim.task == "regression":
            return "a number has no right and wrong answer"
        surface = surface_of(victim)
        if surface is None or surface.pixels:
            return "it moves columns of a table, and no feature is a number that varies"
        return hindered(victim.model.bytes("model.onnx"), victim, surface)

    def attack(self, victim: Victim, sample: Sample, ctx: Context, advance: Callable[[], None]) -> Found:
        rows = raw_rows(victim, sample)
        climb = Climb(rows, self.settings)
        budgets = tuple(sorted(set(self.settings.budgets or BUDGETS["l_inf"])))
        far, told, queries = np.full(len(sample), np.inf), list[dict[str, Any]](), list[float]()
        for budget in budgets:
            todo = np.flatnonzero(rows.right & np.isinf(far))
            for start in range(0, len(todo), _TOGETHER):
                part = todo[start : start + _TOGETHER]
                fell, values = climb.run(part, budget, ctx.rng("capgd", budget, start))
                for row, one in zip(part[fell], values[fell], strict=True):
                    far[row] = rows.distance(int(row), one, "l_inf")
                    told += [rows.told(int(row), one, "l_inf")] if len(told) < _SHOWN else []
            queries.append(climb.asked / max(1, int(rows.right.sum())))
        for _ in range(len(sample)):
            advance()
        points = [share_point(0.0, int(rows.right.sum()), len(sample), sample.confidence, queries=0.0)]
        for budget, asked in zip(budgets, queries, strict=True):
            stands = int((rows.right & (far > within(budget))).sum())
            points.append(share_point(budget, stands, len(sample), sample.confidence, queries=asked))
        note = "the gradient by raw columns is measured: what it does not find may be there"
        return Found(STANDING, WORDS["l_inf"], len(sample), tuple(points), (note,), tuple(told))


class Climb:
    """Auto-PGD over the columns of some rows. asked: steps forth and back so far, summed over rows."""

    def __init__(self, rows: RawRows, settings: CAPGDSettings) -> None:
        self._rows, self._settings = rows, settings
        self._twin = twin_of(rows.victim)
        check_twin(self._twin, rows.answers, rows.sample)
        rows.answers.asked = 0
        self.asked = 0

    def run(
        self, part: npt.NDArray[np.int64], budget: float, rng: np.random.Generator
    ) -> tuple[npt.NDArray[np.bool_], Floats]:
        """Which of the rows (R,) fell within the budget, and what they were changed to (R, C)."""
        own = self._rows.values[part]
        fell, found = np.zeros(len(part), dtype=bool), own.copy()
        if not self._rows.columns:
            return fell, found
        low, high = reach(self._rows.columns, own, budget, "l_inf")
        for restart in range(self._settings.restarts):
            left = np.flatnonzero(~fell)
            if not len(left):
                break
            one, values = self._start(part[left], own[left], low[left], high[left], budget, restart, rng)
            fell[left], found[left[one]] = one, values[one]
        return fell, found

    def _start(
        self,
        part: npt.NDArray[np.int64],
        own: Floats,
        low: Floats,
        high: Floats,
        budget: float,
        restart: int,
        rng: np.random.Generator,
    ) -> tuple[npt.NDArray[np.bool_], Floats]:
        columns = self._rows.columns
        scale = np.array([c.scale / c.limit.cost if c.ordered else 1.0 for c in columns])
        wanted = low + (high - low) * rng.random(low.shape) if restart else own.copy()
        before = wanted.copy()
        fell, result = np.zeros(len(part), dtype=bool), own.copy()
        pace = Pace(len(part), self._settings.steps, budget)
        for step in range(self._settings.steps + 1):
            values = repaired(columns, own, wanted, low, high)
            loss, gradient, now = self._look(part, values)
            fresh = now & ~fell & (distances(columns, own, values, "l_inf") <= within(budget))
            result[fresh] = values[fresh]
            fell |= fresh
            if fell.all() or step == self._settings.steps:
                break
            wanted = pace.take(loss, wanted)
            slope, best = slopes(columns, self._features(part), values, gradient, low, high, rng)
            moved = wanted + np.nan_to_num(np.sign(slope)) * pace.size[:, None] * scale
            moved = np.clip(np.where(np.isnan(best), moved, best), low, high)
            share = _OF_STEP if step else 1.0
            mixed = wanted + share * (moved - wanted) + (1 - share) * (wanted - before)
            before, wanted = wanted, np.clip(np.where(np.isnan(best), mixed, best), low, high)
        return fell, result

    def _features(self, part: npt.NDArray[np.int64]) -> Any:
        base = self._rows.sample.table.take(part)

        def features(values: Floats) -> npt.NDArray[np.float32]:
            table = table_of(self._rows.columns, values, base)
            found: npt.NDArray[np.float32] = self._rows.victim.session.run(table, [FEATURES])[FEATURES]
            return found

        return features

    def _look(
        self, part: npt.NDArray[np.int64], values: Floats
    ) -> tuple[Floats, Floats, npt.NDArray[np.bool_]]:
        """The loss (R,), its gradient by features (R, F), and whether the graph that ships says another class (R,)."""
        import torch

        answers, y = self._rows.answers, self._rows.sample.y[part].astype(np.int64)
        X = np.ascontiguousarray(self._features(part)(values), dtype=np.float32)
        wrong = answers.answers(X, part) != y
        self.asked += len(part)
        x = torch.from_numpy(X).requires_grad_(True)
        with torch.enable_grad():
            score = self._twin(x)
            if answers.offset is not None:
                second = score[:, 0] - torch.from_numpy(answers.offset[part])
                score = torch.stack([torch.zeros_like(second), second], dim=1)
            loss = torch.nn.functional.cross_entropy(score, torch.from_numpy(y), reduction="none")
            (gradient,) = torch.autograd.grad(loss.sum(), x)
        return loss.detach().numpy().astype(np.float64), gradient.numpy().astype(np.float64), wrong


class Pace:
    """How far each row steps: half as far, from the best place so far, when too few steps have helped (Auto-PGD).

    size: (R,) in the unit of the budget.
    """

    def __init__(self, rows: int, steps: int, budget: float) -> None:
        self.size = np.full(rows, 2.0 * budget)
        self._least = max(1, int(0.06 * steps))
        self._shorter = max(1, int(0.03 * steps))
        self._window = max(1, int(0.22 * steps))
        self._at, self._helped = 0, np.zeros(rows, dtype=int)
        self._last = self._most = np.full(rows, -np.inf)
        self._most_then, self._halved = self._most, np.ones(rows, dtype=bool)
        self._best: Floats | None = None

    def take(self, loss: Floats, wanted: Floats) -> Floats:
        """Note the loss (R,) of places (R, C), and give the places to go on from."""
        best = wanted if self._best is None else self._best
        better = loss > self._most
        self._best = np.where(better[:, None], wanted, best)
        self._most = np.maximum(self._most, loss)
        self._helped, self._last = self._helped + (loss > self._last), loss
        self._at += 1
        if self._at < self._window:
            return wanted
        few = self._helped <= _HELPS * self._window
        stuck = few | (~self._halved & (self._most <= self._most_then))
        self.size = np.where(stuck, self.size / 2, self.size)
        self._halved, self._most_then = stuck, self._most
        self._at, self._helped = 0, np.zeros_like(self._helped)
        self._window = max(self._window - self._shorter, self._least)
        return np.where(stuck[:, None], self._best, wanted)
