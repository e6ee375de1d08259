"""What serving takes: processor, memory, waiting, starts."""

from __future__ import annotations

import math
from typing import Any

from bessemer.monitor.watching.earlier import Earlier, ratio_test
from bessemer.monitor.watching.operations import OperationsWatcher
from bessemer.monitor.watching.served import Served
from bessemer.monitor.watching.watched import Said, Watched

_TEXTS = {
    "cpu": ("CPU seconds per 1,000 rows", "1,000 rows take {now} s of CPU, {before} s before"),
    "memory": ("memory of a process", "a process has {now} bytes of memory, {before} before"),
    "queue": ("time a request waits", "a request waits {now} s before it is scored, {before} s before"),
}


class Resources(OperationsWatcher):
    """CPU a row, memory of the largest process and time in the queue, each against earlier windows."""

    def _compare(self, watched: Watched, found: Served, earlier: Earlier) -> Said:
        logs = [math.log(value) if value > 0 else math.nan for value in _values(found)]
        tests = []
        for place, (name, (statistic, text)) in enumerate(_TEXTS.items()):
            before = earlier.column(place, watched)
            if math.isfinite(logs[place]) and earlier.enough(before):
                tests.append(
                    ratio_test("resources", name, f"ratio of the {statistic}", logs[place], before, text)
                )
        return Said(
            tuple(tests), {**earlier.waiting(watched), **_figures(found)}, earlier.and_now(watched, *logs)
        )


def _values(found: Served) -> tuple[float, float, float]:
    rows, requests = found.count("rows"), found.count("requests")
    cpu = 1000 * found.cpu / rows if rows else math.nan
    return cpu, float(found.memory), found.count("queue_seconds") / requests if requests else math.nan


def _figures(found: Served) -> dict[str, Any]:
    cpu, memory, queue = _values(found)
    return {
        "cpu_seconds": None if math.isnan(found.cpu) else found.cpu,
        "cpu_seconds_per_1000_rows": None if math.isnan(cpu) else cpu,
        "memory_bytes": memory,
        "queue_seconds_per_request": None if math.isnan(queue) else queue,
        "most_waiting": found.waiting,
        "starts": found.starts,
        "slowest_start_seconds": found.slowest,
    }
