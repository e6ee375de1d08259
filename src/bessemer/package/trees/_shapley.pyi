"""Types of the C extension `_shapley.c`, which is there only where it was compiled."""

import numpy as np

class Leaves:
    """Trees whose leaves give to players; T trees with B branches and L = B + T leaves in all, made by `tabled.py`.

    Raises:
        ValueError: they are no trees, or an array is of another length or type than the others need.
    """

    def __new__(
        cls,
        features: int,
        columns: int,
        branches: np.ndarray,
        feature: np.ndarray,
        threshold: np.ndarray,
        missing_left: np.ndarray,
        left: np.ndarray,
        right: np.ndarray,
        bit: np.ndarray,
        value: np.ndarray,
        players: np.ndarray,
        width: np.ndarray,
        column: np.ndarray,
        table: np.ndarray,
    ) -> Leaves: ...
    def add(self, x: np.ndarray, out: np.ndarray) -> None:
        """Add what the tables say of every row of x (N, F) float32 to out (N, C) float64."""

    def patterns(self, x: np.ndarray, out: np.ndarray) -> None:
        """The pattern of every row at every leaf, to out (N, L) uint32."""

    def sums(self, x: np.ndarray, out: np.ndarray) -> None:
        """Add the trees' values of every row to out (N, 1) float64."""

    def against(self, x: np.ndarray, background: np.ndarray, weight: np.ndarray, out: np.ndarray) -> None:
        """Add each row's values against each row of background (B, F) float32, times weight (N or 1, B) float64."""
