"""Bundles of MLeap. Its runtime is a library of the JVM that no package registry for Python has, so that nothing runs
them here: they are held against what MLeap's own Python package writes and reads, and walked node by node."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from packages_support import model

from bessemer.export.plugins import TARGETS
from bessemer.export.proof import Proof
from bessemer.export.protocol import Source
from bessemer.export.samples import samples_of
from bessemer.export.targets.mleap import doubled, nodes_of
from bessemer.package.trees.codec import decode
from bessemer.package.trees.model import Tree
from bessemer.testing.models import tiny_model
from bessemer.testing.targets import check_target

#: Reads a linear step with MLeap's Python package and asks it.
_READ = """
import sys, numpy as np
from sklearn.linear_model import LogisticRegression
import mleap.sklearn.logistic
made = LogisticRegression().deserialize_from_bundle(sys.argv[1], "logistic_regression.node")
np.save(sys.argv[3], made.predict_proba(np.load(sys.argv[2])))
"""
#: Writes a forest of scikit-learn with it.
_WRITE = """
import sys
from sklearn.datasets import load_diabetes
from sklearn.ensemble import RandomForestRegressor
import mleap.sklearn.ensemble.forest
X, y = load_diabetes(return_X_y=True)
made = RandomForestRegressor(3, max_depth=4, random_state=0).fit(X, y)
made.mlinit("features", "sum_0", [f"f{i}" for i in range(X.shape[1])])
made.serialize_to_bundle(sys.argv[1], "forest")
"""


def exported(kind: Any, folder: Path) -> Path:
    """The bundle of a model, unpacked."""
    said = check_target("mleap", TARGETS.load("mleap"), kind, folder)
    assert isinstance(said, Proof)
    assert "the JVM" in said.not_run
    zipfile.ZipFile(folder / "one" / "model.zip").extractall(folder / "bundle")
    return folder / "bundle"


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def steps(bundle: Path) -> list[str]:
    return list(read(bundle / "root" / "model.json")["attributes"]["nodes"]["string"])


def leaf(lines: list[dict[str, Any]], row: np.ndarray) -> float:
    """The value that a row gets of a tree, whose nodes stand before those below them, left before right."""

    def walk(at: int, wanted: bool) -> tuple[int, float]:
        node = lines[at]
        if node["type"] == "leaf":
            return at + 1, node["values"][0]
        left = wanted and row[node["split"]["featureIndex"]] <= node["split"]["threshold"]
        behind, first = walk(at + 1, left)
        end, second = walk(behind, wanted and not left)
        return end, first if left else second

    end, value = walk(0, True)
    assert end == len(lines)
    return value


def mean_of(forest: Path, row: np.ndarray) -> float:
    names = read(forest / "model.json")["attributes"]["trees"]["string"]
    trees = [
        [json.loads(line) for line in (forest / name / "tree.json").read_text().splitlines()]
        for name in names
    ]
    return float(np.mean([leaf(tree, row) for tree in trees]))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["lightgbm", "regression"])
def test_rows_take_their_leaves(kind: str, tmp_path: Path) -> None:
    one = model(kind)
    bundle, features = exported(one, tmp_path), samples_of(one).features[:40].copy()
    features[20:][np.random.default_rng(0).random(features[20:].shape) < 0.5] = np.nan
    wanted = decode(one.contents.bytes(one.info["native"]["file"])).margin(features)[:, 0]
    found = [mean_of(bundle / "root" / "trees_0.node", row) for row in doubled(features.astype(np.float64))]
    told = one.info["calibration"]
    if told["method"] != "none":
        wanted = wanted * told["scale"] + told["offset"]
    assert np.abs(np.array(found) - wanted).max() < 1e-9 * max(1.0, np.abs(wanted).max())
    assert steps(bundle) == (
        ["trees_0"] if one.task == "regression" else ["trees_0", "sums", "logistic_regression"]
    )


@pytest.mark.slow
def test_what_only_asks_whether_a_value_is_missing_is_json() -> None:
    """LightGBM asks so by a threshold without end."""
    one = np.zeros(1, dtype=np.int32)
    tree = Tree(
        one, np.float32([np.inf]), np.array([False]), one - 1, one - 2, np.array([[1.0], [2.0]]), np.ones(2)
    )
    nodes = list(nodes_of(tree, 3, 1.0))
    told = json.loads(json.dumps(nodes, allow_nan=False))
    assert leaf(told, doubled(np.array([[5.0, 0, 0]]))[0]) == 1
    assert leaf(told, doubled(np.array([[np.nan, 0, 0]]))[0]) == 2


def test_branches_are_those_of_mleaps_own_writer(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", _WRITE, str(tmp_path)], check=True)
    theirs = tmp_path / "forest.node"
    ours = exported(model("regression"), tmp_path / "ours") / "root" / "trees_0.node"

    def shape(value: Any) -> Any:
        """What is in it, without its numbers and names."""
        if isinstance(value, dict):
            return {key: shape(one) for key, one in value.items()}
        return [shape(value[0])] if isinstance(value, list) else type(value).__name__

    for name in ("model.json", "tree0/model.json"):
        assert shape(read(ours / name)) == shape(read(theirs / name))
        assert read(ours / name)["op"] == read(theirs / name)["op"]
    nodes = [
        {
            json.dumps(shape(json.loads(line)))
            for line in (folder / "tree1" / "tree.json").read_text().splitlines()
        }
        for folder in (ours, theirs)
    ]
    assert nodes[0] == nodes[1]
    assert read(theirs / "node.json")["shape"]["inputs"] == read(ours / "node.json")["shape"]["inputs"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["logistic", "multiclass"])
def test_linear_models_are_read_by_mleaps_python(kind: str, tmp_path: Path) -> None:
    one = model(kind) if kind == "logistic" else tiny_model("multiclass")
    bundle, samples = exported(one, tmp_path), samples_of(one)
    np.save(tmp_path / "x.npy", Source(one).core.encoded(samples.features).astype(np.float64))
    files = [str(bundle / "root"), str(tmp_path / "x.npy"), str(tmp_path / "p.npy")]
    subprocess.run([sys.executable, "-c", _READ, *files], check=True)
    assert np.abs(np.load(tmp_path / "p.npy") - samples.values).max() < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("table_net", "only one model of trees, or a linear one, has a counterpart in MLeap"),
        ("forest", "what follows the sum of its trees is no step of MLeap"),
    ],
)
def test_what_mleap_cannot_say_is_refused(kind: str, why: str, tmp_path: Path) -> None:
    assert check_target("mleap", TARGETS.load("mleap"), model(kind), tmp_path) == why


def test_the_vector_of_its_readme(tmp_path: Path) -> None:
    exported(model("lightgbm"), tmp_path)
    target: Any = TARGETS.load("mleap")
    usage = target(target.Settings()).export(Source(model("lightgbm")), tmp_path / "one")
    code = usage.split("```python\n")[1].split("```")[0]
    script = f"import sys; sys.modules['bessemer'] = None\n{code}\nprint(values.shape, values.dtype)"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path / "one", capture_output=True, text=True, check=True
    )
    width = int(usage.split("Seq(")[1].split(")")[0])
    assert done.stdout.strip() == f"(1, {width}) float64"
