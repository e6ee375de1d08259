"""Whose marked answers somebody else's answers come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bessemer.core.errors import DataError, did_you_mean
from bessemer.core.sql import quote
from bessemer.monitor.scored import typed_input
from bessemer.monitor.tables import opened
from bessemer.package.answer_key import mark_key
from bessemer.serve.guards.mark import mark_name
from bessemer.stats.answer_mark import fold_of, marks_evidence, score_of, wave_of
from bessemer.stats.arrays import Floats

if TYPE_CHECKING:
    from bessemer.package.model import Model

#: Of more rows the first so many are looked at.
_ROWS = 10_000
_SEED = 7
#: Over all clients together, so often somebody is named whose mark is not there.
_FALSE = 0.01
#: So many waves are drawn, and so many for each client: a p-value must be able to be half of what is asked of it.
_LEAST_DRAWN, _DRAWN = 9_999, 200


@dataclass(frozen=True)
class Traced:
    """follows: how well the answers follow the client's mark, -1 to 1. p_value: exact, 1 / 10,000 at least, and less
    where more than 50 clients are looked for. found: whether it is there, all clients considered. rows: how many
    answers there were."""

    client: str
    follows: float
    p_value: float
    found: bool
    rows: int


def trace(
    model: Model,
    answers: str | Path,
    key: Path,
    clients: Sequence[str],
    *,
    column: str = "answer",
    model_name: str = "",
) -> list[Traced]:
    """Look for the marks of clients in answers that somebody else gives, the surest first.

    Args:
        model: which gave the true answers. answers: a file of its inputs and a column with the answers in question, a
            probability of the positive (or of the likeliest) class, or a number. key: the file of the marks' key.
        model_name: the model's name at the server, where it is not the package's.

    Raises:
        DataError: the answers cannot be read or have no such column. UsageError: the key cannot be read.
    """
    secret = mark_key(key)
    score, apart = _compared(model, answers, column)
    waves = [wave_of(secret, mark_name(client, model_name or model.name)) for client in clients]
    drawn = max(_LEAST_DRAWN, _DRAWN * len(clients) - 1)
    evidence = marks_evidence(score, apart, waves, np.random.default_rng(_SEED), drawn)
    found = [
        Traced(client, follows, p_value, p_value <= _FALSE / len(clients), len(score))
        for client, (follows, p_value) in zip(clients, evidence, strict=True)
    ]
    return sorted(found, key=lambda each: each.p_value)


def _compared(model: Model, answers: str | Path, column: str) -> tuple[Floats, Floats]:
    """The score of the true answers, and by how much those in question differ."""
    with opened(str(answers)) as (connection, relation):
        described = connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
        there = {row[0]: str(row[1]) for row in described}
        wanted = [column, *(field.name for field in model.signature.inputs)]
        for name in wanted:
            if name not in there:
                raise DataError(f"the answers have no column '{name}'", fix=did_you_mean(name, there))
        inputs = [typed_input(field, there[field.name]) for field in model.signature.inputs]
        answer = f"TRY_CAST({quote(column)} AS DOUBLE)"
        query = f"SELECT {', '.join([*inputs, answer])} FROM {relation} LIMIT {_ROWS}"
        table = connection.sql(query).to_arrow_table()
    *first, last = range(table.num_columns)  # by place: an input may have any name
    given = table.column(last).to_numpy(zero_copy_only=False).astype(np.float64)
    said = model.session.run(table.select(first), _asked(model))
    if model.task == "regression":
        true = said["prediction"].reshape(-1).astype(np.float64)
        return fold_of(true), given / np.where(true == 0, np.nan, true) - 1
    probability = said["probability"].astype(np.float64)
    true = probability[:, 1] if model.task == "binary" else probability.max(axis=1)
    return score_of(true), given - true


def _asked(model: Model) -> tuple[str, ...]:
    return ("prediction",) if model.task == "regression" else ("probability",)
