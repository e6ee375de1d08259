"""Raw rows made up from a model alone: for packages without a profile, as imported ones are.

What the model decides by is where answers can differ, so numbers lie on the thresholds of its trees, on both sides of
them, and elsewhere; texts are those that it knows.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from bessemer.core.signature import Field
from bessemer.package.model import Model
from bessemer.package.onnx_format import parse
from bessemer.package.trees.kernel import UnsuitedError, arrays_of

#: Values of a column that are drawn from, at most.
_MOST = 512
_DAY, _EPOCH = 86_400_000_000, dt.datetime(1970, 1, 1)


def invented_rows(model: Model, count: int, seed: int) -> list[dict[str, Any]]:
    """`count` rows whose columns are drawn one by one; [] of images, which nobody can make up.

    A tenth of what may be missing is.
    """
    inputs = model.signature.inputs
    if any(field.is_image for field in inputs):
        return []
    rng = np.random.default_rng([seed, 0x1F])
    known = _known(model)
    columns = {field.name: _column(field, known[field.name], count, rng) for field in inputs}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _known(model: Model) -> dict[str, list[Any]]:
    """For each column values that the model asks about."""
    graph = parse(model.contents.bytes("model.onnx")).graph
    found: dict[str, list[Any]] = defaultdict(list)
    features = model.info["features"]
    for node in graph.node:
        if node.op_type == "LabelEncoder":
            keys = next((list(a.strings) for a in node.attribute if a.name == "keys_strings"), [])
            found[node.input[0]] += [key.decode("utf-8") for key in keys[:_MOST]]
        elif node.op_type == "TreeEnsembleRegressor":
            try:
                arrays = arrays_of(node)
            except UnsuitedError:
                continue
            branch = arrays["left"] >= 0
            for feature, threshold in zip(
                arrays["feature"][branch], arrays["threshold"][branch], strict=True
            ):
                if feature < len(features) and np.isfinite(threshold):
                    found[features[feature]["group"]] += [
                        float(threshold),
                        float(np.nextafter(threshold, np.float32(np.inf), dtype=np.float32)),
                    ]
    return found


def _column(field: Field, known: Sequence[Any], count: int, rng: np.random.Generator) -> list[Any]:
    values = _values(field, known, count, rng)
    if not field.nullable:
        return values
    missing = rng.random(count) < 0.1
    return [None if gone else value for value, gone in zip(values, missing, strict=True)]


def _values(field: Field, known: Sequence[Any], count: int, rng: np.random.Generator) -> list[Any]:
    domain = field.domain or {}
    if field.dtype == "boolean":
        return [bool(v) for v in rng.integers(0, 2, count)]
    if field.dtype == "string":
        texts = [t for t in (domain.get("categories") or known) if isinstance(t, str) and t] or ["a", "b"]
        return [str(texts[i]) for i in rng.integers(0, len(texts), count)]
    if field.dtype == "timestamp":
        drawn = rng.integers(0, 20_000 * _DAY, count)
        return [(_EPOCH + dt.timedelta(microseconds=int(moment))).isoformat() for moment in drawn]
    numbers = np.array([v for v in known if isinstance(v, float)][: 4 * _MOST])
    low, high = _range(domain, numbers)
    found = rng.uniform(low, high, count)
    if len(numbers):
        near = rng.random(count) < 0.7
        found = np.where(near, rng.choice(numbers, count), found)
    if field.dtype == "integer":
        return [int(v) for v in np.rint(found)]
    return [float(np.float32(v)) for v in found]


def _range(domain: Any, numbers: np.ndarray) -> tuple[float, float]:
    low, high = domain.get("min"), domain.get("max")
    if isinstance(low, int | float) and isinstance(high, int | float):
        return float(low), float(high)
    if not len(numbers):
        return -3.0, 3.0
    spread = float(np.ptp(numbers)) or 1.0
    return float(numbers.min()) - spread / 4, float(numbers.max()) + spread / 4
