"""Statistics of every column, in a few passes of SQL over groups of columns.

The same data gives the same numbers whatever the number of threads: sums of floating-point numbers run on one
thread, the rest are counts, extremes and sketches whose order does not matter. Quantiles are exact up to
`SAMPLE` rows and come from a fixed, evenly spread sample of about that size above.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bessemer.core.sql import quote
from bessemer.validate.facts import LEVELS, bin_edges, finish, scale_of

if TYPE_CHECKING:
    from bessemer.core.stage import Context

SAMPLE = 500_000
EXACT = 10_000  # distinct values are counted exactly up to here
_TOP = 20
_CATEGORIES = 50
_GROUP = 200
_FEW = 40  # the time of distinct counts grows with the square of their number in one query
_AT_ONCE = 5  # and so does that of aggregates with a filter, each of which copies what all others read

Column = tuple[str, str]  # name, DuckDB type


@dataclass
class Statistics:
    """rows, and for each column the facts of `statistics.json`; `categories` has all values of columns with few."""

    rows: int
    columns: dict[str, dict[str, Any]] = field(default_factory=dict)
    categories: dict[str, list[str]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {"rows": self.rows, "columns": self.columns}


class Describer:
    """Computes statistics over a relation. `connection` runs on one thread where sums are taken."""

    def __init__(self, connection: Any, relation: str, columns: Sequence[Column], ctx: Context) -> None:
        self.connection, self.relation, self.columns, self.ctx = connection, relation, columns, ctx
        self.rows = int(connection.execute(f"SELECT count(*) FROM {relation}").fetchone()[0])
        self.result = Statistics(self.rows)

    def run(self) -> Statistics:
        with self.ctx.progress("statistics", len(self.columns)) as bar:
            for group in _groups(self.columns, _GROUP):
                with self._narrow(group):
                    self._describe(group)
                bar.advance(len(group))
        for name, kind in self.columns:
            finish(self.result.columns[name], kind)
        return self.result

    @contextmanager
    def _narrow(self, group: Sequence[Column]) -> Iterator[None]:
        """Of a very wide table, a copy of the group's columns: each query on the whole would bind all columns."""
        if len(self.columns) <= 2 * _GROUP:
            yield
            return
        whole, self.relation = self.relation, '"narrow part"'
        listed = ", ".join(quote(name) for name, _ in group)
        self.connection.execute(
            f"CREATE OR REPLACE TEMP TABLE {self.relation} AS SELECT {listed} FROM {whole}"
        )
        yield
        self.connection.execute(f"DROP TABLE {self.relation}")
        self.relation = whole

    def _describe(self, group: Sequence[Column]) -> None:
        numbers = [c for c in group if c[1] in ("BIGINT", "DOUBLE", "TIMESTAMP")]
        texts = [c for c in group if c[1] in ("VARCHAR", "BOOLEAN")]
        self._basic(group)
        with self._one_thread():
            self._means(numbers)
            self._spread(numbers)
        for part in _groups(numbers, _FEW):
            self._distinct(part)
            self._quantiles(part)
        for part in _groups(texts, _FEW):
            self._values(part)

    def _facts(self, columns: Sequence[Column], expressions: Callable[[str, str], dict[str, str]]) -> None:
        """Compute named expressions for each column of a group, and put the values among the column's facts."""
        for part in _groups(columns, _AT_ONCE):
            wanted = [(name, expressions(name, kind)) for name, kind in part]
            listed = ", ".join(expression for _, named in wanted for expression in named.values())
            if not listed:
                continue
            values = iter(self.connection.execute(f"SELECT {listed} FROM {self.relation}").fetchone())
            for name, named in wanted:
                self.result.columns.setdefault(name, {}).update({key: next(values) for key in named})

    def _basic(self, columns: Sequence[Column]) -> None:
        def expressions(name: str, kind: str) -> dict[str, str]:
            c = quote(name)
            named = {"count": f"count({c})", "distinct": f"approx_count_distinct({c})"}
            if kind in ("BIGINT", "DOUBLE", "TIMESTAMP"):
                value, finite = _number(name, kind)
                named |= {"min": f"min({value}){finite}", "max": f"max({value}){finite}"}
            if kind == "DOUBLE":
                named["infinite"] = f"coalesce(count_if(isinf({c})), 0)"
            if kind == "VARCHAR":
                long = f"length({c})"
                named["length"] = f"[CAST(min({long}) AS DOUBLE), sum({long}) / count({c}), max({long})]"
            return named

        self._facts(columns, expressions)
        for name, kind in columns:
            facts = self.result.columns[name]
            facts |= {
                "dtype": kind,
                "missing": self.rows - facts["count"],
                "infinite": facts.get("infinite", 0),
            }
            facts["missing_share"] = facts["missing"] / self.rows if self.rows else 0.0
            if (length := facts.get("length")) is not None and facts["count"]:
                facts["length"] = {"min": int(length[0]), "mean": length[1], "max": int(length[2])}

    def _means(self, columns: Sequence[Column]) -> None:
        """Scaled where the sum of huge values would overflow; whole numbers are summed exactly, in 128 bits."""

        def expressions(name: str, kind: str) -> dict[str, str]:
            facts = self.result.columns[name]
            if kind == "TIMESTAMP" or facts["min"] is None:
                return {}
            value, finite = _number(name, kind)
            facts["scale"] = scale = scale_of(facts)
            if kind == "BIGINT":
                return {"mean": f"CAST(sum({value}) AS DOUBLE) / count({value}) / {scale!r}"}
            return {"mean": f"avg(CAST({value} AS DOUBLE) / {scale!r}){finite}"}

        self._facts(columns, expressions)

    def _spread(self, columns: Sequence[Column]) -> None:
        """Standard deviation around the known mean (two passes lose no digits), and histogram."""

        def expressions(name: str, kind: str) -> dict[str, str]:
            facts = self.result.columns[name]
            named: dict[str, str] = {}
            value, finite = _number(name, kind)
            if facts["min"] is None:
                return named
            if "mean" in facts:
                centred = (
                    f"CAST({value} AS DOUBLE) / {facts['scale']!r} - CAST('{facts['mean']!r}' AS DOUBLE)"
                )
                named["squares"] = f"sum(({centred}) ** 2){finite}"
            facts["edges"] = edges = bin_edges(facts["min"], facts["max"], whole=kind != "DOUBLE")
            if len(edges) > 1:
                bins = f"CAST('{edges[1:]}' AS DOUBLE[])"
                named["bins"] = f"histogram(CAST({value} AS DOUBLE), {bins}){finite}"
            return named

        self._facts(columns, expressions)

    def _distinct(self, columns: Sequence[Column]) -> None:
        few = [(name, kind) for name, kind in columns if self.result.columns[name]["distinct"] <= EXACT * 1.1]
        # A list is quicker to set up than a hash table: it counts where there are many columns and few rows.
        way = "len(list_distinct(list({c})))" if self.rows <= EXACT else "count(DISTINCT {c})"
        self._facts(few, lambda name, kind: {"exact": way.replace("{c}", quote(name))})

    def _quantiles(self, columns: Sequence[Column]) -> None:
        names = [(name, kind) for name, kind in columns if self.result.columns[name]["min"] is not None]
        if not names:
            return
        parts = [_number(name, kind) for name, kind in names]
        listed = ", ".join(f"quantile_disc({value}, {list(LEVELS)}){finite}" for value, finite in parts)
        row = self.connection.execute(
            f"SELECT {listed} FROM {self._sample([n for n, _ in names])}"
        ).fetchone()
        for (name, _), values in zip(names, row, strict=True):
            self.result.columns[name]["levels"] = values

    def _sample(self, names: Sequence[str]) -> str:
        """About SAMPLE rows, spread evenly: a row is taken by its number (multiplicative hash, Knuth 6.4)."""
        if self.rows <= SAMPLE:
            return self.relation
        taken = int(2**32 * SAMPLE / self.rows)
        listed = ", ".join(quote(name) for name in names)
        numbered = f'SELECT {listed}, row_number() OVER () AS "row number" FROM {self.relation}'
        return f'(SELECT * FROM ({numbered}) WHERE ("row number" * 2654435761) % 4294967296 < {taken})'

    def _values(self, columns: Sequence[Column]) -> None:
        few = [name for name, _ in columns if self.result.columns[name]["distinct"] <= EXACT * 1.1]
        if few:
            listed = ", ".join(f"histogram({quote(name)})" for name in few)
            row = self.connection.execute(f"SELECT {listed} FROM {self.relation}").fetchone()
            for name, counts in zip(few, row, strict=True):
                self._few(name, counts or {})
        for name in (name for name, _ in columns if name not in few):
            c = quote(name)
            query = f"SELECT {c}, count(*) FROM {self.relation} WHERE {c} IS NOT NULL GROUP BY 1"
            top = self.connection.execute(f"{query} ORDER BY 2 DESC, 1 LIMIT {_TOP}").fetchall()
            self.result.columns[name]["top"] = [list(pair) for pair in top]

    def _few(self, name: str, counts: dict[Any, int]) -> None:
        facts = self.result.columns[name]
        ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
        facts["exact"], facts["top"] = len(ranked), [list(pair) for pair in ranked[:_TOP]]
        if facts["dtype"] == "VARCHAR" and 0 < len(ranked) <= _CATEGORIES:
            self.result.categories[name] = sorted(counts)

    @contextmanager
    def _one_thread(self) -> Iterator[None]:
        self.connection.execute("SET threads = 1")
        yield
        self.connection.execute(f"SET threads = {self.ctx.threads}")


def _groups(columns: Sequence[Column], size: int) -> Iterator[Sequence[Column]]:
    return (columns[i : i + size] for i in range(0, len(columns), size))


def _number(name: str, kind: str) -> tuple[str, str]:
    """The column as a number, and the filter that leaves infinities out."""
    c = quote(name)
    if kind == "TIMESTAMP":
        return f"epoch_us({c})", ""
    return c, f" FILTER (WHERE isfinite({c}))" if kind == "DOUBLE" else ""


def describe(connection: Any, relation: str, columns: Sequence[Column], ctx: Context) -> Statistics:
    """Statistics of a relation's columns.

    Args:
        relation: what to select from.
        columns: names and types (the five of a dataset).
    """
    return Describer(connection, relation, columns, ctx).run()
