"""The model that every server scores: 200 LightGBM trees over 20 floats, trained and packaged by Bessemer itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.csv
import yaml

import bessemer
from bessemer.package.cut import behind
from bessemer.package.session import FEATURES
from peers.serving.scorer import scorer

NAME, COLUMNS, TREES, LEAVES = "model", 20, 200, 31
TRAINED_ON, ROWS, SEED = 20_000, 1024, 7
INPUTS = [f"f{i:02d}" for i in range(COLUMNS)]


@dataclass(frozen=True)
class Subject:
    """package: Bessemer's. onnx: the trees of its graph behind one float32 input `features` (N, 20), output `score`
    (N, 1), for the others. rows: float32 (1024, 20), sent in turn. expected: float32 (1024,), onnxruntime's answers.
    """

    package: Path
    onnx: Path
    rows: np.ndarray[Any, Any]
    expected: np.ndarray[Any, Any]


def make(folder: Path) -> Subject:
    """Train, package, and take the trees out of the package's graph."""
    rng = np.random.default_rng(SEED)
    x = rng.normal(size=(TRAINED_ON, COLUMNS)).astype(np.float32)
    weights = rng.normal(size=COLUMNS)
    y = (
        x @ weights
        + 2 * np.sin(2 * x[:, 0] * x[:, 1])
        + np.abs(x[:, 2:6]).sum(axis=1)
        + rng.normal(size=len(x)) / 2
    )
    columns = {name: pa.array(x[:, i]) for i, name in enumerate(INPUTS)} | {"target": pa.array(y)}
    pa.csv.write_csv(pa.table(columns), folder / "rows.csv")
    (folder / "bessemer.yaml").write_text(yaml.safe_dump(_project()))
    package = bessemer.Project(folder).run(track=False).package
    assert package is not None
    rows = rng.normal(size=(ROWS, COLUMNS)).astype(np.float32)
    trees = folder / "trees.onnx"
    trees.write_bytes(_trees(bessemer.load(package).contents.bytes("model.onnx")))
    return Subject(Path(package), trees, rows, scorer(trees)(rows))


def _project() -> dict[str, Any]:
    return {
        "name": NAME,
        "target": "target",
        "task": "regression",
        "seed": SEED,
        "acquire": {"sources": {"rows": {"csv": "rows.csv"}}},
        "train": {
            "learner": "lightgbm",
            "params": {"num_leaves": LEAVES},
            "rounds": TREES,
            "early_stopping": 0,
        },
    }


def _trees(model: bytes) -> bytes:
    """The graph from the features on. They are the columns as they are: no value here is missing or infinite."""
    found = behind(onnx.load_model_from_string(model), FEATURES, ["score"])
    assert found is not None
    return bytes(found.SerializeToString())
