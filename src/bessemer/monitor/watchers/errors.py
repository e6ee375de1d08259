"""Requests that the server failed, or answered too late."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from bessemer.monitor.finding import Test
from bessemer.monitor.watching.earlier import Earlier, share_p
from bessemer.monitor.watching.operations import OperationsWatcher
from bessemer.monitor.watching.served import Served
from bessemer.monitor.watching.watched import Said, Watched
from bessemer.stats.history import binomial_critical, binomial_tail


class Errors(OperationsWatcher):
    """The share of requests that failed, against the objective of availability, or against earlier windows."""

    def _compare(self, watched: Watched, found: Served, earlier: Earlier) -> Said:
        bad, total = found.count("failed") + found.count("late"), found.requests
        target = watched.slo.availability if watched.slo is not None else None
        figures = {
            **({} if target is not None else earlier.waiting(watched)),
            **{name: int(found.count(name)) for name in ("requests", "failed", "late", "refused")},
            "share": bad / total if total else None,
            "turned_away": dict(found.refused),
            "dropped": dict(found.dropped),
            "unreadable": found.unreadable,
        }
        tests = [*_against(bad, total, target, earlier, watched), *_lost(found)]
        memory = earlier.and_now(watched, bad, total) if total else {"windows": list(earlier.rows)}
        return Said(tuple(tests), figures, memory)


def _against(
    bad: float, total: float, target: float | None, earlier: Earlier, watched: Watched
) -> Sequence[Test]:
    if not total:
        return ()
    words = f"{bad:,.0f} of {total:,.0f} requests failed or came too late ({bad / total:.2%})"
    if target is not None:
        budget = 1 - target
        critical = partial(binomial_critical, rows=total, share=budget)
        return (
            _test(bad / total, f"{words}; {budget:.4%} may", binomial_tail(bad, total, budget), critical),
        )
    before = list(zip(earlier.column(0, watched), earlier.column(1, watched), strict=True))
    if not earlier.enough(before):
        return ()
    failed, whole = (sum(column) for column in zip(*before, strict=True))
    return (_test(bad / total, f"{words}, {failed / whole:.2%} before", share_p(bad, total, before)),)


def _test(share: float, text: str, p: float, critical: partial[float] | None = None) -> Test:
    return Test(
        *("errors", "errors", "operations", "share of failed requests", share), text, p, critical, "service"
    )


def _lost(found: Served) -> Sequence[Test]:
    """Predictions that are not in the log: a fact."""
    lost = found.dropped.get("prediction_log", 0)
    if not lost:
        return ()
    text = f"{lost:,} predictions could not be written to the log: is the disk full?"
    return (
        Test("errors", "prediction_log", "operations", "lost predictions", float(lost), text, of="service"),
    )
