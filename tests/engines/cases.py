"""SQL in DuckDB's dialect that every engine must answer as DuckDB does, over two small tables and their oddities."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from pathlib import Path

import pyarrow as pa


def tables() -> dict[str, pa.Table]:
    """`orders` (nulls, zones, unicode, negative numbers, decimals, NaN and infinity) and `shops`."""
    times = [
        *("2013-01-06T00:59:59.500000", "2013-01-06T01:01:00", None, "2012-12-31T23:59:59"),
        *("1969-07-20T20:17:40", "2024-02-29T12:00:00", "2013-03-31T02:30:00", "2013-01-06T01:01:00"),
    ]
    moments = [None if text is None else dt.datetime.fromisoformat(text) for text in times]
    notes = ["Grünes", "it's", "日本語", None, "  spaced ", "UPPER lower", "😀 smile", "a,b,c"]
    prices = ["10.50", "0.01", "-3.75", None, "99999.99", "1.00", "2.50", "7.25"]
    inf, nan = float("inf"), float("nan")
    orders = pa.table(
        {
            "id": pa.array(range(1, 9), pa.int64()),
            "Shop": pa.array(["a", "b", None, "a", "ü", "c", "b", ""], pa.string()),
            "note": pa.array(notes, pa.string()),
            "n": pa.array([5, -3, 0, None, 7, -8, 2, 1], pa.int32()),
            "big": pa.array([2**40, -(2**40), 0, 1, None, 12, 9, 3], pa.int64()),
            "x": pa.array([1.5, -2.5, 0.5, None, inf, nan, -0.1, 2.675], pa.float64()),
            "y": pa.array([0.0, 3.25, -1e9, 1e-9, 4.0, None, 2.0, 100.0], pa.float64()),
            "price": pa.array([p and Decimal(p) for p in prices], pa.decimal128(12, 2)),
            "paid": pa.array([True, False, None, True, False, True, True, False], pa.bool_()),
            "moment": pa.array(moments, pa.timestamp("us")),
            "seen": pa.array([m and m.replace(tzinfo=dt.UTC) for m in moments], pa.timestamp("us", "UTC")),
            "day": pa.array([m and m.date() for m in moments], pa.date32()),
        }
    )
    days = [dt.date(2000, 1, 1), dt.date(2010, 5, 5), None, dt.date(1999, 12, 31), dt.date(2020, 2, 29)]
    shops = pa.table(
        {
            "shop": pa.array(["a", "b", "c", "ü", None], pa.string()),
            "opened": pa.array(days, pa.date32()),
            "size": pa.array([3, 1, 2, 4, None], pa.int64()),
        }
    )
    return {"orders": orders, "shops": shops}


def _cases() -> dict[str, str]:
    text = (Path(__file__).parent / "cases.sql").read_text("utf-8")
    parts = (part.partition("\n") for part in re.split(r"^--- ", text, flags=re.MULTILINE)[1:])
    return {name.strip(): sql.strip().removesuffix(";") for name, _, sql in parts}


#: Name -> SQL.
CASES = _cases()

#: SQL that is refused on engines other than DuckDB -> words of the error.
REFUSED = {
    "select id, list(n) as l from orders group by id": ("ARRAY_AGG", "line 1"),
    "select id,\n  cast(y as varchar) as t from orders": ("float as text", "line 2"),
    "select id, moment - moment as d from orders": ("epoch(a) - epoch(b)",),
    "select id, unnest([1, 2]) as u from orders": ("UNNEST", "line 1"),
    "select distinct on (Shop) Shop, id from orders": ("row_number()",),
    "select id, n from orders semi join shops using (shop)": ("EXISTS",),
    "select id, {'a': n} as s from orders": ("{'a'",),
    "select id, random() as r from orders": ("RANDOM",),
    "select id, hash(n) as h from orders": ("HASH", "line 1, column 12"),
    "select id, mode(n) as m from orders group by id": ("MODE",),
    "select id, epoch_ms(moment) as m from orders": ("epoch_ms",),
    "select id, moment + to_days(n) as m from orders": ("TO_DAYS",),
    "select id, substr(note, -2) as s from orders": ("from 1 on", "line 1"),
    "select id, substr(note, 0, 3) as s from orders": ("from 1 on",),
    "select id, substr(note, n) as s from orders": ("from 1 on",),
    "select id, substr(note, 2, -1) as s from orders": ("from 0 on",),
    "select id, left(note, -1) as s from orders": ("from 0 on",),
    "select id, right(note, n) as s from orders": ("from 0 on",),
    "select id, split_part(note, ',', -1) as s from orders": ("from 1 on",),
    "select id, split_part(note, '', 1) as s from orders": ("empty",),
    "select id, note like 'a\\_b' as l from orders": ("backslash",),
    "select id, note ilike 'a\\%' as l from orders": ("backslash",),
    "select id, note not like Shop as l from orders": ("no literal",),
    "select id, date_trunc('decade', moment) as d from orders": ("use year, quarter",),
    "select id, cast(seen as varchar) as t from orders": ("a time with a zone as text",),
    "select id, concat('at ', seen) as t from orders": ("a time with a zone as text",),
    "select string_agg(note, '|') as notes, count(*) as n from orders": ("order by b",),
    "select string_agg(distinct note, '|') as notes, count(*) as n from orders": ("order by b",),
    "select id, n from orders limit 3": ("limit without an order",),
    "select id, n from orders where id in (select id from orders limit 3)": ("limit without an order",),
    "select id, n from orders offset 3": ("limit without an order",),
    "select id, row_number() over () as r from orders": ("window without an order",),
    "select id, first_value(n) over (partition by Shop) as f from orders": ("window without an order",),
    "select id, lag(n) over w as f from orders window w as (partition by Shop)": ("window without an order",),
    "select id, sum(n) over (rows 1 preceding) as f from orders": ("window without an order",),
}

#: Derived features (`prepare: derive`): over the columns of `orders`.
DERIVED = (
    "x + n * 2",
    "x / nullif(y, 0)",
    "x / y",
    "n % 3",
    "n // 2",
    "round(y, 1)",
    "floor(x) + ceil(y)",
    "ln(y) + sqrt(abs(x))",
    "pow(x, 2) - exp(n / 10)",
    "extract(hour from moment) * 60 + extract(minute from moment)",
    "extract(dow from moment)",
    "extract(week from moment)",
    "(n - extract(hour from moment) * 60 + 2880) % 1440",
    "case when y < 1 then 'short' when y < 10 then 'medium' else 'long' end",
    "Shop || '-' || note",
    "concat(Shop, note)",
    "lower(note)",
    "upper(note) like 'UP%'",
    "x < 3 and paid",
    "not paid or n > 1",
    "coalesce(x, y, -1)",
    "greatest(n, 2) - least(x, y)",
    "Shop in ('a', 'b')",
    "n between -3 and 2",
    "moment is null",
    "date_trunc('month', moment)",
    "moment + interval 3 hour",
    "date_diff('day', moment, timestamp '2014-01-01')",
    "cast(n as varchar)",
    "cast(y as integer)",
    "case n when 5 then 1 when -3 then 2 else 3 end",
    "round((x + y * n - big + 1) * (abs(x) + abs(y) + abs(n)) + x * x - y * y, 2)",
)
