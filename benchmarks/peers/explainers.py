"""The side of `benchmarks/explain.py` that runs where the peers are: shap and woodelf on a LightGBM model.

    python explainers.py FOLDER FEW MANY

FOLDER has model.txt, X.npy (rows) and Z.npy (background). Prints a line of JSON: {name: seconds of CPU a row, ...}.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import shap
from woodelf.explainer import WoodelfExplainer


def timed(run: Callable[[], Any], rows: int) -> tuple[float, np.ndarray]:
    start = time.process_time()
    found = np.asarray(run())
    return (time.process_time() - start) / rows, found


def main() -> None:
    folder, few, many = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    X, Z = np.load(folder / "X.npy").astype(float), np.load(folder / "Z.npy").astype(float)
    booster = lightgbm.Booster(model_file=str(folder / "model.txt"), params={"num_threads": 1})
    found: dict[str, float] = {}
    values: dict[str, np.ndarray] = {}
    masker = shap.maskers.Independent(Z, max_samples=len(Z))
    interventional = shap.TreeExplainer(booster, masker, feature_perturbation="interventional")
    path = shap.TreeExplainer(booster)
    found["shap, interventional"], values["shap"] = timed(
        lambda: interventional.shap_values(X[:few], check_additivity=False), few
    )
    found["shap, path-dependent (LightGBM's)"], _ = timed(lambda: path.shap_values(X[:few]), few)
    found["shap, interactions"], values["pairs"] = timed(
        lambda: path.shap_interaction_values(X[: few // 10]), few // 10
    )
    names = [f"x{i}" for i in range(X.shape[1])]
    frame, against = pd.DataFrame(X, columns=names), pd.DataFrame(Z, columns=names)
    for name, perturbation in (
        ("interventional", "interventional"),
        ("path-dependent", "tree_path_dependent"),
    ):
        explainer = WoodelfExplainer(booster, against, feature_perturbation=perturbation)
        found[f"woodelf, {name}"], each = timed(
            lambda explainer=explainer: explainer.shap_values(frame[:many], verbose=False), many
        )
        values[f"woodelf {name}"] = each[:few]
    np.savez(folder / "theirs.npz", **values)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
