"""Drift of embeddings: vectors of texts, images or sounds against those of a reference, of which no vector is kept."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from bessemer.core.blas import one_thread
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
            DataError: they are not rows of finite numbers, these are too great, they are too few, or all are the same.
        """
        values = _checked(vectors)
        count = min(FEATURES, len(values) // ROWS_A_FEATURE)
        if count < LEAST_FEATURES:
            least = LEAST_FEATURES * ROWS_A_FEATURE
            raise DataError(f"{len(values)} vectors are too few for a reference", fix=f"give {least} or more")
        with np.errstate(over="ignore", invalid="ignore"):
            # as JSON keeps it, so that what comes back from there measures alike
            centre = values.mean(axis=0).astype(np.float32).astype(np.float64)
            scale = float(np.sqrt(values.var(axis=0).sum()))
        if not (np.isfinite(centre).all() and np.isfinite(scale)):
            raise DataError(
                "numbers are too great to be measured", fix="give vectors as the model makes them"
            )
        if not scale > 0:
            raise DataError("all vectors are the same", fix="give vectors that differ")
        empty = MeanFeatures(0, np.zeros(count), np.zeros((count, count)))
        return cls(centre, scale, empty).merged(values)

    @one_thread()
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

    @one_thread()
    def compare(self, vectors: ArrayLike) -> Discrepancy:
        """The maximum mean discrepancy of vectors (m, d), m of 50 or more, from the reference, and its p-value.

        Raises:
            DataError: they are not rows of d finite numbers, one is too far away to be measured, they are too few, or
                the reference has too few.
        """
        values = self._own(vectors)
        least = ROWS_A_FEATURE * len(self.features.mean)
        if self.features.rows < least:
            raise DataError(
                f"the reference has {self.features.rows} vectors, too few to compare with",
                fix=f"fill it by `merged` or `added` with {least} or more",
            )
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
            features = MeanFeatures(operator.index(value["rows"]), mean, covariance)
            found = cls(unpack(value["centre"]), float(value["scale"]), features)
            found._check()
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise FormatError(
                "this is no reference of embeddings", why=str(error), fix="make it again"
            ) from error
        return found

    def _check(self) -> None:
        """Raises ValueError where it could not have been made by `of`."""
        mean, covariance = self.features.mean, self.features.covariance
        if self.features.rows < 0 or not len(self.centre) or not LEAST_FEATURES <= len(mean) <= FEATURES:
            raise ValueError(
                f"{self.features.rows} vectors of {len(self.centre)} numbers, {len(mean)} features of them"
            )
        if not all(np.isfinite(part).all() for part in (self.centre, mean, covariance)):
            raise ValueError("numbers are NaN or infinite")
        if not (np.isfinite(self.scale) and self.scale > 0):
            raise ValueError(f"the scale is {self.scale}")
        if not np.allclose(covariance, covariance.T) or (np.diag(covariance) < 0).any():
            raise ValueError("the covariance is none")

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
        with np.errstate(over="ignore", invalid="ignore"):
            phases = ((values - self.centre) / self.scale @ weights).astype(np.float32)
        if not np.isfinite(phases).all():
            far = values[~np.isfinite(phases).all(axis=1)]
            raise DataError(
                f"{len(far)} of the vectors are too far away to be measured: a number is {np.abs(far).max():.3g}",
                fix="leave them out, or find out why the model makes them",
            )
        return cosines(phases, _LABEL)


def _checked(vectors: ArrayLike) -> Floats:
    try:
        values = np.asarray(vectors, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(
            "embeddings are rows of numbers, all of one length",
            why=str(error)[:200],
            fix="give an array (n, d)",
        ) from error
    if values.ndim != 2 or not values.size or not np.isfinite(values).all():
        raise DataError(
            f"embeddings are rows of finite numbers, and this has the shape {values.shape}",
            fix="give an array (n, d) without NaN or infinity",
        )
    return values
