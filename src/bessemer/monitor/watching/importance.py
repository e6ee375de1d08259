"""How much of what the model says is up to each input, by its own contributions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bessemer.core.errors import BessemerError

if TYPE_CHECKING:
    import pyarrow as pa

    from bessemer.package.model import Model

#: Contributions cost far more than predictions: they are taken of so many rows.
ROWS = 500


def importances(model: Model, rows: pa.Table, inputs: Sequence[str]) -> dict[str, float]:
    """Shares that add up to 1, by input: of the mean absolute contributions of rows that have all inputs.

    What is derived of several inputs counts for all that have no contribution of their own, evenly. Where the package
    cannot explain, or inputs are not logged, all count the same.
    """
    even = dict.fromkeys(inputs, 1 / max(1, len(inputs)))
    if not rows.num_rows or set(rows.column_names) != {field.name for field in model.signature.inputs}:
        return even
    try:
        said = model.predict(rows.slice(0, ROWS), explain=True)
    except BessemerError:
        return even
    size = {
        group: float(np.abs(said.column(f"contribution_{group}").to_numpy()).mean()) for group in model.groups
    }
    own = {name: size[name] for name in inputs if name in size}
    others = [name for name in inputs if name not in size]
    rest = sum(value for group, value in size.items() if group not in own)
    raw = {**own, **dict.fromkeys(others, rest / max(1, len(others)))}
    total = sum(raw.values())
    return {name: value / total for name, value in raw.items()} if total > 0 else even
