"""Attacks on a model that answers questions: what they ask, in the order in which they ask it.

A row is one place in each column: numbers as float64, everything else as objects. `ask` gives the probability of the
positive class for rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Rows = dict[str, np.ndarray]
Ask = Callable[[Rows], np.ndarray]


def size(rows: Mapping[str, np.ndarray]) -> int:
    return len(next(iter(rows.values())))


def take(rows: Mapping[str, np.ndarray], at: Any) -> Rows:
    return {name: np.atleast_1d(values[at]) for name, values in rows.items()}


def joined(parts: list[Rows]) -> Rows:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


@dataclass
class Domain:
    """What an attacker knows of the inputs: the numbers' range and spread, and what else there is to say."""

    low: dict[str, float]
    high: dict[str, float]
    spread: dict[str, float]
    values: dict[str, np.ndarray]
    whole: frozenset[str]

    @classmethod
    def of(cls, rows: Rows) -> Domain:
        numbers = {name: values for name, values in rows.items() if values.dtype.kind == "f"}
        known = {name: values[np.isfinite(values)] for name, values in numbers.items()}
        kinds = {
            n: np.array(sorted({v for v in rows[n] if v}), dtype=object) for n in rows if n not in numbers
        }
        return cls(
            {name: float(values.min()) for name, values in known.items()},
            {name: float(values.max()) for name, values in known.items()},
            {name: float(values.std()) for name, values in known.items()},
            kinds,
            frozenset(name for name, values in known.items() if (values == np.rint(values)).all()),
        )

    @property
    def numbers(self) -> list[str]:
        return list(self.low)

    def scaled(self, rows: Rows) -> np.ndarray:
        """The numbers in standard deviations, (n, numbers)."""
        return np.stack([np.nan_to_num(rows[name]) / self.spread[name] for name in self.numbers], axis=1)

    def moved(self, rows: Rows, points: np.ndarray) -> Rows:
        """Rows with other numbers."""
        found = {
            n: np.clip(points[:, i] * self.spread[n], self.low[n], self.high[n])
            for i, n in enumerate(self.numbers)
        }
        return {**take(rows, np.zeros(len(points), dtype=int) if size(rows) == 1 else slice(None)), **found}

    def encoded(self, rows: Rows) -> np.ndarray:
        """All of a row as numbers, for a surrogate."""
        kinds = [(rows[name][:, None] == values).astype(float) for name, values in self.values.items()]
        return np.concatenate([self.scaled(rows), *kinds], axis=1)


def uniform(domain: Domain, n: int, rng: np.random.Generator) -> Rows:
    """Each value drawn evenly from its own domain, whole numbers where those are whole (Tramèr et al. 2016)."""
    found: Rows = {}
    for name in domain.numbers:
        values = rng.uniform(domain.low[name], domain.high[name], n)
        found[name] = np.rint(values) if name in domain.whole else values
    return found | {name: rng.choice(values, n) for name, values in domain.values.items()}


def shuffled(rows: Rows, n: int, rng: np.random.Generator) -> Rows:
    """Each value as often as in real rows, but put together at random."""
    return {name: values[rng.integers(0, len(values), n)] for name, values in rows.items()}


def jacobian(
    ask: Ask, domain: Domain, seeds: Rows, rounds: int, step: float, rng: np.random.Generator
) -> Iterator[Rows]:
    """Jacobian-based augmentation (Papernot et al. 2017): train a surrogate, and step where its answer changes most."""
    from sklearn.neural_network import MLPClassifier

    known, labels = seeds, ask(seeds) > 0.5
    yield seeds
    for _ in range(rounds):
        if len(set(labels.tolist())) < 2:
            return
        network = MLPClassifier((32,), max_iter=200, random_state=0, early_stopping=True)
        network.fit(domain.encoded(known), labels)
        slopes = np.sign(_slopes(network, domain, known))
        new = domain.moved(known, domain.scaled(known) + step * slopes * np.where(labels, -1, 1)[:, None])
        yield new
        known, labels = joined([known, new]), np.concatenate([labels, ask(new) > 0.5])


def _slopes(network: Any, domain: Domain, rows: Rows, reach: float = 1e-3) -> np.ndarray:
    x = domain.encoded(rows)
    here = network.predict_proba(x)[:, 1]
    found = np.zeros((len(x), len(domain.numbers)))
    for i in range(len(domain.numbers)):
        there = x.copy()
        there[:, i] += reach
        found[:, i] = network.predict_proba(there)[:, 1] - here
    return found


class Asking:
    """Counts what is asked for; an attacker sees the class only."""

    def __init__(self, ask: Ask, domain: Domain, row: Rows) -> None:
        self._ask, self._domain, self._row = ask, domain, row
        self.asked: list[Rows] = []

    def __call__(self, points: np.ndarray) -> np.ndarray:
        rows = self._domain.moved(self._row, np.atleast_2d(points))
        self.asked.append(rows)
        return self._ask(rows) > 0.5


def hop_skip_jump(
    ask: Ask, domain: Domain, row: Rows, other: np.ndarray, rounds: int, rng: np.random.Generator
) -> Rows:
    """HopSkipJump (Chen, Jordan, Wainwright 2020) on the numbers of one row, from a point of another class."""
    asking = Asking(ask, domain, row)
    origin = domain.scaled(row)[0]
    usual = asking(origin)[0]
    if asking(other)[0] == usual:
        return joined(asking.asked)
    point = _edge(asking, usual, origin, other)
    for turn in range(1, rounds + 1):
        far = float(np.linalg.norm(point - origin))
        ways = rng.normal(size=(int(20 * np.sqrt(turn)), len(origin)))
        ways /= np.linalg.norm(ways, axis=1, keepdims=True)
        sides = np.where(asking(point + far / len(origin) * ways) != usual, 1.0, -1.0)
        slope = (sides - sides.mean()) @ ways if abs(sides.mean()) < 1 else sides.mean() * ways.mean(axis=0)
        slope /= max(float(np.linalg.norm(slope)), 1e-12)
        step = far / np.sqrt(turn)
        while step > 1e-4 and asking(point + step * slope)[0] == usual:
            step /= 2
        if step > 1e-4:
            point = _edge(asking, usual, origin, point + step * slope)
    return joined(asking.asked)


def _edge(asking: Asking, usual: bool, inside: np.ndarray, outside: np.ndarray) -> np.ndarray:
    low, high = 0.0, 1.0
    for _ in range(10):
        middle = (low + high) / 2
        if asking(inside + (outside - inside) * middle)[0] == usual:
            low = middle
        else:
            high = middle
    return inside + (outside - inside) * high


def square(ask: Ask, domain: Domain, row: Rows, reach: float, most: int, rng: np.random.Generator) -> Rows:
    """The Square attack (Andriushchenko et al. 2020) on a row: at random some numbers go to an end of their reach,
    fewer as time goes on; what brings the probability nearer to the other side is kept."""
    origin = domain.scaled(row)[0]
    asked = [row]
    best = float(ask(row)[0])
    aim, point = best > 0.5, origin
    for turn in range(most):
        part = max(1, round(len(origin) * 0.8 * (1 - turn / most)))
        trial = point.copy()
        at = rng.permutation(len(origin))[:part]
        trial[at] = origin[at] + reach * rng.choice([-1.0, 1.0], part)
        rows = domain.moved(row, trial[None])
        asked.append(rows)
        said = float(ask(rows)[0])
        if (said < best) == aim and said != best:
            best, point = said, trial
    return joined(asked)
