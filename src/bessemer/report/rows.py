"""Exact test rows behind the worked examples, which hold their values shortened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.package.images import shown

if TYPE_CHECKING:
    from bessemer.core.artifact import Artifact

#: Rows that are looked at for one example.
_CANDIDATES = 2000
#: Values of an example agree with its row to about this.
_CLOSE = 2e-6


@dataclass(frozen=True)
class WorkedRow:
    """A test row: its place in the list of examples, and what the learner sees (F,)."""

    example: int
    why: str
    values: Mapping[str, Any]
    actual: Any
    features: np.ndarray | None = None


def worked_rows(
    artifacts: Mapping[str, Artifact],
    examples: Sequence[Mapping[str, Any]],
    columns: Sequence[str],
    *,
    features: bool,
) -> list[WorkedRow]:
    """The rows of the examples, found again in the test part; without examples none: nobody asked for raw rows.

    An example whose row cannot be told is left out. `features`: with what the learner sees of each.
    """
    places = _candidates(artifacts, examples)
    table = _take(artifacts["splits"], columns, sorted({i for own in places for i in own}))
    found: list[tuple[int, str, int]] = []
    for number, (example, own) in enumerate(zip(examples, places, strict=True)):
        match = next((i for i in own if _same(example["row"], table[i])), None)
        if match is not None:
            found.append((number, str(example["why"]), match))
    actual = {match: examples[number]["actual"] for number, _, match in found}
    seen = np.load(artifacts["splits"].path("test.X.npy"), mmap_mode="r") if features else None
    return [
        WorkedRow(number, why, table[i], actual.get(i), None if seen is None else np.array(seen[i]))
        for number, why, i in found
    ]


def _candidates(artifacts: Mapping[str, Artifact], examples: Sequence[Mapping[str, Any]]) -> list[list[int]]:
    """For each example the test rows with its target and its prediction."""
    import pyarrow.parquet as pq

    if not examples:
        return []
    table = pq.read_table(artifacts["evaluation"].path("predictions.parquet"))
    if len(table) != artifacts["splits"].meta["rows"]["test"]:
        return [[] for _ in examples]
    named = {name: table.column(name).to_numpy(zero_copy_only=False) for name in table.column_names}
    chances = [named[name] for name in table.column_names[2:]]
    said = np.max(chances, axis=0) if chances else None
    if len(chances) == 1:  # of the positive class; the model's threshold may be any
        positive = artifacts["model"].json("model.json")["classes"][1]
        said = np.where(_equal(named["prediction"], positive), chances[0], 1 - chances[0])
    found = []
    for example in examples:
        alike = _equal(named["target"], example["actual"]) & _equal(
            named["prediction"], example["prediction"]
        )
        if said is not None:
            alike &= np.abs(said - example["probability"]) < 1e-5
        found.append(np.flatnonzero(alike)[:_CANDIDATES].tolist())
    return found


def _equal(column: np.ndarray, value: Any) -> np.ndarray:
    if column.dtype.kind == "f":
        close: np.ndarray = np.isclose(column, float(value), rtol=_CLOSE, atol=1e-12)
        return close
    return np.asarray(column == value)


def _take(splits: Artifact, columns: Sequence[str], places: list[int]) -> dict[int, dict[str, Any]]:
    """Some rows of the test part by their place, read as a stream."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    wanted, first = np.array(places, dtype=np.int64), 0
    found: dict[int, dict[str, Any]] = {}
    if not len(wanted):
        return {}
    with pq.ParquetFile(splits.path("test.parquet")) as file:
        for batch in file.iter_batches(batch_size=65_536, columns=list(columns), use_threads=False):
            own = wanted[(wanted >= first) & (wanted < first + len(batch))]
            found.update(zip(own.tolist(), batch.take(pa.array(own - first)).to_pylist(), strict=True))
            first += len(batch)
    return found


def _same(shortened: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    """Whether the values of an example are those of a row, to the digits an example has."""
    return all(name in row and _alike(value, row[name]) for name, value in shortened.items())


def _alike(shortened: Any, value: Any) -> bool:
    if isinstance(value, float) and isinstance(shortened, int | float):
        return abs(shortened - value) <= _CLOSE * max(abs(value), 1e-300)
    if hasattr(value, "isoformat"):
        return bool(shortened == value.isoformat())
    if isinstance(value, float):
        return str(shortened) == str(value)  # NaN and infinity are texts in an example
    return bool(shortened == (shown(value) if isinstance(value, str) else value))
