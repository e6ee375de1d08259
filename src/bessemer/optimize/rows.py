"""The rows that versions are made from and judged on: never the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bessemer.explain.from_package import actual_of, typed
from bessemer.export.samples import drawn_rows, samples_of
from bessemer.package.feeds import to_feeds
from bessemer.package.model import Model

if TYPE_CHECKING:
    import pyarrow as pa

#: Rows drawn from the package's profile, where nobody gives any.
DRAWN = 2_000
#: Fewer rows that are given are too few to part: versions are made from rows of the package alone.
LEAST = 40


@dataclass(frozen=True)
class Rows:
    """learn_features: (M, F) float32, what ways may look at. table: N other rows, raw, to judge on; judge: the same as
    tensors (N, 1). truth: (N,) their right answers, NaN where not known; None where none is. text: where they are
    from."""

    learn_features: np.ndarray
    table: pa.Table
    judge: Mapping[str, np.ndarray]
    truth: np.ndarray | None
    text: str

    @property
    def count(self) -> int:
        """How many rows are judged on."""
        return int(self.table.num_rows)

    @property
    def labelled(self) -> int:
        """How many of them have a right answer."""
        return 0 if self.truth is None else int(np.isfinite(self.truth).sum())


def rows_of(model: Model, given: pa.Table | None, seed: int) -> Rows:
    """Half of the rows for each: those that are given, else rows drawn from the package's profile.

    Of fewer than `LEAST` given rows all are judged on, and the package's own are learnt from.

    Raises:
        DataError: a column is missing, or holds what cannot be converted.
    """
    if given is None:
        own = _own(model, seed)
        learn, judge = _halves(own, seed)
        text = "rows made from the package's profile and sample"
        return Rows(
            _features(model, own.take(learn)), own.take(judge), _feeds(model, own.take(judge)), None, text
        )
    (table,) = typed([given], model.signature.inputs)
    truth, text = actual_of(model, given), "rows that were given"
    if len(table) < LEAST:
        learnt, judge = _own(model, seed), np.arange(len(table))
        text = f"{text}, too few to learn from too"
    else:
        learn, judge = _halves(table, seed)
        learnt = table.take(learn)
    known = np.isfinite(truth[judge])
    if known.any():
        answers = "their right answers" if known.all() else f"{int(known.sum()):,} right answers"
        text = f"{text}, with {answers}"
    judged = table.take(judge)
    answers_known = truth[judge] if known.any() else None
    return Rows(_features(model, learnt), judged, _feeds(model, judged), answers_known, text)


def _own(model: Model, seed: int) -> pa.Table:
    """Rows that the package says enough to make up."""
    import pyarrow as pa

    rows = drawn_rows(model, DRAWN, seed) or samples_of(model).rows
    names = [field.name for field in model.signature.inputs]
    given = pa.table({name: [row[name] for row in rows] for name in names})
    (table,) = typed([given], model.signature.inputs)
    return table


def _halves(table: pa.Table, seed: int) -> tuple[np.ndarray, np.ndarray]:
    count = table.num_rows
    order = np.random.default_rng([seed, 3]).permutation(count)
    return np.sort(order[: count // 2]), np.sort(order[count // 2 :])


def _features(model: Model, table: pa.Table) -> np.ndarray:
    return np.ascontiguousarray(model.session.run_feeds(_feeds(model, table), ["features"])["features"])


def _feeds(model: Model, table: pa.Table) -> dict[str, np.ndarray]:
    return to_feeds(table, model.signature.inputs)
