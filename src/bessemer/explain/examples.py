"""Worked examples: single test rows, with what each column added to their score."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.explain.values import plain

if TYPE_CHECKING:
    from bessemer.explain.sample import Floats, Sample
    from bessemer.explain.subject import Subject

#: The most columns of a row that are shown: those of the strongest contributions.
SHOWN = 60


def examples(subject: Subject, sample: Sample, count: int) -> list[dict[str, Any]]:
    """Up to `count` rows of each kind: highest, lowest, borderline, and the worst mistakes.

    A row is {"why", "position" (in the sample), "row": {column: raw value}, "prediction", "probability" (of the
    prediction; None in regression), "score", "base", "contributions": {group: value}, "actual"}. In multiclass,
    score, base and contributions are those of the predicted class. No row is shown twice.
    """
    return [_example(i, why, subject, sample) for why, i in chosen(subject, sample, count)]


def chosen(subject: Subject, sample: Sample, count: int) -> list[tuple[str, int]]:
    """The rows that are worth a look: up to `count` of each kind, as (why, position in the sample).

    Explainers of single rows explain these, so that one row can be seen in every way.
    """
    if sample.asked is not None:
        return [("asked", i) for i in sample.asked]
    shown: dict[int, str] = {}
    for why, order in _kinds(subject, sample).items():
        fresh = [int(i) for i in order if int(i) not in shown][:count]
        shown.update(dict.fromkeys(fresh, why))
    return [(why, i) for i, why in shown.items()]


def _kinds(subject: Subject, sample: Sample) -> dict[str, Any]:
    """Row positions by kind, the most telling first. Mistakes come first so that no other kind takes them."""
    if subject.task == "regression":
        error = np.abs(sample.predicted - sample.actual)
        typical = np.abs(sample.predicted - np.median(sample.predicted))
        return _ordered(mistake=-error, highest=-sample.predicted, lowest=sample.predicted, typical=typical)
    p = sample.probability
    true = p[np.arange(len(p)), sample.actual.astype(np.int64)]
    wrong = np.where(sample.predicted != sample.actual, true, np.nan)
    top = np.sort(p, axis=1)
    close = top[:, -1] - top[:, -2]
    if subject.task == "binary":
        score = sample.score[:, 0]
        border = np.abs(score - subject.boundary(sample.table))
        return _ordered(mistake=wrong, highest=-score, lowest=score, borderline=border)
    return _ordered(mistake=wrong, confident=-top[:, -1], borderline=close)


def _ordered(**keys: Floats) -> dict[str, Any]:
    return {
        why: [i for i in np.argsort(key, kind="stable") if not np.isnan(key[i])] for why, key in keys.items()
    }


def _example(i: int, why: str, subject: Subject, sample: Sample) -> dict[str, Any]:
    classes = subject.classes
    output = int(sample.predicted[i]) if sample.score.shape[1] > 1 else 0
    parts = sample.contributions[i, :, output]
    strongest = sorted(range(len(parts)), key=lambda g: (-abs(parts[g]), subject.groups[g]))
    raw = sample.table.slice(i, 1).to_pylist()[0]
    named = [subject.groups[g] for g in strongest[:SHOWN]]
    columns = [c for c in subject.columns if len(subject.columns) <= SHOWN or c in named]
    return {
        "why": why,
        "position": i,
        "row": {column: plain(raw[column]) for column in columns},
        "prediction": classes[int(sample.predicted[i])] if classes else float(sample.predicted[i]),
        "probability": float(sample.probability[i, int(sample.predicted[i])]) if classes else None,
        "score": float(sample.score[i, output]),
        "base": float(sample.base[output]),
        "contributions": {subject.groups[g]: float(parts[g]) for g in range(len(parts))},
        "actual": classes[int(sample.actual[i])] if classes else float(sample.actual[i]),
    }
