"""Random expressions over random rows: DuckDB and onnxruntime give the same values."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bessemer.prepare.expressions.moments import PARTS, TRUNCATIONS

Strategy = st.SearchStrategy[Any]

WORDS = ("a", "b", "AB", "10%", "a.b", "é", "Ü x", "日本", "x\ny", "it's")
ROWS = st.fixed_dictionaries(
    {
        **dict.fromkeys(
            ("x", "y", 'air "time"'),
            st.none()
            | st.sampled_from(
                [0.0, -0.0, 1.0, -1.0, 0.5, 2.5, -2.5, 1e9, 1e-9, 1e200, float("inf"), float("-inf")]
            )
            | st.integers(-4000, 4000).map(lambda n: n / 8),
        ),
        **dict.fromkeys(("i", "j"), st.none() | st.integers(-20, 20) | st.integers(-(2**53), 2**53)),
        **dict.fromkeys(("p", "q"), st.none() | st.booleans()),
        **dict.fromkeys(
            ("s", "u"), st.none() | st.just("") | st.sampled_from(WORDS) | st.text("abéA%_.", max_size=4)
        ),
        **dict.fromkeys(
            ("t", "v"),
            st.none()
            | st.datetimes(dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31, 23, 59, 59, 999999))
            | st.datetimes(dt.datetime(1969, 12, 30), dt.datetime(1970, 1, 3))
            | st.sampled_from([dt.datetime(2000, 2, 29), dt.datetime(1900, 3, 1), dt.datetime(2013, 1, 1)]),
        ),
    }
)


def fill(template: str, *parts: Strategy) -> Strategy:
    return st.tuples(*parts).map(lambda values: template.format(*values))


def either(*options: Strategy) -> Strategy:
    return st.one_of(*options)


def build(depth: int) -> dict[str, Strategy]:
    """Strategies for the texts of expressions of each type, so deep at most."""
    if depth == 0:
        return {
            "integer": st.sampled_from(["i", "j", "0", "1", "7"]),
            "number": st.sampled_from(["x", "y", '"air ""time"""', "0.5", "2.5", "i", "j", "3"]),
            "boolean": st.sampled_from(["p", "q", "TRUE", "p IS NULL"]),
            "string": st.sampled_from(["s", "u", "'a'", "'é'"]),
            "timestamp": st.sampled_from(["t", "v", "TIMESTAMP '2000-02-29 12:30:00'", "DATE '1969-12-31'"]),
        }
    low = build(depth - 1)
    n, k, b, s, t = (low[kind] for kind in ("number", "integer", "boolean", "string", "timestamp"))
    word = st.sampled_from(WORDS).map(lambda w: "'" + w.replace("'", "''") + "'")
    units = st.sampled_from(["microsecond", "second", "minute", "hour", "day", "month", "quarter", "year"])
    parts = st.sampled_from(sorted(set(PARTS.values())))
    compare = st.sampled_from(["=", "<>", "<", "<=", ">", ">="])
    lengths = st.sampled_from(["days", "hours", "minutes", "seconds"])
    t_units = st.sampled_from(TRUNCATIONS)
    any_kind = either(n, b, s, t)
    chosen = {
        kind: either(
            fill("CASE WHEN {} THEN {} WHEN {} THEN {} ELSE {} END", b, own, b, own, own),
            fill("CASE {} WHEN 1 THEN {} WHEN {} THEN {} END", n, own, n, own),
            fill("coalesce({}, {})", own, own),
            fill("nullif({}, {})", own, own),
            fill("if({}, {}, NULL)", b, own),
        )
        for kind, own in low.items()
    }
    return {
        "integer": either(
            k,
            chosen["integer"],
            fill("(({}) {} ({}))", k, st.sampled_from(["+", "-", "*", "//", "%"]), k),
            fill("cast({} AS bigint)", either(n, b)),
            fill("cast({} AS smallint)", n),
            fill("sign({})", n),
            fill(
                "extract({} FROM {})",
                st.sampled_from(["year", "month", "day", "dow", "doy", "week", "hour"]),
                t,
            ),
            fill("date_diff('{}', {}, {})", units, t, t),
            fill("date_sub('{}', {}, {})", st.sampled_from(["second", "hour", "day"]), t, t),
        ),
        "number": either(
            n,
            chosen["number"],
            fill("(({}) {} ({}))", n, st.sampled_from(["+", "-", "*", "/", "%"]), n),
            fill("(- ({}))", n),
            fill("{}({})", st.sampled_from(["abs", "floor", "ceil", "round", "trunc", "sqrt"]), n),
            fill("round({}, {})", n, st.sampled_from(["2", "1", "-1"])),
            fill("{}({}, {})", st.sampled_from(["greatest", "least"]), n, n),
            fill("date_part('{}', {})", parts, t),
        ),
        "boolean": either(
            b,
            chosen["boolean"],
            fill("({}) {} ({})", n, compare, n),
            fill("({}) {} ({})", t, compare, t),
            fill("({}) {} ({})", b, compare, b),
            fill("({}) {} ({})", s, st.sampled_from(["=", "<>"]), s),
            fill("(({}) {} ({}))", b, st.sampled_from(["AND", "OR"]), b),
            fill("NOT ({})", b),
            fill("({}) IS {}", any_kind, st.sampled_from(["NULL", "NOT NULL"])),
            fill("({}) IS {}", b, st.sampled_from(["TRUE", "NOT TRUE", "FALSE"])),
            fill("({}) IS {} DISTINCT FROM ({})", n, st.sampled_from(["", "NOT"]), n),
            fill("({}) IS {} DISTINCT FROM ({})", s, st.sampled_from(["", "NOT"]), s),
            fill("({}) {} ({}) AND ({})", n, st.sampled_from(["BETWEEN", "NOT BETWEEN"]), n, n),
            fill(
                "({}) {} (1, 2.5, {})",
                n,
                st.sampled_from(["IN", "NOT IN"]),
                st.sampled_from(["0", "NULL", "y"]),
            ),
            fill("({}) {} ('a', {})", s, st.sampled_from(["IN", "NOT IN"]), either(word, st.just("NULL"))),
            fill("({}) LIKE {}", s, st.sampled_from(["'a%'", "'_'", "'%b%'", "'10%'", "'a.b'", "'x%y'"])),
            fill("{}({}, {})", st.sampled_from(["starts_with", "ends_with", "contains"]), s, word),
            fill("regexp_matches({}, {})", s, st.sampled_from(["'^a'", "'b$'", "'a|b'", "'[é-ü]'", "'x.y'"])),
        ),
        "string": either(
            s,
            chosen["string"],
            fill("({} || ({}))", s, either(s, k, b)),
            fill("concat({}, {}, {})", s, s, k),
            fill("{}({})", st.sampled_from(["lower", "upper"]), s),
            fill("cast({} AS varchar)", k),
        ),
        "timestamp": either(
            t,
            chosen["timestamp"],
            fill("date_trunc('{}', {})", t_units, t),
            fill("({} {} INTERVAL '{} {}')", t, st.sampled_from("+-"), st.integers(-999, 9999), lengths),
            fill("{}({}, {})", st.sampled_from(["greatest", "least"]), t, t),
            fill("cast({} AS date)", t),
        ),
    }


EXPRESSIONS = build(2)
SMOOTH = ["exp({})", "ln({})", "log10({})", "log2({})", "log(2, {})", "sin({})", "cos({})", "tan({})", "atan({})",
          "asin({} / 500)", "acos({} / 500)", "pow({}, 3)", "pow(2.5, {})", "pow({0}, {0})", "atan2({0}, x)",
          "atan2(y, {0})", "degrees({})", "{} ** 0.5"]  # fmt: skip


def uses_a_column(text: str) -> bool:
    outside = "".join(text.split("'")[::2])
    return any(
        f" {name} " in f" {''.join(c if c.isalnum() else ' ' for c in outside)} " for name in "xyijpqsutv"
    )


quick = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.filter_too_much,
    ],
)


@pytest.mark.slow
@quick
@given(
    text=st.one_of(*EXPRESSIONS.values()).filter(uses_a_column), table=st.lists(ROWS, min_size=1, max_size=12)
)
def test_random_expressions_agree(
    agreed: Callable[..., list[Any]], text: str, table: list[dict[str, Any]]
) -> None:
    agreed(text, table)


@pytest.mark.slow
@quick
@given(
    template=st.sampled_from(SMOOTH),
    inner=build(1)["number"].filter(uses_a_column),
    table=st.lists(ROWS, min_size=1, max_size=12),
)
def test_random_smooth_functions_agree(
    agreed: Callable[..., list[Any]], template: str, inner: str, table: list[dict[str, Any]]
) -> None:
    agreed(template.format(f"({inner})"), table)
