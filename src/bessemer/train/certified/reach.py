"""How far an attacker may move each feature: the budget and the constraints of raw columns, as the trees see them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bessemer.core.constraints import Limit
from bessemer.core.signature import Field, Signature
from bessemer.train.certified.settings import CertifiedSettings

if TYPE_CHECKING:
    from bessemer.core.artifact import Artifact

Floats = npt.NDArray[np.float64]
Floats32 = npt.NDArray[np.float32]
#: What a signature calls numbers.
_NUMBERS = ("integer", "number")
#: Rows of the training matrix that are looked at together.
_ROWS = 65_536


@dataclass(frozen=True)
class Reach:
    """Where each of F features may be moved, whatever becomes of the others.

    down, up: (F,) float32, how far from a row's own value; 0 where it stays, infinity for anywhere.
    low, high: (F,) float32, between which a moved value lies.
    gone: (F,) bool, whether a value may be left out, or filled in where it is missing.
    """

    settings: CertifiedSettings
    down: Floats32
    up: Floats32
    low: Floats32
    high: Floats32
    gone: npt.NDArray[np.bool_]

    def of(self, features: npt.NDArray[np.int64]) -> Reach:
        """That of some features alone."""
        down, up, low, high = (each[features] for each in (self.down, self.up, self.low, self.high))
        return Reach(self.settings, down, up, low, high, self.gone[features])

    def ends(self, X: Floats32) -> tuple[Floats32, Floats32]:
        """The least and the greatest value of each feature of rows (N, F); NaN where one is missing and stays so."""
        with np.errstate(invalid="ignore"):  # of an infinite value, moved anywhere
            least = np.fmin(X, np.fmax(X - self.down, self.low))
            most = np.fmax(X, np.fmin(X + self.up, self.high))
        nothing = np.float32(np.nan)
        low, high = np.where(self.gone, self.low, nothing), np.where(self.gone, self.high, nothing)
        missing = np.isnan(X)
        return np.where(missing, low, least), np.where(missing, high, most)


def reach_of(said: Mapping[str, Any], splits: Artifact, preprocessor: Artifact, X: Floats32) -> Reach:
    """The reach of an attacker as the project file says it, in training rows X (N, F).

    A number that is its own feature moves by the spread of its raw column, whole numbers by whole steps. A category
    moves where the budget covers its cost: each of its features to whatever the training rows have of it, which is
    more than one level does. A feature that is computed from several columns moves by its own spread. Times, texts
    and pictures stay.
    """
    settings = CertifiedSettings.model_validate(said)
    features = preprocessor.json("features.json")
    inputs = {f.name: f for f in Signature.from_json(preprocessor.json("signature.json")).inputs}
    span = _spans(X)
    raw = _spreads(splits, [f.name for f in inputs.values() if f.dtype in _NUMBERS])
    moves = list(_moves(settings, features, inputs, raw, span))
    down, up, low, high = (np.array([m[i] for m in moves], dtype=np.float32) for i in range(4))
    return Reach(settings, down, up, low, high, np.array([m[4] for m in moves], dtype=bool))


def _moves(
    settings: CertifiedSettings,
    features: Sequence[Mapping[str, Any]],
    inputs: Mapping[str, Field],
    raw: Mapping[str, tuple[float, float, float]],
    span: Floats,
) -> Iterator[tuple[float, float, float, float, bool]]:
    """Of each feature how far down and up it goes, between which ends, and whether it may be missing."""
    groups = [feature["group"] for feature in features]
    for f, feature in enumerate(features):
        name, kind = feature["group"], feature["kind"]
        limit, field = settings.constraints.get(name, Limit()), inputs.get(name)
        spread, low, high = span[:, f].tolist()
        covered = settings.eps >= limit.cost
        far = 0.0
        if limit.immutable:
            pass
        elif field is None:
            far = settings.eps * spread
        elif field.dtype in _NUMBERS and kind == "number":
            if groups.count(name) == 1:
                spread, low, high = raw[name]
            far = settings.eps * spread / limit.cost
            if field.dtype == "integer":
                far = float(np.floor(far * (1 + 1e-9)))
        elif field.dtype in ("boolean", "string") and not field.is_image and not field.shape and covered:
            far = np.inf
        yield (
            0.0 if limit.increase_only else far,
            0.0 if limit.decrease_only else far,
            low if limit.min is None else limit.min,
            high if limit.max is None else limit.max,
            limit.missing and covered and not limit.immutable,
        )


def _spans(X: Floats32) -> Floats:
    """The spread, the least and the greatest finite value of each feature, (3, F); 0 where there is none."""
    found = np.zeros((3, X.shape[1]))
    for f in range(X.shape[1]):
        values = np.concatenate([X[i : i + _ROWS, f] for i in range(0, len(X), _ROWS)]).astype(np.float64)
        found[:, f] = _spread(values)
    return found


def _spread(values: Floats) -> tuple[float, float, float]:
    values = values[np.isfinite(values)]
    return (float(values.std()), float(values.min()), float(values.max())) if len(values) else (0.0, 0.0, 0.0)


def _spreads(splits: Artifact, names: Sequence[str]) -> dict[str, tuple[float, float, float]]:
    """The same of raw columns of the training rows, as the attack measures them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(splits.path("train.parquet"), columns=list(names))
    return {
        name: _spread(table.column(name).cast(pa.float64(), safe=False).to_numpy().astype(np.float64))
        for name in names
    }
