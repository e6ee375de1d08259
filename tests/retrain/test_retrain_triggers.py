"""When it is time to train again, and when it is not."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from bessemer.monitor.retrain_spec import RetrainSpec
from bessemer.monitor.store import Kept
from bessemer.retrain.records import Retraining
from bessemer.retrain.triggers import due

MADE = dt.datetime(2026, 3, 1)


def window(day: float, *kinds: str) -> Kept:
    found = [{"kind": kind, "column": "a", "text": f"{kind} of a"} for kind in kinds]
    start = MADE + dt.timedelta(days=day)
    end = start + dt.timedelta(hours=1)
    return Kept("grows", "1", start.isoformat(), end.isoformat(), 9, 1, {"findings": found})


def last(day: float, outcome: str = "kept") -> Retraining:
    begun = MADE + dt.timedelta(days=day)
    return Retraining(1, "grows", begun, "drift", "", "", "1.1", "ended", outcome)  # type: ignore[arg-type]


def decided(
    spec: dict[str, Any], windows: list[Kept], day: float = 5, before: Retraining | None = None
) -> str:
    now = MADE + dt.timedelta(days=day)
    found = due(RetrainSpec(**spec), windows, before, MADE, now, lambda: 0.5)
    return found.cause if found else ""


@pytest.mark.parametrize(
    ("kind", "cause"), [("drift", "drift"), ("performance", "performance"), ("concept", "performance")]
)
def test_a_finding_is_a_cause_where_it_is_asked_for(kind: str, cause: str) -> None:
    assert decided({"on": [cause]}, [window(1), window(2, kind)]) == cause
    assert decided({"on": ["schedule"]}, [window(2, kind)]) == ""


def test_other_findings_are_none() -> None:
    assert decided({}, [window(1, "schema", "quality", "adversary", "operations")]) == ""


def test_it_must_be_found_in_so_many_windows_in_a_row() -> None:
    spec = {"on": ["drift"], "windows": 2}
    assert decided(spec, [window(1, "drift")]) == ""
    assert decided(spec, [window(1, "drift"), window(2), window(3, "drift")]) == ""
    assert decided(spec, [window(1), window(2, "drift"), window(3, "drift")]) == "drift"


def test_what_was_found_before_the_last_retraining_counts_no_more() -> None:
    assert decided({}, [window(1, "drift")], before=last(2)) == ""
    assert decided({}, [window(1, "drift"), window(3, "drift")], before=last(2)) == "drift"


def test_it_does_not_begin_more_often_than_it_may() -> None:
    spec = {"at_most": "1 per week"}
    assert decided(spec, [window(3, "drift")], day=5, before=last(2, "failed")) == ""
    assert decided(spec, [window(3, "drift")], day=9.5, before=last(2, "failed")) == "drift"


def test_a_model_grows_old_from_when_it_was_made_or_last_tried() -> None:
    spec = {"on": ["schedule"], "every": "7d"}
    assert decided(spec, [], day=6.9) == ""
    assert decided(spec, [], day=7) == "schedule"
    assert decided(spec, [], day=8, before=last(2)) == ""


def test_more_rows_are_a_cause_from_a_share_on() -> None:
    assert decided({"on": ["new_data"], "new_rows": 0.5}, []) == "new_data"
    assert decided({"on": ["new_data"], "new_rows": 0.6}, []) == ""
