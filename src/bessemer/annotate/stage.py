"""Annotate: from data to labelled data.

Rows without a label (missing, an empty text, an infinite number) are set aside in a file of their own and
counted. The task and the order of the classes are found here, once, for every stage that follows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bessemer.annotate.classes import Class, check_case, label, ordered, with_positive
from bessemer.annotate.spec import AnnotateSpec
from bessemer.annotate.task import Target, choose
from bessemer.core.errors import DataError, Fault, ProjectError, did_you_mean
from bessemer.core.parquet import machine_explained, write_parquet
from bessemer.core.sql import literal, quote

if TYPE_CHECKING:
    from bessemer.core.artifact import Artifact, ArtifactRef
    from bessemer.core.stage import Context

_PER_CLASS = 2  # one row to learn from and one to judge with


class _Labels:
    """The target column of one dataset: which rows have a label, and which labels there are."""

    def __init__(self, connection: Any, data: Artifact, name: str) -> None:
        self.connection, self.name = connection, name
        self.relation = f"read_parquet({literal(data.path('data.parquet'))})"
        self.columns = {column["name"]: column["dtype"] for column in data.meta["columns"]}
        if name not in self.columns:
            what = f"the data has no column '{name}'"
            raise ProjectError([Fault("target", None, what, did_you_mean(name, self.columns))])
        self.dtype = self.columns[name]
        c = quote(name)
        no_label = {"VARCHAR": f" OR trim({c}) = ''", "DOUBLE": f" OR NOT isfinite({c})"}
        self.missing = f"({c} IS NULL{no_label.get(self.dtype, '')})"

    def one(self, expression: str, where: str = "true") -> Any:
        return self.connection.execute(f"SELECT {expression} FROM {self.relation} WHERE {where}").fetchone()[
            0
        ]

    def facts(self) -> Target:
        c, labelled = quote(self.name), f"NOT {self.missing}"
        whole = (
            f"coalesce(bool_and({c} = floor({c}) AND abs({c}) < 9e15), true)"
            if self.dtype == "DOUBLE"
            else "true"
        )
        distinct = int(self.one(f"count(DISTINCT {c})", labelled))
        example = self.one(f"min({c})", labelled) if self.dtype != "TIMESTAMP" else None
        return Target(self.name, self.dtype, distinct, bool(self.one(whole, labelled)), example)

    def counts(self) -> dict[Class, int]:
        """Rows of each class; whole numbers are integers, however they were stored."""
        value = f"CAST({quote(self.name)} AS BIGINT)" if self.dtype == "DOUBLE" else quote(self.name)
        query = (
            f"SELECT {value}, count(*) FROM {self.relation} WHERE NOT {self.missing} GROUP BY 1 ORDER BY 1"
        )
        return dict(self.connection.execute(query).fetchall())


def run(spec: AnnotateSpec, inputs: Mapping[str, ArtifactRef], ctx: Context) -> dict[str, ArtifactRef]:
    """Find task and classes; set unlabelled rows aside.

    Raises:
        ProjectError: no such target, or `task` or `positive` do not go with it.
        DataError: no labels, a constant target, or a class with a single row.
    """
    data = ctx.open(inputs["data"])
    connection = ctx.connect()
    try:
        with machine_explained("reading", "the labels"):
            labels = _Labels(connection, data, ctx.shared["target"])
            return {"labelled": _labelled(spec, labels, data, ctx)}
    finally:
        connection.close()


def _labelled(spec: AnnotateSpec, labels: _Labels, data: Artifact, ctx: Context) -> ArtifactRef:
    unlabelled = int(labels.one("count(*)", labels.missing))
    if unlabelled == data.meta["rows"]:
        raise DataError(
            f"target '{labels.name}' has no value in any row", fix="check the source, or name another target"
        )
    task = choose(labels.facts(), ctx.shared.get("task"))
    classes: list[Class] = []
    counts: dict[Class, int] = {}
    if task != "regression":
        counts, rare = _without_rare(spec, labels.counts(), labels.name)
        labels.missing = _or_rare(labels, rare)
        unlabelled += len(rare)
        task = "binary" if len(counts) == 2 else "multiclass"
        classes = ordered(list(counts))
        check_case(classes, labels.name)
        if rare:
            ctx.warn(f"{len(rare)} classes with a single row are set aside: {_listed(rare)}")
    classes = with_positive(classes, spec.positive)
    _tell(task, classes, labels, unlabelled, ctx)
    files = _files(
        labels, data, unlabelled, as_integer=task != "regression" and labels.dtype == "DOUBLE", ctx=ctx
    )
    meta = {
        "rows": data.meta["rows"] - unlabelled,
        "unlabelled": unlabelled,
        "target": labels.name,
        "task": task,
        "classes": classes,
        "counts": {label(c): counts[c] for c in classes},
        "positive": classes[1] if task == "binary" else None,
        **({"whole": data.meta["whole"]} if "whole" in data.meta else {}),
    }
    return ctx.store.put("labelled", files, meta)


def _without_rare(
    spec: AnnotateSpec, counts: dict[Class, int], name: str
) -> tuple[dict[Class, int], list[Class]]:
    rare = [c for c, count in counts.items() if count < _PER_CLASS]
    kept = {c: count for c, count in counts.items() if c not in set(rare)}
    if rare and (spec.rare == "error" or len(kept) < 2):
        fix = "add rows, or join the class with another in `acquire.sql`"
        raise DataError(
            f"target '{name}' has classes with a single row: {_listed(rare)}",
            why="a class needs rows to learn from and rows to be judged with",
            fix=fix + ("; or set them aside with `annotate: {rare: set_aside}`" if len(kept) >= 2 else ""),
        )
    return kept, rare


def _or_rare(labels: _Labels, rare: list[Class]) -> str:
    if not rare:
        return labels.missing
    values = ", ".join(literal(c) if isinstance(c, str) else str(c) for c in rare)
    return f"({labels.missing} OR {quote(labels.name)} IN ({values}))"


def _listed(classes: list[Class]) -> str:
    shown = ", ".join(repr(c) for c in classes[:10])
    return shown + (f" and {len(classes) - 10} more" if len(classes) > 10 else "")


def _tell(task: str, classes: list[Class], labels: _Labels, unlabelled: int, ctx: Context) -> None:
    told = f"predicts {labels.name}: {task}"
    if task == "binary":
        told += f", the positive class is {classes[1]!r} (not {classes[0]!r})"
    elif task == "multiclass":
        told += f", {len(classes)} classes"
    ctx.note(told)
    if unlabelled:
        ctx.note(f"{unlabelled:,} rows have no label and are set aside")


def _files(
    labels: _Labels, data: Artifact, unlabelled: int, *, as_integer: bool, ctx: Context
) -> dict[str, Any]:
    """The rows with and without a label; where nothing changes, the very file that came in."""
    c = quote(labels.name)
    select = f"SELECT * REPLACE (CAST({c} AS BIGINT) AS {c})" if as_integer else "SELECT *"
    files: dict[str, Any] = {"data.parquet": data.path("data.parquet")}
    if unlabelled or as_integer:
        files["data.parquet"] = ctx.temporary("data.parquet")
        query = f"{select} FROM {labels.relation} WHERE NOT {labels.missing}"
        write_parquet(labels.connection, query, files["data.parquet"])
    if unlabelled:
        files["unlabelled.parquet"] = ctx.temporary("unlabelled.parquet")
        query = f"SELECT * FROM {labels.relation} WHERE {labels.missing}"
        write_parquet(labels.connection, query, files["unlabelled.parquet"])
    return files
