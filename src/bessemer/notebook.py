"""A notebook that starts from a run: its data, its model, its evaluation, in the public functions of this package."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from bessemer.core.errors import UsageError

#: What the notebook needs, and the parts of it that need more. A part is (what it needs, words, code).
_NEEDED = "splits"
_PARTS: tuple[tuple[str, str, str], ...] = (
    (
        "splits",
        "## The data\n\nThe rows as the run read and split them. Explore `train`; judge on `test` once.",
        'import pyarrow.parquet as pq\n\nsplits = project.artifact("splits", run.id)\n'
        'train, valid, test = (pq.read_table(splits.path(f"{part}.parquet")) for part in ("train", "valid", "test"))\n'
        "train.num_rows, valid.num_rows, test.num_rows",
    ),
    ("splits", "", "train.slice(0, 3).to_pylist()"),
    (
        "package",
        "## The model\n\nThe signed package, checked while it is loaded.",
        'package = project.artifact("package", run.id)\n(name,) = package.files\n'
        "model = bessemer.load(package.path(name))\nmodel",
    ),
    ("package", "", "model.signature"),
    (
        "evaluation",
        "## How good it is\n\nOn the test rows, with intervals.",
        'evaluation = project.artifact("evaluation", run.id).json("evaluation.json")\n'
        '{name: (found["value"], found["low"], found["high"]) for name, found in evaluation["metrics"].items()}',
    ),
    ("evaluation", "", '[(gate["gate"], gate["passed"], gate["why"]) for gate in evaluation["gates"]]'),
    (
        "package",
        "## Predict\n\nRaw columns go in.",
        "predicted = model.predict(test)\npredicted.slice(0, 3).to_pylist()",
    ),
    (
        "package",
        "## Explain\n\nWhat each column added to the score of the first row; with the base it adds up.",
        "(row,) = model.predict(test.slice(0, 1), explain=True).to_pylist()\n"
        'start = "contribution_"\n'
        "parts = {name[len(start) :]: value for name, value in row.items() if name.startswith(start)}\n"
        'row["score"], row["base"], sorted(parts.items(), key=lambda part: -abs(part[1]))[:8]',
    ),
    (
        "package",
        "## What if\n\nThe same row with another value. Change it and run this again.",
        "start = test.slice(0, 1).to_pylist()[0]\ncolumn = model.signature.inputs[0].name\n"
        "model.predict_rows([start, {**start, column: None}])",
    ),
    (
        "history",
        "## What else was tried",
        '[(row["learner"], row["value"], row["chosen"]) for row in project.leaderboard(run.id)["rows"]]',
    ),
)


def notebook(project: str, folder: str, run: str, made: Collection[str]) -> str:
    """The text of a notebook (nbformat 4.5) without outputs; the same arguments give the same bytes.

    Args:
        project: its name. folder: where it is, from the notebook. run: the run's id.
        made: the artifacts of the run; parts that need another are left out.

    Raises:
        UsageError: the run has no split data.

    >>> text = notebook("flights", ".", "20260101-000000-ab12", {"splits"})
    >>> [cell["cell_type"] for cell in json.loads(text)["cells"]]
    ['markdown', 'code', 'markdown', 'code', 'code']
    """
    if _NEEDED not in made:
        raise UsageError(
            f"run {run} has not come as far as to split its data", fix="bessemer run --upto prepare"
        )
    title = f"# {project}, run {run}\n\nWhat this run learned from, what it made, and how good that is."
    start = f"import bessemer\n\nproject = bessemer.Project({folder!r})\nrun = project.show({run!r})\nrun"
    cells: list[tuple[str, str]] = [("markdown", title), ("code", start)]
    for needs, words, code in _PARTS:
        if needs in made:
            cells += ([("markdown", words)] if words else []) + [("code", code)]
    return written(cells)


def written(cells: Collection[tuple[str, str]]) -> str:
    """Cells (kind, source) as the text of a notebook."""
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    value = {
        "cells": [_cell(number, kind, source) for number, (kind, source) in enumerate(cells, start=1)],
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _cell(number: int, kind: str, source: str) -> dict[str, Any]:
    cell = {
        "cell_type": kind,
        "id": f"cell-{number}",
        "metadata": {},
        "source": source.splitlines(keepends=True),
    }
    return {**cell, "execution_count": None, "outputs": []} if kind == "code" else cell
