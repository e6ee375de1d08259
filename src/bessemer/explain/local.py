"""What explainers of single rows have in common: which rows, which output, and what the model says of new rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.explain.examples import chosen

if TYPE_CHECKING:
    import pyarrow as pa

    from bessemer.explain.sample import Floats, Sample
    from bessemer.explain.subject import Subject

#: The most rows that go through the graph at once.
BLOCK = 20_000


def explained_rows(subject: Subject, sample: Sample, most: int) -> list[int]:
    """Positions of the rows that were asked about; else of up to `most` worked examples, of each kind in turn."""
    if sample.asked is not None:
        return list(sample.asked)
    kinds: dict[str, list[int]] = {}
    for why, row in chosen(subject, sample, most):
        kinds.setdefault(why, []).append(row)
    turns = [row for turn in range(most) for rows in kinds.values() for row in rows[turn : turn + 1]]
    return turns[:most]


def output_of(subject: Subject, sample: Sample, row: int) -> int:
    """The column of the score that a row is explained by: in multiclass of its predicted class, else the only one."""
    return int(sample.predicted[row]) if sample.score.shape[1] > 1 else 0


def named_class(subject: Subject, sample: Sample, row: int) -> dict[str, Any]:
    """`{"class": name}` of the class whose score is explained, in multiclass; else nothing."""
    if sample.score.shape[1] == 1:
        return {}
    return {"class": subject.classes[output_of(subject, sample, row)]}


def predicted(subject: Subject, table: pa.Table) -> tuple[Floats, Floats]:
    """What the graph predicts for raw rows: (N,), the class index or the value; and probabilities (N, classes or 0).

    The class is the graph's own `prediction`: with a threshold of its own it need not be the most probable one.
    """
    wanted = ["prediction"] if subject.task == "regression" else ["prediction", "probability"]
    blocks = [
        subject.session.run(table.slice(first, BLOCK), wanted) for first in range(0, table.num_rows, BLOCK)
    ]
    if subject.task == "regression":
        values = [block["prediction"].astype(np.float64).reshape(-1) for block in blocks]
        return np.concatenate([np.zeros(0), *values]), np.zeros((table.num_rows, 0))
    names = np.concatenate([block["prediction"].reshape(-1) for block in blocks]) if blocks else np.zeros(0)
    found = np.zeros(len(names))
    for i, name in enumerate(subject.classes):
        found[names == name] = i
    none = np.zeros((0, len(subject.classes)))
    return found, np.concatenate([none, *(block["probability"].astype(np.float64) for block in blocks)])


def said(subject: Subject, value: float) -> Any:
    """A prediction as a reader knows it: the class's name, or the value."""
    return subject.classes[int(value)] if subject.classes else float(value)
