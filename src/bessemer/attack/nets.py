"""The runner of attacks on networks: rows that are right, moved within a budget, judged by the graph that ships.

An attack only proposes. Whether a row has fallen is what the graph says of it, and only where it was moved no further
than the budget. A row that falls at a budget has fallen at every larger one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from bessemer.attack.arena import Arena, Moves, Norm, Rows, arena_of
from bessemer.attack.frame import Frame, framed
from bessemer.attack.pictures import SHOWN, pictures
from bessemer.attack.probe import hindered
from bessemer.attack.protocol import Found, Kind, Point, Sample, Victim, share_point
from bessemer.attack.sound import STANDING
from bessemer.attack.surface import Surface, surface_of
from bessemer.core.spec import Spec
from bessemer.core.stage import Context

#: Rows that are attacked together.
BATCH = 64
#: Budgets where none are given, by whether pixels are moved, and the norm.
_BUDGETS = {
    (True, "l_inf"): (0.02, 0.05, 0.1, 0.2),
    (True, "l_2"): (0.5, 1.0, 2.0, 4.0),
    (False, "l_inf"): (0.1, 0.25, 0.5, 1.0),
    (False, "l_2"): (0.25, 0.5, 1.0, 2.0),
}
_WORDS = {"l_inf": "largest change of one value", "l_2": "length of the change"}


class NetSettings(Spec):
    """What all attacks on networks may be told."""

    norm: Norm = Field(
        "l_inf", description="how a change is measured: l_inf (the largest of one value) or l_2"
    )
    budgets: list[Annotated[float, Field(gt=0, le=1e6)]] | None = Field(
        None,
        min_length=1,
        max_length=50,
        description="how far a row may be moved: of a pixel's 0 to 1, or in standard deviations of a number",
    )


class NetAttack:
    """An attack on a network; a subclass says how rows are moved."""

    kind: ClassVar[Kind] = "evasion"
    Settings: ClassVar[type[NetSettings]] = NetSettings
    #: Whether it needs gradients.
    WHITE: ClassVar[bool] = False

    def __init__(self, settings: Any) -> None:
        self.settings = settings

    def refuses(self, victim: Victim) -> str:
        if victim.task == "regression":
            return "a number has no right and wrong answer"
        surface = surface_of(victim)
        if surface is None:
            return "no column is an image, and no feature is a number that varies"
        graph = self.graph(victim)
        return "" if graph is None else hindered(graph, victim, surface)

    def graph(self, victim: Victim) -> bytes | None:
        """The graph that gradients are taken of; None where none are."""
        return victim.model.bytes("model.onnx") if self.WHITE else None

    def budgets(self, surface: Surface) -> tuple[float, ...]:
        norm = self.settings.norm
        return tuple(sorted(set(self.settings.budgets or _BUDGETS[surface.pixels, norm])))

    def found(
        self,
        arena: Arena,
        reach: npt.NDArray[np.float64],
        queries: Sequence[float],
        notes: Sequence[str] = (),
        samples: Sequence[dict[str, Any]] = (),
    ) -> Found:
        """The curve: a row that is right stands at a budget where its `reach`, (N,), is greater. queries: asked so
        far at each budget, a row."""
        sample, budgets = arena.sample, self.budgets(arena.surface)
        points = [self._point(arena, 0.0, arena.right, 0.0)]
        for budget, asked in zip(budgets, queries, strict=True):
            points.append(self._point(arena, budget, arena.right & (reach > allowed(budget)), asked))
        still = int((arena.right & ~arena.attackable).sum())
        told = [f"{still} rows could not be moved: all that may be is missing"] if still else []
        unit = f"{_WORDS[self.settings.norm]}, in {arena.surface.unit}"
        return Found(STANDING, unit, len(sample), tuple(points), (*notes, *told), tuple(samples))

    def _point(self, arena: Arena, budget: float, standing: npt.NDArray[np.bool_], queries: float) -> Point:
        rows = len(arena.sample)
        return share_point(budget, int(standing.sum()), rows, arena.sample.confidence, queries=queries)


def allowed(budget: float) -> float:
    """A budget with room for the rounding of float32."""
    return budget * (1 + 1e-4) + 1e-6


class BudgetAttack(NetAttack):
    """An attack that is told how far it may go."""

    def attempt(self, arena: Arena, frame: Frame, y: Rows, budget: float, rng: Any) -> tuple[Moves, int]:
        """Rows (R, *shape) moved by at most the budget, and how often the model was asked for one row."""
        raise NotImplementedError

    def attack(self, victim: Victim, sample: Sample, ctx: Context, advance: Callable[[], None]) -> Found:
        arena = arena_of(victim, sample)
        todo, done, asked = np.flatnonzero(arena.attackable), 0, 0
        reach, queries, shown = np.full(len(sample), np.inf), list[float](), list[dict[str, Any]]()
        for budget in self.budgets(arena.surface):
            for rows in arena.chunks(todo[np.isinf(reach[todo])], BATCH):
                far, cost, seen = self._tried(arena, rows, budget, ctx)
                reach[rows], asked = far, asked + cost
                shown += seen if len(shown) < SHOWN else []
            queries.append(asked / max(1, len(todo)))
            done += _advanced(advance, len(sample) - int(np.isinf(reach[todo]).sum()) - done)
        _advanced(advance, len(sample) - done)
        return self.found(arena, reach, queries, samples=shown[:SHOWN])

    def _tried(
        self, arena: Arena, rows: Rows, budget: float, ctx: Context
    ) -> tuple[npt.NDArray[np.float64], int, list[dict[str, Any]]]:
        """How far each row had to be moved to fall, infinity where it stands; what it cost, and some that fell."""
        frame, rng = arena.frame(rows), ctx.rng(type(self).__name__, budget, int(rows[0]))
        moves, cost = self.attempt(arena, frame, arena.y[rows], budget, rng)
        far = arena.fallen(frame, moves, self.settings.norm)
        far = np.where(far <= allowed(budget), np.minimum(far, budget), np.inf)
        return far, cost, list(pictures(arena, frame, moves, np.isfinite(far), budget))


def _advanced(advance: Callable[[], None], times: int) -> int:
    for _ in range(times):
        advance()
    return times


class WhiteBox(BudgetAttack):
    """A budgeted attack that takes gradients of the graph's twin."""

    WHITE = True

    def generate(self, estimator: Any, budget: float, frame: Frame, y: Rows) -> Moves:
        """What the library makes of the frame's rows."""
        raise NotImplementedError

    def attempt(self, arena: Arena, frame: Frame, y: Rows, budget: float, rng: Any) -> tuple[Moves, int]:
        from bessemer.attack.library import seeded, white_box

        module = framed(self.twin(arena), frame)
        estimator = white_box(module, frame.shape, arena.answers.classes, frame.bounds)
        with seeded(rng):
            moves = self.generate(estimator, budget, frame, y)
        return moves, module.asked

    def twin(self, arena: Arena) -> Any:
        return arena.twin


class DistanceAttack(NetAttack):
    """An attack that looks for the smallest change that does it, from what the model answers alone; a row at a time."""

    def closest(self, arena: Arena, frame: Frame, y: int, rng: Any) -> Moves | None:
        """One row (1, *shape) that the model gets wrong, as near as can be; None where there is none."""
        raise NotImplementedError

    def attack(self, victim: Victim, sample: Sample, ctx: Context, advance: Callable[[], None]) -> Found:
        arena = arena_of(victim, sample)
        reach, failed, shown = np.full(len(sample), np.inf), 0, list[dict[str, Any]]()
        before, tried = arena.answers.asked, int(arena.attackable.sum())
        for row in range(len(sample)):
            if arena.attackable[row]:
                frame = arena.frame(np.array([row]))
                moves = self.closest(arena, frame, int(arena.y[row]), ctx.rng(type(self).__name__, row))
                failed += moves is None
                if moves is not None:
                    reach[row] = far = arena.fallen(frame, moves, self.settings.norm)[0]
                    if len(shown) < SHOWN:
                        shown += pictures(arena, frame, moves, np.isfinite(reach[[row]]), float(far))
            advance()
        asked = (arena.answers.asked - before) / max(1, tried)
        notes = [f"of {failed} rows no change at all was found that does it"] if failed else []
        queries = [asked] * len(self.budgets(arena.surface))
        return self.found(arena, reach, queries, notes, shown[:SHOWN])
