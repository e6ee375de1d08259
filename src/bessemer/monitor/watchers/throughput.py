"""How much is asked."""

from __future__ import annotations

import math

from bessemer.monitor.watching.earlier import Earlier, ratio_test
from bessemer.monitor.watching.operations import OperationsWatcher
from bessemer.monitor.watching.served import Served
from bessemer.monitor.watching.watched import Said, Watched


class Throughput(OperationsWatcher):
    """Requests a second against earlier windows: fewer or more.

    Traffic has its hours: `season: 1d` (or 7d) compares with windows at the same time of the day (week).
    """

    def _compare(self, watched: Watched, found: Served, earlier: Earlier) -> Said:
        seconds = (watched.window.end - watched.window.start).total_seconds()
        if not found.requests:
            return Said(memory={"windows": list(earlier.rows)})
        rate, before = math.log(found.requests / seconds), earlier.column(0, watched)
        text = "{now} requests a second, {before} before"
        tests = []
        if earlier.enough(before):
            tests = [ratio_test("throughput", "requests", "ratio of the rate", rate, before, text, both=True)]
        figures = {
            **earlier.waiting(watched),
            "requests_per_second": found.requests / seconds,
            "rows_per_second": found.count("rows") / seconds,
            "rows_per_run": found.count("rows") / max(1.0, found.count("batches")),
        }
        return Said(tuple(tests), figures, earlier.and_now(watched, rate))
