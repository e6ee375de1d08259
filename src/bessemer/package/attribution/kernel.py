"""KernelSHAP: Shapley values of any model as the weighted least squares fit of an additive model to coalitions."""

from __future__ import annotations

from collections.abc import Mapping
from math import comb
from typing import ClassVar

import numpy as np

from bessemer.package.attribution.plugins import BLOCK, COPY, Players
from bessemer.package.natives import NativeModel, margin_work
from bessemer.package.shapley import Estimate


class Kernel:
    """The worth of a coalition of columns is the mean margin of the background's rows with these columns taken from
    the row. Where there are no more than `coalitions` of them all are asked about, and the values are exact. Else as
    many are drawn with the Shapley kernel, each with its complement, and at least four for each column; the errors
    are those of the fit, with its pairs as clusters. The coalitions are the same for every row.

    Source: Lundberg and Lee, "A unified approach to interpreting model predictions", NeurIPS (2017); Covert and Lee,
    "Improving KernelSHAP", AISTATS (2021).
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
        count, wanted = len(players), int(settings["coalitions"])
        self._exact = 2 ** min(count, 62) <= wanted
        if self._exact:
            self._known = _all_coalitions(count)
            self._fit, self._rest = _shapley_weights(self._known), np.zeros(count)
        else:
            self._known = _drawn(count, max(wanted, 4 * count), int(settings.get("seed", 0)))
            self._fit, self._rest = _least_squares(self._known)
        self._base: np.ndarray = model.margin(background).mean(axis=0)
        self._margin = margin_work(model)

    @staticmethod
    def refuses(model: NativeModel) -> str:
        return ""

    @property
    def work(self) -> float:
        asked = len(self._known) * len(self._background)
        return asked * (self._margin + COPY * len(self._players.of))

    def estimate(self, x: np.ndarray) -> Estimate:
        ends = self._model.margin(x)
        parts = np.zeros((len(x), len(self._players), ends.shape[1]))
        error = np.zeros_like(parts)
        for row in range(len(x)):
            worth = self._worth(x[row]) - self._base
            parts[row] = self._fit @ worth
            if not self._exact:
                parts[row] += np.outer(self._rest, ends[row] - self._base)
                error[row] = _errors(self._known, self._fit, worth, parts[row])
        return Estimate(self._base, self._players.spread(parts), self._players.spread(error))

    def _worth(self, row: np.ndarray) -> np.ndarray:
        """(M, K'), the mean margin of each coalition."""
        found = [np.zeros((0, len(self._base)))]
        step = max(1, BLOCK // self._background.size)
        for start in range(0, len(self._known), step):
            known = self._known[start : start + step, None, self._players.of]
            states = np.where(known, row, self._background[None])
            margins = self._model.margin(states.reshape(-1, len(row)))
            found.append(margins.reshape(len(known), len(self._background), -1).mean(axis=1))
        return np.concatenate(found)


def _all_coalitions(players: int) -> np.ndarray:
    """(2^P, P) bool."""
    found: np.ndarray = (np.arange(1 << players)[:, None] >> np.arange(players) & 1).astype(bool)
    return found


def _shapley_weights(known: np.ndarray) -> np.ndarray:
    """(P, M): Shapley values are a linear function of the worth of all coalitions (Shapley 1953)."""
    count = known.shape[1]
    size = known.sum(axis=1)[:, None]
    orders = np.array([1.0 / (count * comb(count - 1, s)) for s in range(count)] + [0.0])
    weights: np.ndarray = np.where(known, orders[size - 1], -orders[size])
    return weights.T


def _drawn(players: int, coalitions: int, seed: int) -> np.ndarray:
    """(M, P) bool: coalitions and, right behind each, its complement."""
    rng = np.random.default_rng(seed)
    sizes = np.arange(1, players)
    kernel = 1 / (sizes * (players - sizes))
    size = rng.choice(sizes, coalitions // 2, p=kernel / kernel.sum())
    rank = rng.permuted(np.tile(np.arange(players), (len(size), 1)), axis=1)
    known = rank < size[:, None]
    return np.stack([known, ~known], axis=1).reshape(-1, players)


def _least_squares(known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(P, M) and (P,): the parts that fit a worth w best and sum to d are `fit @ w + rest * d`.

    With A = Z'Z / M they are A^-1 Z'w / M - A^-1 1 (1'A^-1 Z'w / M - d) / (1'A^-1 1).
    """
    Z = known.astype(np.float64)
    inverse = np.linalg.pinv(Z.T @ Z / len(Z))
    row = inverse.sum(axis=1)
    projected = inverse - np.outer(row, row) / row.sum()
    return projected @ Z.T / len(Z), row / row.sum()


def _errors(known: np.ndarray, fit: np.ndarray, worth: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """(P, K'): standard errors, robust to what is not additive; a coalition and its complement are one draw."""
    left = worth - known @ parts  # (M, K')
    moved = fit[:, :, None] * left[None]  # (P, M, K')
    pairs = moved.reshape(len(fit), -1, 2, left.shape[1]).sum(axis=2)
    draws = pairs.shape[1]
    found: np.ndarray = np.sqrt((pairs**2).sum(axis=1) * draws / max(1, draws - len(fit) + 1))
    return found
