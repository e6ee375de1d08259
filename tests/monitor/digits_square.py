"""The Square attack on scikit-learn's digits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

SIDE = 8


@dataclass(frozen=True)
class Attacked:
    """harmless: images that others ask, (n, 8, 8). asked: what each attack asks. succeeded: share of the attacks."""

    harmless: np.ndarray
    asked: list[np.ndarray]
    succeeded: float


def attacked_digits(attacks: int, reach: float = 3.0, most: int = 100) -> Attacked:
    """Real images, of 17 grey levels; a pixel may be moved by `reach` of them."""
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression

    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(images))
    images, labels = images[order], labels[order]
    model = LogisticRegression(max_iter=2000).fit(images[:1000], labels[:1000])
    found = [
        _square(model, images[i], labels[i], reach, most, np.random.default_rng(i))
        for i in range(1000, 1000 + attacks)
    ]
    return Attacked(
        images[:800].reshape(-1, SIDE, SIDE),
        [np.stack(asked).reshape(-1, SIDE, SIDE) for asked, _ in found if len(asked) > 1],
        float(np.mean([done for _, done in found])),
    )


def _square(
    model: Any, image: np.ndarray, label: int, reach: float, most: int, rng: np.random.Generator
) -> tuple[list[np.ndarray], bool]:
    """L-infinity (Andriushchenko et al. 2020): stripes first, then squares that grow smaller; what helps is kept."""

    def margin(one: np.ndarray) -> float:
        p = model.predict_proba(one.reshape(1, -1))[0]
        return float(np.log(p[label] + 1e-12) - np.log(np.delete(p, label).max() + 1e-12))

    origin = image.reshape(SIDE, SIDE)
    best = np.clip(origin + reach * rng.choice([-1.0, 1.0], (1, SIDE)), 0, 16)
    asked, least = [origin, best], margin(best)
    for turn in range(most):
        if least < 0:
            break
        side = max(1, round(SIDE * float(np.sqrt(0.3 * (1 - turn / most)))))
        top, left = rng.integers(0, SIDE - side + 1, 2)
        trial, place = best.copy(), (slice(top, top + side), slice(left, left + side))
        trial[place] = np.clip(origin[place] + reach * rng.choice([-1.0, 1.0]), 0, 16)
        asked.append(trial)
        if (found := margin(trial)) < least:
            best, least = trial, found
    return asked, least < 0
