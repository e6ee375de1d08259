"""What the project file may say under `train`, and what it is told when it may not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from bessemer.train.calibrate import Calibration, choose
from bessemer.train.metrics import Metric
from bessemer.train.spec import TrainSpec
from bessemer.train.weights import class_weights, weight_faults


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"learner": "lightbgm"}, "did you mean 'lightgbm'"),
        ({"params": {"num_leaves": 8}}, "say which learner they are for"),
        ({"learner": "lightgbm", "params": {"num_leafs": 8}}, "did you mean 'num_leaves'"),
        ({"learner": "lightgbm", "params": {"num_leaves": 1}}, "1 is not between 2 and 4096"),
        ({"learner": "lightgbm", "params": {"num_leaves": 8.5}}, "8.5 is not of type int"),
        ({"learner": "lightgbm", "params": {"learning_rate": True}}, "True is not a number"),
        ({"learner": "lightgbm", "params": {"objective": "huber"}}, "is not one of regression"),
        ({"learner": "constant", "params": {"l2": 1.0}}, "no such parameter"),
        ({"metric": "roc_acu"}, "did you mean 'roc_auc'"),
        ({"class_weight": {"a": 0.0}}, "above 0"),
        ({"rounds": 0}, "greater than or equal to 1"),
        ({"class_weights": "balanced"}, "Extra inputs"),
    ],
)
def test_a_wrong_setting_is_explained(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        TrainSpec(**settings)


def test_every_wrong_parameter_is_told_at_once() -> None:
    with pytest.raises(ValidationError) as caught:
        TrainSpec(learner="linear", params={"l2": -1.0, "c": 1.0})
    assert "params.l2" in str(caught.value)
    assert "params.c" in str(caught.value)


def test_balanced_weights_give_each_class_the_same_sum() -> None:
    y = np.array([0.0] * 90 + [1.0] * 10)
    weights = class_weights("balanced", ["a", "b"], y)
    assert weights is not None
    assert weights[0] * 90 == pytest.approx(weights[1] * 10)
    assert weights[0] * 90 + weights[1] * 10 == pytest.approx(100)


def test_weights_are_named_by_class_however_it_is_written() -> None:
    y = np.array([0.0, 1.0])
    for classes, wanted in (([False, True], {True: 3.0}), ([0, 1], {1.0: 3.0}), ([0.0, 1.0], {"1": 3.0})):
        assert class_weights(wanted, classes, y) == pytest.approx((0.5, 1.5))
        assert weight_faults(wanted, classes) == []
    assert class_weights("none", ["a", "b"], y) is None
    assert [f.path for f in weight_faults({"c": 1.0, "a": 2.0}, ["a", "b"])] == ["train.class_weight.c"]


def test_calibration_is_kept_only_where_it_helps() -> None:
    rng = np.random.default_rng(0)
    margin = rng.normal(size=(3000, 1)) * 2
    y = (rng.random(3000) < 1 / (1 + np.exp(-margin[:, 0]))).astype(np.float64)
    assert choose("auto", "binary", margin, y, np.random.default_rng(1)).method == "none"
    found = choose("auto", "binary", margin * 5 + 3, y, np.random.default_rng(1))
    assert found.method == "sigmoid"
    np.testing.assert_allclose(found.score(margin * 5 + 3), margin, atol=0.3)
    wide = np.hstack([-margin, margin]) * 4
    assert choose("auto", "multiclass", wide, y, np.random.default_rng(1)).method == "temperature"
    assert choose("none", "binary", margin * 5, y, np.random.default_rng(1)) == Calibration()
    assert choose("sigmoid", "binary", -margin, y, np.random.default_rng(1)) == Calibration(), (
        "order is never turned"
    )
    assert choose("auto", "binary", margin[:20] * 5, y[:20], np.random.default_rng(1)) == Calibration()


def test_better_knows_its_direction_and_nan() -> None:
    nan = float("nan")
    loss, auc = Metric("binary", "log_loss"), Metric("binary", "roc_auc")
    assert loss.better(0.1, 0.2)
    assert not loss.better(0.2, 0.2)
    assert auc.better(0.9, 0.8)
    assert auc.better(0.1, nan)
    assert not auc.better(nan, 0.1)
    assert not auc.better(nan, nan)
