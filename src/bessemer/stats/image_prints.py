"""Fingerprints of images: how alike one is to those that were asked before, whatever noise an attacker adds."""

from __future__ import annotations

from collections import OrderedDict, defaultdict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bessemer.stats.arrays import Ints

_GOLDEN = 0x9E3779B97F4A7C15


def image_prints(
    images: ArrayLike, *, window: int = 20, step: float = 50.0, stride: int = 1, kept: int = 50
) -> NDArray[np.uint64]:
    """The fingerprints of images: uint64 (n, kept).

    Blacklight (Li et al. 2022, USENIX Security): pixels in coarse steps, flattened; a hash of every window of
    neighbours; of those the greatest, which are as
    good as drawn at random and the same for the same windows; windows of one value only are left out. Two
    images that differ in few pixels, or by less than a step, share most of them.

    Args:
        images: (n, ...) numbers. window: values a hash is of. step: width of a coarse step, in the images' own unit.
        stride: how far windows are apart. kept: how many hashes of an image are kept; an image with fewer windows has
            zeros for the rest.

    Raises:
        ValueError: an image has fewer values than a window.

    >>> image = np.arange(100) % 16
    >>> first, second = image_prints(np.stack([image, image]), window=8, step=4, kept=10)
    >>> bool((first == second).all())
    True
    """
    values = np.asarray(images, dtype=np.float64)
    flat = np.floor(values.reshape(len(values), -1) / step).astype(np.int64).astype(np.uint64)
    if flat.shape[1] < window:
        raise ValueError(f"an image has {flat.shape[1]} values and a window {window}")
    windows = np.lib.stride_tricks.sliding_window_view(flat, window, axis=1)[:, ::stride]
    total = np.zeros(windows.shape[:2], dtype=np.uint64)
    for place in range(window):
        total = _mixed(total ^ (windows[:, :, place] + np.uint64((place + 1) * _GOLDEN % 2**64)))
    total[(windows == windows[:, :, :1]).all(axis=2)] = 0  # an empty border is everybody's
    found = np.zeros((len(flat), kept), dtype=np.uint64)
    for row, hashes in zip(found, total, strict=True):
        greatest = np.setdiff1d(hashes, [np.uint64(0)])[::-1][:kept]  # one that is there twice says it once
        row[: len(greatest)] = greatest
    return found


def _mixed(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    x = (x ^ (x >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    x = (x ^ (x >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return x ^ (x >> np.uint64(33))


class SeenImages:
    """The fingerprints of the last images.

    most: how many images are remembered; the oldest are forgotten first.

    >>> seen = SeenImages(most=2)
    >>> seen.add(np.uint64([[5, 7, 9], [5, 7, 8], [1, 2, 3]])).tolist()
    [0, 2, 0]
    """

    def __init__(self, most: int = 10_000) -> None:
        self._most, self._next = most, 0
        self._images: OrderedDict[int, list[int]] = OrderedDict()
        self._by_print: defaultdict[int, list[int]] = defaultdict(list)

    def add(self, prints: NDArray[np.uint64]) -> Ints:
        """How many fingerprints each image, (n, kept), shares with the earlier one that it shares most with, (n,)."""
        return np.array([self._one([p for p in row if p]) for row in prints.tolist()], dtype=np.int64)

    def _one(self, prints: list[int]) -> int:
        votes: defaultdict[int, int] = defaultdict(int)
        for each in prints:
            for image in self._by_print.get(each, ()):
                votes[image] += 1
        self._remember(prints)
        return max(votes.values(), default=0)

    def _remember(self, prints: list[int]) -> None:
        if len(self._images) >= self._most:
            oldest, gone = self._images.popitem(last=False)
            for each in gone:
                self._by_print[each].remove(oldest)
                if not self._by_print[each]:
                    del self._by_print[each]
        self._images[self._next] = prints
        for each in prints:
            self._by_print[each].append(self._next)
        self._next += 1
