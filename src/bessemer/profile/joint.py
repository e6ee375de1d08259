"""What no column shows by itself: means of features of whole rows, how well few directions make up a row, texts.

All of it is of at most 50,000 training rows, spread evenly, in sums that one pass makes: see `docs/joint-drift.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from bessemer.core.blas import one_thread
from bessemer.package.even import halves
from bessemer.package.joint import associated, chosen, scored_numbers
from bessemer.package.row_codes import Codes, Sketches, coded, read_codes, told
from bessemer.package.row_features import RowCosines, narrow, vectors
from bessemer.package.texts_sample import read_texts, text_columns
from bessemer.stats.arrays import Floats, tidy
from bessemer.stats.binning import count, quantile_edges
from bessemer.stats.components import Components
from bessemer.stats.mean_features import ROWS_A_FEATURE, MeanFeatures, traces_of
from bessemer.stats.packed import pack, pack_symmetric, unpack

#: Random features of a row, at most; and the fewest that are worth it.
FEATURES, LEAST_FEATURES = 128, 8

#: The widest vectors of rows whose directions are found, and the fewest rows.
WIDTH, LEAST_ROWS = 128, 500

_BINS = 256

#: What is kept of means: far below their chance, and far above what kinds of processors add up otherwise.
_DECIMALS = 6


def joint_facts(
    connection: Any, relation: str, sketches: Sketches, rows: int, kept: int = 0
) -> tuple[dict[str, Any], Floats]:
    """The keys `joint`, `row`, `mmd`, `reconstruction` and `texts` of `reference.json`; and coded rows.

    Args:
        relation: what stands after FROM. sketches: of its columns. rows: how many it has. kept: how many coded rows
            to give at most (n, columns), spread evenly.
    """
    names = chosen(sketches)
    scores = {name: scored_numbers(connection, relation, name, sketches[name], rows) for name in names}
    columns = coded(sketches, names)
    codes = read_codes(connection, relation, columns, sketches, rows, scores)
    with one_thread():
        facts = _facts(connection, relation, sketches, rows, scores, codes)
    rows_kept = codes.spread(kept).matrix() if kept and columns else np.zeros((0, len(columns)))
    return facts, rows_kept.astype(np.float32).astype(np.float64)


def _facts(
    connection: Any, relation: str, sketches: Sketches, rows: int, scores: Mapping[str, Floats], codes: Codes
) -> dict[str, Any]:
    return {
        "joint": _pairs(scores),
        "row": told(codes.columns),
        "mmd": _mean(codes),
        "reconstruction": _reconstruction(codes),
        "texts": dict(_texts(connection, relation, sketches, rows)),
    }


def _pairs(scores: Mapping[str, Floats]) -> dict[str, Any]:
    """How the columns of numbers go together: `columns`, and a matrix each of `correlation`, `rows` and `spread`."""
    correlation, counts, spread = associated(list(scores.values()))
    return {
        "columns": list(scores),
        "correlation": tidy(correlation.tolist(), 6),
        "rows": counts.astype(int).tolist(),
        "spread": tidy(spread.tolist(), 4),
    }


def _mean(codes: Codes) -> dict[str, Any] | None:
    features = min(FEATURES, len(codes) // ROWS_A_FEATURE)
    if len(codes.columns) < 2 or features < LEAST_FEATURES:
        return None
    cosines = RowCosines(codes.columns, features, exact=True)
    found = _summed(cosines.of(batch) for batch in codes.batches())
    mean, covariance = (_kept(part) for part in (found.mean, found.covariance))
    return {"rows": found.rows, "mean": pack(mean), "covariance": pack_symmetric(covariance)}


def _summed(parts: Iterable[Floats]) -> MeanFeatures:
    """Of features that come in batches."""
    sums: MeanFeatures | None = None
    for features in parts:
        if len(features):
            found = MeanFeatures.of(features)
            sums = found if sums is None else sums.merged(found)
    return MeanFeatures(0, np.zeros(0), np.zeros((0, 0))) if sums is None else sums


def _reconstruction(codes: Codes) -> dict[str, Any] | None:
    """The directions are of one half of the rows, and how far rows lie from them of the other: no row judges itself."""
    narrowed = narrow(codes.columns, WIDTH)
    if len(narrowed) < 2 or len(codes) < LEAST_ROWS:
        return None
    part = Codes(tuple(narrowed), codes.values[: len(narrowed)])
    first = halves(len(part))
    half = part.take(first)
    found = Components.of(_summed(vectors(batch) for batch in half.batches()))
    mean, directions = (pack(_kept(part)) for part in (found.mean, found.directions))
    # by what is kept, to the last bit: many rows may be alike
    components = Components(unpack(mean), unpack(directions).reshape(found.directions.shape))
    distances = _all(components.distances, part.take(~first))
    edges = quantile_edges(distances, _BINS)
    return {
        "columns": len(narrowed),
        "mean": mean,
        "directions": directions,
        "edges": edges,
        "counts": count(distances, edges).tolist(),
    }


def _kept(values: Floats) -> Floats:
    return np.round(values, _DECIMALS) + 0.0  # no -0.0


def _all(distances: Callable[[Floats], Floats], codes: Codes) -> Floats:
    return np.concatenate([distances(vectors(batch)) for batch in codes.batches()])


def _texts(connection: Any, relation: str, sketches: Sketches, rows: int) -> Iterable[tuple[str, Any]]:
    for name in text_columns(sketches):
        found = _summed(read_texts(connection, relation, name, rows))
        if found.rows >= LEAST_ROWS:
            yield (
                name,
                {
                    "rows": found.rows,
                    "mean": pack(found.mean),
                    "variance": pack(np.diag(found.covariance)),
                    "traces": tidy(traces_of(found)),
                },
            )
