"""Packages of each kind of model, made by whole runs on real rows, once a process."""

from __future__ import annotations

import base64
import io
import os
import shutil
import sys
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from bessemer.api import Project
from bessemer.core.lock import exclusive
from bessemer.package import keys
from bessemer.package.model import Model, load

sys.path.insert(0, str(Path(__file__).parents[1]))
from patience import PATIENCE

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"

#: Kind -> (rows, target, the rest of the project file).
PROJECTS = {
    "lightgbm": ("adult", "income", "train: {learner: lightgbm, rounds: 30}"),
    "ensemble": (
        "adult 3000",
        "income",
        "train: {automl: {budget: 9m, learners: [lightgbm, xgboost, catboost], search: none, folds: 3}, rounds: 60}",
    ),
    "logistic": ("adult", "income", "train: {learner: linear}"),
    "table_net": (
        "adult",
        "income",
        "train: {learner: network, params: {epochs: 3}}\npackage: {ignore_gates: true}",
    ),
    "forest": ("wine", "kind", "train: {learner: random_forest, rounds: 15}\npackage: {ignore_gates: true}"),
    "regression": ("california", "median_house_value", "train: {learner: xgboost, rounds: 30}"),
    "sums": (
        "california",
        "median_house_value",
        "train: {automl: {budget: 9m, learners: [lightgbm], search: none, folds: 2}, rounds: 40}",
    ),
    "convnet": (
        "digits",
        "digit",
        "train: {learner: network, params: {epochs: 4}}\npackage: {ignore_gates: true}",
    ),
}


@cache
def package(kind: str) -> Path:
    """The package of a kind; the processes of one run of the tests make it once, and all trust who signed it."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    folder = Path(tempfile.gettempdir()) / f"bessemer-packages-{run}" / kind
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive(folder / "lock", wait=PATIENCE):
        if not (folder / "key.pub").is_file():
            shutil.copy(_made(kind, folder / "project"), folder / f"{kind}-1.bsm")
            public = keys.public_pem(keys.public_of(keys.signing_key()))
            (folder / "key.pub").write_bytes(public)
    keys.trust_key(folder / "key.pub")
    return folder / f"{kind}-1.bsm"


def _made(kind: str, folder: Path) -> Path:
    rows, target, rest = PROJECTS[kind]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    _ROWS[rows](folder / "rows.parquet")
    text = f"name: {kind}\ndata: rows.parquet\ntarget: {target}\n{rest}\n"
    (folder / "bessemer.yaml").write_text(text, encoding="utf-8")
    run = Project(folder / "bessemer.yaml").run()
    assert run.package is not None
    return Path(run.package)


@cache
def model(kind: str) -> Model:
    """The same, loaded."""
    return load(package(kind))


def _shared(name: str, rows: int, file: Path) -> None:
    import pyarrow.csv
    import pyarrow.parquet

    table = pyarrow.csv.read_csv(SHARED / name / "train.csv").slice(0, rows)
    pyarrow.parquet.write_table(table, file)


def _wine(file: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet
    from sklearn.datasets import load_wine

    data = load_wine()
    columns = {name: data.data[:, i] for i, name in enumerate(data.feature_names)}
    columns["kind"] = [str(data.target_names[y]) for y in data.target]
    pyarrow.parquet.write_table(pa.table(columns), file)


def _digits(file: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    images = [png(row.reshape(8, 8) / 16) for row in X[:600]]
    pyarrow.parquet.write_table(pa.table({"image": images, "digit": [f"d{v}" for v in y[:600]]}), file)


def png(pixels: np.ndarray) -> str:
    """(H, W) from 0 to 1 as base64 of a PNG."""
    from PIL import Image

    kept = io.BytesIO()
    Image.fromarray((pixels * 255).round().astype(np.uint8)).save(kept, "PNG")
    return base64.b64encode(kept.getvalue()).decode()


_ROWS = {
    "adult": lambda file: _shared("adult", 1500, file),
    "adult 3000": lambda file: _shared("adult", 3000, file),
    "california": lambda file: _shared("california", 1500, file),
    "wine": _wine,
    "digits": _digits,
}
