"""How much noise an epsilon asks for, and what epsilon some noise gives: by the accountants of Opacus."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from bessemer.core.errors import UsageError

if TYPE_CHECKING:
    from bessemer.train.private import PrivateSpec

#: How far below what was asked the epsilon may be, in parts of it.
_NEAR = 0.01
#: Halvings of a search, and the most noise that is looked at.
_HALVINGS, _MOST = 40, 1e6
#: Numeric composition is looked for down to this part of what Renyi's divergence asks for, in so many halvings, and on
#: no more points than this: their number grows with the steps and with epsilon.
_TIGHTER, _COMPOSED, _POINTS = 0.75, 5, 2**20
#: Orders of Renyi's divergence: Opacus's own, and larger ones, without which there is no small epsilon.
_ORDERS = [1 + x / 10 for x in range(1, 100)] + [*range(12, 64), 80, 128, 256, 512]


@dataclass(frozen=True)
class Budget:
    """What a training spends.

    noise: its spread, in lengths of a row's longest gradient (the noise multiplier).
    epsilon: that follows for all steps, no more than what was asked for.
    rate, steps: the chance of a row to be in a step, and how many steps there are.
    accountant: that it was computed by.
    """

    noise: float
    epsilon: float
    rate: float
    steps: int
    accountant: str


@lru_cache(maxsize=64)
def budget_of(asked: PrivateSpec, rate: float, steps: int) -> Budget:
    """The least noise that keeps to what was asked, for Poisson sampling and one row more or less.

    Raises:
        UsageError: no noise that can be computed with does.
    """

    def spent(accountant: str) -> Callable[[float], float]:
        return lambda noise: epsilon_of(noise, rate, steps, asked.delta, accountant, asked.epsilon)

    low, high = 0.0, 1.0
    while not spent("rdp")(high) <= asked.epsilon:
        low, high = high, 2 * high
        if high > _MOST:
            raise UsageError(
                f"private: no noise keeps to epsilon {asked.epsilon:g} and delta {asked.delta:g} in {steps} steps of "
                f"{rate:.3g} of the rows",
                why=f"not even {_MOST:g} times the length of a row's gradient, as far as can be computed",
                fix="ask for a larger epsilon, or fewer `epochs`",
            )
    noise = _least(spent("rdp"), asked.epsilon, low, high, _HALVINGS)
    plain = Budget(noise, spent("rdp")(noise), rate, steps, "rdp")
    if asked.accountant == "rdp" or not spent("prv")(noise) <= asked.epsilon:
        return plain
    noise = _least(spent("prv"), asked.epsilon, _TIGHTER * noise, noise, _COMPOSED)
    return Budget(noise, spent("prv")(noise), rate, steps, "prv")


def _least(spent: Callable[[float], float], epsilon: float, low: float, high: float, halvings: int) -> float:
    """Noise that spends no more than epsilon and next to it, as `high` does and `low` does not."""
    for _ in range(halvings):
        middle = (low + high) / 2
        found = spent(middle)
        low, high = (low, middle) if found <= epsilon else (middle, high)
        if (1 - _NEAR) * epsilon <= found <= epsilon:
            break
    return high


def epsilon_of(
    noise: float, rate: float, steps: int, delta: float, accountant: str, near: float = 1.0
) -> float:
    """The epsilon of so many steps, never too small; infinite where it takes too many points to compute it.

    near: about the epsilon that is expected: a hundredth of it, or of 1, is how exactly `prv` computes.
    """
    from opacus.accountants import create_accountant

    error = _NEAR * max(1.0, near)
    with _quiet():
        if accountant == "prv" and _points(noise, rate, steps, delta, error) > _POINTS:
            return math.inf
        own: Any = create_accountant(accountant)
        own.history = [(noise, rate, steps)]
        more = {"eps_error": error} if accountant == "prv" else {"alphas": _ORDERS}
        try:
            return float(own.get_epsilon(delta=delta, **more))
        except (ValueError, RuntimeError, OverflowError):
            return math.inf


def _points(noise: float, rate: float, steps: int, delta: float, error: float) -> float:
    """On how many points `prv` composes: its domain by its mesh, as Opacus chooses them."""
    from opacus.accountants.analysis.prv import PoissonSubsampledGaussianPRV, compute_safe_domain_size

    least = delta / 1000
    half = compute_safe_domain_size([PoissonSubsampledGaussianPRV(rate, noise)], [steps], error, least)
    return 2 * float(half) * math.sqrt(steps * math.log(12 / least) / 2) / error


@contextmanager
def _quiet() -> Iterator[None]:
    """What the library warns of, orders of Renyi's divergence at the end of its list, makes bounds wider, not wrong."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
