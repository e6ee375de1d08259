"""What of the evaluation is in the page: a reader takes in tens of slices, a run can have thousands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: The most columns that are sliced by, and values of one.
COLUMNS = 50
VALUES = 60


def bounded(evaluation: Mapping[str, Any], samples: int = 1) -> dict[str, Any]:
    """The evaluation with at most `VALUES` parts a sliced column: half of them the worst, the others the largest.

    `slices_left_out` counts the parts that are not there. With `samples` 0 no value of a single row is there.
    """
    slices = evaluation.get("slices") or {}
    metric = evaluation.get("metric")
    greater = ((evaluation.get("metrics") or {}).get(metric) or {}).get("greater_is_better", True)
    kept = {column: _chosen(parts, metric, greater) for column, parts in list(slices.items())[:COLUMNS]}
    gone = sum(map(len, slices.values())) - sum(map(len, kept.values()))
    found = {**evaluation, "slices": kept, "slices_left_out": gone}
    return found if samples else _without_rows(found)


def _without_rows(evaluation: dict[str, Any]) -> dict[str, Any]:
    """Without what `duplicates` and `label_errors` say of single rows: which they are stays.

    >>> _without_rows({"label_errors": {"rows": [{"row": 3, "given": "a", "likely": "b"}]}})
    {'label_errors': {'rows': [{'row': 3}]}}
    """
    found = dict(evaluation)
    if found.get("duplicates"):
        found["duplicates"] = {**found["duplicates"], "samples": []}
    if found.get("label_errors"):
        rows = [
            {key: value for key, value in row.items() if key not in ("given", "likely")}
            for row in found["label_errors"].get("rows") or []
        ]
        found["label_errors"] = {**found["label_errors"], "rows": rows}
    return found


def _chosen(parts: list[dict[str, Any]], metric: Any, greater: bool) -> list[dict[str, Any]]:
    """Parts in their own order, cut to `VALUES`.

    >>> parts = [{"rows": k, "metrics": {"rmse": {"value": -float(k)}}} for k in range(100)]
    >>> [part["rows"] for part in _chosen(parts, "rmse", False)] == [*range(30), *range(70, 100)]
    True
    """
    if len(parts) <= VALUES:
        return parts

    def badness(i: int) -> float:
        value = ((parts[i].get("metrics") or {}).get(metric) or {}).get("value")
        return float("inf") if value is None else float(value) if greater else -float(value)

    worst = sorted(range(len(parts)), key=lambda i: (badness(i), i))[: VALUES // 2]
    rest = sorted(set(range(len(parts))) - set(worst), key=lambda i: (-parts[i]["rows"], i))
    return [parts[i] for i in sorted([*worst, *rest[: VALUES - len(worst)]])]
