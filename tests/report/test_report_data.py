"""The data part of the report: its counts against a plain count, what it points at, what it keeps to itself."""

from __future__ import annotations

import datetime as dt
import itertools
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from data_support import Given, column, noted
from hypothesis import given as cases
from hypothesis import settings
from hypothesis import strategies as st

from bessemer.report.data import parts as parts_module
from bessemer.report.data import sample as sample_module
from bessemer.report.data.bins import number_edges
from bessemer.report.data.calendar import UNITS, calendar
from bessemer.report.view import shorten

START = dt.datetime(2023, 1, 1)
LETTERS = [chr(ord("a") + i) for i in range(20)]


@pytest.fixture
def given(tmp_path: Path) -> Given:
    return Given(tmp_path)


def mixed(rows: int, seed: int = 1) -> pa.Table:
    """A column of each kind, some with holes, and a binary target that hangs on `x`."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=rows)
    hole = rng.random(rows) < 0.2
    days = rng.integers(0, 400, rows)
    letters = [LETTERS[i] for i in np.minimum(rng.geometric(0.2, rows) - 1, 19)]
    return pa.table(
        {
            "x": pa.array(x, mask=hole),
            "twice": pa.array(np.exp(x), mask=hole | (rng.random(rows) < 0.1)),
            "n": pa.array(rng.integers(0, 6, rows)),
            "letter": pa.array([None if h else v for h, v in zip(hole, letters, strict=True)]),
            "flag": pa.array(rng.random(rows) < 0.3),
            "when": pa.array([START + dt.timedelta(days=int(d)) for d in days], pa.timestamp("us")),
            "words": [f"the {LETTERS[i % 20]}x order number {i % 997} came late" for i in range(rows)],
            "key": [f"K-{i:05}" for i in range(rows)],
            "y": pa.array(x + rng.normal(size=rows) > 0.5),
        }
    )


def cut(table: pa.Table) -> dict[str, pa.Table]:
    n = len(table)
    return {"train": table.slice(0, round(n * 0.6)), "valid": table.slice(round(n * 0.6), round(n * 0.2))}


@pytest.mark.slow
def test_categories_are_counted_by_part_and_by_target(given: Given) -> None:
    table = mixed(3000)
    found = column(given.facts(given.splits(table, "y")), "letter")
    whole = Counter(value for value in table.column("letter").to_pylist() if value is not None)
    ranked = sorted(whole, key=lambda value: (-whole[value], value))
    assert found["values"] == ranked[:12]
    train = Counter(cut(table)["train"].column("letter").to_pylist())
    wanted = [train[value] for value in ranked[:12]]
    rest = sum(train[value] for value in ranked[12:])
    assert found["parts"][0] == [*wanted, rest, train[None]]
    by_target = Counter(zip(table.column("letter").to_pylist(), table.column("y").to_pylist(), strict=True))
    assert found["groups"][1][:12] == [by_target[value, True] for value in ranked[:12]]
    assert found["groups"][0][-1] == by_target[None, False]


def test_numbers_are_counted_in_bins_whose_outer_ones_are_open(given: Given) -> None:
    table = mixed(3000)
    found = column(given.facts(given.splits(table, "y")), "x")
    values = np.array([np.nan if v is None else v for v in table.column("x").to_pylist()])
    edges = np.array(found["edges"])
    wanted = np.bincount(np.searchsorted(edges[1:-1], values[~np.isnan(values)]), minlength=len(edges) - 1)
    assert np.sum(found["parts"], axis=0).tolist() == [*wanted.tolist(), int(np.isnan(values).sum())]
    assert np.sum(found["groups"], axis=0).tolist() == np.sum(found["parts"], axis=0).tolist()
    quartiles = np.quantile(values[~np.isnan(values)], [0.25, 0.75], method="inverted_cdf")
    low, high = quartiles[0] - 3 * np.diff(quartiles)[0], quartiles[1] + 3 * np.diff(quartiles)[0]
    assert found["fences"] == pytest.approx([low, high], rel=1e-5)
    assert np.sum(found["beyond"], axis=0).tolist() == [np.sum(values < low), np.sum(values > high)]
    assert found["high"][-1] == pytest.approx(np.nanmax(values), rel=1e-5)
    assert column(given.facts(given.splits(table, "y")), "n")["edges"] == [i - 0.5 for i in range(7)]


def test_a_regression_has_quartiles_and_means(given: Given) -> None:
    table = mixed(2000).drop(["y"])
    y = np.arange(2000) * 10.0
    table = table.append_column("price", pa.array(y))
    facts = given.facts(given.splits(table, "price", task="regression", classes=(), y=y))
    assert facts["target"]["groups"] == ["up to 4990", "4990 to 9990", "9990 to 14,990", "above 14,990"]
    assert np.sum(facts["target"]["counts"], axis=0).tolist() == [500] * 4
    found = column(facts, "flag")
    flags = np.array(table.column("flag").to_pylist())
    assert found["means"][:2] == pytest.approx([y[~flags].mean(), y[flags].mean()], rel=1e-5)
    assert found["means"][2] is None
    assert "association" not in column(facts, "price")


def test_many_classes_share_a_group(given: Given) -> None:
    classes = [f"class {i:02}" for i in range(50)]
    y = np.array([0] * 300 + [7] * 200 + list(range(50)) * 4, dtype=np.float64)
    table = pa.table({"a": np.arange(700.0), "y": [classes[int(i)] for i in y]})
    facts = given.facts(given.splits(table, "y", task="multiclass", classes=classes, y=y))
    assert len(facts["target"]["groups"]) == 7
    assert {"class 00", "class 07", "44 rarer classes"} <= set(facts["target"]["groups"])
    assert np.sum(facts["target"]["counts"]) == 700


def test_missing_is_what_the_model_takes_for_missing(given: Given) -> None:
    table = pa.table(
        {
            "x": pa.array([1.0, float("nan"), float("inf"), -1e300, None, 2.0] * 10),
            "s": pa.array(["a", "", None, "b", "a", "c"] * 10),
            "t": pa.array([START, None] * 30, pa.timestamp("us")),
            "y": pa.array([True, False] * 30),
        }
    )
    facts = given.facts(given.splits(table, "y"))
    missing = {one["name"]: one["missing"] for one in facts["columns"]}
    assert missing == {"x": 40, "s": 20, "t": 30, "y": 0}
    assert facts["missing"]["columns"] == ["x", "t", "s"]
    assert sum(rows for _, rows in facts["missing"]["patterns"]) == 60
    assert [[0, 1, 2], 10] in facts["missing"]["patterns"]


def test_times_are_counted_by_the_calendar_and_gaps_are_named(given: Given) -> None:
    days = [d for d in range(90) if not 40 <= d < 47] * 5
    table = pa.table(
        {
            "when": pa.array(
                [START + dt.timedelta(days=d, hours=23) for d in sorted(days)], pa.timestamp("us")
            ),
            "y": pa.array([i % 2 == 0 for i in range(len(days))]),
        }
    )
    facts = given.facts(given.splits(table, "y", method="time"))
    found = column(facts, "when")
    assert found["time"]["unit"] == "day"
    assert found["time"]["starts"][0] == "2023-01-01T00:00:00"
    counts = np.sum(found["parts"], axis=0)[:-1]
    assert set(counts[:40].tolist()) == {5}
    assert found["time"]["gaps"] == list(range(40, 47))
    assert ("gaps", "when") in noted(facts)
    assert "7 days, the first from 2023-02-10 on" in found["time"]["gaps_text"]
    assert all(change["p"] is None for change in found["drift"].values())  # a split by time moves the time


@pytest.mark.parametrize("span", [1, 3600, 86_400 * 3, 86_400 * 365, 86_400 * 365 * 40, 86_400 * 365 * 9000])
def test_a_calendar_has_few_units_and_each_begins_where_it_says(span: int) -> None:
    values = np.linspace(0, span * 1e6, 500).round() + 1.7e15 % 86_400e6
    found = calendar(values)
    assert 1 <= found.edges.size <= UNITS
    moments = np.array(found.starts, dtype="datetime64[us]").astype(np.int64).astype(np.float64)
    codes = found.edges.of(values)
    inner = (codes > 0) & (codes < found.edges.size - 1)
    assert np.all(values[inner] >= moments[codes[inner]])
    assert found.edges.of(moments).tolist() == list(range(found.edges.size))


def test_what_a_reader_should_look_at_is_noted(given: Given) -> None:
    rng = np.random.default_rng(4)
    n = 3000
    y = rng.random(n) < 0.1
    late = np.arange(n) >= 0.8 * n
    table = pa.table(
        {
            "leak": pa.array(y * 2.0 + rng.normal(size=n) * 0.01),
            "leak by name": pa.array([["fine", "bad"][int(v)] for v in y]),
            "noise": pa.array(rng.normal(size=n)),
            "shifted": pa.array(rng.normal(size=n) + late),
            "one": pa.array(["same"] * n),
            "nearly": pa.array(["same"] * (n - 5) + ["other"] * 5),
            "empty": pa.array([None] * n, pa.string()),
            "rare": pa.array(rng.normal(size=n), mask=rng.random(n) < 0.8),
            "key": pa.array([f"id {i}" for i in range(n)]),
            "y": pa.array(y),
        }
    )
    table = table.append_column("copy", pa.array(np.array(table.column("noise")) * 3 + 1))
    facts = given.facts(given.splits(table, "y"))
    assert noted(facts) == {
        ("proxy", "leak"), ("proxy", "leak by name"), ("same", "noise"), ("drift", "shifted"), ("constant", "one"),
        ("constant", "nearly"), ("constant", "empty"), ("missing", "rare"), ("identifier", "key"),
    }  # fmt: skip
    assert facts["notes"][0]["kind"] == "proxy"


@pytest.mark.parametrize("spread", [2.0, 3.0])
def test_a_copy_of_a_skewed_target_is_too_good_to_be_true(given: Given, spread: float) -> None:
    """Nearly all of its rows are in one of the equally wide bins of the picture."""
    rng = np.random.default_rng(8)
    y = np.exp(rng.normal(size=2000) * spread)
    table = pa.table({"copy": y, "noise": rng.normal(size=2000), "y": y})
    facts = given.facts(given.splits(table, "y", task="regression", classes=(), y=y))
    assert ("proxy", "copy") in noted(facts)
    assert ("proxy", "noise") not in noted(facts)
    assert column(facts, "copy")["told"] > 0.99


def test_a_number_that_tells_a_rare_class_is_too_good_to_be_true(given: Given) -> None:
    rng = np.random.default_rng(9)
    x = rng.normal(size=3000)
    y = x > np.quantile(x, 0.98)
    table = pa.table(
        {
            "x": x,
            "scaled": np.exp(2 * x),
            "turned": pa.array(-x, mask=~y & (rng.random(3000) < 0.1)),
            "noise": rng.normal(size=3000),
            "name": [["fine", "bad"][int(v)] for v in y],
            "y": y,
        }
    )
    facts = given.facts(given.splits(table, "y"))
    proxies = {name for kind, name in noted(facts) if kind == "proxy"}
    assert proxies == {"x", "scaled", "turned", "name"}
    told = facts["associations"]["target"]
    assert [told[name]["value"] for name in ("x", "scaled", "turned")] == [1, 1, -1]
    assert abs(told["noise"]["value"]) < 0.2
    assert "name" not in {name for kind, name in noted(facts) if kind == "same"}  # it says less than x


def test_few_rows_do_not_look_too_good_by_chance(given: Given) -> None:
    rng = np.random.default_rng(10)
    table = pa.table({f"c{i}": rng.normal(size=40) for i in range(30)} | {"y": np.arange(40) % 13 == 0})
    assert not [kind for kind, _ in noted(given.facts(given.splits(table, "y"))) if kind == "proxy"]


def test_numbers_far_from_zero_keep_what_tells_them_apart(given: Given) -> None:
    whole = 1_234_567_000.0 + np.arange(1000) % 400
    near = -122.4194 + 1e-6 * np.arange(1000)
    table = pa.table({"whole": whole, "near": near, "y": np.arange(1000) % 2 == 0})
    facts = shorten(given.facts(given.splits(table, "y")))
    for name, values in (("whole", whole), ("near", near)):
        edges = np.array(column(facts, name)["edges"])
        assert np.all(np.diff(edges) > 0)
        counted = np.bincount(np.searchsorted(edges[1:-1], values), minlength=len(edges) - 1)
        drawn = np.sum(column(facts, name)["parts"], axis=0)[:-1]
        assert np.max(np.abs(drawn - counted)) <= 1  # an edge that was a value may fall beside it
    assert column(facts, "whole")["low"] == [1_234_567_000 + i for i in range(5)]


@pytest.mark.slow
def test_equal_parts_rarely_drift(given: Given) -> None:
    """Of 200 columns of noise, the corrected test calls out about none."""
    rng = np.random.default_rng(5)
    table = pa.table({f"c{i}": rng.normal(size=2000) for i in range(200)} | {"y": rng.random(2000) < 0.5})
    facts = given.facts(given.splits(table, "y"))
    sure = [p for one in facts["columns"] for p in one["found"]["drift"].values() if p["p"] < 0.05]
    assert len(sure) <= 2
    chance = [d["distance"] / d["chance"] for one in facts["columns"] for d in one["found"]["drift"].values()]
    assert 0.85 < np.mean(chance) < 1.1  # the figure beside the distance is what chance gives


def test_associations_have_the_target_first_and_intervals_that_hold(given: Given) -> None:
    facts = given.facts(given.splits(mixed(3000), "y"))
    found = facts["associations"]
    assert found["columns"][:2] in (["y", "x"], ["y", "twice"])
    place = {name: i for i, name in enumerate(found["columns"])}
    matrix = np.array(found["matrix"], dtype=np.float64)
    np.testing.assert_array_equal(matrix, matrix.T)
    assert matrix[place["x"], place["twice"]] > 0.999  # the same order
    assert not {"key", "words"} & set(place)
    for name, figure in found["target"].items():
        assert figure["low"] <= figure["value"] <= figure["high"]
        if name in ("flag", "n", "letter", "when"):  # these say nothing of it
            assert figure["low"] <= 0.02
    assert found["target"]["x"]["low"] > 0.4


def test_broken_rules_come_with_the_values_that_broke_them(given: Given) -> None:
    bad = pa.table(
        {
            "age: years": pa.array([-1, -1, 200, 5]),
            "name": pa.array([None, "a", "b", "x; age: years: min"]),
            "_rule": [
                "age: years: min; name: nullable",
                "age: years: min",
                "age: years: max",
                "name: pattern",
            ],
        }
    )
    rules = {"age: years: min": 2, "age: years: max": 1, "name: nullable": 1, "name: pattern": 1}
    splits, quarantine = given.splits(mixed(100), "y"), given.quarantine(bad, rules)
    found = {(r["column"], r["rule"]): r for r in given.facts(splits, quarantine=quarantine)["violations"]}
    assert found["age: years", "min"]["values"] == [["-1", 2]]
    assert found["age: years", "max"]["values"] == [["200", 1]]
    assert found["name", "nullable"]["values"] == [["", 1]]
    assert found["name", "pattern"]["values"] == [["x; age: years: min", 1]]
    without = given.facts(splits, samples=0, quarantine=quarantine)["violations"]
    assert [r["values"] for r in without] == [[]] * 4
    assert without[0]["rows"] == 2


def test_without_samples_no_rare_value_is_in_the_page(given: Given) -> None:
    """Everything that fewer than ten rows have stays out: names, notes, rare categories, extreme numbers."""
    n = 400
    rng = np.random.default_rng(6)
    table = pa.table(
        {
            "salary": pa.array(np.append(rng.normal(50, 5, n - 1).round(2), 98_765.43)),
            "mail": [f"person{i}@secret.example" for i in range(n)],
            "note": [f"please call secret{i} about the late order" for i in range(n)],
            "town": ["Lima"] * (n - 20) + ["Hiddenbury"] * 9 + ["Oslo"] * 11,
            "y": pa.array(rng.random(n) < 0.5),
        }
    )
    bad = pa.table({"mail": ["broken-secret"], "_rule": ["mail: pattern"]})
    quarantine = given.quarantine(bad, {"mail: pattern": 1})
    shown = json.dumps(given.facts(given.splits(table, "y"), quarantine=quarantine))
    hidden = json.dumps(given.facts(given.splits(table, "y"), samples=0, quarantine=quarantine))
    for secret in ("secret", "Hiddenbury", "98765.4"):
        assert secret in shown
        assert secret not in hidden
    assert "Lima" in hidden
    assert "Oslo" in hidden
    assert "please" in hidden  # a word of all texts


def test_texts_are_read_as_texts(given: Given) -> None:
    facts = given.facts(given.splits(mixed(600), "y"), samples=3)
    found = column(facts, "words")
    assert found["kind"] == "text"
    assert found["text"]["words"][0][:2] == ["came", 600]
    assert len(found["text"]["texts"]) == 3
    assert np.sum(found["parts"]) == 600
    key = column(facts, "key")
    assert key["kind"] == "identifier"
    assert key["text"]["shapes"] == [["A-9", 600]]


def test_a_sample_is_spread_evenly_and_counts_are_of_all_rows(
    given: Given, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample_module, "ROWS", 2000)
    n = 20_000
    table = pa.table({"place": np.arange(n), "y": np.arange(n) % 2 == 0})
    splits = given.splits(table, "y")
    drawn = sample_module.draw(parts_module.Parts(splits), ["place"])
    assert 1900 < len(drawn) < 2100
    tenths = np.histogram(drawn.column("place").to_numpy(), 10, (0, n))[0]
    assert tenths.min() > 180
    facts = given.facts(splits)
    assert not facts["sample"]["whole"]
    assert np.sum(column(facts, "place")["parts"]) == n
    assert column(facts, "place")["low"] == [0, 1, 2, 3, 4]


@pytest.mark.slow
def test_the_same_facts_whatever_the_batches(given: Given, monkeypatch: pytest.MonkeyPatch) -> None:
    table = mixed(5000)
    first = given.facts(given.splits(table, "y", row_group=5000))
    monkeypatch.setattr(parts_module, "_CELLS", 1)  # batches of 1,024 rows
    assert given.facts(given.splits(table, "y", row_group=300)) == first


ROWS = [0, 1, 2, 7]


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_few_rows_or_none(given: Given, rows: int, task: str) -> None:
    table = mixed(rows) if rows else mixed(1).slice(0, 0)
    y = np.arange(rows) % 2 if task != "multiclass" else np.arange(rows) % 3
    known: dict[str, list[Any]] = {"binary": [False, True], "multiclass": ["a", "b", "c"], "regression": []}
    classes = known[task]
    sizes = {"train": rows, "valid": 0, "test": 0}
    facts = given.facts(given.splits(table, "y", task=task, classes=classes, y=y, sizes=sizes))
    assert len(facts["columns"]) == 9
    assert all(np.sum(one["found"]["parts"]) == rows for one in facts["columns"])


def test_hostile_names_and_values_and_no_column_but_the_target(given: Given) -> None:
    names = ["</script>", 'a "b"', "it's", "naïve 日本", "", " ", "x" * 300, "target; drop"]
    columns = {name: pa.array([i, None, 3], pa.int64()) for i, name in enumerate(names)}
    table = pa.table(columns | {"y": pa.array([True, False, True])})
    facts = given.facts(given.splits(table, "y", sizes={"train": 3}))
    assert [one["name"] for one in facts["columns"]] == [*names, "y"]
    alone = given.facts(given.splits(pa.table({"y": [True, False, True]}), "y", sizes={"train": 3}))
    assert alone["associations"]["columns"] == ["y"]


@pytest.mark.slow
def test_wide_tables_are_cut_but_keep_their_target(given: Given) -> None:
    table = pa.table({f"c{i}": np.arange(50.0) * (i % 7) for i in range(900)} | {"y": np.arange(50) % 2 == 0})
    facts = given.facts(given.splits(table, "y"))
    assert len(facts["columns"]) == 400
    assert facts["left_out"] == 501
    assert facts["columns"][-1]["name"] == "y"
    assert len(facts["associations"]["columns"]) == 41
    assert len(json.dumps(facts)) < 900_000


@pytest.mark.slow
def test_hundreds_of_columns_of_long_texts_stay_small(given: Given) -> None:
    long = [f"{i} is a rather long text of many words " * 9 for i in range(100)]
    texts = {f"text {i}": long for i in range(200)}
    table = pa.table(
        texts
        | {f"code {i}": [v[:150] for v in long[:10]] * 10 for i in range(200)}
        | {"y": [True, False] * 50}
    )
    facts = given.facts(given.splits(table, "y"), samples=1000)
    assert len(json.dumps(facts)) < 2_000_000


edges_cases = settings(max_examples=150, deadline=None, derandomize=True)


@edges_cases
@cases(
    st.lists(st.floats(-3e38, 3e38) | st.integers(-(2**62), 2**62).map(float), min_size=1, max_size=60),
    st.booleans(),
)
def test_edges_ascend_and_every_number_has_a_bin(values: list[float], scaled: bool) -> None:
    array = np.array(values) * (1e-300 if scaled else 1)
    edges = number_edges(array, 24, whole=bool(np.all(array == np.round(array))))
    assert np.all(np.isfinite(edges.edges))
    assert len(edges.edges) <= 30
    assert all(a < b for a, b in itertools.pairwise(edges.edges)) or len(edges.edges) == 2
    codes = edges.of(array)
    assert codes.min() >= 0
    assert codes.max() < edges.size


def test_huge_tiny_and_distant_values_are_shown(given: Given) -> None:
    columns: dict[str, Any] = {
        "huge": [3e38, -3e38, 1.0] * 20,
        "tiny": [1e-320, 5e-324, 0.0] * 20,
        "far and close": [1e15 + i / 8 for i in range(60)],
        "whole": pa.array([2**63 - 1, -(2**63), 0] * 20, pa.int64()),
        "ages": pa.array([dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31), START] * 20, pa.timestamp("us")),
        "long": ["x" * 5000, "y" * 5001, "z"] * 20,
        "y": [True, False] * 30,
    }
    facts = given.facts(given.splits(pa.table(columns), "y"))
    assert all(np.sum(one["found"]["parts"]) == 60 for one in facts["columns"])
    assert len(json.dumps(facts)) < 30_000
