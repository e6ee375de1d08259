"""Some images of a column, small, with what their rows are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.core.parquet import rows_at
from bessemer.package.images import shown

if TYPE_CHECKING:
    from bessemer.report.data.parts import Parts

#: Images of a column that are shown.
SHOWN = 24


def image_facts(parts: Parts, name: str, target: str, samples: int) -> list[list[Any]]:
    """[image, value of the target] of rows from all over the first part; none where `samples` is 0."""
    count = min(samples, SHOWN, parts.rows[0])
    places = np.unique(np.linspace(0, parts.rows[0] - 1, count).astype(np.int64))
    columns = list(dict.fromkeys([name, target]))
    found = rows_at(parts.splits.path(f"{parts.names[0]}.parquet"), places, columns).to_pylist()
    return [[shown(row[name]), _plain(row[target])] for row in found if row[name]]


def _plain(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value
