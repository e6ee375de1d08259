"""Loads the model for MLflow: a pandas frame of raw columns in, a frame of predictions out."""

import json
import pathlib

import numpy as np
import onnxruntime
import pandas as pd

MISSING_TIME = -(2**63)


class Model:
    """The graph, and the columns that it takes. What is missing may be None, NaN, NaT or a column that is not there."""

    def __init__(self, folder):
        told = json.loads((folder / "columns.json").read_text(encoding="utf-8"))
        self.inputs, self.task, self.classes = told["inputs"], told["task"], told["classes"]
        options = onnxruntime.SessionOptions()
        graph = (folder / "model.onnx").read_bytes()
        if b"com.microsoft.extensions" in graph:
            import onnxruntime_extensions

            options.register_custom_ops_library(onnxruntime_extensions.get_library_path())
        self.session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def predict(self, frame, params=None):
        wanted = ["prediction"] if self.task == "regression" else ["prediction", "probability"]
        feeds = {column["name"]: tensor(frame, column) for column in self.inputs}
        needed = {i.name for i in self.session.get_inputs()}
        made = self.session.run(wanted, {name: value for name, value in feeds.items() if name in needed})
        found = {"prediction": made[0]}
        for i, name in enumerate(self.classes):
            found[f"probability_{name}"] = made[1][:, i].astype(np.float64)
        return pd.DataFrame(found)


def tensor(frame, column):
    """A column as (N, 1) of its type."""
    name, rows = column["name"], len(frame)
    values = frame[name] if name in frame else pd.Series([None] * rows, dtype=object)
    missing = values.isna().to_numpy()
    if column["tensor"] == "string":
        made = np.empty((rows, 1), dtype=object)
        made[:, 0] = ["" if gone else text(v) for v, gone in zip(values, missing)]
        return made
    if column["dtype"] == "timestamp":
        moments = (
            pd.to_datetime(values, utc=True).dt.tz_localize(None).astype("datetime64[us]").astype("int64")
        )
        return np.where(missing, MISSING_TIME, moments.to_numpy()).astype(np.int64).reshape(-1, 1)
    numbers = np.array([np.nan if gone else float(v) for v, gone in zip(values, missing)])
    return numbers.astype(np.float64 if column["tensor"] == "float64" else np.float32).reshape(-1, 1)


def text(value):
    return ("true" if value else "false") if isinstance(value, (bool, np.bool_)) else str(value)


def _load_pyfunc(path):
    """MLflow's door."""
    return Model(pathlib.Path(path))
