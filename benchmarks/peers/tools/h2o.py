"""H2O AutoML within the time budget, in a server of its own on this machine.

The community edition exports neither MOJO nor POJO (3.46.0.12: "MOJO export requires H2O-3 Secure"): what can be saved
is the binary model, which only a running H2O server of the same version reads.
"""

from __future__ import annotations

import socket
import time
from typing import Any

import h2o
import numpy as np
import pandas as pd
from h2o.automl import H2OAutoML
from h2o.exceptions import H2OValueError

from peers.task import Predict, Task

PACKAGES = ("h2o",)
MEMORY = "8g"


def fit(task: Task) -> dict[str, Any]:
    _start(task)
    frame = h2o.import_file(str(task.train))
    if task.binary:
        frame[task.target] = frame[task.target].asfactor()
    automl = H2OAutoML(
        max_runtime_secs=round(task.budget),
        seed=task.seed,
        sort_metric="AUC" if task.binary else "RMSE",
        verbosity=None,
    )
    started = time.perf_counter()
    automl.train(y=task.target, training_frame=frame)
    took = time.perf_counter() - started  # the server's start is in the wall clock alone
    h2o.save_model(automl.leader, str(task.folder), filename=task.model.name)
    note = f"{automl.leader.algo} shipped as H2O's binary model"
    try:
        automl.leader.download_mojo(str(task.folder))
    except H2OValueError as error:
        note += f"; {error}"
    return {"fit_seconds": took, "note": note}


def load(task: Task) -> Predict:
    _start(task)
    model = h2o.load_model(str(task.model))
    types = _types(task)

    def predict(X: pd.DataFrame) -> np.ndarray:
        answer = model.predict(h2o.H2OFrame(X, column_types=types)).as_data_frame(use_multi_thread=False)
        return answer.iloc[:, -1 if task.binary else 0].to_numpy(dtype=np.float64)

    return predict


def close() -> None:
    h2o.cluster().shutdown()


def _start(task: Task) -> None:
    with socket.socket() as probe:  # a free port, so that no server of somebody else's is met
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (task.folder / "h2o").mkdir(exist_ok=True)
    h2o.init(
        port=port,
        nthreads=task.threads,
        max_mem_size=MEMORY,
        ice_root=str(task.folder / "h2o"),
        log_dir=str(task.folder / "h2o"),
        telemetry=False,
        verbose=False,
    )
    h2o.no_progress()


def _types(task: Task) -> dict[str, str]:
    """The types that the server gave the training columns, so that a row of one level is not taken for another."""
    X = task.features(task.train)
    return {n: "numeric" if pd.api.types.is_numeric_dtype(X[n]) else "enum" for n in X}
