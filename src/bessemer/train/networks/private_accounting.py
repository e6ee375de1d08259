"""How much noise an epsilon asks for, and what epsilon some noise gives: by the accountants of Opacus."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from bessemer.core.errors import UsageError

if TYPE_CHECKING:
    from bessemer.train.private import PrivateSpec

#: How far below what was asked the epsilon may be, in parts of it, or of 1.
_NEAR = 0.01


@dataclass(frozen=True)
class Budget:
    """What a training spends.

    noise: its spread, in lengths of a row's longest gradient (the noise multiplier).
    epsilon: that follows for all steps, no more than what was asked for.
    rate, steps: the chance of a row to be in a step, and how many steps there are.
    """

    noise: float
    epsilon: float
    rate: float
    steps: int


@lru_cache(maxsize=64)
def budget_of(asked: PrivateSpec, rate: float, steps: int) -> Budget:
    """The least noise that keeps to what was asked, for Poisson sampling and one row more or less.

    Raises:
        UsageError: no noise that can be computed with does.
    """
    from opacus.accountants.utils import get_noise_multiplier

    with _quiet():
        try:
            noise = get_noise_multiplier(
                target_epsilon=asked.epsilon,
                target_delta=asked.delta,
                sample_rate=rate,
                steps=steps,
                accountant=asked.accountant,
                epsilon_tolerance=_NEAR * min(1.0, asked.epsilon),
            )
            epsilon = epsilon_of(float(noise), rate, steps, asked.delta, asked.accountant)
        except (ValueError, RuntimeError, OverflowError, MemoryError) as error:
            raise UsageError(
                f"private: the accountant {asked.accountant} finds no noise for epsilon {asked.epsilon:g} and "
                f"delta {asked.delta:g} in {steps} steps of {rate:.3g} of the rows",
                why=str(error),
                fix="ask for a larger epsilon, fewer `epochs`, or say `accountant: rdp`",
            ) from None
    return Budget(float(noise), epsilon, rate, steps)


def epsilon_of(noise: float, rate: float, steps: int, delta: float, accountant: str) -> float:
    """The epsilon of so many steps."""
    from opacus.accountants import create_accountant

    own: Any = create_accountant(accountant)
    own.history = [(noise, rate, steps)]
    with _quiet():
        return float(own.get_epsilon(delta=delta))


@contextmanager
def _quiet() -> Iterator[None]:
    """What the library warns of, orders of Renyi's divergence at the end of its list, makes bounds wider, not wrong."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
