"""NannyML on the data sets that it carries, whose labels come late: a program for its own environment.

It reads argv[1] (a folder) and argv[2] (rows of the reference at most), writes `NAME-reference.parquet` and
`NAME-analysis.parquet` there (`predicted`, `said`, `truth`), and prints one line of JSON: by data set and metric the
estimate of each chunk with its bounds.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from peers import drift
from peers.environment import variables


@dataclass(frozen=True)
class LateSet:
    """task and metrics: as Bessemer names them. size: rows of a chunk. origin: what it is."""

    task: str
    metrics: tuple[str, ...]
    size: int
    origin: str


SETS = {
    "employment": LateSet("binary", ("roc_auc", "f1"), 5000, "census of Massachusetts, 2015 to 2018: real"),
    "housing": LateSet("binary", ("roc_auc", "f1"), 1000, "California housing, sorted: real rows, made time"),
    "loans": LateSet("binary", ("roc_auc", "f1"), 5000, "car loans: synthetic"),
    "prices": LateSet("regression", ("mae", "rmse"), 5000, "used cars: synthetic"),
}

PROGRAM = """
import json, os, sys
os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"
import nannyml
import pandas as pd
import pyarrow as pa, pyarrow.parquet as pq
from nannyml import datasets

pd.set_option("future.infer_string", False)  # its estimator of losses does not take the strings of pandas 3
folder, most, sizes = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
LOADED = {
    "employment": (datasets.load_us_census_ma_employment_data, "employed", "predicted_probability", "prediction"),
    "housing": (datasets.load_modified_california_housing_dataset, "clf_target", "y_pred_proba", "y_pred"),
    "loans": (datasets.load_synthetic_car_loan_dataset, "repaid", "y_pred_proba", "y_pred"),
    "prices": (datasets.load_synthetic_car_price_dataset, "y_true", "", "y_pred"),
}


def plain(name, part, frame, truth, probability, said):
    said_before = frame[probability] if probability else frame[said]
    columns = {"predicted": frame[said], "said": said_before, "truth": frame[truth]}
    arrays = {key: pa.array(values.to_numpy(float)) for key, values in columns.items()}
    pq.write_table(pa.table(arrays), os.path.join(folder, f"{name}-{part}.parquet"))


told = {}
for name, (load, truth, probability, said) in LOADED.items():
    reference, analysis, targets = load()
    if len(reference) > most:
        reference = reference.sample(most, random_state=1).sort_index().reset_index(drop=True)
    analysis = analysis.iloc[: len(analysis) // sizes[name] * sizes[name]].copy()  # whole chunks
    later = analysis.merge(targets[["id", truth]], on="id", how="left", validate="one_to_one")
    plain(name, "reference", reference, truth, probability, said)
    plain(name, "analysis", later, truth, probability, said)
    shared = {"y_true": truth, "y_pred": said, "chunk_size": sizes[name]}
    if probability:
        estimator = nannyml.CBPE(
            metrics=["roc_auc", "f1"], y_pred_proba=probability, problem_type="classification_binary", **shared
        )
    else:
        names = [c for c in reference.columns if c not in ("id", "timestamp", truth, said)]
        estimator = nannyml.DLE(feature_column_names=names, metrics=["mae", "rmse"], **shared)
    estimator.fit(reference)
    found = estimator.estimate(analysis).filter(period="analysis").to_df()
    told[name] = {
        metric: {
            "value": found[(metric, "value")].tolist(),
            "low": found[(metric, "lower_confidence_boundary")].tolist(),
            "high": found[(metric, "upper_confidence_boundary")].tolist(),
        }
        for metric in {key[0] for key in found.columns} - {"chunk"}
    }
print(json.dumps(told))
"""


def estimates(folder: Path, rows: int) -> str:
    """Run the program: the line of JSON that it prints.

    Raises:
        CalledProcessError: it failed; what it said went to the error stream.
    """
    import json

    sizes = json.dumps({name: each.size for name, each in SETS.items()})
    command = [str(drift.python("nannyml")), "-W", "ignore", "-c", PROGRAM, str(folder), str(rows), sizes]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=variables(1, folder))
    return done.stdout.splitlines()[-1]


if __name__ == "__main__":
    sys.exit("run benchmarks/late_labels.py")
