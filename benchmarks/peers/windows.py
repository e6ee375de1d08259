"""Tools that compare many windows with one reference, in one process each: programs like those of `drift`.

A program reads argv[1] (reference) and argv[2] (a folder of windows), all Parquet, and prints one line of JSON:
the columns that it finds, by the name of the window's file.
"""

from __future__ import annotations

_READ = """
import glob, json, os, sys
import numpy as np
import pandas as pd

reference = pd.read_parquet(sys.argv[1])


def told(look):
    paths = sorted(glob.glob(os.path.join(sys.argv[2], "*.parquet")))
    print(json.dumps({os.path.basename(path): look(pd.read_parquet(path)) for path in paths}))

"""

_EVIDENTLY = """
from evidently import Report
from evidently.presets import DataDriftPreset


def look(window):
    found = []
    for metric in Report([DataDriftPreset()]).run(window, reference).dict()["metrics"]:
        config = metric["config"]
        if "method" not in config:
            continue
        p_value = "p_value" in config["method"]
        value, threshold = metric["value"], config["threshold"]
        if value < threshold if p_value else value >= threshold:
            found.append(config["column"])
    return found


told(look)
"""

# it takes no missing values, and every level must be there: missing numbers are filled as its documentation advises,
# and texts are numbered by what reference and window have together, so that each window has a detector of its own
_ALIBI = """
from alibi_detect.cd import TabularDrift


def coded(name, window):
    both = [frame[name] for frame in (reference, window)]
    if both[0].dtype.kind in "fiub":
        return [part.fillna(both[0].median()).to_numpy(float) for part in both], 2 * (both[0].dtype.kind == "b")
    both = [part.fillna("missing") for part in both]
    levels = {v: k for k, v in enumerate(sorted(set(both[0]) | set(both[1])))}
    return [part.map(levels).to_numpy(float) for part in both], len(levels)


def look(window):
    columns = [coded(name, window) for name in reference.columns]
    x, y = (np.column_stack([values[k] for values, _ in columns]) for k in range(2))
    levels = {i: size for i, (_, size) in enumerate(columns) if size}
    detector = TabularDrift(x, p_val=0.01, categories_per_feature=levels, correction="bonferroni")
    # with a correction it decides for the table as a whole: the columns are those under the corrected threshold
    said = detector.predict(y)["data"]
    return [c for c, p in zip(reference.columns, said["p_val"]) if p < said["threshold"]]


told(look)
"""

_NANNYML = """
os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"
import nannyml

fitted = {}


def look(window):
    # its limits are those of the reference's chunks: they have to be as long as the window
    if len(window) not in fitted:
        names = list(reference.columns)
        fitted[len(window)] = nannyml.UnivariateDriftCalculator(column_names=names, chunk_size=len(window))
        fitted[len(window)].fit(reference)
    found = fitted[len(window)].calculate(window).filter(period="analysis").to_df()
    # each method of a column has an alert: any is taken
    return sorted({key[0] for key in found.columns if key[-1] == "alert" and found[key].any()})


told(look)
"""

PROGRAMS = {"evidently": _READ + _EVIDENTLY, "alibi": _READ + _ALIBI, "nannyml": _READ + _NANNYML}
