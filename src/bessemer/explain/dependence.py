"""How a column's contribution depends on its value, and how contributions spread over the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.explain.values import Values, iso, tidy, values_of

if TYPE_CHECKING:
    import numpy.typing as npt

    from bessemer.core.stage import Context
    from bessemer.explain.sample import Floats, Sample
    from bessemer.explain.subject import Subject

#: The columns shown (the strongest), the most bins or categories of one, and the rows of the swarm.
GROUPS = 12
BINS = 20
SWARM = 400


def strongest(subject: Subject, sample: Sample) -> list[str]:
    """The groups that move the score most, strongest first; those that never move it are left out."""
    strength = np.abs(sample.contributions).mean(axis=0).sum(axis=1)
    order = sorted(range(len(subject.groups)), key=lambda i: (-strength[i], subject.groups[i]))
    return [subject.groups[i] for i in order if strength[i] > 0][:GROUPS]


def dependence(groups: list[str], subject: Subject, sample: Sample) -> dict[str, Any]:
    """For each group: {"kind", "points": [[value, mean contribution, low, high, rows]...]}.

    `low` and `high` are the 10th and 90th percentile of the contributions of the rows at that value: their
    width shows how much other columns change this one's effect. Value None is missing. Numbers and
    timestamps are binned by quantiles, the value is the median of the bin; categories are those with most
    rows, `others` counts the rest. In multiclass the contributions are to the class the column moves most,
    named in `class`. Images have no values to be shown beside.
    """
    shown = {}
    for group in (name for name in groups if name not in subject.images):
        parts = sample.contributions[:, subject.groups.index(group)]
        output = int(np.abs(parts).mean(axis=0).argmax())
        entry = _curve(values_of(group, subject, sample), parts[:, output])
        if parts.shape[1] > 1:
            entry["class"] = subject.classes[output]
        shown[group] = entry
    return shown


def _curve(values: Values, contribution: Floats) -> dict[str, Any]:
    if values.numbers is None:
        return _categories(values, contribution)
    known = ~np.isnan(values.numbers)
    numbers = values.numbers[known]
    points = [
        _point(float(np.median(numbers[at])), contribution[known][at]) for at in _quantile_bins(numbers)
    ]
    if values.kind == "timestamp":
        points = [[iso(point[0]), *point[1:]] for point in points]
    if not known.all():
        points.append(_point(None, contribution[~known]))
    return {"kind": values.kind, "points": points}


def _quantile_bins(numbers: Floats) -> list[npt.NDArray[np.int64]]:
    """The row positions of each bin, in ascending order of the values; few distinct values are each a bin."""
    if not len(numbers):
        return []
    edges = np.unique(numbers)
    if len(edges) > BINS:
        edges = np.unique(np.quantile(numbers, np.linspace(0, 1, BINS + 1)[:-1], method="lower"))
    place = np.searchsorted(edges, numbers, side="right") - 1
    bins = [np.flatnonzero(place == i) for i in range(len(edges))]
    return [at for at in bins if len(at)]


def _categories(values: Values, contribution: Floats) -> dict[str, Any]:
    assert values.texts is not None
    where: dict[Any, list[int]] = {}
    for i, text in enumerate(values.texts):
        where.setdefault(text, []).append(i)
    ranked = sorted(where.items(), key=lambda item: (-len(item[1]), str(item[0])))
    points = [_point(value, contribution[rows]) for value, rows in ranked[:BINS]]
    return {"kind": "category", "points": points, "others": max(0, len(ranked) - BINS)}


def _point(value: Any, contribution: Floats) -> list[Any]:
    low, high = np.quantile(contribution, [0.1, 0.9])
    return [value, float(contribution.mean()), float(low), float(high), len(contribution)]


def swarm(groups: list[str], subject: Subject, sample: Sample, ctx: Context) -> dict[str, Any]:
    """Single rows: {"groups", "ranks", "contributions"}, the last two with a list a group.

    A rank is the value's place among the rows, 0 the lowest and 1 the highest; None for categories and
    missing values. In multiclass the contributions are to the predicted class.
    """
    rows = np.arange(len(sample))
    if len(rows) > SWARM:
        rows = np.sort(ctx.rng("swarm").choice(len(rows), SWARM, replace=False))
    output = sample.predicted.astype(np.int64) if sample.score.shape[1] > 1 else np.zeros(len(sample), int)
    ranks, parts = [], []
    for group in groups:
        numbers = values_of(group, subject, sample).numbers
        ranks.append([None] * len(rows) if numbers is None else _ranks(numbers[rows]))
        parts.append(sample.contributions[rows, subject.groups.index(group), output[rows]].tolist())
    return {"groups": groups, "ranks": tidy(ranks, 3), "contributions": tidy(parts, 4)}


def _ranks(numbers: Floats) -> list[float | None]:
    known = np.sort(numbers[~np.isnan(numbers)])
    last = max(1, len(known) - 1)
    middle = (np.searchsorted(known, numbers) + np.searchsorted(known, numbers, side="right") - 1) / 2
    return [None if np.isnan(v) else float(r / last) for v, r in zip(numbers, middle, strict=True)]
