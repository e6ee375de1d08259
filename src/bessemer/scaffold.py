"""A first project file, written from what the data looks like."""

from __future__ import annotations

import json
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bessemer.core.errors import UsageError
from bessemer.core.project_file import NAME
from bessemer.core.sql import connect, literal, quote

SAMPLE_ROWS = 100_000


@dataclass(frozen=True)
class Column:
    """What a sample of a column shows: its type, distinct values, the share that is missing, an example."""

    name: str
    dtype: str
    distinct: int
    missing: float
    example: str

    @property
    def is_time(self) -> bool:
        return self.dtype == "TIMESTAMP"


def look(parquet: Path) -> tuple[int, list[Column]]:
    """The number of rows of a landed table, and what its first rows show of each column."""
    with tempfile.TemporaryDirectory() as spill:
        connection = connect(threads=2, memory=2**30, temporary=Path(spill))
        connection.execute(f"CREATE VIEW t AS SELECT * FROM read_parquet({literal(parquet)})")
        (rows,) = connection.execute("SELECT count(*) FROM t").fetchone()
        names = [(name, dtype) for name, dtype, *_ in connection.execute("DESCRIBE t").fetchall()]
        columns: list[Column] = []
        for start in range(0, len(names), 200):
            part = names[start : start + 200]
            picks = ", ".join(
                f"count(DISTINCT {q}), count({q}), min({q})::VARCHAR"
                for q in (quote(name) for name, _ in part)
            )
            only = ", ".join(quote(name) for name, _ in part)
            found = connection.execute(
                f"SELECT count(*), {picks} FROM (SELECT {only} FROM t LIMIT {SAMPLE_ROWS})"
            ).fetchone()
            for i, (name, dtype) in enumerate(part):
                distinct, present, example = found[1 + 3 * i : 4 + 3 * i]
                columns.append(
                    Column(name, dtype, distinct, 1 - present / max(found[0], 1), str(example or ""))
                )
        return rows, columns


def classes(parquet: Path, target: str) -> list[tuple[Any, int]]:
    """The most frequent values of the target and how often they occur."""
    with tempfile.TemporaryDirectory() as spill:
        connection = connect(threads=2, memory=2**30, temporary=Path(spill))
        q = quote(target)
        found: list[tuple[Any, int]] = connection.execute(
            f"SELECT {q}, count(*) AS n FROM read_parquet({literal(parquet)}) GROUP BY 1 ORDER BY n DESC, 1 LIMIT 6"
        ).fetchall()
        return found


def check(name: str, path: Path, *, overwrite: bool) -> None:
    """Whether a project of this name may be written to this path.

    Raises:
        UsageError: the name cannot be one, or a project file is there already.
    """
    if not re.fullmatch(NAME, name):
        raise UsageError(f"'{name}' cannot be a name", fix="small letters, digits, - and _, at most 64")
    if path.exists() and not overwrite:
        raise UsageError(f"{path} is there already", fix="edit it, or give --overwrite")


def _scalar(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _column_lines(columns: list[Column], limit: int = 40) -> list[str]:
    width = min(max(len(c.name) for c in columns), 40)
    lines = [
        f"#   {c.name:<{width}}  {c.dtype.lower():<9}  {c.distinct:>7,} distinct"
        + (f"  {c.missing:.1%} missing" if c.missing else "")
        + (f"  e.g. {c.example[:30]!r}" if c.example else "")
        for c in columns[:limit]
    ]
    return lines + ([f"#   ... and {len(columns) - limit} more"] if len(columns) > limit else [])


def project_text(
    name: str, data: str, target: str, rows: int, columns: list[Column], counts: list[tuple[Any, int]]
) -> str:
    """The text of the project file; everything in it that is not needed stands as a comment."""
    sample = min(rows, SAMPLE_ROWS)
    times = [c for c in columns if c.is_time and c.name != target]
    ids = [
        c
        for c in columns
        if c.name != target and c.distinct >= sample > 50 and c.dtype in ("VARCHAR", "BIGINT")
    ]
    groups = [c for c in columns if c.name != target and 2 <= c.distinct <= 20 and c.dtype == "VARCHAR"][:3]
    numbers = [
        c
        for c in columns
        if c.dtype in ("BIGINT", "DOUBLE") and c.name not in (target, *[i.name for i in ids])
    ]
    shown = ", ".join(f"{value!r}: {n:,}" for value, n in counts[:5]) + (", ..." if len(counts) > 5 else "")
    derive = []
    if times:
        derive.append(f"#     {times[0].name}_hour: {_scalar(f'extract(hour from {quote(times[0].name)})')}")
    if len(numbers) > 1:
        a, b = numbers[0].name, numbers[1].name
        derive.append(
            f"#     {a}_per_{b}: {_scalar(f'{quote(a)} / nullif({quote(b)}, 0)')}".replace(" per ", "_per_")
        )
    lines = [
        "# A Bessemer project. Every key but data and target may be left out: the defaults are good.",
        "# All keys: bessemer schema. All stages: bessemer flow.",
        "",
        f"name: {name}",
        f"data: {_scalar(data)}                # {rows:,} rows, {len(columns)} columns:",
        *_column_lines(columns),
        "",
        f"target: {_scalar(target)}            # {shown}",
        "# task: binary                       # or multiclass, regression; inferred from the target",
        "",
        "# validate:",
        "#   contract: contract.yaml          # inferred by the first run: read it, edit it, commit it",
        "#   quarantine: 1%                   # more broken rows than this stops the run",
        "",
        *_prepare_lines(times, ids, derive),
        "# train:",
        "#   learner: auto                    # or lightgbm, linear, constant",
        "",
        "# evaluate:",
        f"#   slices: [{', '.join(_scalar(c.name) for c in groups)}]",
        "#   gates: {beats: [constant, linear]}",
        "",
        "# serve: {port: 8080}",
        "",
    ]
    return "\n".join(lines)


def _prepare_lines(times: list[Column], ids: list[Column], derive: list[str]) -> list[str]:
    body = []
    if times:
        by = _scalar(times[0].name)
        body.append(
            f"#   split: {{by: {by}, test: 20%, valid: 15%}}   # train on the past, test on the future"
        )
    else:
        body.append("#   split: {test: 20%, valid: 15%}   # stratified; or by: TIME_COLUMN, or group: COLUMN")
    if ids:
        body.append(f"#   exclude: [{', '.join(_scalar(c.name) for c in ids[:5])}]   # look like identifiers")
    if derive:
        body += ["#   derive:                          # SQL: the same text trains and serves", *derive]
    return ["# prepare:", *body, ""]
