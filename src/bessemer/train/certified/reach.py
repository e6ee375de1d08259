"""How far an attacker may move each feature: the budget and the constraints of raw columns, as the trees see them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bessemer.core.constraints import OF_LEVELS, Limit
from bessemer.core.signature import Field, Signature
from bessemer.train.certified.settings import CertifiedSettings

if TYPE_CHECKING:
    from bessemer.core.artifact import Artifact

Floats = npt.NDArray[np.float64]
Floats32 = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]
#: What a signature calls numbers.
_NUMBERS = ("integer", "number")
#: Rows of the training matrix that are looked at together.
_ROWS = 65_536
#: Values that are moved together: in float64 they take twice as much.
_CELLS = 2**20
#: Whole numbers below are themselves in float32.
_EXACT = 2**24


@dataclass(frozen=True)
class Reach:
    """Where each of F features may be moved, whatever becomes of the others.

    down, up: (F,) float64, how far from a row's own raw value; 0 where it stays, infinity for anywhere.
    low, high: (F,) float32, between which a moved value lies.
    gone: (F,) bool, whether a value may be left out, or filled in where it is missing.
    whole: (F,) bool, whether it is a raw whole number, moved by whole steps.
    loose: (F,) bool, whether it is computed from what may move, so that nobody knows what it becomes: the rest says
        only what training moves it by.
    """

    settings: CertifiedSettings
    down: Floats
    up: Floats
    low: Floats32
    high: Floats32
    gone: Flags
    whole: Flags
    loose: Flags

    def of(self, features: npt.NDArray[np.int64]) -> Reach:
        """That of some features alone."""
        down, up = self.down[features], self.up[features]
        low, high = self.low[features], self.high[features]
        gone, whole, loose = (each[features] for each in (self.gone, self.whole, self.loose))
        return Reach(self.settings, down, up, low, high, gone, whole, loose)

    def sure(self) -> Reach:
        """The same with anything for the loose features, missing too: what is said of it holds for all moved rows."""
        far, low, high = (np.float32(end) for end in (np.inf, -np.inf, np.inf))
        return replace(
            self,
            down=np.where(self.loose, far, self.down),
            up=np.where(self.loose, far, self.up),
            low=np.where(self.loose, low, self.low),
            high=np.where(self.loose, high, self.high),
            gone=self.gone | self.loose,
        )

    def ends(self, X: Floats32) -> tuple[Floats32, Floats32]:
        """The least and the greatest value of each feature of rows (N, F); NaN where one is missing and stays so."""
        least = np.fmin(X, np.fmax(self._moved(X, -self.down), self.low))
        most = np.fmax(X, np.fmin(self._moved(X, self.up), self.high))
        nothing = np.float32(np.nan)
        low, high = np.where(self.gone, self.low, nothing), np.where(self.gone, self.high, nothing)
        missing = np.isnan(X)
        return np.where(missing, low, least), np.where(missing, high, most)

    def _moved(self, X: Floats32, far: Floats) -> Floats32:
        """Rows moved by `far` (F,), rounded outwards."""
        found = np.empty(X.shape, dtype=np.float32)
        rows = max(1, _CELLS // max(1, X.shape[1]))
        for i in range(0, len(X), rows):
            found[i : i + rows] = _outwards(X[i : i + rows], far, self.whole)
        return found


def _outwards(X: Floats32, far: Floats, whole: Flags) -> Floats32:
    """What is moved is the raw number, of which X is the nearest float32: so the ends lie a little further out, but of
    what stays, and of whole numbers that float32 holds."""
    way = np.sign(far)
    # An infinite value that is moved anywhere is no number, and the greatest have none behind them.
    with np.errstate(invalid="ignore", over="ignore"):
        moved = X + far
        wide = (moved + way * np.spacing(np.abs(X))).astype(np.float32)
        outward = np.nextafter(wide, np.copysign(np.inf, way).astype(np.float32))
        exact = (far == 0) | (whole & (np.abs(X) < _EXACT))
        found: Floats32 = np.where(exact, moved.astype(np.float32), outward)
    return found


def reach_of(said: Mapping[str, Any], splits: Artifact, preprocessor: Artifact, X: Floats32) -> Reach:
    """The reach of an attacker as the project file says it, in training rows X (N, F).

    A number that is its own feature moves by the spread of its raw column, whole numbers by whole steps. A category
    moves where the budget covers its cost: each of its features to whatever the training rows have of it, which is
    more than one level does; so does a number that is taken as a category, wherever it moves at all. A feature that is
    computed from several columns moves by its own spread in training. Times, texts and pictures stay.
    """
    settings = CertifiedSettings.model_validate(said)
    features = preprocessor.json("features.json")
    inputs = {f.name: f for f in Signature.from_json(preprocessor.json("signature.json")).inputs}
    span = _spans(X)
    raw = _spreads(splits, [f.name for f in inputs.values() if f.dtype in _NUMBERS and _single(f)])
    moves = list(_moves(settings, features, inputs, raw, span))
    down, up = (np.array([getattr(m, name) for m in moves], dtype=np.float64) for name in ("down", "up"))
    low, high = (np.array([getattr(m, name) for m in moves], dtype=np.float32) for name in ("low", "high"))
    flags = (np.array([getattr(m, name) for m in moves], dtype=bool) for name in ("gone", "whole", "loose"))
    return Reach(settings, down, up, low, high, *flags)


class _Move(NamedTuple):
    """`Reach` of one feature."""

    down: float
    up: float
    low: float
    high: float
    gone: bool
    whole: bool
    loose: bool


def _moves(
    settings: CertifiedSettings,
    features: Sequence[Mapping[str, Any]],
    inputs: Mapping[str, Field],
    raw: Mapping[str, tuple[float, float, float]],
    span: Floats,
) -> Iterator[_Move]:
    budget = settings.eps * (1 + 1e-9) + 1e-12  # as attacks do: what costs just as much is within it
    groups = [feature["group"] for feature in features]
    kinds: dict[str, set[str]] = {}
    for feature in features:
        kinds.setdefault(feature["group"], set()).add(feature["kind"])
    free = any(not settings.constraints.get(name, Limit()).immutable for name in inputs)
    for f, feature in enumerate(features):
        name, field = feature["group"], inputs.get(feature["group"])
        limit, (spread, low, high) = settings.constraints.get(name, Limit()), span[:, f].tolist()
        if limit.immutable:
            yield _Move(0.0, 0.0, low, high, False, False, False)
        elif field is None:
            far = budget * spread
            yield _Move(far, far, low, high, False, False, free)
        elif field.dtype in _NUMBERS and _single(field):
            alone = feature["kind"] == "number" and groups.count(name) == 1
            yield _number(budget, limit, field, raw[name], None if alone else (low, high))
        else:
            level = field.dtype in ("boolean", "string") and _single(field)
            covered = budget >= limit.cost
            moves = level and covered and kinds[name] <= OF_LEVELS
            far = np.inf if moves else 0.0
            # What a level becomes where the model is used need not be among what the training rows have of it.
            loose = moves and feature["kind"] not in ("boolean", "indicator")
            yield _Move(far, far, low, high, limit.missing and covered, False, loose)


def _single(field: Field) -> bool:
    """Whether a row has one value of it."""
    return not field.is_image and not field.shape


def _number(
    budget: float,
    limit: Limit,
    field: Field,
    raw: tuple[float, float, float],
    computed: tuple[float, float] | None,
) -> _Move:
    """The move of the number itself, or of a feature that is computed from it, between these ends."""
    spread, low, high = raw
    far, gone, whole = budget * spread / limit.cost, limit.missing and budget >= limit.cost, False
    if field.dtype == "integer":
        far, whole = float(np.floor(far)), True
    if computed is not None:
        moves = far > 0 or gone
        anywhere = np.inf if moves else 0.0
        return _Move(anywhere, anywhere, *computed, gone, False, moves)
    return _Move(
        0.0 if limit.increase_only else far,
        0.0 if limit.decrease_only else far,
        low if limit.min is None else limit.min,
        high if limit.max is None else limit.max,
        gone,
        whole,
        False,
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

    found = {}
    for name in names:
        column = pq.read_table(splits.path("train.parquet"), columns=[name]).column(0)
        found[name] = _spread(column.cast(pa.float64(), safe=False).to_numpy().astype(np.float64))
    return found
