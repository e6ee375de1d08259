"""Shapley values of any model from random orders of the columns, against every row of the background."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np

from bessemer.package.attribution.plugins import BLOCK, COPY, Players
from bessemer.package.natives import NativeModel, margin_work
from bessemer.package.shapley import Estimate


class Permutation:
    """Each background row gets `rounds` orders of the columns, each used forwards and backwards; going along an order
    the columns take the explained row's values one after the other, and what the margin changes by is the column's.

    The standard errors are those of a stratified mean: the rows of the background are all used, only the orders are
    drawn.

    Source: Castro, Gomez and Tejada (2009); Mitchell, Cooper, Frank and Holmes, "Sampling permutations for Shapley
    value estimation", JMLR 23 (2022).
    """

    against: ClassVar[str] = "the mean score of {rows} training rows"
    draws: ClassVar[bool] = True

    def __init__(
        self,
        model: NativeModel,
        players: Players,
        background: np.ndarray,
        settings: Mapping[str, int],
        threads: int = 1,
    ) -> None:
        self._model, self._players, self._background = model, players, background
        self._rounds, self._seed = int(settings["rounds"]), int(settings.get("seed", 0))
        self._ends = model.margin(background)
        self._margin = margin_work(model)

    @staticmethod
    def refuses(model: NativeModel) -> str:
        return ""

    @property
    def work(self) -> float:
        asked = 2 * self._rounds * len(self._background) * max(0, len(self._players) - 1)
        return asked * (self._margin + COPY * len(self._players.of))

    def estimate(self, x: np.ndarray) -> Estimate:
        rows, outputs = len(x), self._ends.shape[1]
        total = np.zeros((rows, len(self._players), outputs))
        squares = np.zeros_like(total)
        ends = self._model.margin(x)
        for places, orders in self._walks():
            for row in range(rows):
                pairs = self._along(x[row], ends[row], places, orders)  # (B', R, P, K')
                total[row] += pairs.mean(axis=1).sum(axis=0)
                squares[row] += (pairs.var(axis=1, ddof=1) / self._rounds).sum(axis=0)
        count = len(self._background)
        spread = self._players.spread
        return Estimate(self._ends.mean(axis=0), spread(total / count), spread(np.sqrt(squares) / count))

    def _walks(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Some rows of the background, and their orders (B', R, P): the same ones at every call and for every row."""
        rng = np.random.default_rng(self._seed)
        players = len(self._players)
        step = max(1, BLOCK // max(1, 2 * self._rounds * players * len(self._players.of)))
        for start in range(0, len(self._background), step):
            places = slice(start, min(start + step, len(self._background)))
            blank = np.tile(np.arange(players), (places.stop - start, self._rounds, 1))
            yield places, rng.permuted(blank, axis=2)

    def _along(self, row: np.ndarray, end: np.ndarray, places: slice, orders: np.ndarray) -> np.ndarray:
        """What each player changes, the mean of both directions: (B', R, P, K')."""
        both = np.stack([orders, orders[:, :, ::-1]], axis=2)  # (B', R, 2, P)
        rank = np.argsort(both, axis=3)
        players = both.shape[3]
        known = rank[:, :, :, None, :] < np.arange(1, players)[:, None]  # (B', R, 2, P - 1, P)
        states = np.where(known[..., self._players.of], row, self._background[places][:, None, None, None, :])
        inner = self._model.margin(states.reshape(-1, len(row))) if players > 1 else np.zeros((0, len(end)))
        inner = inner.reshape(*both.shape[:3], players - 1, len(end))
        first = np.broadcast_to(self._ends[places][:, None, None, None, :], (*both.shape[:3], 1, len(end)))
        last = np.broadcast_to(end, first.shape)
        steps = np.diff(np.concatenate([first, inner, last], axis=3), axis=3)
        found: np.ndarray = np.take_along_axis(steps, rank[..., None], axis=3).mean(axis=2)
        return found
