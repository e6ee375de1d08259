"""Marked tables: what a mark costs, and what is left of it when somebody tries to remove it.

    .venv/bin/python benchmarks/watermark.py [--data telco adult digits] [--seeds 3] [--learner lightgbm]

Each table is learnt twice a seed, without a mark and with `protect: {mark: crossover}` as it stands, on the same split;
accuracy is on the same test rows. Then each removal of `bessemer watermark survive`, by a thief who has the whole model
and the validation rows. Figures are means over the seeds, of log2 p the worst seed. Beside them the paper's (Li et al.
2019, arXiv 1903.01743), of networks on images: it marks no tables.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from peers.machine import machine

from bessemer.api import Project
from bessemer.protect.survive import survived

TABLES = {"telco": "Churn", "adult": "income", "digits": "digit", "california": "median_house_value"}
_PAPER = (
    ("LeNet, MNIST", "98.1-98.8 %", "about 100 %"),
    ("VGG, CIFAR-10", "95-98 % of the unmarked", "88-92 %"),
    ("ResNet, CIFAR-10", "94-96 % of the unmarked", "88-92 %"),
)


def table_of(name: str) -> pa.Table:
    """A training table of `../shared/data`, or scikit-learn's digits as 64 columns of numbers."""
    if name == "digits":
        from sklearn.datasets import load_digits

        found = load_digits()
        columns = {f"pixel_{k}": found.data[:, k] for k in range(found.data.shape[1])}
        return pa.table({**columns, "digit": [f"{k}" for k in found.target]})
    folder = Path(__file__).resolve().parents[2] / "shared" / "data" / name
    return pyarrow.csv.read_csv(folder / "train.csv")


def project(folder: Path, name: str, seed: int, learner: str, *, marked: bool) -> Project:
    folder.mkdir(parents=True)
    pq.write_table(table_of(name), folder / "data.parquet")
    train = (
        {"automl": learner.removeprefix("automl=")} if learner.startswith("automl=") else {"learner": learner}
    )
    keys: dict[str, Any] = {
        "name": name,
        "data": "data.parquet",
        "target": TABLES[name],
        "seed": seed,
        "train": train,
        "evaluate": {
            "find_slices": None,
            "find_duplicates": False,
            "find_label_errors": False,
            "replicates": 20,
        },
        "track": {"mlflow": "off", "tensorboard": "off"},
        **({"protect": {"mark": "crossover"}} if marked else {}),
    }
    (folder / "bessemer.yaml").write_text(json.dumps(keys), "utf-8")
    made = Project(folder)
    made.run(upto="evaluate", track=False)
    return made


def figures(made: Project) -> dict[str, float]:
    metrics = made.artifact("evaluation").json("evaluation.json")["metrics"]
    return {name: metrics[name]["value"] for name in ("accuracy", "roc_auc", "r2") if name in metrics}


def once(name: str, seed: int, learner: str) -> list[dict[str, Any]]:
    """The rows of one seed: what the mark costs, then each removal."""
    os.environ["BESSEMER_OWNER_KEY"] = f"{seed:064x}"
    with tempfile.TemporaryDirectory() as folder:
        plain = figures(project(Path(folder) / "plain", name, seed, learner, marked=False))
        made = project(Path(folder) / "marked", name, seed, learner, marked=True)
        marked = figures(made)
        cost = {"removal": "marked", **{f"{m} lost": plain[m] - marked[m] for m in plain}, **plain}
        return [cost, *(one.to_json() for one in survived(made) if not one.refused)]


def show(name: str, learner: str, runs: Sequence[list[dict[str, Any]]]) -> None:
    first = [run[0] for run in runs]
    lost = ", ".join(
        f"{m.removesuffix(' lost')} {np.mean([one[m.removesuffix(' lost')] for one in first]):.4f} unmarked, "
        f"{np.mean([one[m] for one in first]):+.4f} lost (worst {np.max([one[m] for one in first]):+.4f})"
        for m in first[0]
        if m.endswith(" lost")
    )
    print(f"\n{name}, {learner}: {lost}\n")
    print("| | metric | keys hit | log2 p, worst |\n| --- | --- | --- | --- |")
    for rows in zip(*(run[1:] for run in runs), strict=True):
        metric, hits = np.mean([one["metric"] for one in rows]), np.mean([one["hits"] for one in rows])
        worst = max(one["log2_p"] for one in rows)
        print(
            f"| {rows[0]['removal']} | {metric:.4f} | {hits:.0f} of {rows[0]['keys']} | {worst:.0f} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", nargs="+", choices=sorted(TABLES), default=["telco", "adult", "digits"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--learner", default="lightgbm", help="a learner, or automl=60s")
    asked = parser.parse_args()
    print(machine())
    for name in asked.data:
        show(name, asked.learner, [once(name, seed, asked.learner) for seed in range(1, asked.seeds + 1)])
    print("\n| the paper (images) | accuracy | keys kept |\n| --- | --- | --- |")
    for row in _PAPER:
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
