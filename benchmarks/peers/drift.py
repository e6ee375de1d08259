"""Tools that compare a window with a reference: what each needs, and its program as its own documentation has it.

A program reads argv[1] (reference) and argv[2] (window), both Parquet, and prints one line of JSON: the columns that it
finds. What it takes is measured from outside; reading the files is part of it, as it is of ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from peers.environment import made


@dataclass(frozen=True)
class DriftTool:
    """title: as the table shows it. requirements: its environment. program: see the module."""

    title: str
    requirements: tuple[str, ...]
    program: str


_READ = (
    "import json, sys\nimport pandas as pd\n"
    "reference, window = (pd.read_parquet(path) for path in sys.argv[1:3])\n"
)

# a distance is drift from its threshold on, a p-value below it: the names of the methods tell which
_EVIDENTLY = """
from evidently import Report
from evidently.presets import DataDriftPreset

found = []
for metric in Report([DataDriftPreset()]).run(window, reference).dict()["metrics"]:
    config = metric["config"]
    if "method" not in config:
        continue
    p_value = "p_value" in config["method"]
    value, threshold = metric["value"], config["threshold"]
    if value < threshold if p_value else value >= threshold:
        found.append(config["column"])
print(json.dumps(found))
"""

_ALIBI = """
import numpy as np
from alibi_detect.cd import TabularDrift

levels, columns = {}, []
for i, name in enumerate(reference.columns):
    kind = reference[name].dtype
    both = reference[name], window[name]
    if kind == object or str(kind).startswith("str"):
        codes = {v: k for k, v in enumerate(sorted(set(both[0].dropna()) | set(both[1].dropna())))}
        columns.append([part.map(codes).to_numpy(float) for part in both])
        levels[i] = len(codes)
    else:
        columns.append([part.to_numpy(float) for part in both])
        if kind == bool:
            levels[i] = 2
x, y = (np.column_stack([column[k] for column in columns]) for k in range(2))
# it takes no missing values: they are filled as its documentation advises, with what the column has most
fill = [np.nanmedian(x[:, i]) for i in range(x.shape[1])]
for part in (x, y):
    for i, value in enumerate(fill):
        part[np.isnan(part[:, i]), i] = value
detector = TabularDrift(x, p_val=0.01, categories_per_feature=levels, correction="bonferroni")
said = detector.predict(y)["data"]
# with a correction it decides for the table as a whole: the columns are those under the corrected threshold
print(json.dumps([c for c, p in zip(reference.columns, said["p_val"]) if p < said["threshold"]]))
"""

_NANNYML = """
import os
os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"
import nannyml

calculator = nannyml.UnivariateDriftCalculator(column_names=list(reference.columns), chunk_size=20_000)
calculator.fit(reference)
found = calculator.calculate(window).filter(period="analysis").to_df()
# chunk by chunk: a column counts as found where most of its chunks alert
alerts = {key[0]: found[key].mean() for key in found.columns if key[-1] == "alert"}
print(json.dumps([name for name, share in alerts.items() if share > 0.5]))
"""

_WHYLOGS = """
import os
os.environ["WHYLOGS_NO_ANALYTICS"] = "True"
import whylogs
from whylogs.viz.drift.column_drift_algorithms import calculate_drift_scores

before, now = (whylogs.log(frame).view() for frame in (reference, window))
scores = calculate_drift_scores(target_view=now, reference_view=before, with_thresholds=True)
print(json.dumps([name for name, score in scores.items() if score and score["drift_category"] == "DRIFT"]))
"""

_OLD = ("numpy<2", "pyarrow==19.0.0", "pandas<3")
TOOLS = {
    "evidently": DriftTool(
        "Evidently DataDriftPreset 0.7.23", ("evidently==0.7.23", "pandas<3", "pyarrow"), _READ + _EVIDENTLY
    ),
    "alibi": DriftTool("alibi-detect TabularDrift 0.13.0", ("alibi-detect==0.13.0", *_OLD), _READ + _ALIBI),
    "nannyml": DriftTool(
        "NannyML univariate 0.13.1", ("nannyml==0.13.1", "statsmodels", "pyarrow"), _READ + _NANNYML
    ),
    "whylogs": DriftTool("whylogs, two profiles 1.6.4", ("whylogs[viz]==1.6.4", *_OLD), _READ + _WHYLOGS),
}


def python(name: str) -> Path:
    """The interpreter of a tool's environment, which is made when it is not there, or was made of something else.

    Raises:
        CalledProcessError: pip could not.
    """
    return made(f"drift-{name}", TOOLS[name].requirements)
