"""Drift of embeddings: vectors of texts, images or sounds against those of a reference, of which no vector is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from bessemer.core.errors import DataError, FormatError
from bessemer.stats.arrays import Floats
from bessemer.stats.mean_features import ROWS_A_FEATURE, Discrepancy, MeanFeatures, MeanTest
from bessemer.stats.packed import pack, unpack
from bessemer.stats.random_features import cosines, frequencies

FORMAT = 1

#: Random features of a vector, at most; and the fewest that are worth it.
FEATURES, LEAST_FEATURES = 128, 8

_LABEL = "bessemer embedding"
_BATCH = 4096


@dataclass(frozen=True)
class EmbeddingReference:
    """What is kept of the embeddings of a reference: the mean and covariance of random Fourier features of them.

    centre: (d,) the mean vector. scale: the root of the summed variances: distances are measured in it.
    features: their mean (k,) and covariance (k, k), and of how many vectors.

    >>> rng = np.random.default_rng(0)
    >>> reference = EmbeddingReference.of(rng.normal(size=(2000, 16)))
    >>> reference.compare(rng.normal(size=(500, 16))).p_value > 0.01
    True
    >>> reference.compare(rng.normal(size=(500, 16)) * 1.2).p_value < 1e-6
    True
    """

    centre: Floats
    scale: float
    features: MeanFeatures

    @classmethod
    def of(cls, vectors: ArrayLike) -> EmbeddingReference:
        """The reference of vectors, float (n, d); n is 400 or more, 6,400 for all 128 features.

        Raises:
            DataError: they are not rows of finite numbers, they are too few, or all are the same.
        """
        values = _checked(vectors)
        count = min(FEATURES, len(values) // ROWS_A_FEATURE)
        if count < LEAST_FEATURES:
            least = LEAST_FEATURES * ROWS_A_FEATURE
            raise DataError(f"{len(values)} vectors are too few for a reference", fix=f"give {least} or more")
        centre = values.mean(axis=0)
        scale = float(np.sqrt(values.var(axis=0).sum()))
        if not scale > 0:
            raise DataError("all vectors are the same", fix="give vectors that differ")
        empty = MeanFeatures(0, np.zeros(count), np.zeros((count, count)))
        return cls(centre, scale, empty).merged(values)

    def merged(self, vectors: ArrayLike) -> EmbeddingReference:
        """The reference with more vectors (n, d): as if they had been there, but for where the centre is."""
        found = self.features
        values = self._own(vectors)
        for start in range(0, len(values), _BATCH):
            found = found.merged(MeanFeatures.of(self._features(values[start : start + _BATCH])))
        return replace(self, features=found)

    def added(self, other: EmbeddingReference) -> EmbeddingReference:
        """Both together.

        Raises:
            DataError: they do not measure alike: one must come of the other, by `empty` and `merged`.
        """
        if not np.array_equal(self.centre, other.centre) or self.scale != other.scale:
            raise DataError(
                "the two references measure by different centres", fix="make one with `empty()` of the other"
            )
        return replace(self, features=self.features.merged(other.features))

    def empty(self) -> EmbeddingReference:
        """One without vectors that measures as this one does: fill several by `merged`, then add them."""
        k = len(self.features.mean)
        return replace(self, features=MeanFeatures(0, np.zeros(k), np.zeros((k, k))))

    def compare(self, vectors: ArrayLike) -> Discrepancy:
        """The maximum mean discrepancy of vectors (m, d), m of 50 or more, from the reference, and its p-value.

        Raises:
            DataError: they are not rows of d finite numbers, or too few.
        """
        values = self._own(vectors)
        test = MeanTest.whitened(self.features)
        seen = test.seen(self._features(values[:_BATCH]))
        for start in range(_BATCH, len(values), _BATCH):
            seen = seen.merged(test.seen(self._features(values[start : start + _BATCH])))
        found = test.compare(seen)
        if found is None:
            raise DataError(f"{len(values)} vectors are too few to compare", fix="give 50 or more")
        return found

    def to_json(self) -> dict[str, Any]:
        """JSON, about 180 kB for 128 features; `from_json` gives the same to float32."""
        return {
            "format": FORMAT,
            "rows": self.features.rows,
            "scale": self.scale,
            "centre": pack(self.centre),
            "mean": pack(self.features.mean),
            "covariance": pack(self.features.covariance),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> EmbeddingReference:
        """What `to_json` gave.

        Raises:
            FormatError: it is not that.
        """
        try:
            if value["format"] != FORMAT:
                raise ValueError(f"format {value['format']}; this version reads {FORMAT}")
            mean = unpack(value["mean"])
            covariance = unpack(value["covariance"]).reshape(len(mean), len(mean))
            features = MeanFeatures(int(value["rows"]), mean, covariance)
            return cls(unpack(value["centre"]), float(value["scale"]), features)
        except (KeyError, TypeError, ValueError) as error:
            raise FormatError(
                "this is no reference of embeddings", why=str(error), fix="make it again"
            ) from error

    def _own(self, vectors: ArrayLike) -> Floats:
        values = _checked(vectors)
        if values.shape[1] != len(self.centre):
            raise DataError(
                f"the vectors have {values.shape[1]} numbers each, those of the reference {len(self.centre)}",
                fix="make them with the same model",
            )
        return values

    def _features(self, values: Floats) -> Floats:
        count = len(self.features.mean)
        weights = np.stack([frequencies(f"{_LABEL}\0{i}", count) for i in range(values.shape[1])])
        return cosines(((values - self.centre) / self.scale @ weights).astype(np.float32), _LABEL)


def _checked(vectors: ArrayLike) -> Floats:
    values = np.asarray(vectors, dtype=np.float64)
    if values.ndim != 2 or not values.size or not np.isfinite(values).all():
        raise DataError(
            f"embeddings are rows of finite numbers, and this has the shape {values.shape}",
            fix="give an array (n, d) without NaN or infinity",
        )
    return values
