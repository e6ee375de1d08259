"""MLflow: a local SQLite store beside the project file, or any tracking server."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from bessemer.core.lock import exclusive
from bessemer.train.trackers.tracker import RunInfo, Status

#: The server's limits for one request.
_METRICS, _PARAMS, _TAGS = 1000, 100, 100
_PARAM_LENGTH, _TAG_LENGTH = 6000, 8000
#: Seconds that another run may take to make the database.
_WAIT = 120.0


class MLflow:
    """One MLflow run, in the experiment of the project's name. Metrics go in batches: 20 times faster than singly."""

    def __init__(self) -> None:
        self._client: Any = None
        self._run = ""

    def start(self, info: RunInfo) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        from mlflow.tracking import MlflowClient

        local = info.setting == "auto"
        if local:
            info.folder.mkdir(parents=True, exist_ok=True)
        database = (info.folder / "mlflow.db").absolute()
        self._client = MlflowClient(tracking_uri=f"sqlite:///{database}" if local else info.setting)
        files = (info.folder / "mlartifacts").absolute().as_uri() if local else None
        # the first to come makes the tables: a second one meanwhile would find half of them
        with exclusive(info.folder / "mlflow.lock", wait=_WAIT) if local else nullcontext():
            experiment = self._experiment(info.project, files)
        self._run = self._client.create_run(experiment, run_name=info.run).info.run_id

    def _experiment(self, name: str, files: str | None) -> str:
        found = self._client.get_experiment_by_name(name)
        return str(found.experiment_id if found else self._client.create_experiment(name, files))

    def log_params(self, params: Mapping[str, str]) -> None:
        from mlflow.entities import Param

        rows = [Param(_name(key), value[:_PARAM_LENGTH]) for key, value in params.items()]
        for some in _batches(rows, _PARAMS):
            self._client.log_batch(self._run, params=some)

    def log_metrics(self, points: Sequence[tuple[str, float, int]]) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        for some in _batches(points, _METRICS):
            metrics = [Metric(_name(name), value, now, step) for name, value, step in some]
            self._client.log_batch(self._run, metrics=metrics)

    def log_tags(self, tags: Mapping[str, str]) -> None:
        from mlflow.entities import RunTag

        rows = [RunTag(_name(key), value[:_TAG_LENGTH]) for key, value in tags.items()]
        for some in _batches(rows, _TAGS):
            self._client.log_batch(self._run, tags=some)

    def log_artifacts(self, path: Path) -> None:
        log = self._client.log_artifacts if path.is_dir() else self._client.log_artifact
        log(self._run, str(path))

    def finish(self, status: Status) -> None:
        self._client.set_terminated(self._run, status)


def _batches(rows: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    return (rows[i : i + size] for i in range(0, len(rows), size))


def _name(text: str) -> str:
    """A name MLflow takes: letters, digits, and _ - . space : /.

    >>> _name("recall@10%")
    'recall_10_'
    """
    return re.sub(r"[^\w\-. :/]", "_", text)
