"""Groups of rows by a column's values: levels, ranges, and what is neither."""

from __future__ import annotations

import datetime as dt
import json

import numpy as np
import pyarrow as pa
import pytest

from bessemer.core.grouping import MISSING, OTHER, Grouping, group, missing_values, numbers_of

DAYS = [dt.datetime(2020 + k, 1, 1) for k in range(5)]


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (pa.array([True, None, False, False]), ["false", "true"]),
        (pa.array(["a", "", None, "b", "b"]), ["b", "a"]),
        (pa.array(["b", "a", "b"]).dictionary_encode(), ["b", "a"]),
        (pa.array([2, 1, None, 2]), ["2", "1"]),
        (
            pa.array([1.0, float("nan"), float("inf"), 2.0, 3.0, 4.0]),
            ["up to 1", "above 1 to 2", "above 2 to 3", "above 3"],
        ),
        (
            pa.array(DAYS, pa.timestamp("us")),
            [
                "up to 2021-01-01 00:00:00",
                "above 2021-01-01 00:00:00 to 2022-01-01 00:00:00",
                "above 2022-01-01 00:00:00 to 2023-01-01 00:00:00",
                "above 2023-01-01 00:00:00",
            ],
        ),
        (pa.array([5.0, 5.0]), ["all values"]),
        (pa.array([None, None], pa.string()), []),
        (pa.array([], pa.float64()), ["all values"]),
    ],
)
def test_what_groups_a_column_makes(values: pa.Array, names: list[str]) -> None:
    found = group("x", values)
    assert found.names == [*names, OTHER, MISSING]
    assert found.size == len(names)
    assert (found.codes(pa.chunked_array([values])) == found.codes(values)).all()
    assert Grouping.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_each_value_is_in_its_group() -> None:
    assert group("x", pa.array(["a", "b", "a"])).codes(pa.array(["b", "a", "new", None, ""])).tolist() == [
        1,
        0,
        2,
        3,
        3,
    ]
    numbers = group("x", pa.array([1.0]), bins=[40, 20])
    assert numbers.codes(pa.array([20.0, 20.5, 41.0, None, float("nan"), float("-inf")])).tolist() == [
        0,
        1,
        2,
        4,
        4,
        4,
    ]
    # 0.1 + 0.2 and 0.3 are one number in the graph's float32, and so in one group here.
    assert group("x", pa.array([1.0]), bins=[0.3]).codes(pa.array([0.1 + 0.2, 0.3001])).tolist() == [0, 1]


def test_rare_levels_stand_together_and_many_numbers_are_cut() -> None:
    letters = pa.array([chr(97 + k) for k in range(26) for _ in range(26 - k)])
    assert group("x", letters).size == 20
    assert np.bincount(group("x", letters).codes(letters))[20] == sum(range(1, 7))
    assert group("x", pa.array(range(100))).kind == "ranges"
    assert group("x", pa.array([2**24 + 1, 2**24 + 2])).kind == "ranges"  # float32 does not tell them apart


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (
            pa.array(["a", "missing", None, "missing", "other values"]),
            ["missing", "a", "other values", "other values (rarer ones)", "missing (no value)"],
        ),
        (
            pa.array(range(1_000_000_000, 1_000_000_900)),
            [
                "up to 1000000224",
                "above 1000000224 to 1000000449",
                "above 1000000449 to 1000000674",
                "above 1000000674",
                OTHER,
                MISSING,
            ],
        ),
        (
            pa.array([DAYS[0] + dt.timedelta(milliseconds=k) for k in range(8)], pa.timestamp("us")),
            [
                "up to 2020-01-01 00:00:00.001",
                "above 2020-01-01 00:00:00.001 to 2020-01-01 00:00:00.003",
                "above 2020-01-01 00:00:00.003 to 2020-01-01 00:00:00.005",
                "above 2020-01-01 00:00:00.005",
                OTHER,
                MISSING,
            ],
        ),
    ],
    ids=["words", "numbers", "times"],
)
def test_no_two_groups_have_one_name(values: pa.Array, names: list[str]) -> None:
    assert group("x", values).names == names


def test_an_edge_that_is_given_twice_is_one() -> None:
    assert group("x", pa.array([1.0]), bins=[20, 20.0]).names == ["up to 20", "above 20", OTHER, MISSING]


def test_a_number_beyond_the_float32_of_the_graph_is_missing() -> None:
    values = pa.array([1.0, 2.0, 1e300, -1e39, 3.4e38, None])
    assert missing_values(values).tolist() == [False, False, True, True, False, True]
    numbers = numbers_of(values)
    assert numbers[:5].tolist() == [1.0, 2.0, float("inf"), float("-inf"), 3.4e38]
    found = group("x", values, bins=[1.5])
    assert found.codes(values).tolist() == [0, 1, 3, 3, 1, 3]
    assert group("x", values).edges == (1.0, 2.0)  # quartiles of what the graph sees
