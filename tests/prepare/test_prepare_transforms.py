"""Each transform keeps the conformance suite and has the values its page promises."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from bessemer.prepare.plugins import TRANSFORMS
from bessemer.prepare.spec import PrepareSpec, TextSpec
from bessemer.prepare.transforms.target_mean import smoothed
from bessemer.testing.transforms import check_transform, run, train_column

#: Those that do not take any text: their own tests run the suite.
PARTICULAR = ("image", "embedding")


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in TRANSFORMS.names() if name not in PARTICULAR])
def test_keeps_the_conformance_suite(name: str) -> None:
    check_transform(TRANSFORMS.load(name)())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["categorical", "text"])
def test_keeps_the_conformance_suite_with_narrow_settings(name: str) -> None:
    spec = PrepareSpec(max_onehot=1, max_categories=2, target_mean=True, smoothing=0, text=TextSpec(words=1))
    check_transform(TRANSFORMS.load(name)(), spec)


def fit(kind: str, dtype: str, values: list, spec: PrepareSpec | None = None, encode: list | None = None):
    column = train_column(dtype, values=values)
    return TRANSFORMS.load(kind)().fit(column, spec or PrepareSpec(), encode)


def test_few_levels_get_an_indicator_each_with_missing_as_a_level() -> None:
    fitted = fit("categorical", "string", ["a", "a", "b", None])
    *indicators, mean = [f.name for f in fitted.features]
    assert indicators == ["column = a", "column = (missing)", "column = b"]
    assert mean.startswith("column: share of")
    assert run(fitted, "string", ["a", None, "b", "new"])[:, :3].tolist() == [
        [1, 0, 0],
        [0, 1, 0],
        [0, 0, 1],
        [0, 0, 0],
    ]


def test_missing_counts_as_unseen_when_training_had_none() -> None:
    fitted = fit(
        "categorical", "string", ["a", "a", "b"], encode=["indicator", "frequency", "rank", "target_mean"]
    )
    new, missing = run(fitted, "string", ["new", None])
    assert new.tolist() == missing.tolist()
    assert new[:4].tolist() == [0, 0, 0, -1]
    assert new[4] == np.float32(0.5), "the prior: half of the rows are of class 1"


def test_frequency_and_rank_go_by_frequency_then_by_value() -> None:
    fitted = fit("categorical", "string", ["c", "c", "b", "a"], encode=["frequency", "rank"])
    assert run(fitted, "string", ["c", "a", "b", "z"]).tolist() == [[0.5, 0], [0.25, 1], [0.25, 2], [0, -1]]


def test_levels_beyond_the_limit_count_as_unseen() -> None:
    fitted = fit("categorical", "string", ["c", "c", "b", "a"], PrepareSpec(max_categories=2), ["rank"])
    assert run(fitted, "string", ["c", "a", "b"]).tolist() == [[0], [1], [-1]]


@pytest.mark.parametrize(
    ("dtype", "values", "missing"),
    [
        ("integer", [10, 10, -3, None], 1),
        ("number", [0.1, 0.1, -2.5, None], 1),
        ("boolean", [True, True, False, None], 2),
    ],
)
def test_numbers_can_be_categories(dtype: str, values: list, missing: int) -> None:
    fitted = fit("categorical", dtype, values, encode=["rank"])
    ranks = dict(zip([str(v) for v in fitted.levels], range(3), strict=True))
    found = run(fitted, dtype, [values[0], values[2], None])[:, 0]
    assert found[0] == 0
    assert sorted(found.tolist()) == [0, 1, 2]
    assert found[2] == ranks["None"]


def test_a_category_of_infinite_numbers_is_missing() -> None:
    fitted = fit("categorical", "number", [0.1, 0.1, None], encode=["rank"])
    assert run(fitted, "number", [float("inf"), float("-inf"), None]).tolist() == [[1], [1], [1]]


def test_timestamps_leave_out_what_does_not_vary() -> None:
    fitted = fit("timestamp", "timestamp", [dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 9), None])
    assert [f.name for f in fitted.features] == [
        "column: weekday",
        "column: day",
        "column: yearday",
        "column: days",
    ]
    found = run(fitted, "timestamp", [dt.datetime(2024, 1, 1, 5), dt.datetime(1969, 12, 31), None])
    assert found[:2].tolist() == [[1, 1, 1, 19723], [3, 31, 365, -1]]
    assert np.isnan(found[2]).all()


def test_a_timestamp_without_any_part_that_varies_has_no_features() -> None:
    assert fit("timestamp", "timestamp", [dt.datetime(2024, 1, 1), None]) is None


def test_texts_count_words_in_any_case_and_punctuation_that_training_saw() -> None:
    values = ["Good, good food", "bad  food", "GOOD? (food)", None]
    fitted = fit("text", "string", values, PrepareSpec(text=TextSpec(words=2)))
    assert [f.name for f in fitted.features] == ["column: words", "column ~ food", "column ~ good"]
    found = run(fitted, "string", ["Good, good GOOD? Food", "zzz food,", "   ", None])
    assert found[:2].tolist() == [[4, 1, 3], [2, 0, 0]]
    assert np.isnan(found[2:, 0]).all()
    assert found[2:, 1:].tolist() == [[0, 0], [0, 0]]


def test_smoothing_blends_with_the_prior() -> None:
    found = smoothed(np.array([0.0, 2.0]), np.array([[0.0], [2.0]]), np.array([0.5]), 0.0)
    assert found.tolist() == [[0.5], [1.0]]
    assert smoothed(np.array([2.0]), np.array([[2.0]]), np.array([0.5]), 2.0).tolist() == [[0.75]]
