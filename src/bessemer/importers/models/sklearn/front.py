"""What stands before the last step of a pipeline: each feature as a raw column that is imputed, shifted and scaled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from bessemer.core.signature import DType
from bessemer.importers.models.foreign import MOST_VALUES, Asked, Input, column, named, number, refused
from bessemer.importers.models.sklearn.archive import Thing
from bessemer.prepare.transforms.base import Feature
from bessemer.prepare.transforms.categorical import FittedCategorical

_WHOLE = ("Pipeline", "ColumnTransformer")
_IMPUTERS, _ENCODERS = ("SimpleImputer",), ("OneHotEncoder", "OrdinalEncoder")


@dataclass(frozen=True)
class Source:
    """A raw column on its way through a pipeline.

    levels, table: of one that is encoded: row i of the table has the features of level i, and the last one, of more
        rows than levels, those of an unknown one.
    impute, mean, scale: `(x - mean) / scale` is the feature, where a missing x is `impute`; that is NaN where nothing
        is imputed.
    """

    name: str
    levels: tuple[Any, ...] | None = None
    table: np.ndarray | None = None
    labels: tuple[str, ...] = ()
    impute: float = float("nan")
    mean: float = 0.0
    scale: float = 1.0

    @property
    def width(self) -> int:
        return 1 if self.table is None else int(self.table.shape[1])

    def input(self) -> Input:
        """The raw column and the features that are made of it."""
        if self.table is None or self.levels is None:
            return number(self.name)
        dtype = _dtype(self.name, self.levels)
        features = tuple(
            Feature(f"{self.name} = {shown}", self.name, "indicator", f"{self.name} is {shown}")
            for shown in self.labels
        )
        return column(self.name, dtype, FittedCategorical(dtype, self.levels, self.table, features, None))


@dataclass
class Front:
    """The sources of a model's features, one after the other, and what is worth saying of them."""

    sources: list[Source]
    notes: list[str] = field(default_factory=list)

    def numbers(self, name: str) -> np.ndarray:
        """(F,) float64: `impute`, `mean` or `scale` of each feature; an encoded one is as it is."""
        encoded = {"impute": np.nan, "mean": 0.0, "scale": 1.0}[name]
        parts = [
            np.array([getattr(source, name)]) if source.table is None else np.full(source.width, encoded)
            for source in self.sources
        ]
        return np.concatenate(parts) if parts else np.zeros(0)

    @property
    def plain(self) -> bool:
        """Whether every feature is a raw column as it is."""
        still = (
            np.isnan(self.numbers("impute")).all(),
            (self.numbers("mean") == 0).all(),
            (self.numbers("scale") == 1).all(),
        )
        return all(still) and all(source.table is None for source in self.sources)


def front_of(model: Thing, asked: Asked) -> tuple[Front, Thing]:
    """What stands before the last step, and the last step.

    Raises:
        FormatError: a step that cannot be taken over.
    """
    steps = [step for _, step in model["steps"]] if model.name == "Pipeline" else [model]
    first = next((s for s in steps if isinstance(s, Thing) and s.get("n_features_in_") is not None), None)
    if first is None or not isinstance(steps[-1], Thing):
        raise refused(f"the {model.name} has no step that was trained")
    said = first.get("feature_names_in_")
    names = named(asked, [] if said is None else [str(name) for name in said], int(first["n_features_in_"]))
    front = Front([Source(name) for name in names])
    for step in steps[:-1]:
        front = _through(step, front)
    seen = [source.name for source in front.sources]
    if twice := next((name for name in seen if seen.count(name) > 1), ""):
        raise refused(f"the pipeline makes features of '{twice}' in two places", fix="make them in one")
    if (
        any(not np.isfinite(front.numbers(name)).all() for name in ("mean", "scale"))
        or (front.numbers("scale") == 0).any()
    ):
        raise refused("the pipeline shifts or scales by what is no number")
    if sum(s.table.size for s in front.sources if s.table is not None) > MOST_VALUES:
        raise refused("the pipeline has too many categories")
    return front, steps[-1]


def _through(step: Any, front: Front) -> Front:
    """What a step makes of the sources."""
    if step in ("passthrough", None):
        return front
    if not isinstance(step, Thing):
        raise refused(f"the pipeline has a step {step!r}")
    if (
        step.name == "FunctionTransformer" and step.get("func") is None
    ):  # the rest of a ColumnTransformer, as it is
        return front
    if step.name == "Pipeline":
        for _, inner in step["steps"]:
            front = _through(inner, front)
        return front
    if step.name == "ColumnTransformer":
        return _columns(step, front)
    if step.name in _ENCODERS:
        encoded = [_encoded(step, i, source) for i, source in enumerate(front.sources)]
        return Front(encoded, [*front.notes, *_empty_texts(step, front.sources)])
    if step.name in _IMPUTERS:
        return _imputed(step, front)
    if step.name in _SCALERS:
        shift, factor = _SCALERS[step.name](step, len(front.sources))
        return Front(
            [
                _scaled(source, float(m), float(s))
                for source, m, s in zip(front.sources, shift, factor, strict=True)
            ],
            front.notes,
        )
    raise refused(
        f"the pipeline has a {step.name}, which cannot be taken over",
        fix=f"known: {', '.join((*_WHOLE, *_IMPUTERS, *_SCALERS, *_ENCODERS))}; else export it by skl2onnx",
    )


def _columns(step: Thing, front: Front) -> Front:
    """Each transformer on its own columns, what they give one after the other."""
    by_name = {source.name: source for source in front.sources}
    found, notes = [], list(front.notes)
    weights = step.get("transformer_weights") or {}
    if not isinstance(weights, Mapping):
        raise refused("the 'transformer_weights' of a ColumnTransformer are no weights by name")
    for name, inner, picked in step["transformers_"]:
        if inner == "drop":
            continue
        own = [_picked(front, by_name, one, str(name)) for one in _list(picked)]
        made = _through(inner, Front(own))
        found += [_weighted(source, weights.get(str(name)), str(name)) for source in made.sources]
        notes += made.notes
    return Front(found, notes)


def _weighted(source: Source, weight: Any, where: str) -> Source:
    """What a transformer of a ColumnTransformer gives, times its weight."""
    if weight is None:
        return source
    if not isinstance(weight, int | float) or not np.isfinite(weight) or weight == 0:
        raise refused(
            f"the step '{where}' has the weight {weight!r}", "a number other than 0 can be taken over"
        )
    return _scaled(source, 0.0, 1 / float(weight))


def _list(picked: Any) -> list[Any]:
    if isinstance(picked, np.ndarray):
        picked = picked.tolist()
    if isinstance(picked, str | int):
        return [picked]
    if not isinstance(picked, list) or any(
        isinstance(one, bool) or not isinstance(one, str | int) for one in picked
    ):
        raise refused("a ColumnTransformer picks its columns by what is neither names nor numbers")
    return picked


def _picked(front: Front, by_name: Mapping[str, Source], one: str | int, where: str) -> Source:
    if isinstance(one, str) and one in by_name:
        return by_name[one]
    if isinstance(one, int) and -len(front.sources) <= one < len(front.sources):
        return front.sources[one]
    raise refused(f"the step '{where}' takes a column {one!r}, which is not there")


def _imputed(step: Thing, front: Front) -> Front:
    if step.get("add_indicator"):
        raise refused("the imputer adds indicators, which cannot be taken over")
    values = np.asarray(step["statistics_"], dtype=np.float64) if not _texts(step["statistics_"]) else None
    if values is None:
        raise refused(
            "the imputer fills in texts", fix="leave it out: OneHotEncoder knows missing values itself"
        )
    if len(values) != len(front.sources) or not np.isfinite(values).all():
        raise refused("the imputer does not have a number for each column")
    marks = step.get("missing_values")
    if isinstance(marks, float | int) and marks == marks:
        raise refused(f"the imputer takes {marks} for missing; here that is NaN")
    if any(source.width != 1 for source in front.sources):
        raise refused("the imputer comes after an encoder that makes several columns of one")
    filled = [_filled(source, float(value)) for source, value in zip(front.sources, values, strict=True)]
    return Front(filled, front.notes)


def _filled(source: Source, value: float) -> Source:
    """The column with a value in the place of none, which an encoder may have made."""
    if source.table is not None:
        return replace(source, table=np.where(np.isnan(source.table), np.float32(value), source.table))
    return (
        source if not np.isnan(source.impute) else replace(source, impute=value * source.scale + source.mean)
    )


def _texts(values: Any) -> bool:
    return np.asarray(values).dtype == object and any(isinstance(v, str) for v in np.asarray(values).tolist())


def _scaled(source: Source, shift: float, factor: float) -> Source:
    """(x - shift) / factor behind what was done before: of raw x, ((x - mean) / scale - shift) / factor."""
    if source.table is not None:
        return replace(source, table=((source.table - shift) / factor).astype(np.float32))
    return replace(source, mean=source.mean + shift * source.scale, scale=source.scale * factor)


def _of(step: Thing, name: str, count: int, default: float) -> np.ndarray:
    value = step.get(name)
    found = np.full(count, default) if value is None else np.asarray(value, dtype=np.float64).reshape(-1)
    if len(found) != count:
        raise refused(f"the {step.name} has {len(found)} numbers in '{name}', and {count} columns")
    return found


def _standard(step: Thing, count: int) -> tuple[np.ndarray, np.ndarray]:
    shift = _of(step, "mean_", count, 0.0) if step.get("with_mean", True) else np.zeros(count)
    return shift, _of(step, "scale_", count, 1.0) if step.get("with_std", True) else np.ones(count)


def _min_max(step: Thing, count: int) -> tuple[np.ndarray, np.ndarray]:
    if step.get("clip"):
        raise refused("the MinMaxScaler clips, which cannot be taken over")
    scale = _of(step, "scale_", count, 1.0)
    return -_of(step, "min_", count, 0.0) / scale, 1 / scale


def _max_abs(step: Thing, count: int) -> tuple[np.ndarray, np.ndarray]:
    return np.zeros(count), _of(step, "scale_", count, 1.0)


def _robust(step: Thing, count: int) -> tuple[np.ndarray, np.ndarray]:
    shift = _of(step, "center_", count, 0.0) if step.get("with_centering", True) else np.zeros(count)
    return shift, _of(step, "scale_", count, 1.0) if step.get("with_scaling", True) else np.ones(count)


_SCALERS = {
    "StandardScaler": _standard,
    "MinMaxScaler": _min_max,
    "MaxAbsScaler": _max_abs,
    "RobustScaler": _robust,
}


def _encoded(step: Thing, place: int, source: Source) -> Source:
    """The column as indicators of its categories, or as their number."""
    if source.table is not None or not np.isnan(source.impute) or (source.mean, source.scale) != (0.0, 1.0):
        raise refused(
            f"'{source.name}' is encoded after it was imputed or scaled, which cannot be taken over"
        )
    if step.get("_infrequent_enabled"):
        raise refused(f"the {step.name} puts rare categories together, which cannot be taken over")
    said = np.asarray(step["categories_"][place]).tolist()
    categories = [None if _missing(one) else one for one in said]
    known, count = tuple(categories), len(categories)
    levels = known if None in known else (*known, None)
    if step.name == "OrdinalEncoder":
        told_apart = [one if one == "" else code for one, code in zip(said, categories, strict=True)]
        values = np.arange(count, dtype=np.float32)[:, None]
        unknown = step.get("unknown_value")
        last = np.float32(
            "nan" if unknown is None or step.get("handle_unknown") != "use_encoded_value" else unknown
        )
        lost = np.float32("nan" if (told := step.get("encoded_missing_value")) is None else told)
        values = np.where([[one is None] for one in told_apart], lost, values).astype(np.float32)
        rows = [values, *([np.array([[lost]])] if None not in known else []), np.array([[last]])]
        return Source(source.name, levels, np.concatenate(rows).astype(np.float32), ("its number",))
    dropped = step.get("drop_idx_")
    out = None if dropped is None else np.asarray(dropped).tolist()[place]
    kept = [i for i in range(count) if out is None or i != int(out)]
    table = np.zeros((len(levels) + 1, len(kept)), dtype=np.float32)
    table[kept, np.arange(len(kept))] = 1
    if not kept:
        raise refused(f"the encoder makes nothing of '{source.name}'")
    return Source(source.name, levels, table, tuple(str(known[i]) for i in kept))


def _empty_texts(step: Thing, sources: Sequence[Source]) -> list[str]:
    return [
        f"'{source.name}' has the empty text for a category: a missing value is taken for it"
        for source, categories in zip(sources, step["categories_"], strict=True)
        if any(isinstance(one, str) and not one for one in np.asarray(categories).tolist())
    ]


def _missing(value: Any) -> bool:
    return value is None or value == "" or value != value


def _dtype(name: str, levels: Sequence[Any]) -> DType:
    known = [level for level in levels if level is not None]
    if all(isinstance(level, str) for level in known):
        return "string"
    if all(isinstance(level, bool) for level in known):
        return "boolean"
    if all(isinstance(level, int) for level in known):
        return "integer"
    if all(isinstance(level, int | float) for level in known):
        return "number"
    raise refused(f"the categories of '{name}' are of several types")
