"""Sketches of the raw input columns of the training rows, counted in SQL.

A value is missing when the graph takes it for missing: NULL, NaN, an infinity, an empty text. Every query
runs on one thread, so that sums of floats are the same in every run.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bessemer.core.signature import DType
from bessemer.core.sql import literal, quote
from bessemer.stats.arrays import tidy
from bessemer.stats.binning import edges_from_cuts, quantile_cuts

#: Quantiles are taken from about this many rows, spread evenly by a hash of the row number; counts from all.
SAMPLE_ROWS = 200_000

#: Columns are read a few at a time, so that each is read once and memory stays bounded.
CHUNK_CELLS = 16_000_000
CHUNK_COLUMNS = 64

#: Longer texts are counted, but not kept one by one.
MAX_TEXT = 200

#: What is greater is an infinity in the graph, and so missing.
FLOAT32_MAX = 3.4028234e38

_EPOCH = dt.datetime(1970, 1, 1)


def sketch_columns(
    connection: Any, part: Path, columns: Mapping[str, DType], *, bins: int, categories: int
) -> dict[str, dict[str, Any]]:
    """A sketch of each column of a Parquet file; see `docs/profile.md` for its keys.

    Args:
        connection: a DuckDB connection with one thread.
        columns: name -> dtype of the signature.
    """
    source = f"read_parquet({literal(part)})"
    rows = int(connection.execute(f"SELECT count(*) FROM {source}").fetchone()[0])
    found = {}
    for names in _chunks(list(columns), min(CHUNK_COLUMNS, max(1, CHUNK_CELLS // max(1, rows)))):
        wanted = ", ".join(map(quote, names))
        connection.execute(f"CREATE OR REPLACE TEMP TABLE part AS SELECT {wanted} FROM {source}")
        for name in names:
            if columns[name] in ("string", "boolean"):
                found[name] = _categories(connection, name, columns[name], rows, categories)
            else:
                found[name] = _numbers(connection, name, columns[name], rows, bins)
    connection.execute("DROP TABLE IF EXISTS part")
    return found


def _chunks(names: list[str], size: int) -> Iterator[list[str]]:
    return (names[start : start + size] for start in range(0, len(names), size))


def _categories(connection: Any, name: str, dtype: DType, rows: int, limit: int) -> dict[str, Any]:
    column = quote(name)
    known = f"{column} <> ''" if dtype == "string" else f"{column} IS NOT NULL"
    short = f"length({column}) <= {MAX_TEXT}" if dtype == "string" else "true"
    levels = f"SELECT {column} AS value, count(*) AS n FROM part WHERE {known} GROUP BY {column}"
    distinct, count = connection.execute(f"SELECT count(*), coalesce(sum(n), 0) FROM ({levels})").fetchone()
    top = connection.execute(
        f"SELECT * FROM ({levels}) AS levels({column}, n) WHERE {short} ORDER BY n DESC, {column} LIMIT {int(limit)}"
    ).fetchall()
    return {
        "dtype": dtype,
        "count": int(count),
        "missing": rows - int(count),
        "distinct": int(distinct),
        "categories": [[value, int(n)] for value, n in top],
        "other": int(count) - sum(int(n) for _, n in top),
    }


def _numbers(connection: Any, name: str, dtype: DType, rows: int, bins: int) -> dict[str, Any]:
    """Timestamps are sketched as microseconds since 1970 and written as ISO 8601."""
    value = quote(name)
    if dtype == "timestamp":
        value, kept = f"epoch_us({value})", f"isfinite({value})"
    else:
        value = f"{value}::DOUBLE"
        kept = f"abs({value}) <= {FLOAT32_MAX}"  # false for NaN and infinity: both sort above every number
    source = f"SELECT {value} AS v, rowid AS place FROM part WHERE {kept}"
    count, low, high, mean, std = connection.execute(
        f"SELECT count(*), min(v), max(v), avg(v), stddev_pop(v) FROM ({source})"
    ).fetchone()
    sketch: dict[str, Any] = {"dtype": dtype, "count": int(count), "missing": rows - int(count)}
    if not count:
        return {**sketch, "edges": [], "counts": [], "mean": None, "std": None, "min": None, "max": None}
    cuts = _cuts(connection, source, rows, bins)
    edges = edges_from_cuts([round(cut) for cut in cuts] if dtype == "timestamp" else cuts, low, high)
    sketch |= {"edges": edges, "counts": _counts(connection, source, edges)}
    sketch |= {"mean": tidy(mean), "std": tidy(std), "min": low, "max": high}
    if dtype == "timestamp":
        sketch["std"] = tidy(std / 1e6)  # seconds
        sketch |= {key: _moment(sketch[key]) for key in ("mean", "min", "max")}
        sketch["edges"] = [_moment(edge) for edge in edges]
    return sketch


def _cuts(connection: Any, source: str, rows: int, bins: int) -> list[float]:
    """Up to bins - 1 inner quantiles that occur as values, of an even sample of the rows."""
    # Fibonacci hashing (Knuth): even over any run of row numbers, and the same in every version of the engine.
    bound = 2**32 if rows <= SAMPLE_ROWS else int(2**32 * SAMPLE_ROWS / rows)
    sample = f"SELECT v FROM ({source}) WHERE (place * 2654435769) % 4294967296 < {bound}"
    values = connection.execute(sample).fetchnumpy()["v"]
    return quantile_cuts(values, bins) if len(values) else []


def _counts(connection: Any, source: str, edges: Sequence[Any]) -> list[int]:
    """Rows in each bin (edges[i], edges[i + 1]]; the outer ones are open, as in `stats.binning`."""
    inner = list(edges[1:-1])
    if not inner:
        return [int(connection.execute(f"SELECT count(*) FROM ({source})").fetchone()[0])]
    counted = connection.execute(f"SELECT histogram(v, ?) FROM ({source})", [inner]).fetchone()[0]
    within = [int(counted.get(edge, 0)) for edge in inner]
    return [*within, sum(int(n) for n in counted.values()) - sum(within)]


def _moment(microseconds: float) -> str:
    return (_EPOCH + dt.timedelta(microseconds=round(microseconds))).isoformat()
