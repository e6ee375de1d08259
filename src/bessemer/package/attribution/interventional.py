"""Exact Shapley values of trees and linear models where unknown columns have the values of training rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Protocol

import numpy as np

from bessemer.core.errors import UsageError
from bessemer.package.attribution.plugins import Players
from bessemer.package.natives import Constant, Ensemble, Linear, NativeModel, Paired, components
from bessemer.package.shapley import Estimate
from bessemer.package.trees.interventional import Interventional
from bessemer.package.trees.shapley import TreeShapley


class _Game(Protocol):
    """A part of a model against the background."""

    @property
    def work(self) -> float: ...

    def contributions(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(N, F) float32 -> the mean margin of the background (K',), and each player's part (N, P, K')."""


class InterventionalShapley:
    """Every row of the background counts, and the base is the mean of their margins. Columns are known as a whole:
    the features made of one column arrive together.

    Source: Lundberg et al. (2020); Janzing, Minorics and Bloebaum, "Feature relevance quantification in explainable
    AI: a causal problem", AISTATS (2020).
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
        self._players = players
        self._game = _opened(model, background, players.of, len(players), threads)

    @staticmethod
    def refuses(model: NativeModel) -> str:
        known = all(isinstance(one, TreeShapley | Linear | Constant) for one in components(model))
        return "" if known else "it has a part that is neither trees nor linear"

    @property
    def work(self) -> float:
        return self._game.work

    def estimate(self, x: np.ndarray) -> Estimate:
        base, parts = self._game.contributions(x)
        return Estimate.exact(base, self._players.spread(parts))


def _opened(
    model: NativeModel, background: np.ndarray, player: np.ndarray, players: int, threads: int
) -> _Game:
    if isinstance(model, TreeShapley):
        return Interventional(model.trees, background, player, players, threads)
    if isinstance(model, Linear):
        return _OfLinear(model, background, player, players)
    if isinstance(model, Constant):
        return _OfConstant(model, background, players)
    if isinstance(model, Ensemble):
        members = [(w, _opened(m, background, player, players, threads)) for w, m in model.members]
        return _OfEnsemble(members)
    if isinstance(model, Paired):
        return _OfPairs(model, background, player, players, threads)
    raise UsageError("the method 'interventional' does not explain this model", fix="explain: {method: auto}")


class _OfLinear:
    def __init__(self, model: Linear, background: np.ndarray, player: np.ndarray, players: int) -> None:
        self._model, self.work = model, model.work
        self._mean = model.standard(background).mean(axis=0)
        self._base: np.ndarray = model.margin(background).mean(axis=0)
        self._member = (player[:, None] == np.arange(players)).astype(np.float64)  # (F, P)

    def contributions(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        apart = self._model.standard(X) - self._mean
        return self._base, np.einsum("nf,fk,fp->npk", apart, self._model.weights, self._member, optimize=True)


class _OfConstant:
    def __init__(self, model: Constant, background: np.ndarray, players: int) -> None:
        self.work, self._players = 1.0, players
        self._base: np.ndarray = np.asarray(model.margin(background[:1])[0], dtype=np.float64)

    def contributions(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self._base, np.zeros((len(X), self._players, len(self._base)))


class _OfEnsemble:
    """Shapley values are additive over models."""

    def __init__(self, members: list[tuple[float, _Game]]) -> None:
        self._members, self.work = members, sum(game.work for _, game in members)

    def contributions(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = [(weight, game.contributions(X)) for weight, game in self._members]
        base: np.ndarray = np.sum([weight * base for weight, (base, _) in found], axis=0)
        parts: np.ndarray = np.sum([weight * parts for weight, (_, parts) in found], axis=0)
        return base, parts


class _OfPairs:
    """What is looked up for a pair of columns is a player of its own; its part goes half and half to the two."""

    def __init__(
        self, model: Paired, background: np.ndarray, player: np.ndarray, players: int, threads: int
    ) -> None:
        self._encoder, self._players = model.encoder, players
        pairs = len(model.encoder.owners)
        self._owners = player[model.encoder.owners]  # (pairs, 2)
        own = np.repeat(np.arange(pairs) + players, model.encoder.features // pairs)
        with_pairs = np.concatenate([player, own])
        self._game = _opened(
            model.model, model.encoder.added(background), with_pairs, players + pairs, threads
        )

    @property
    def work(self) -> float:
        return self._game.work

    def contributions(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        base, parts = self._game.contributions(self._encoder.added(X))
        found = parts[:, : self._players].copy()
        for pair, owners in enumerate(self._owners.tolist()):
            for owner in owners:
                found[:, owner] += parts[:, self._players + pair] / 2
        return base, found
