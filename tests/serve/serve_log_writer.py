"""What the tests run as a process that logs: FOLDER NAME SETTINGS PAUSE. It prints each id when `take` has returned."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np

from bessemer.serve.errors import RequestError
from bessemer.serve.log.entry import Entry, Label
from bessemer.serve.log.prediction_log import PredictionLog
from bessemer.serve.log.spec import LogSpec
from bessemer.testing.models import tiny_signature

ROW = (8, 70.5, True, "Month-to-month", "2024-01-31T12:00:00Z")


def entry(ids: list[str], *, at: float | None = None, **changes: Any) -> Entry:
    """A batch of the tiny binary model."""
    n = len(ids)
    outputs = {
        "prediction": np.array(["yes"] * n, dtype=object),
        "probability": np.tile(np.float32([0.25, 0.75]), (n, 1)),
        "score": np.full((n, 1), 1.5, dtype=np.float32),
    }
    said = {
        "rows": [ROW] * n, "feeds": None, "outputs": outputs, "time": time.time() if at is None else at,
        "latency": [0.001] * n, "client": ["me"] * n, "dialect": ["plain"] * n,
    } | changes  # fmt: skip
    return Entry("tiny", "1.0.0", ids, **said)


def main(folder: str, name: str, settings: str, pause: str) -> None:
    log = PredictionLog(LogSpec(folder=folder, **json.loads(settings)))
    log.register("tiny", "1.0.0", tiny_signature("binary"))
    batch = 0
    while True:
        ids = [f"{name}.{batch}-{row}" for row in range(1 + batch % 7)]
        try:
            log.take(entry(ids))
            if batch % 3 == 0:
                log.feedback("tiny", [Label(ids[0], "no", time.time())])
        except RequestError as error:
            sys.stdout.write(f"refused {error.status}\n")
        else:
            sys.stdout.write(" ".join(ids) + "\n")
        sys.stdout.flush()
        batch += 1
        if float(pause):
            time.sleep(float(pause))


if __name__ == "__main__":
    main(*sys.argv[1:5])
