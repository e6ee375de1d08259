"""The rows that versions are made from and judged on: never the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.export.samples import drawn_rows, samples_of
from bessemer.package.model import Model
from bessemer.package.records import rows_to_feeds

if TYPE_CHECKING:
    import pyarrow as pa

#: Rows drawn from the package's profile, where nobody gives any.
DRAWN = 2_000


@dataclass(frozen=True)
class Rows:
    """learn_features: (M, F) float32, what ways may look at. judge: tensors (N, 1) of other rows. truth: (N,) their
    right answers, None where not known. text: where they are from."""

    learn_features: np.ndarray
    judge: Mapping[str, np.ndarray]
    truth: np.ndarray | None
    text: str

    @property
    def count(self) -> int:
        """How many rows are judged on."""
        return len(next(iter(self.judge.values()), ()))


def rows_of(model: Model, given: pa.Table | None, seed: int) -> Rows:
    """Half of the rows for each: those that are given, else rows drawn from the package's profile.

    Raises:
        DataError: a column is missing, or holds what cannot be converted.
    """
    if given is None:
        found = drawn_rows(model, DRAWN, seed) or samples_of(model).rows
        feeds = rows_to_feeds(found, model.signature.inputs)
        return _parted(model, feeds, None, "rows made from the package's profile and sample", seed)
    from bessemer.explain.from_package import actual_of, typed
    from bessemer.package.feeds import to_feeds

    (table,) = typed([given], model.signature.inputs)
    truth = actual_of(model, given)
    known = np.isfinite(truth)
    feeds = dict(to_feeds(table, model.signature.inputs))
    if known.all() and len(known):
        return _parted(model, feeds, truth, "rows that were given, with their right answers", seed)
    return _parted(model, feeds, None, "rows that were given", seed)


def _parted(model: Model, feeds: Mapping[str, Any], truth: np.ndarray | None, text: str, seed: int) -> Rows:
    count = len(next(iter(feeds.values())))
    order = np.random.default_rng([seed, 3]).permutation(count)
    if count < 20:  # too few to part: what is learnt of them is ranges alone
        learn, judge = order, np.sort(order)
    else:
        learn, judge = np.sort(order[: count // 2]), np.sort(order[count // 2 :])
    features = model.session.run_feeds({name: value[learn] for name, value in feeds.items()}, ["features"])[
        "features"
    ]
    return Rows(
        np.ascontiguousarray(features),
        {name: value[judge] for name, value in feeds.items()},
        None if truth is None else truth[judge],
        text,
    )
