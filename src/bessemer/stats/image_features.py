"""A fixed vector of a small image: colours by place, directions of edges by place, brightness by colour."""

from __future__ import annotations

import numpy as np

from bessemer.stats.arrays import Floats

#: Pixels of a side, cells of a side, directions of edges, steps of brightness.
SIDE, CELLS, DIRECTIONS, STEPS = 32, 4, 8, 8

#: 48 colours, 128 directions, 24 shares.
WIDTH = CELLS * CELLS * (3 + DIRECTIONS) + 3 * STEPS


def image_features(pixels: Floats) -> Floats:
    """The vector (`WIDTH`,) of an image (`SIDE`, `SIDE`, 3) in [0, 1].

    First the mean colour of each cell, then how much its edges run in each direction (histograms of oriented gradients,
    Dalal and Triggs 2005, as shares of the whole image), then the shares of each step of brightness by colour.

    >>> flat = image_features(np.full((32, 32, 3), 0.5))
    >>> len(flat), flat[:2].tolist(), float(flat[48:176].sum())
    (200, [0.5, 0.5], 0.0)
    """
    colours = _cells(pixels)
    return np.concatenate([colours.reshape(-1), _edges(pixels).reshape(-1), _brightness(pixels).reshape(-1)])


def _cells(values: Floats) -> Floats:
    """Means over cells: (SIDE, SIDE, c) -> (CELLS, CELLS, c)."""
    size = SIDE // CELLS
    return np.asarray(values.reshape(CELLS, size, CELLS, size, -1).mean(axis=(1, 3)))


def _edges(pixels: Floats) -> Floats:
    """(CELLS, CELLS, DIRECTIONS): roots of shares, so that weak edges count, too."""
    rows, columns = np.gradient(pixels.mean(axis=2))
    strength = np.hypot(rows, columns)
    angle = np.arctan2(rows, columns) % np.pi  # an edge and its negative are one
    direction = np.minimum((angle / np.pi * DIRECTIONS).astype(np.int64), DIRECTIONS - 1)
    by_cell = _cells(strength[..., None] * (direction[..., None] == np.arange(DIRECTIONS)))
    return np.sqrt(by_cell / max(float(by_cell.sum()), 1e-9))


def _brightness(pixels: Floats) -> Floats:
    """(3, STEPS): the share of pixels in each step, by colour."""
    step = np.minimum((pixels * STEPS).astype(np.int64), STEPS - 1)
    return np.stack([np.bincount(step[..., c].reshape(-1), minlength=STEPS) / SIDE**2 for c in range(3)])
