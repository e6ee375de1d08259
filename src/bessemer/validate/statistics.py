"""Statistics of every column, in a few passes of SQL over groups of columns.

The same data gives the same numbers whatever the number of threads: sums of floating-point numbers run on one
thread, the rest are counts, extremes and sketches whose order does not matter. Quantiles are exact up to
`SAMPLE` rows and come from a fixed, evenly spread sample of about that size above.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bessemer.core.sql import quote
from bessemer.validate.facts import LEVELS, bin_edges, finish, scale_of
from bessemer.validate.layout import Column, Layout, Question, Questions, laid_out

if TYPE_CHECKING:
    from bessemer.core.stage import Context

SAMPLE = 500_000
EXACT = 10_000  # distinct values are counted exactly up to here
_TOP = 20
_CATEGORIES = 50
_FEW = 40  # the time of distinct counts grows with the square of their number in one query
_AT_ONCE = 5  # and so does that of aggregates with a filter, each of which copies what all others read


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
        self.result = Statistics(self.rows, {name: {} for name, _ in columns})

    def run(self) -> Statistics:
        with self.ctx.progress("statistics", len(self.columns)) as bar:
            for group, layout in laid_out(self.connection, self.relation, self.columns, self.rows):
                self.layout: Layout = layout
                self._describe(group)
                bar.advance(len(group))
        for name, kind in self.columns:
            finish(self.result.columns[name], kind)
        return self.result

    def _describe(self, group: Sequence[Column]) -> None:
        numbers = [c for c in group if c[1] in ("BIGINT", "DOUBLE", "TIMESTAMP")]
        texts = [c for c in group if c[1] in ("VARCHAR", "BOOLEAN")]
        self._basic(group)
        with self._one_thread():
            self._means(numbers)
            self._spread(numbers)
        self._distinct(numbers)
        self._quantiles(numbers)
        self._values(texts)

    def _facts(self, columns: Sequence[Column], questions: Questions, at_once: int = _AT_ONCE) -> None:
        """Ask what is to be asked of each column of a group, and put the answers among the column's facts."""
        for name, facts in self.layout.ask(columns, questions, at_once):
            self.result.columns[name].update(facts)

    def _basic(self, columns: Sequence[Column]) -> None:
        def questions(name: str, kind: str) -> Question:
            named = {"count": "count({c})", "distinct": "approx_count_distinct({c})"}
            if kind in ("BIGINT", "DOUBLE", "TIMESTAMP"):
                value, finite = _number(kind)
                named |= {"min": f"min({value}){finite}", "max": f"max({value}){finite}"}
            if kind == "DOUBLE":
                named["infinite"] = "coalesce(count_if(isinf({c})), 0)"
            if kind == "VARCHAR":
                long = "length({c})"
                named["length"] = f"[CAST(min({long}) AS DOUBLE), sum({long}) / count({{c}}), max({long})]"
            return Question(named)

        self._facts(columns, questions)
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

        def questions(name: str, kind: str) -> Question:
            facts = self.result.columns[name]
            if kind == "TIMESTAMP" or facts["min"] is None:
                return Question({})
            value, finite = _number(kind)
            facts["scale"] = scale_of(facts)
            if kind == "BIGINT":
                mean = f"CAST(sum({value}) AS DOUBLE) / count({value}) / {{scale}}"
            else:
                mean = f"avg(CAST({value} AS DOUBLE) / {{scale}}){finite}"
            return Question({"mean": mean}, {"scale": facts["scale"]})

        self._facts(columns, questions)

    def _spread(self, columns: Sequence[Column]) -> None:
        """Standard deviation around the known mean (two passes lose no digits), and histogram."""

        def questions(name: str, kind: str) -> Question:
            facts = self.result.columns[name]
            named: dict[str, str] = {}
            constants: dict[str, float | list[float]] = {}
            if facts["min"] is None:
                return Question(named)
            value, finite = _number(kind)
            if "mean" in facts:
                centred = f"CAST({value} AS DOUBLE) / {{scale}} - {{mean}}"
                named["squares"] = f"sum(({centred}) ** 2){finite}"
                constants |= {"scale": facts["scale"], "mean": facts["mean"]}
            facts["edges"] = edges = bin_edges(facts["min"], facts["max"], whole=kind != "DOUBLE")
            if len(edges) > 1:
                named["bins"] = f"histogram(CAST({value} AS DOUBLE), {{edges}}){finite}"
                constants["edges"] = edges[1:]
            return Question(named, constants)

        self._facts(columns, questions)

    def _distinct(self, columns: Sequence[Column]) -> None:
        few = [(name, kind) for name, kind in columns if self.result.columns[name]["distinct"] <= EXACT * 1.1]
        # A list is quicker to set up than a hash table: it counts where there are many columns and few rows.
        way = "len(list_distinct(list({c})))" if self.rows <= EXACT else "count(DISTINCT {c})"
        self._facts(few, lambda name, kind: Question({"exact": way}), _FEW)

    def _quantiles(self, columns: Sequence[Column]) -> None:
        def questions(name: str, kind: str) -> Question:
            value, finite = _number(kind)
            return Question({"levels": f"quantile_disc({value}, {list(LEVELS)}){finite}"})

        there = [(name, kind) for name, kind in columns if self.result.columns[name]["min"] is not None]
        taken = None if self.rows <= SAMPLE else int(2**32 * SAMPLE / self.rows)
        for name, facts in self.layout.ask(there, questions, _FEW, taken):
            self.result.columns[name].update(facts)

    def _values(self, columns: Sequence[Column]) -> None:
        few = [(name, kind) for name, kind in columns if self.result.columns[name]["distinct"] <= EXACT * 1.1]
        for name, facts in self.layout.ask(
            few, lambda name, kind: Question({"counts": "histogram({c})"}), _FEW
        ):
            self._few(name, facts["counts"] or {})
        for name in (name for name, kind in columns if (name, kind) not in few):
            c = quote(name)
            query = f"SELECT {c}, count(*) FROM {self.layout.source(name)} WHERE {c} IS NOT NULL GROUP BY 1"
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


def _number(kind: str) -> tuple[str, str]:
    """SQL of a column as a number, and the filter that leaves infinities out."""
    if kind == "TIMESTAMP":
        return "epoch_us({c})", ""
    return "{c}", " FILTER (WHERE isfinite({c}))" if kind == "DOUBLE" else ""


def describe(connection: Any, relation: str, columns: Sequence[Column], ctx: Context) -> Statistics:
    """Statistics of a relation's columns.

    Args:
        relation: what to select from.
        columns: names and types (the five of a dataset).
    """
    return Describer(connection, relation, columns, ctx).run()
