"""The rows that an exported model is held against its package on."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bessemer.core.signature import Field
from bessemer.explain.profile_rows import drawn_values
from bessemer.export.image_samples import altered_images
from bessemer.export.invented import invented_rows
from bessemer.package.model import Model
from bessemer.package.records import rows_to_feeds

#: A text that no training row had.
UNSEEN = "never seen \u2603"
#: Rows that are drawn from the package's profile.
DRAWN = 192
#: The same where there are images, which take longer.
DRAWN_IMAGES = 60
_FEATURES = "features"


@dataclass(frozen=True)
class Samples:
    """N raw rows, and what the package says of them.

    rows: dicts of plain values (texts, numbers, booleans, None; moments as ISO 8601 text). features: (N, F) float32,
    NaN is missing. values: (N, C) float32 probabilities, or (N, 1) values. scores: (N, K) raw scores. labels: the
    predictions.
    """

    rows: list[dict[str, Any]]
    features: np.ndarray
    values: np.ndarray
    scores: np.ndarray
    labels: list[Any]

    def __len__(self) -> int:
        return len(self.rows)


def samples_of(model: Model, given: Sequence[Mapping[str, Any]] = (), seed: int = 0) -> Samples:
    """Rows of every kind that the model may meet.

    The package's stored sample, rows drawn from its profile (or made up, where it has none), and for each column a
    row where it is missing, for each text also one with a value never seen; a row where all that may be is missing.

    Args:
        given: rows to take besides. seed: of what is drawn.
    """
    inputs = model.signature.inputs
    count = DRAWN_IMAGES if any(field.is_image for field in inputs) else DRAWN
    drawn = drawn_rows(model, count, seed) or invented_rows(model, count, seed)
    rows = [_plain(row, inputs) for row in [*given, *model.sample, *drawn]]
    rows += _changed(rows[0] if rows else {}, inputs)
    return _answered(model, rows)


def plain_rows(model: Model) -> list[dict[str, Any]]:
    """The rows that travel in the package, as JSON has them."""
    return [_plain(row, model.signature.inputs) for row in model.sample]


def _answered(model: Model, rows: list[dict[str, Any]]) -> Samples:
    wanted = ["prediction", "score", _FEATURES] + ([] if model.task == "regression" else ["probability"])
    made = model.session.run_feeds(rows_to_feeds(rows, model.signature.inputs), wanted)
    values = made["score"] if model.task == "regression" else made["probability"]
    return Samples(rows, made[_FEATURES], values, made["score"], made["prediction"].tolist())


def drawn_rows(model: Model, count: int, seed: int) -> list[dict[str, Any]]:
    """Raw rows whose columns are drawn one by one from the package's profile; [] where it says too little.

    Images are those of the stored sample, mixed, mirrored and made noisy.
    """
    columns = model.reference.get("columns", {})
    inputs = model.signature.inputs
    images = {field.name: _images(model, field.name) for field in inputs if field.is_image}
    if not columns or any(not (images.get(field.name) or columns.get(field.name)) for field in inputs):
        return []
    rng = np.random.default_rng([seed, 0x5A])
    drawn = {
        field.name: altered_images(images[field.name], count, rng)
        if field.is_image
        else drawn_values(columns[field.name], count, rng)
        for field in inputs
    }
    rows = [dict(zip(drawn, row, strict=True)) for row in zip(*drawn.values(), strict=True)]
    return [row for row in rows if all(f.nullable or row[f.name] is not None for f in inputs)]


def _images(model: Model, column: str) -> list[str]:
    return [row[column] for row in model.sample if row.get(column)]


def _changed(row: Mapping[str, Any], inputs: Sequence[Field]) -> Iterator[dict[str, Any]]:
    for field in inputs:
        if field.nullable:
            yield {**row, field.name: None}
        if field.dtype == "string" and not field.is_image:
            yield {**row, field.name: UNSEEN}
    optional = {field.name: None for field in inputs if field.nullable}
    if optional and row:
        yield {**row, **optional}


def _plain(row: Mapping[str, Any], inputs: Sequence[Field]) -> dict[str, Any]:
    return {field.name: _value(row.get(field.name)) for field in inputs}


def _value(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.isoformat()
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value
