"""Explanations of trees: ours against LightGBM's, shap's and woodelf's, in one run on one thread each.

    .venv/bin/python benchmarks/explain.py [--install] [--rows N]

200 LightGBM trees of 31 leaves over 20 float32 features, 2 % missing, and a background of 100 training rows.
Microseconds of CPU a row, so that other work on the machine counts little; ratios are to ours in the same run. The
values are compared before the table is printed. shap and woodelf-explainer live in an environment of their own, which
`--install` makes; without it the benchmark says that they are absent. woodelf gets its best case: all rows in one
call.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np

from bessemer.package.trees.interactions import TreeInteractions
from bessemer.package.trees.interventional import Interventional
from bessemer.package.trees.model import Trees
from bessemer.package.trees.shapley import TreeShapley
from bessemer.train.learners.lightgbm_text import parse
from bessemer.train.learners.lightgbm_trees import to_trees

PEERS = Path.home() / ".cache" / "bessemer-bench" / "explain"
TOOLS = ("shap==0.51.0", "lightgbm==4.7.0", "woodelf-explainer==0.4.8")
FEATURES, BACKGROUND, FEW = 20, 100, 500


def data(rows: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(rows, FEATURES)).astype(np.float32)
    wave = X[:, 0] + X[:, 1] * X[:, 2] - X[:, 4] ** 2 + np.sin(3 * X[:, 5]) + rng.normal(size=rows)
    X[rng.random(X.shape) < 0.02] = np.nan
    return X, (wave > 0).astype(np.int64)


def timed(run: Callable[[], Any], rows: int) -> tuple[float, Any]:
    start = time.process_time()
    found = run()
    return (time.process_time() - start) / rows, found


def ours(trees: Trees, X: np.ndarray, Z: np.ndarray) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Seconds a row, of all rows; a row alone and making the tables besides."""
    found: dict[str, float] = {}
    values: dict[str, np.ndarray] = {}
    player = np.arange(FEATURES)
    kinds: dict[str, Callable[[], Any]] = {
        "path-dependent": lambda: TreeShapley(trees),
        "interventional": lambda: Interventional(trees, Z, player, FEATURES),
    }
    for name, make in kinds.items():
        first, explain = timed(make, 1)
        seconds = first + timed(lambda explain=explain: explain.contributions(X[:1]), 1)[0]
        found[f"ours, {name}"], (_, each) = timed(lambda explain=explain: explain.contributions(X), len(X))
        alone, _ = timed(
            lambda explain=explain: [explain.contributions(X[i : i + 1]) for i in range(200)], 200
        )
        found[f"ours, {name}, one row at a time"] = alone
        print(f"ours, {name}: {seconds:.2f} s once, for the tables")
        values[name] = each[:FEW, :, 0]
    pairs = TreeInteractions(trees, player, FEATURES)
    pairs.compute(X[:1])
    found["ours, interactions"], made = timed(lambda: pairs.compute(X[:FEW]), FEW)
    values["interactions"] = made[:, :, 0]
    return found, values


def peers(folder: Path, rows: int) -> dict[str, float]:
    python = PEERS / "bin" / "python"
    if not python.exists():
        print("shap and woodelf are not installed: --install")
        return {}
    script = Path(__file__).parent / "peers" / "explainers.py"
    command = [str(python), str(script), str(folder), str(FEW), str(rows)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def compare(values: dict[str, np.ndarray], contrib: np.ndarray, folder: Path) -> None:
    apart = {"LightGBM, path-dependent": values["path-dependent"] - contrib[:FEW, :-1]}
    if (folder / "theirs.npz").exists():
        theirs = np.load(folder / "theirs.npz")
        a, b = np.triu_indices(FEATURES, 1)
        pairs = theirs["pairs"][:, a, b]
        apart["shap, interventional"] = values["interventional"] - theirs["shap"]
        apart["shap, interactions"] = values["interactions"][: len(pairs)] - 2 * pairs
        apart["woodelf, interventional"] = values["interventional"] - theirs["woodelf interventional"]
        apart["woodelf, path-dependent"] = values["path-dependent"] - theirs["woodelf path-dependent"]
    for name, difference in apart.items():
        print(f"the worst difference from {name}: {np.abs(difference).max():.1e}")


def show(found: dict[str, float]) -> None:
    print("\n| | µs of CPU a row | |\n| --- | --- | --- |")
    for name, seconds in found.items():
        kind = next(k for k in ("path-dependent", "interventional", "interactions") if k in name)
        ratio = seconds / found[f"ours, {kind}"]
        print(f"| {name} | {seconds * 1e6:,.0f} | {'' if name.startswith('ours') else f'{ratio:.1f}x'} |")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--install", action="store_true", help="make the peers' environment first")
    parser.add_argument("--rows", type=int, default=100_000, help="how many rows are explained")
    asked = parser.parse_args()
    if asked.install:
        venv.create(PEERS, with_pip=True)
        subprocess.run([PEERS / "bin" / "python", "-m", "pip", "install", "--quiet", *TOOLS], check=True)
    X, y = data(max(20_000, asked.rows))
    params = {"objective": "binary", "num_leaves": 31, "verbosity": -1, "num_threads": 2}
    booster = lightgbm.train(params, lightgbm.Dataset(X[:20_000], y[:20_000]), 200)
    X, Z = X[: asked.rows], X[-BACKGROUND:]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        booster.save_model(folder / "model.txt")
        np.save(folder / "X.npy", X)
        np.save(folder / "Z.npy", Z)
        found, values = ours(to_trees(parse(booster.model_to_string()), FEATURES), X, Z)
        few = X[: 4 * FEW]
        found["LightGBM, path-dependent"], contrib = timed(
            lambda: np.asarray(booster.predict(few, pred_contrib=True, num_threads=1)), len(few)
        )
        found |= peers(folder, asked.rows)
        compare(values, contrib, folder)
    show(found)


if __name__ == "__main__":
    sys.exit(main())
