"""Contributions sum to the graph's score, by feature and by group, for every kind of native model."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from bessemer.core.errors import FormatError
from bessemer.package.contributions import Contributions
from bessemer.package.session import GraphSession


def test_they_sum_to_the_graphs_score(model_of: Any, make_rows: Any) -> None:
    made = GraphSession(model_of.model, model_of.signature.inputs).run(
        make_rows(800, 9), ["features", "score"]
    )
    explain = Contributions(model_of.model_json["native"]["kind"], model_of.native, model_of.model_json)
    base, each = explain.compute(made["features"])
    k = made["score"].shape[1]
    assert base.shape == (800, k)
    assert each.shape == (800, 8, k)
    np.testing.assert_allclose(base + each.sum(axis=1), made["score"], atol=1e-4)
    np.testing.assert_allclose(explain.score(made["features"]), made["score"], atol=1e-4)
    assert np.ptp(base, axis=0).max() < 1e-9, "the base is one number for all rows"


def test_groups_sum_their_features(model_of: Any, make_rows: Any) -> None:
    features = GraphSession(model_of.model, model_of.signature.inputs).run(make_rows(50), ["features"])[
        "features"
    ]
    explain = Contributions(model_of.model_json["native"]["kind"], model_of.native, model_of.model_json)
    _, each = explain.compute(features)
    grouped = explain.by_group(each)
    assert explain.groups == ("age", "income €", "member", "city", "note", "seen")
    np.testing.assert_allclose(grouped[:, 3], each[:, 3] + each[:, 4])
    np.testing.assert_allclose(grouped.sum(axis=1), each.sum(axis=1))
    np.testing.assert_array_equal(explain.by_group(each, ["note", "age"]), grouped[:, [4, 0]])


def test_a_constant_has_no_contributions() -> None:
    info = {
        "features": [{"name": "x", "group": "x"}],
        "groups": ["x"],
        "calibration": {"scale": 2.0, "offset": 1.0},
    }
    explain = Contributions("constant", json.dumps({"score": [0.5, -1.0]}).encode(), info)
    base, each = explain.compute(np.zeros((3, 1), dtype=np.float32))
    assert base.tolist() == [[2.0, -1.0]] * 3
    assert each.shape == (3, 1, 2)
    assert not each.any()


def test_no_rows(model_of: Any) -> None:
    explain = Contributions(model_of.model_json["native"]["kind"], model_of.native, model_of.model_json)
    base, each = explain.compute(np.zeros((0, 8), dtype=np.float32))
    assert len(base) == len(each) == len(explain.score(np.zeros((0, 8), dtype=np.float32))) == 0
    assert explain.by_group(each).shape[:2] == (0, 6)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(FormatError, match="kind 'lightgbn'") as caught:
        Contributions("lightgbn", b"", {"features": [], "groups": []})
    assert caught.value.fix == "did you mean 'lightgbm'?"
