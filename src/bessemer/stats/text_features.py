"""What texts are made of: the shares of their words and of their runs of three bytes, hashed into few buckets."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bessemer.stats.arrays import Floats, Ints

#: Buckets of words, and as many of runs of three bytes.
BUCKETS = 128

_PRIME = 0x01000193  # of FNV-1a
_MIX = 0x9E3779B1
_LETTER = np.array([c >= 128 or chr(c).isalnum() for c in range(256)])


def text_features(data: NDArray[np.uint8], starts: Ints) -> Floats:
    """Features of texts (n, 2 * `BUCKETS`), >= 0: of each half the parts sum to 1, or to 0 where a text has none.

    Args:
        data: their bytes in UTF-8, one text after the other. starts: (n + 1,) where each starts and the last one ends.

    Words are runs of letters, digits and what is beyond ASCII. Fold case before, if at all.

    >>> made = text_features(np.frombuffer(b"red wineno", np.uint8), np.array([0, 8, 10]))
    >>> made.shape, made[:, :128].sum(axis=1).tolist(), made[:, 128:].sum(axis=1).tolist()
    ((2, 256), [1.0, 1.0], [1.0, 0.0])
    """
    texts = len(starts) - 1
    rows = np.repeat(np.arange(texts), np.diff(starts))
    data = data[starts[0] : starts[-1]]
    if not len(data):
        return np.zeros((texts, 2 * BUCKETS))
    halves = (_shares(*_words(data, rows), texts), _shares(*_triples(data, rows), texts))
    return np.concatenate(halves, axis=1)


def _words(data: NDArray[np.uint8], rows: Ints) -> tuple[Ints, Ints]:
    """The row and the bucket of each word: a polynomial of its bytes, modulo 2^32."""
    letters = _LETTER[data]
    first = letters.copy()
    first[1:] &= ~letters[:-1] | (rows[1:] != rows[:-1])
    at = np.flatnonzero(letters)
    begins = np.flatnonzero(first)
    if not len(begins):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    bounds = np.searchsorted(at, begins)
    place = np.arange(len(at)) - np.repeat(bounds, np.diff(np.append(bounds, len(at))))
    powers = np.cumprod(np.full(int(place.max()) + 1, _PRIME, dtype=np.uint32), dtype=np.uint32)
    terms = (data[at].astype(np.uint32) + np.uint32(1)) * powers[place]
    return rows[begins], _bucket(np.add.reduceat(terms, bounds, dtype=np.uint32))


def _triples(data: NDArray[np.uint8], rows: Ints) -> tuple[Ints, Ints]:
    """The row and the bucket of each run of three bytes within a text."""
    within = rows[2:] == rows[:-2]
    a, b, c = (part.astype(np.uint32) for part in (data[:-2], data[1:-1], data[2:]))
    return rows[2:][within], _bucket((a << 16 | b << 8 | c)[within])


def _bucket(hashes: NDArray[np.uint32]) -> Ints:
    mixed = (hashes ^ (hashes >> np.uint32(15))) * np.uint32(_MIX)
    return np.asarray(mixed >> np.uint32(25), dtype=np.int64)  # the 7 highest bits: 128 buckets


def _shares(rows: Ints, buckets: Ints, texts: int) -> Floats:
    counts = np.bincount(rows * BUCKETS + buckets, minlength=texts * BUCKETS).reshape(texts, BUCKETS)
    return np.asarray(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))
