"""Models of other libraries as files, imported, and asked for the same rows as the libraries themselves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bessemer.api import import_model, load
from bessemer.package.model import Model
from bessemer.package.records import rows_to_feeds


def imported(file: Path, **settings: Any) -> Model:
    """The package of a model, loaded: its signature and digests have been checked."""
    done = import_model(file, output=file.with_suffix(".bsm"), force=True, **settings)
    return load(done.path)


def as_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """A table as rows of plain values, None where one is missing."""
    rows = table.astype(object).to_dict("records")
    return [{str(k): None if v is None or v != v else v for k, v in row.items()} for row in rows]


def answers(model: Model, table: pd.DataFrame, output: str = "probability") -> np.ndarray:
    """(N, K) probabilities, or (N,) predictions."""
    feeds = rows_to_feeds(as_rows(table), model.signature.inputs)
    return np.asarray(model.session.run_feeds(feeds, [output])[output])


def agree(model: Model, table: pd.DataFrame, wanted: Any, tolerance: float = 1e-6) -> None:
    """The package says what the library says, to one part in a million of the size of the answers."""
    wanted = np.asarray(wanted, dtype=np.float64)
    output = "prediction" if model.task == "regression" else "probability"
    found = answers(model, table, output).reshape(wanted.shape)
    size = max(1.0, float(np.abs(wanted).max()))
    assert np.abs(found - wanted).max() <= tolerance * size


def holed(table: pd.DataFrame, columns: Sequence[str], seed: int = 1) -> pd.DataFrame:
    """The same table with every tenth value of some columns missing."""
    rng, found = np.random.default_rng(seed), table.copy()
    for column in columns:
        found.loc[rng.random(len(found)) < 0.1, column] = np.nan
    return found
