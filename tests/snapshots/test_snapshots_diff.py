"""Two tables compared, and the statistics of one, on tables of any content."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bessemer.core.errors import DataError
from bessemer.core.store import Store
from bessemer.snapshots.catalogue import Catalogue
from bessemer.snapshots.diff import diff
from bessemer.snapshots.door import Snapshots

ROWS = st.lists(
    st.tuples(
        st.one_of(st.none(), st.integers(-3, 3)),
        st.one_of(st.none(), st.floats(-2, 2, allow_nan=False, width=16)),
        st.one_of(st.none(), st.sampled_from(["", "a", "ä'\""])),
    ),
    min_size=1,
    max_size=12,
)


@pytest.mark.slow
@given(before=ROWS, after=ROWS, keyed=st.booleans())
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_diff_is_what_python_counts(
    tmp_path_factory: pytest.TempPathFactory, before: list[Any], after: list[Any], keyed: bool
) -> None:
    """Against dicts and multisets in Python; 0.0 and -0.0 are one value, as they are in both."""
    from collections import Counter

    store = Store(tmp_path_factory.mktemp("diff"))
    with duckdb.connect() as connection:
        if keyed:
            before, after = ([*{row[0]: row for row in side}.values()] for side in (before, after))
        sides = [_stored(store, connection, side) for side in (before, after)]
        found = diff(connection, *sides, key=["k"] if keyed else ())
    if keyed:
        old, new = ({row[0]: row for row in side} for side in (before, after))
        both = old.keys() & new.keys()
        expected = {
            "added": len(new.keys() - old.keys()),
            "removed": len(old.keys() - new.keys()),
            "changed": sum(old[k] != new[k] for k in both),
            "same": sum(old[k] == new[k] for k in both),
        }
    else:
        plus, minus = Counter(after) - Counter(before), Counter(before) - Counter(after)
        expected = {"added": plus.total(), "removed": minus.total(), "same": len(after) - plus.total()}
    assert {name: found["rows"][name] for name in expected} == expected
    assert len(found["samples"]["added"]) == min(5, expected["added"] if keyed else len(plus))


def _stored(store: Store, connection: Any, rows: list[Any]) -> Any:
    connection.execute("CREATE OR REPLACE TABLE t (k BIGINT, x DOUBLE, w VARCHAR)")
    connection.executemany("INSERT INTO t VALUES (?, ?, ?)", rows)
    path = store.root / "t.parquet"
    connection.execute(f"COPY t TO '{path}' (FORMAT parquet)")
    columns = [{"name": n, "dtype": t} for n, t in (("k", "BIGINT"), ("x", "DOUBLE"), ("w", "VARCHAR"))]
    return store.get(store.put("raw", {"data.parquet": path}, {"rows": len(rows), "columns": columns}))


def test_extreme_numbers_do_not_break_statistics(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    path = tmp_path / "t.parquet"
    with duckdb.connect() as connection:
        connection.execute(
            "COPY (SELECT unnest([1.7e308, -1.7e308, 'inf'::DOUBLE, 1.0, NULL]) AS x, "
            f"unnest([9223372036854775807, -9223372036854775808, 0, 1, 2]) AS n) TO '{path}' (FORMAT parquet)"
        )
    columns = [{"name": "x", "dtype": "DOUBLE"}, {"name": "n", "dtype": "BIGINT"}]
    raw = store.get(store.put("raw", {"data.parquet": path}, {"rows": 5, "columns": columns, "sources": {}}))
    Catalogue(store).landed(raw, run="r", key="k", time="2026-01-01T00:00:00+00:00")
    shown = Snapshots(store, scratch=tmp_path / "work", threads=2, memory=2**28).show()
    assert shown["statistics"]["x"]["mean"] == 1.0
    assert shown["statistics"]["x"]["high"] == float("inf")
    assert shown["statistics"]["n"]["mean"] == pytest.approx(0.4, abs=1e4)
    meta = {"rows": 0, "columns": [{"name": "z", "dtype": "BIGINT"}]}
    other = store.get(store.put("raw", {"data.parquet": b""}, meta))
    with pytest.raises(DataError, match="no column in common"):
        diff(duckdb.connect(), raw, other)
