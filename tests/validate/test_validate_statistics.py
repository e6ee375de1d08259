"""Statistics against numpy, and on the columns that break naive ones."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bessemer.core import canonical
from bessemer.core.stage import Context
from bessemer.core.store import Store
from bessemer.validate import layout
from bessemer.validate import statistics as module
from bessemer.validate.contract import read
from bessemer.validate.infer import infer
from bessemer.validate.statistics import Statistics, describe
from bessemer.validate.writing import write

TYPES = {
    "int64": "BIGINT",
    "double": "DOUBLE",
    "string": "VARCHAR",
    "bool": "BOOLEAN",
    "timestamp[us]": "TIMESTAMP",
}


def stats(table: pa.Table) -> Statistics:
    ctx = Context(
        store=Store(Path("unused")), stage="validate", shared={}, seed=7, project_dir=Path(), workdir=Path()
    )
    connection = duckdb.connect()
    connection.register("t", table)
    connection.execute("CREATE TABLE data AS SELECT * FROM t")
    columns = [(field.name, TYPES[str(field.type)]) for field in table.schema]
    return describe(connection, "data", columns, ctx)


def one(values: Any, kind: pa.DataType) -> dict[str, Any]:
    return stats(pa.table({"x": pa.array(values, kind)})).columns["x"]


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(st.lists(st.none() | st.floats(allow_nan=False), min_size=1, max_size=40))
def test_numbers_are_those_of_numpy(values: list[float | None]) -> None:
    facts = one(values, pa.float64())
    there = [v for v in values if v is not None]
    finite = np.array([v for v in there if math.isfinite(v)])
    assert (facts["count"], facts["missing"]) == (len(there), len(values) - len(there))
    assert facts["infinite"] == len(there) - len(finite)
    assert facts["distinct"] == len(set(there))
    if not len(finite):
        assert facts["min"] is facts["max"] is facts["mean"] is facts["std"] is None
        return
    scale = max(1.0, float(np.abs(finite).max()))
    assert (facts["min"], facts["max"]) == (finite.min(), finite.max())
    assert facts["mean"] / scale == pytest.approx(np.mean(finite / scale), rel=1e-9, abs=1e-12)
    if len(finite) > 1:
        assert facts["std"] / scale == pytest.approx(np.std(finite / scale, ddof=1), rel=1e-6, abs=1e-9)
    assert sum(facts["histogram"]["counts"]) == len(finite)
    assert len(facts["histogram"]["edges"]) == len(facts["histogram"]["counts"]) + 1
    assert facts["quantiles"]["0.5"] in finite


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@example([358, -9_223_371_168_882_637_313, 9_223_372_036_854_775_807])  # a sum of doubles cancels
@given(st.lists(st.none() | st.integers(-(2**63) + 1, 2**63 - 1), min_size=1, max_size=30))
def test_integers_of_any_size(values: list[int | None]) -> None:
    facts = one(values, pa.int64())
    there = [v for v in values if v is not None]
    assert (facts["min"], facts["max"]) == ((min(there), max(there)) if there else (None, None))
    if there:
        assert sum(facts["histogram"]["counts"]) == len(there)
        assert facts["mean"] == pytest.approx(sum(there) / len(there), rel=1e-9, abs=1.0)


def test_texts_booleans_and_times() -> None:
    facts = one(["b", "aaa", None, "b", ""], pa.string())
    assert facts["top"] == [["b", 2], ["", 1], ["aaa", 1]]
    assert facts["length"] == {"min": 0, "mean": 1.25, "max": 3}
    assert (facts["distinct"], facts["missing_share"]) == (3, 0.2)
    assert one([True, False, True], pa.bool_())["top"] == [[True, 2], [False, 1]]
    times = one([0, 86_400_000_000, None], pa.timestamp("us"))
    assert (times["min"], times["max"]) == ("1970-01-01T00:00:00", "1970-01-02T00:00:00")
    assert times["histogram"]["edges"][0] == "1970-01-01T00:00:00"
    assert times["quantiles"]["0.5"] == "1970-01-01T00:00:00"


@pytest.mark.parametrize("kind", [pa.float64(), pa.int64(), pa.string(), pa.bool_(), pa.timestamp("us")])
def test_all_missing(kind: pa.DataType) -> None:
    facts = one([None, None], kind)
    assert (facts["count"], facts["distinct"], facts["missing_share"]) == (0, 0, 1.0)
    assert "histogram" not in facts


def test_constant_column_has_one_bin() -> None:
    assert one([5, 5], pa.int64())["histogram"] == {"edges": [5.0, 5.0], "counts": [2]}


def test_many_distinct_texts_have_a_top() -> None:
    facts = one([f"v{i}" for i in range(20_000)] + ["often"] * 3, pa.string())
    assert facts["top"][0] == ["often", 3]
    assert facts["distinct"] == pytest.approx(20_001, rel=0.1)


def test_sampled_quantiles_are_near(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SAMPLE", 20_000)
    values = np.random.default_rng(1).normal(size=200_000)
    facts = one(values, pa.float64())
    for level, found in facts["quantiles"].items():
        assert (values < found).mean() == pytest.approx(float(level), abs=0.01)


def columns_of_all_kinds(rows: int) -> pa.Table:
    """Values missing, huge, infinite, constant, and none at all; names that SQL and templates read otherwise."""
    rng = np.random.default_rng(3)
    some = rng.random(rows) < 0.1
    numbers = rng.normal(size=rows)
    return pa.table(
        {
            'a "quoted" name': pa.array(numbers, mask=some),
            "{x} %s": pa.array(numbers * 1e300),
            "infinite": pa.array(np.where(some, -np.inf, numbers)),
            "all infinite": pa.array(np.full(rows, np.inf)),
            "0.1": pa.array([0.1] * rows, pa.float64()),
            "none": pa.array([None] * rows, pa.float64()),
            "large": pa.array(rng.integers(-(2**62), 2**62, rows), mask=some),
            "few": pa.array(rng.integers(0, 5, rows)),
            "texts": pa.array([f"t{n}" for n in rng.integers(0, 300, rows)], pa.string(), mask=some),
            "no text": pa.array([None] * rows, pa.string()),
            "flag": pa.array(rng.random(rows) < 0.5, mask=some),
            "time": pa.array(rng.integers(0, 10**15, rows), mask=some).cast(pa.timestamp("us")),
        }
    )


@pytest.mark.parametrize("rows", [400, 1, 0])
def test_facts_do_not_depend_on_how_columns_are_laid_out(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the last digit: side by side in the table, in narrow copies, and below one another."""
    table = columns_of_all_kinds(rows)
    beside = stats(table)
    monkeypatch.setattr(layout, "_WIDE", 0)
    monkeypatch.setattr(layout, "GROUP", 5)
    monkeypatch.setattr(layout, "_MOST", 9)
    below = stats(table)
    monkeypatch.setattr(layout, "_FEW_ROWS", 0)
    copied = stats(table)
    for other in (below, copied):
        assert canonical.dump_bytes(other.to_json()) == canonical.dump_bytes(beside.to_json())
        assert list(other.columns) == table.column_names
        assert other.categories == beside.categories


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=8)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(
    st.dictionaries(TEXTS, st.sampled_from(["number", "integer", "text"]), min_size=1, max_size=4),
    st.lists(
        st.tuples(st.floats(allow_nan=False), st.integers(-(2**62), 2**62), TEXTS), min_size=1, max_size=20
    ),
)
def test_a_written_contract_reads_back_as_it_was(
    names: dict[str, str], rows: list[tuple[float, int, str]]
) -> None:
    names = dict({n.lower(): (n, k) for n, k in names.items()}.values())
    place = {"number": (0, pa.float64()), "integer": (1, pa.int64()), "text": (2, pa.string())}
    table = pa.table(
        {
            name: pa.array([row[place[kind][0]] for row in rows] * 5, place[kind][1])
            for name, kind in names.items()
        }
    )
    found = stats(table)
    contract = infer(found, set(), 0.5)
    assert read(write(contract), "contract.yaml") == contract
    for name, rules in contract.columns.items():
        facts = found.columns[name]
        if rules.min is not None and rules.max is not None:
            assert rules.min <= facts["min"] <= facts["max"] <= rules.max
    canonical.dumps(found.to_json())
