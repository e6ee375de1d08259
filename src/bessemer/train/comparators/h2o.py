"""H2O's AutoML (https://docs.h2o.ai), compared with in a process and a server of its own.

Since 3.46.0.12 the free edition does not export models ("MOJO export requires H2O-3 Secure"), so nothing that it trains
could be packaged. What it predicts can be judged.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from bessemer.core.store import write_atomic
from bessemer.train.comparators import h2o_worker
from bessemer.train.comparators.child import run_child
from bessemer.train.comparators.comparator import Answer, Contest, NoAnswer
from bessemer.train.comparators.java import java
from bessemer.train.comparators.rows import write_rows

#: The share of the run's memory that is Java's heap: H2O's XGBoost and Java itself take about as much beside it.
_HEAP = 0.5
#: What H2O ranks its models by; AUTO where it has no such metric.
_SORT = {
    "log_loss": "logloss",
    "roc_auc": "AUC",
    "average_precision": "AUCPR",
    "brier": "MSE",
    "balanced_accuracy": "mean_per_class_error",
    "rmse": "RMSE",
    "r2": "RMSE",
    "mae": "MAE",
}
#: It ranks several classes by no area under a curve.
_SORT_MULTICLASS = {
    name: metric for name, metric in _SORT.items() if name not in ("roc_auc", "average_precision")
}


class H2O:
    """AutoML of H2O-3 on raw rows: text and booleans are enums, timestamps are times."""

    NAME: ClassVar[str] = "h2o"
    MONOTONE: ClassVar[bool] = False  # its deep nets, forests and linear models keep none
    QUANTILE: ClassVar[bool] = False  # its forests and linear models predict the mean whatever they are told

    #: The most models; no limit but the time.
    MODELS: ClassVar[int | None] = None

    def check(self) -> None:
        """Raises EnvironmentFault: there is no Java."""
        java(self.NAME)

    def compare(self, contest: Contest) -> Answer:
        """See `Comparator`. `contest.seconds` has the start of the server in it."""
        begin = time.monotonic()
        folder = contest.workdir / f"compare-{self.NAME}"
        shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed
        try:
            for name in h2o_worker.FOLDERS:
                (folder / name).mkdir(parents=True)
            request = self._request(contest, write_rows(contest, folder / h2o_worker.ROWS))
            self._run(request, folder, contest, begin)
            return _answer(folder, contest)
        except OSError as error:  # no room for the rows: the model is there all the same
            raise NoAnswer(str(error)) from None
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _request(self, contest: Contest, kinds: Mapping[str, str]) -> dict[str, Any]:
        problem = contest.problem
        sort = _SORT_MULTICLASS if problem.task == "multiclass" else _SORT
        return {
            "java": java(self.NAME),
            "heap_mb": max(1, int(contest.memory * _HEAP) >> 20),
            "threads": contest.threads,
            "kinds": kinds,
            "classes": problem.classes,
            "out_of_fold": len(contest.folds) > 1,
            "fold": len(contest.folds) > 1 or contest.groups is not None,
            "weight": contest.weight is not None,
            "sort_metric": sort.get(problem.metric.name, "AUTO"),
            "seed": contest.seed,
            "models": self.MODELS,
        }

    def _run(self, request: Mapping[str, Any], folder: Path, contest: Contest, begin: float) -> None:
        left = contest.seconds - (time.monotonic() - begin)
        write_atomic(folder / h2o_worker.REQUEST, json.dumps({**request, "seconds": left}).encode())
        # -P: an h2o.py in the folder of the project is not the h2o that is meant
        command = [sys.executable, "-P", "-m", h2o_worker.__name__, str(folder)]
        with (folder / "worker.log").open("wb") as log:
            code = run_child(
                command,
                log,
                begin + contest.seconds,
                lambda: contest.tick(time.monotonic() - begin),
                _environment(folder),
            )
        if (folder / h2o_worker.RESULT).exists():  # written last
            return
        if code is None:
            raise NoAnswer(f"it was not ready when its {contest.seconds:g} s were over, and was stopped")
        if (failed := folder / h2o_worker.FAILED).exists():
            raise NoAnswer(failed.read_text("utf-8"))
        raise NoAnswer(f"its process ended with code {code}")


def _environment(folder: Path) -> dict[str, str]:
    """Ours, without proxies (it talks to this machine alone), and with all that is temporary in the folder."""
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return {**kept, "TMPDIR": str(folder / "tmp"), "DO_NOT_TRACK": "1"}


def _answer(folder: Path, contest: Contest) -> Answer:
    """What the worker left: a number for each class that it knows, rows in any order."""
    from pyarrow import csv

    facts = json.loads((folder / h2o_worker.RESULT).read_text("utf-8"))
    found = csv.read_csv(folder / h2o_worker.PREDICTIONS)
    table = np.column_stack([column.to_numpy().astype(np.float64) for column in found.columns])
    table = table[np.argsort(table[:, 0])]
    if not np.array_equal(table[:, 0].astype(np.int64), contest.judged):
        raise NoAnswer(f"it predicted {len(table):,} rows instead of the {len(contest.judged):,} judged ones")
    output = table[:, 1]
    if classes := contest.problem.classes:
        share = np.zeros((len(table), classes))
        share[:, facts["classes"]] = table[:, 1:]
        output = share[:, 1] if contest.problem.task == "binary" else share
    return Answer(
        output=output,
        fit_seconds=facts["fit_seconds"],
        predict_microseconds=facts["predict_microseconds"],
        note="compared only: H2O's free edition does not export models",
        params={name: facts[name] for name in ("version", "leader", "models")},
    )
