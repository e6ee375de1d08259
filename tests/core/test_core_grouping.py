"""Groups of rows by a column's values: levels, ranges, and what is neither."""

from __future__ import annotations

import datetime as dt
import json

import numpy as np
import pyarrow as pa
import pytest

from bessemer.core.grouping import MISSING, OTHER, Grouping, group

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
