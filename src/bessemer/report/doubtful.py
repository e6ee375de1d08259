"""The rows that the evaluation doubts, as they are: those whose label looks wrong, and those that stand in training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.core.parquet import rows_at

if TYPE_CHECKING:
    from bessemer.core.artifact import Artifact

#: The most columns of a row that are shown.
COLUMNS = 12


def doubtful_rows(
    evaluation: Mapping[str, Any], splits: Artifact, columns: Sequence[str], most: int
) -> dict[str, dict[str, Any]]:
    """Raw values of up to `most` test rows named by `label_errors` and `duplicates`: {position: {column: value}}.

    columns: the strongest first. Timestamps are ISO texts, a missing value is None. most: 0 shows none.
    """
    import pyarrow.parquet as pq

    labels = (evaluation.get("label_errors") or {}).get("rows") or []
    twins = (evaluation.get("duplicates") or {}).get("samples") or []
    asked = list(dict.fromkeys(int(one["row"]) for one in [*labels[:most], *twins[:most]]))
    path = splits.path("test.parquet")
    known = set(pq.read_schema(path).names)
    shown = [name for name in columns if name in known][:COLUMNS]
    if not asked or not shown:
        return {}
    places = sorted(asked)
    table = rows_at(path, np.array(places, dtype=np.int64), shown)
    values = {name: dict(zip(places, table.column(name).to_pylist(), strict=True)) for name in shown}
    return {str(row): {name: _plain(values[name][row]) for name in shown} for row in asked}


def _plain(value: Any) -> Any:
    """A value as JSON has it.

    >>> _plain(float("nan")), _plain(3)
    (None, 3)
    """
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
