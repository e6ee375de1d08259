"""Values and interactions of trees against those of the `shap` package, in an environment of its own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bessemer.package.attribution.chosen import Chosen
from bessemer.package.contributions import Contributions
from bessemer.package.trees.codec import encode
from bessemer.package.trees.interactions import TreeInteractions
from bessemer.train.learners.lightgbm_text import parse
from bessemer.train.learners.lightgbm_trees import to_trees
from environments import environment, run

FEATURES = 6
INFO = {
    "features": [{"name": f"x{i}", "group": f"x{i}"} for i in range(FEATURES)],
    "groups": [f"x{i}" for i in range(FEATURES)],
}

#: shap cuts a background to 100 rows without a word where `maskers.Independent` is not told otherwise.
PROGRAM = """
import json, sys
import numpy as np, lightgbm, shap
folder = sys.argv[1]
X, Z = np.load(folder + "/X.npy").astype(float), np.load(folder + "/Z.npy").astype(float)
booster = lightgbm.Booster(model_file=folder + "/model.txt")
independent = shap.TreeExplainer(
    booster, shap.maskers.Independent(Z, max_samples=len(Z)), feature_perturbation="interventional"
)
cut = shap.TreeExplainer(booster, Z, feature_perturbation="interventional")
path = shap.TreeExplainer(booster)
np.savez(
    folder + "/found.npz",
    interventional=independent.shap_values(X, check_additivity=False),
    cut=cut.shap_values(X, check_additivity=False),
    path=booster.predict(X, pred_contrib=True),
    interactions=path.shap_interaction_values(X),
)
print(json.dumps({"base": float(np.ravel(cut.expected_value)[-1]), "version": shap.__version__}))
"""


@pytest.mark.slow
def test_the_values_are_those_of_shap_and_lightgbm(tmp_path: Path) -> None:
    import lightgbm

    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, FEATURES)).astype(np.float32)
    y = X[:, 0] + X[:, 1] * X[:, 2] + np.where(X[:, 3] > 0, X[:, 4], -1) + rng.normal(size=3000) * 0.3
    X[rng.random(X.shape) < 0.05] = np.nan
    params = {
        "objective": "binary",
        "num_leaves": 15,
        "verbosity": -1,
        "num_threads": 1,
        "deterministic": True,
    }
    booster = lightgbm.train(params, lightgbm.Dataset(X, (y > 0).astype(int)), 40)
    booster.save_model(tmp_path / "model.txt")
    few, Z = X[:40], X[1000:1250]
    np.save(tmp_path / "X.npy", few)
    np.save(tmp_path / "Z.npy", Z)
    python = environment("shap", "shap==0.51.0", "lightgbm==4.7.0")
    told = json.loads(run(python, PROGRAM, str(tmp_path), timeout=300).splitlines()[-1])
    theirs = np.load(tmp_path / "found.npz")

    trees = to_trees(parse(booster.model_to_string()), FEATURES)
    explain = Contributions("trees", encode(trees), INFO)
    path = explain.compute(few)[1][:, :, 0]
    np.testing.assert_allclose(path, theirs["path"][:, :-1], atol=1e-5)
    against = explain.by(Chosen("interventional", {}, Z)).estimate(few)
    np.testing.assert_allclose(against.each[:, :, 0], theirs["interventional"], atol=1e-4)
    assert np.abs(against.each[:, :, 0] - theirs["cut"]).max() > 0.01, (
        "shap has left rows out, and we have not"
    )
    assert against.base[0] == pytest.approx(explain.score(Z).mean(), abs=1e-9)
    assert abs(told["base"] - against.base[0]) > 1e-3, "and its base is that of what it kept"
    a, b = np.triu_indices(FEATURES, 1)
    pairs = TreeInteractions(trees, np.arange(FEATURES), FEATURES).compute(few)[:, :, 0]
    np.testing.assert_allclose(pairs, 2 * theirs["interactions"][:, a, b], atol=1e-4)
