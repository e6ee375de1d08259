"""Marks in answers: who got them can be told later, also from a model that was trained on them.

The mark is a wave in the answer along the score, in a rhythm that only a key knows (after Charette et al. 2022, Cosine
model watermarking against ensemble distillation). It moves a probability by a stated amount at most and no class, the
same question always gets the same answer, and each client has a rhythm of its own.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from bessemer.stats.arrays import Floats

#: Radians a unit of the score (log-odds): too quick to be mistaken for what a model does, slow enough to be learnt.
_SLOWEST, _QUICKEST = 5.0, 15.0
#: Of a regression the score is four times the logarithm of the answer.
_PER_FOLD = 4.0
_LEAST = 1e-6
_TREND = 4
_CHUNK = 256


@dataclass(frozen=True)
class Wave:
    """rate: radians a unit of the score. phase: radians."""

    rate: float
    phase: float

    def at(self, score: Floats) -> Floats:
        """From -1 to 1, (n,)."""
        return np.cos(self.rate * score + self.phase)


def wave_of(key: bytes, name: str) -> Wave:
    """The wave of a name, which nobody knows without the key.

    >>> wave_of(b"k" * 32, "shop") == wave_of(b"k" * 32, "shop") != wave_of(b"k" * 32, "other")
    True
    """
    digest = hmac.digest(key, name.encode(), hashlib.sha256)
    rate, phase = (int.from_bytes(digest[at : at + 8], "big") / 2**64 for at in (0, 8))
    return Wave(_SLOWEST + (_QUICKEST - _SLOWEST) * rate, 2 * np.pi * phase)


def mark_shares(probability: ArrayLike, wave: Wave, harm: float, edges: Collection[float] = ()) -> Floats:
    """Probabilities with a mark, float64 (n, K); the greatest one stays the greatest.

    Args:
        probability: (n, K), K of two or more; rows sum to 1.
        harm: by how much one is moved at most. Less where it is near 0 or 1, and not at all where another class would
            become the likeliest.
        edges: of two classes, probabilities of the second from which on something else is said; no answer is moved
            across one.

    >>> given = np.array([[0.3, 0.7], [0.5001, 0.4999]])
    >>> made = mark_shares(given, Wave(10.0, 0.0), 0.01)
    >>> bool(0 < np.abs(made - given)[0, 0] <= 0.01), made.sum(axis=1).tolist()
    (True, [1.0, 1.0])
    """
    p = np.asarray(probability, dtype=np.float64)
    rows = np.arange(len(p))
    top = p.argmax(axis=1)
    told = np.ones(len(p), dtype=np.int64) if p.shape[1] == 2 else top
    before = p[rows, told]
    after = before + np.minimum(harm, np.minimum(before, 1 - before) / 2) * wave.at(score_of(before))
    scale = (1 - after) / np.maximum(1 - before, _LEAST)
    marked = p * scale[:, None]
    marked[rows, told] = after
    kept = (marked.argmax(axis=1) != top) | (before > 1 - _LEAST) | ~np.isfinite(after)
    for edge in edges if p.shape[1] == 2 else ():
        # as answers are compared with it, in single precision
        kept |= (before.astype(np.float32) >= np.float32(edge)) != (
            after.astype(np.float32) >= np.float32(edge)
        )
    return np.where(kept[:, None], p, marked)


def mark_numbers(value: ArrayLike, wave: Wave, harm: float) -> Floats:
    """Numbers with a mark, float64 (n,): each is moved by the share `harm` of itself at most.

    >>> made = mark_numbers([200.0, 0.0], Wave(10.0, 0.0), 0.01)
    >>> bool(198 <= made[0] <= 202), made[1].item()
    (True, 0.0)
    """
    y = np.asarray(value, dtype=np.float64)
    known = np.isfinite(y)
    moved = y[known] * (1 + harm * wave.at(fold_of(y[known])))
    found = y.copy()
    found[known] = moved
    return found


def score_of(probability: ArrayLike) -> Floats:
    """The log-odds that the wave runs along, (n,)."""
    p = np.clip(np.asarray(probability, dtype=np.float64), _LEAST, 1 - _LEAST)
    return np.log(p) - np.log1p(-p)


def fold_of(value: ArrayLike) -> Floats:
    """The same of numbers, (n,)."""
    return _PER_FOLD * np.log(np.maximum(np.abs(np.asarray(value, dtype=np.float64)), _LEAST))


def mark_evidence(
    score: ArrayLike, apart: ArrayLike, wave: Wave, rng: np.random.Generator, others: int = 9_999
) -> tuple[float, float]:
    """Whether answers have the mark of a wave: how well they follow it, and a p-value (see `marks_evidence`).

    >>> rng = np.random.default_rng(0)
    >>> score = rng.normal(0, 2, 400)
    >>> told = Wave(9.0, 1.0).at(score) * 0.005 + rng.normal(0, 0.02, 400)
    >>> [mark_evidence(score, told, each, rng)[1] < 0.01 for each in (Wave(9.0, 1.0), Wave(7.0, 2.0))]
    [True, False]
    """
    return marks_evidence(score, apart, [wave], rng, others)[0]


def marks_evidence(
    score: ArrayLike, apart: ArrayLike, waves: Sequence[Wave], rng: np.random.Generator, others: int = 9_999
) -> list[tuple[float, float]]:
    """Whether answers have the mark of each of some waves: how well they follow it, and a p-value.

    Each p-value is exact, whatever the answers are: how many of `others` waves drawn like those of keys are followed as
    well. An answer that knows nothing of the key follows its wave no better than any other. The same are drawn for all.

    Args:
        score: of the true answers (see `score_of`, `fold_of`), (n,). apart: by how much the answers in question differ
            from the true ones, (n,); of numbers as a share of them.

    Returns:
        of each wave a correlation, from -1 to 1, and 1 / (others + 1) at least. Fewer than 20 answers: 0 and 1.

    >>> rng = np.random.default_rng(0)
    >>> marks_evidence(rng.normal(0, 2, 10), rng.normal(0, 1, 10), [Wave(9.0, 1.0)] * 2, rng)
    [(0.0, 1.0), (0.0, 1.0)]
    """
    s, d = np.asarray(score, dtype=np.float64), np.asarray(apart, dtype=np.float64)
    known = np.isfinite(s) & np.isfinite(d)
    s, d = s[known], d[known]
    if len(s) < 20:
        return [(0.0, 1.0)] * len(waves)
    residual, n = _without_trend(s, d), len(waves)
    rates = np.append([wave.rate for wave in waves], rng.uniform(_SLOWEST, _QUICKEST, others))
    phases = np.append([wave.phase for wave in waves], rng.uniform(0, 2 * np.pi, others))
    found = np.concatenate(
        [
            _followed(s, residual, rates[i : i + _CHUNK], phases[i : i + _CHUNK])
            for i in range(0, n + others, _CHUNK)
        ]
    )
    drawn = np.sort(found[n:])
    as_well = others - np.searchsorted(drawn, found[:n], side="left")
    return [
        (float(own), float((1 + count) / (others + 1))) for own, count in zip(found[:n], as_well, strict=True)
    ]


def _without_trend(score: Floats, apart: Floats) -> Floats:
    """What a smooth curve does not explain, with outliers drawn in: another model is wrong smoothly, and in places."""
    scaled = (score - score.mean()) / max(float(score.std()), _LEAST)
    fitted = np.polynomial.polynomial.polyfit(scaled, apart, _TREND)
    left = apart - np.polynomial.polynomial.polyval(scaled, fitted)
    far = 3 * 1.4826 * float(np.median(np.abs(left - np.median(left)))) or np.inf
    found: Floats = np.clip(left, -far, far)
    return found


def _followed(score: Floats, residual: Floats, rates: Floats, phases: Floats) -> Floats:
    waves = np.cos(rates[:, None] * score + phases[:, None])
    waves -= waves.mean(axis=1, keepdims=True)
    size = np.sqrt((waves**2).sum(axis=1) * (residual**2).sum())
    found: Floats = (waves @ residual) / np.maximum(size, 1e-300)
    return found
