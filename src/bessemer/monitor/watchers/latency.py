"""How long answers take."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from bessemer.monitor.finding import Test
from bessemer.monitor.slo import Objective, milliseconds
from bessemer.monitor.watching.earlier import Earlier, ratio_test, share_p
from bessemer.monitor.watching.operations import OperationsWatcher
from bessemer.monitor.watching.served import Served
from bessemer.monitor.watching.watched import Said, Watched
from bessemer.serve.statistics import LATENCIES
from bessemer.stats.arrays import Floats
from bessemer.stats.history import binomial_critical, binomial_tail, bucket_quantile

_EDGES = LATENCIES[:-1]
_SHARES = {"median": 0.5, "p95": 0.95, "p99": 0.99}


class Latency(OperationsWatcher):
    """The share of answers that are slower than the objective.

    Without one, the typical time of an answer and the share of slow ones against earlier windows; slow is what about
    one in twenty was. Quantiles are shown and not tested: within a bucket of the histogram they are a guess.

    All of the server's answers count, whatever share of them is logged.
    """

    def _compare(self, watched: Watched, found: Served, earlier: Earlier) -> Said:
        if not sum(found.done.get("latencies", ())):
            return Said(memory={"windows": list(earlier.rows)})
        values = {
            name: bucket_quantile(share, LATENCIES, found.done["latencies"])
            for name, share in _SHARES.items()
        }
        counts, typical = found.done["latencies"], _typical(found.done["latencies"])
        objectives = watched.slo.objectives() if watched.slo is not None else []
        slow = [_slow(each, found) for each in objectives if each.within is not None]
        tests = slow or _slower(counts, typical, earlier, watched)
        figures = {name: value * 1000 for name, value in values.items()}
        waiting = {} if slow else earlier.waiting(watched)
        return Said(
            tuple(tests), {"unit": "ms", **waiting, **figures}, earlier.and_now(watched, typical, *counts)
        )


def _slow(objective: Objective, found: Served) -> Test:
    assert objective.within is not None
    bad, total = objective.counted(found.done)
    text = (
        f"{bad:,} of {total:,} answers ({bad / total:.2%}) took more than {milliseconds(objective.within)}; "
        f"{objective.budget:.4%} may"
    )
    return Test(
        *(
            "latency",
            objective.label,
            "operations",
            f"share above {milliseconds(objective.within)}",
            bad / total,
        ),
        text,
        binomial_tail(bad, total, objective.budget),
        partial(binomial_critical, rows=total, share=objective.budget),
        "service",
    )


def _typical(counts: Sequence[int]) -> float:
    """The logarithm of the geometric mean, each answer at the middle of its bucket."""
    edges = np.log([_EDGES[0] / 2, *_EDGES, 2 * _EDGES[-1]])
    return float(np.average((edges[:-1] + edges[1:]) / 2, weights=counts))


def _slower(counts: Sequence[int], typical: float, earlier: Earlier, watched: Watched) -> Sequence[Test]:
    before = earlier.column(0, watched)
    if not earlier.enough(before):
        return ()
    text = "an answer typically takes {now} s, {before} s before"
    table = np.array([earlier.column(1 + place, watched) for place in range(len(LATENCIES))]).T
    return (
        ratio_test("latency", "typical", "ratio of the geometric mean", typical, before, text),
        _slow_ones(np.asarray(counts, dtype=np.float64), table),
    )


def _slow_ones(counts: Floats, before: Floats) -> Test:
    """Those above the edge that was closest to the 95th percentile of the earlier windows, (windows, buckets)."""
    above = 1 - np.cumsum(before.sum(axis=0))[:-1] / before.sum()
    place = int(np.argmin(np.abs(np.log(np.maximum(above, 1e-9) / 0.05)))) + 1
    slow, total = counts[place:].sum(), counts.sum()
    edge = milliseconds(_EDGES[place - 1])
    text = f"{slow / total:.2%} of the answers took more than {edge}, {above[place - 1]:.2%} before"
    p = share_p(slow, total, list(zip(before[:, place:].sum(axis=1), before.sum(axis=1), strict=True)))
    return Test(
        *(
            "latency",
            "slow",
            "operations",
            f"share above {edge}",
            float(slow / total),
        ),
        text,
        p,
        of="service",
    )
