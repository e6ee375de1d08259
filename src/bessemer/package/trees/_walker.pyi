"""Types of the C extension `_walker.c`, which is there only where it was compiled."""

import numpy as np

class Walker:
    """Trees, ready to be walked; made of what `kernel.arrays_of` gives.

    Raises:
        ValueError: they are no trees: a number is out of range, a node has two places or none.
    """

    def __new__(
        cls,
        features: int,
        targets: int,
        width: int,
        root: np.ndarray,
        feature: np.ndarray,
        threshold: np.ndarray,
        missing_left: np.ndarray,
        left: np.ndarray,
        right: np.ndarray,
        value: np.ndarray,
        target: np.ndarray,
        base: np.ndarray,
    ) -> Walker: ...
    @property
    def features(self) -> int:
        """How many features a row must have at least."""

    @property
    def targets(self) -> int:
        """K"""

    def score(self, x: np.ndarray, out: np.ndarray) -> None:
        """Walk every row of x (N, F) float32 and write the sums to out (N, K) float32."""

def join(out: np.ndarray, finite: bool, *parts: np.ndarray) -> None:
    """Parts (N, C) float32 side by side into out; where `finite`, infinities become NaN."""

def affine(x: np.ndarray, steps: np.ndarray) -> None:
    """x (N, 1) float32 becomes x * c or x + c for each step (kind, c) of steps (M, 2); kind is 0 for a sum."""

def classify(score: np.ndarray, probability: np.ndarray, index: np.ndarray, mode: int) -> None:
    """score (N, 1) -> probability (N, 2) by the logistic function, and index (N,) int64: where it is at least 0.5."""
