"""Flights: Bessemer's model against a careful hand-written LightGBM on the same split.

    .venv/bin/python benchmarks/flights.py

The hand-written one gets what a careful engineer would give it: the same rows and raw columns, the same derived
columns, pandas categoricals, early stopping on the same validation rows, three sets of parameters of which the best on
validation is taken. The test rows are used once, for the figures printed here.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

import bessemer

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "flights"
SEEDS = (1, 2, 3)


def frame(path: Path) -> pd.DataFrame:
    data = pd.read_parquet(path)
    when = data["sched_departure"].dt
    data["departure_hour"] = when.hour
    data["departure_minute"] = when.hour * 60 + when.minute
    data["day_of_week"] = when.dayofweek
    data["month"] = when.month
    data["day_of_year"] = when.dayofyear
    data["plane_age"] = when.year - data["plane_built"]
    data["route"] = data["origin"] + "-" + data["dest"]
    data["dewpoint_gap"] = data["temp"] - data["dewp"]
    data["block_minutes"] = (
        data["sched_arrival_minute"] - data["departure_minute"] - 60 * (data["dest_tz"] + 5)
    ) % 1440
    return data.drop(columns=["sched_departure", "airline"])


def by_hand(parts: dict[str, pd.DataFrame], seed: int) -> tuple[np.ndarray, float]:
    """The careful engineer's model: test probabilities and the validation AUC it was chosen by."""
    target = "arrives_late"
    texts = [c for c in parts["train"].columns if parts["train"][c].dtype.kind not in "ifb" and c != target]
    for name in texts:
        levels = parts["train"][name].value_counts().index[:2000]
        for part in parts.values():
            part[name] = pd.Categorical(part[name].where(part[name].isin(levels)), categories=levels)
    X = {k: v.drop(columns=[target]) for k, v in parts.items()}
    y = {k: v[target].astype(int) for k, v in parts.items()}
    train = lgb.Dataset(X["train"], y["train"], free_raw_data=False)
    valid = lgb.Dataset(X["valid"], y["valid"], reference=train, free_raw_data=False)
    best: tuple[float, Any] = (-1.0, None)
    for extra in (
        {"num_leaves": 31, "learning_rate": 0.1},
        {"num_leaves": 63, "learning_rate": 0.05, "min_data_in_leaf": 100, "feature_fraction": 0.8},
        {
            "num_leaves": 127,
            "learning_rate": 0.05,
            "min_data_in_leaf": 200,
            "feature_fraction": 0.5,
            "cat_smooth": 50,
        },
    ):
        params = {"objective": "binary", "metric": "auc", "verbosity": -1, "seed": seed, **extra}
        booster = lgb.train(params, train, 2000, [valid], callbacks=[lgb.early_stopping(50, verbose=False)])
        score = booster.best_score["valid_0"]["auc"]
        if score > best[0]:
            best = (score, booster.predict(X["test"], num_iteration=booster.best_iteration))
    return best[1], best[0]


def paired_interval(
    y: np.ndarray, a: np.ndarray, b: np.ndarray, replicates: int = 300
) -> tuple[float, float]:
    """95 % interval of AUC(a) - AUC(b) over bootstrap samples of the same rows."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(replicates):
        rows = rng.integers(0, len(y), len(y))
        found.append(roc_auc_score(y[rows], a[rows]) - roc_auc_score(y[rows], b[rows]))
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)


def main() -> None:
    project = bessemer.Project(EXAMPLE)
    run = project.run(track=False)
    splits = project.artifact("splits")
    test = pd.read_parquet(splits.path("test.parquet"))
    y = test["arrives_late"].astype(int).to_numpy()
    assert run.package is not None
    table = bessemer.load(run.package, threads=2).predict(test)
    ours = table.column("probability").to_numpy()
    auc = roc_auc_score(y, ours)
    print(f"test rows {len(y):,}, late {y.mean():.1%}")
    print(f"{'bessemer':<24} AUC {auc:.4f}")
    for seed in SEEDS:
        parts = {part: frame(splits.path(f"{part}.parquet")) for part in ("train", "valid", "test")}
        started = time.perf_counter()
        theirs, valid = by_hand(parts, seed)
        took = time.perf_counter() - started
        other = roc_auc_score(y, theirs)
        low, high = paired_interval(y, ours, theirs)
        print(
            f"{f'by hand, seed {seed}':<24} AUC {other:.4f}   ({took:.0f} s, training alone; valid {valid:.4f})   "
            f"bessemer - by hand {auc - other:+.4f} [{low:+.4f}, {high:+.4f}]"
        )


if __name__ == "__main__":
    main()
