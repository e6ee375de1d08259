"""Statistics of a table that stays at an engine: the facts of `statistics`, asked of all its rows.

Counts, extremes and distinct values are exact. Sums of floats depend in their last digits on the order in which the
engine adds. Quantiles are exact up to `SAMPLE` rows, and above of about so many rows, chosen by their hash.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from bessemer.core.sql import quote
from bessemer.engines.table import Table
from bessemer.validate.facts import LEVELS, bin_edges, finish, scale_of
from bessemer.validate.layout import Column
from bessemer.validate.statistics import SAMPLE, Statistics

if TYPE_CHECKING:
    from bessemer.core.stage import Context

_TOP = 20
_CATEGORIES = 50
_GROUP = 20  # columns in one question
_NUMBERS = ("BIGINT", "DOUBLE", "TIMESTAMP")


def describe(table: Table, relation: str, columns: Sequence[Column], ctx: Context) -> Statistics:
    """Statistics of a relation over the table `data`.

    Args:
        relation: SQL in DuckDB's dialect that stands after FROM.
        columns: its names and types, the five.
    """
    return _Describer(table, relation, columns).run(ctx)


class _Describer:
    def __init__(self, table: Table, relation: str, columns: Sequence[Column]) -> None:
        self.table, self.relation, self.columns = table, relation, columns
        self.result = Statistics(int(self._ask(f"SELECT count(*) AS n FROM {relation}")[0][0]))

    def run(self, ctx: Context) -> Statistics:
        with ctx.progress(f"statistics at {self.table.name}", len(self.columns)) as bar:
            for start in range(0, len(self.columns), _GROUP):
                group = self.columns[start : start + _GROUP]
                self._facts(group, self._counts)
                for name, kind in group:
                    self._settle(name, kind)
                self._facts(group, self._mean)
                self._facts(group, self._spread)
                for name, kind in group:
                    self._values(name, kind)
                    bar.advance()
        for name, kind in self.columns:
            finish(self.result.columns[name], kind)
        return self.result

    def _ask(self, sql: str) -> list[tuple[Any, ...]]:
        return self.table.ask(sql, exact=False)

    def _facts(self, columns: Sequence[Column], expressions: Callable[[str, str], dict[str, str]]) -> None:
        """Ask for named expressions of each column together, and put the values among the column's facts."""
        wanted = [(name, key, sql) for name, kind in columns for key, sql in expressions(name, kind).items()]
        if not wanted:
            return
        listed = ", ".join(f"{sql} AS v{i}" for i, (_, _, sql) in enumerate(wanted))
        (row,) = self._ask(f"SELECT {listed}, 0 AS last FROM {self.relation}")
        for (name, key, _), value in zip(wanted, row[:-1], strict=True):
            self.result.columns.setdefault(name, {})[key] = value

    def _counts(self, name: str, kind: str) -> dict[str, str]:
        c = quote(name)
        named = {"count": f"count({c})", "distinct": f"count(DISTINCT {c})"}
        if kind in _NUMBERS:
            value = _value(name, kind)
            named |= {"min": f"min({value})", "max": f"max({value})"}
        if kind == "DOUBLE":
            named["infinite"] = f"count_if(isinf({c}))"
        if kind == "VARCHAR":
            named |= {f"length {of}": f"{of}(length({c}))" for of in ("min", "avg", "max")}
        return named

    def _settle(self, name: str, kind: str) -> None:
        facts, rows = self.result.columns[name], self.result.rows
        facts |= {
            "dtype": kind,
            "missing": rows - facts["count"],
            "infinite": int(facts.get("infinite") or 0),
        }
        facts["missing_share"] = facts["missing"] / rows if rows else 0.0
        lengths = [facts.pop(f"length {of}", None) for of in ("min", "avg", "max")]
        if kind == "VARCHAR":
            low, mean, high = lengths
            facts["length"] = (
                {"min": int(low), "mean": float(mean), "max": int(high)} if facts["count"] else None
            )

    def _mean(self, name: str, kind: str) -> dict[str, str]:
        facts = self.result.columns[name]
        if kind not in ("BIGINT", "DOUBLE") or facts["min"] is None:
            return {}
        facts["scale"] = scale = scale_of(facts)
        return {"mean": f"avg({_value(name, kind)} / CAST('{scale!r}' AS DOUBLE))"}

    def _spread(self, name: str, kind: str) -> dict[str, str]:
        facts = self.result.columns[name]
        if kind not in _NUMBERS or facts["min"] is None:
            return {}
        value, named = _value(name, kind), {}
        if "mean" in facts:
            centred = f"{value} / CAST('{facts['scale']!r}' AS DOUBLE) - CAST('{facts['mean']!r}' AS DOUBLE)"
            named["squares"] = f"sum(({centred}) * ({centred}))"
        facts["edges"] = edges = bin_edges(facts["min"], facts["max"], whole=kind != "DOUBLE")
        for i, edge in enumerate(edges[1:]):
            up_to = f"CAST({value} AS DOUBLE) <= CAST('{edge!r}' AS DOUBLE)"
            named[f"up to {i}"] = f"count_if({up_to})"
        return named

    def _values(self, name: str, kind: str) -> None:
        """The most frequent values of texts and booleans, quantiles and histograms of the others."""
        facts = self.result.columns[name]
        if kind not in _NUMBERS:
            self._top(name, facts)
            return
        if facts["min"] is None:
            return
        edges = facts["edges"]
        below = [int(facts.pop(f"up to {i}")) for i in range(len(edges) - 1)]
        if below:
            facts["bins"] = dict(zip(edges[1:], _differences(below), strict=True))
        facts["levels"] = self._quantiles(name, kind)

    def _top(self, name: str, facts: dict[str, Any]) -> None:
        c, limit = quote(name), max(_TOP, _CATEGORIES)
        grouped = f"SELECT {c} AS value, count(*) AS n FROM {self.relation} WHERE {c} IS NOT NULL GROUP BY 1"
        found = self._ask(f"SELECT value, n FROM ({grouped}) ORDER BY n DESC, value LIMIT {limit}")
        facts["top"] = [[value, int(n)] for value, n in found[:_TOP]]
        if facts["dtype"] == "VARCHAR" and 0 < facts["distinct"] <= _CATEGORIES:
            self.result.categories[name] = sorted(value for value, _ in found)

    def _quantiles(self, name: str, kind: str) -> list[Any]:
        """The smallest values at or below which the shares of `LEVELS` lie."""
        value = _value(name, kind)
        chosen = f"{value} IS NOT NULL AND {self.table.part(SAMPLE)}"
        grouped = f"SELECT {value} AS v, count(*) AS n FROM {self.relation} WHERE {chosen} GROUP BY 1"
        summed = f"SELECT v, sum(n) OVER (ORDER BY v) AS upto, sum(n) OVER () AS total FROM ({grouped})"
        listed = ", ".join(
            f"min(CASE WHEN upto >= {q!r} * total THEN v END) AS q{i}" for i, q in enumerate(LEVELS)
        )
        return list(self._ask(f"SELECT {listed} FROM ({summed})")[0])


def _differences(below: Sequence[int]) -> Iterator[int]:
    return (high - low for low, high in zip([0, *below], below, strict=False))


def _value(name: str, kind: str) -> str:
    """The column as a number, NULL where it is infinite."""
    c = quote(name)
    if kind == "TIMESTAMP":
        return f"epoch_us({c})"
    return f"(CASE WHEN isfinite({c}) THEN {c} END)" if kind == "DOUBLE" else c
