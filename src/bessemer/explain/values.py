"""The values of a column or derived feature, as a reader knows them, beside its contributions."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from bessemer.package.images import shown

if TYPE_CHECKING:
    from bessemer.explain.sample import Floats, Sample
    from bessemer.explain.subject import Subject

Kind = Literal["number", "category", "timestamp"]
EPOCH = dt.datetime(1970, 1, 1)


@dataclass(frozen=True)
class Values:
    """One value a row. `numbers` (NaN is missing; microseconds since 1970 for timestamps) or `texts`."""

    kind: Kind
    numbers: Floats | None = None
    texts: npt.NDArray[np.object_] | None = None


def values_of(group: str, subject: Subject, sample: Sample) -> Values:
    """The values of a group in the sample: of the raw column where there is one, else of its features."""
    if group in sample.table.column_names:
        return raw_values(sample.table.column(group))
    places = [i for i, feature in enumerate(subject.features) if feature["group"] == group]
    indicators = [i for i in places if subject.features[i]["kind"] == "indicator"]
    if indicators:
        return _active(indicators, subject, sample)
    return Values("number", numbers=_finite(sample.features[:, places[0]].astype(np.float64)))


def raw_values(column: Any) -> Values:
    """The values of a raw column: numbers, timestamps, or texts and booleans; infinity and '' are missing."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_timestamp(kind):
        micro = column.cast(pa.timestamp("us")).cast(pa.int64()).to_numpy()
        return Values("timestamp", numbers=np.asarray(micro, dtype=np.float64))
    if pa.types.is_floating(kind) or pa.types.is_integer(kind):
        return Values("number", numbers=_finite(column.cast(pa.float64(), safe=False).to_numpy()))
    texts = [None if v is None or v == "" else plain(v) for v in column.to_pylist()]
    return Values("category", texts=np.array(texts, dtype=object))


def _finite(values: Floats) -> Floats:
    """Infinity means missing to the graph, so it does here."""
    return np.where(np.isfinite(values), values, np.nan)


def _active(indicators: list[int], subject: Subject, sample: Sample) -> Values:
    """The meaning of the one-hot feature that is on, for derived features that have no raw column."""
    on = sample.features[:, indicators] > 0.5
    meanings = [str(subject.features[i].get("meaning") or subject.features[i]["name"]) for i in indicators]
    texts = np.array([*meanings, None], dtype=object)
    return Values("category", texts=texts[np.where(on.any(axis=1), on.argmax(axis=1), len(meanings))])


def plain(value: Any) -> Any:
    """A raw value as JSON can hold it; timestamps as ISO 8601, NaN and infinity as text.

    >>> plain(dt.datetime(2013, 1, 1, 5)), plain(True), plain(float("inf"))
    ('2013-01-01T05:00:00', True, 'inf')
    """
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat()
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)
    return value


def iso(microseconds: float) -> str:
    """Microseconds since 1970 as ISO 8601 to the second.

    >>> iso(0.0)
    '1970-01-01T00:00:00'
    """
    return (EPOCH + dt.timedelta(seconds=round(microseconds / 1e6))).isoformat()


def tidy(value: Any, digits: int = 7) -> Any:
    """Floats rounded to `digits` significant digits, everywhere inside: short, and the same on every machine. Large
    images become small ones.

    Large numbers keep ten: they are values of columns (prices, codes, seconds), which may differ in the last digits
    alone.

    >>> tidy({"a": [1 / 3, True, "x", None, 1234567399.0]})
    {'a': [0.3333333, True, 'x', None, 1234567399.0]}
    """
    if isinstance(value, dict):
        return {key: tidy(inner, digits) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [tidy(inner, digits) for inner in value]
    if isinstance(value, float):
        return float(f"{value:.{max(digits, 10) if abs(value) >= 1e5 else digits}g}")
    return shown(value) if isinstance(value, str) else value
