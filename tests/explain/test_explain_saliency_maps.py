"""Saliency maps, of models of which it is known where they have to look."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from made_support import Made, trained
from PIL import Image

from bessemer.explain.explainers.saliency_maps import SaliencyMaps
from bessemer.explain.pixel_maps import pixel_map
from bessemer.explain.spec import ExplainSpec
from bessemer.explain.stage import run
from bessemer.explain.subject import open_subject
from bessemer.testing.explainers import check_explainer

ROWS, SIDE = 400, 8
LEARNERS = {
    "linear": {},
    "lightgbm": {},
    "network": {"image_encoder": {"convnet": {"width": 4, "stages": 1}}, "epochs": 30, "check": "none"},
}


def stamped() -> Any:
    """Images of noise; those of class "yes" have a bright stamp of 2 x 2 pixels in the lower right corner."""
    rng = np.random.default_rng(5)
    label = rng.random(ROWS) < 0.5
    pixels = rng.integers(0, 90, (ROWS, SIDE, SIDE)).astype(np.uint8)
    pixels[label, 5:7, 5:7] = 220
    ages = rng.normal(size=ROWS)
    ages[::7] = np.nan
    images = [png(image) for image in pixels]
    return pa.table(
        {
            "photo": images,
            "age": pa.array(ages, from_pandas=True),
            "y": pa.array(np.where(label, "yes", "no")),
        }
    )


def png(pixels: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


@pytest.fixture(scope="module", params=LEARNERS)
def stamp(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    settings = {"learner": request.param, "params": LEARNERS[request.param]}
    if request.param == "lightgbm":
        settings["rounds"] = 30
    return trained(tmp_path_factory.mktemp(request.param), stamped(), ["no", "yes"], "binary", settings)


def explained(stamp: Made) -> Any:
    model, splits = (stamp.store.get(stamp.refs[ref]) for ref in ("model", "splits"))
    return check_explainer(SaliencyMaps, SaliencyMaps.Settings(rows=6), model, splits, stamp.context())


def test_the_map_is_strongest_where_the_stamp_is(stamp: Made) -> None:
    found = explained(stamp)
    assert len(found.content["rows"]) == 6
    seen = np.zeros((SIDE, SIDE))
    for row in found.content["rows"]:
        assert row["column"] == "photo"
        assert row["shape"] == [1, SIDE, SIDE]
        seen += np.abs(np.reshape(row["map"], (SIDE, SIDE)))
    assert seen[5:7, 5:7].mean() > 3 * seen.mean(), "a map of chance has 1"
    assert {np.sign(row["part"]) for row in found.content["rows"]} == {-1, 1}, "for, and against"


def test_parts_add_up_to_the_score(stamp: Made) -> None:
    found = explained(stamp)
    assert found.error.value is not None
    largest = max(abs(row["part"]) for row in found.content["rows"])
    assert found.error.value < 0.05 * largest
    for row in found.content["rows"]:
        assert np.sum(row["map"]) * row["scale"] == pytest.approx(row["part"], abs=32 * row["scale"])


@pytest.mark.slow
def test_it_is_among_the_usual_ones_of_images_only(stamp: Made) -> None:
    _, explanations = stamp.explain(explainers=["permutation"])
    assert "saliency_maps" not in explanations["found"], "others were named"
    made = run(ExplainSpec(rows=50, samples=1), stamp.refs, stamp.context())
    found = stamp.store.get(made["explanations"]).json("explanations.json")["found"]
    assert found["saliency_maps"]["kind"] == "maps"


def test_a_table_has_no_map(made: Any) -> None:
    one = made("binary", "linear")
    subject = open_subject(one.store.get(one.refs["model"]))
    assert "no column is an image" in SaliencyMaps(SaliencyMaps.Settings()).refuses(subject)
    made_by = ["permutation", "contributions"]
    assert set(one.explain(explainers=made_by)[1]["found"]) == set(made_by)


def test_a_graph_without_gradients_is_refused_by_its_operator(stamp: Made) -> None:
    subject = open_subject(stamp.store.get(stamp.refs["model"]))
    mixed = {**subject.facts, "native": {**subject.facts["native"], "kind": "ensemble"}}
    why = SaliencyMaps(SaliencyMaps.Settings()).refuses(replace(subject, facts=mixed))
    trees = "TreeEnsemble" in str(subject.graph())
    assert ("TreeEnsemble" in why) is trees
    assert bool(why) is trees


def test_large_images_become_windows_that_keep_the_sum() -> None:
    rng = np.random.default_rng(0)
    pixels, parts = rng.random((3, 50, 33)).astype(np.float32), rng.normal(size=(3, 50, 33))
    found = pixel_map(pixels, parts, 16)
    assert found["shape"] == [3, 13, 9], "windows of 4 x 4, the last ones cut"
    assert len(found["image"]) == 3 * 13 * 9
    assert len(found["map"]) == 13 * 9
    assert np.sum(found["map"]) * found["scale"] == pytest.approx(parts.sum(), abs=60 * found["scale"])
    by_pixel = parts.sum(axis=0)
    assert found["raised"] == pytest.approx(by_pixel[by_pixel > 0].sum()), "of pixels, not of windows"
    assert found["lowered"] == pytest.approx(by_pixel[by_pixel < 0].sum())
    corner = pixels[0, 48:, 32:].mean()
    assert found["image"][13 * 9 - 1] == pytest.approx(255 * corner, abs=0.51)


def test_a_model_that_ignores_the_image_has_an_empty_map() -> None:
    found = pixel_map(np.zeros((1, 4, 4), np.float32), np.zeros((1, 4, 4)), 64)
    assert found["scale"] == 0
    assert found["map"] == [0] * 16
