"""A given model: what it may have decided, and what the project has to say again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stage_support import NAMES, make_context, make_parts, put_inputs

from bessemer.core.artifact import Artifact
from bessemer.core.errors import ProjectError
from bessemer.package import write_package
from bessemer.package.natives import Weighted, encode_ensemble
from bessemer.train.given import _some
from bessemer.train.learner import Native
from bessemer.train.native_model import restored
from bessemer.train.parity import run_graph
from bessemer.train.spec import TrainSpec
from bessemer.train.stage import run


def trained(folder: Path, **settings: Any) -> Artifact:
    """The artifact of a model of two classes."""
    ctx = make_context(folder)
    inputs = put_inputs(ctx.store, "binary", make_parts("binary", 300), NAMES["binary"])
    spec = TrainSpec.model_validate_json(json.dumps(settings))
    return ctx.store.get(run(spec, inputs, ctx)["model"])


def given(folder: Path, **settings: Any) -> Path:
    """A package of a linear model, where a project may be given it."""
    made = trained(folder, learner="linear", **settings)
    members: dict[str, Path | bytes] = {
        name: made.path(name) for name in made.files if "baseline" not in name
    }
    about = {"name": "given", "version": "1", "created": "2024-01-01T00:00:00Z"}
    write_package(folder / "given.bsm", members, **about, task="binary", target="y")
    return folder / "given.bsm"


def test_a_model_that_decides_from_one_half_on_is_given_as_it_is(tmp_path: Path) -> None:
    package = given(tmp_path)
    own = trained(tmp_path, given=package.name)
    table = {f"column {i}": values[:, None] for i, values in enumerate(make_parts("binary", 9)["test"].X.T)}
    before = run_graph(trained(tmp_path, learner="linear").bytes("model.onnx"), table, ["probability"])
    after = run_graph(own.bytes("model.onnx"), table, ["probability"])
    np.testing.assert_array_equal(before[0], after[0])


def test_a_threshold_of_its_own_is_to_be_said_again(tmp_path: Path) -> None:
    package = given(tmp_path, threshold=0.3)
    with pytest.raises(ProjectError, match=r"given\.bsm decides from a threshold of its own"):
        trained(tmp_path, given=package.name)
    assert (
        trained(tmp_path, given=package.name, threshold=0.3).json("model.json")["decision"]["threshold"]
        < 0.31
    )


def test_an_ensemble_is_whole_without_what_made_it(tmp_path: Path) -> None:
    """Its native form gives back margins, contributions and the graph."""
    parts = [trained(tmp_path, learner=name, rounds=10) for name in ("linear", "lightgbm")]
    natives = [(part.json("model.json")["native"], part) for part in parts]
    each = [Weighted(0.25 + 0.5 * i, n["kind"], part.bytes(n["file"])) for i, (n, part) in enumerate(natives)]
    model = restored(Native("ensemble", "ensemble.bin", encode_ensemble(each)), {}, 12, {})
    X = np.asarray(make_parts("binary", 40)["test"].X, dtype=np.float32)
    single = [restored(Native(one.kind, "one", one.content), {}, 0, {}) for one in each]
    wanted = sum(one.weight * fitted.margin(X) for one, fitted in zip(each, single, strict=True))
    np.testing.assert_allclose(model.margin(X), wanted, rtol=1e-9)
    np.testing.assert_allclose(model.contributions(X).sum(axis=-1), wanted, atol=1e-5)
    np.testing.assert_allclose(run_graph(model.to_onnx(), {"features": X}, ["score"])[0], wanted, atol=1e-5)
    assert model.iterations == 12
    assert model.native().kind == "ensemble"


def test_few_rows_of_many_features_are_looked_at() -> None:
    """Those of images of 224 x 224 would be 12 GB."""
    wide = np.broadcast_to(np.float32(1), (10_000, 224 * 224 * 3))
    assert _some(wide).shape == (2**24 // (224 * 224 * 3), 224 * 224 * 3)
    assert _some(np.zeros((20_000, 3), np.float32)).shape == (10_000, 3)
