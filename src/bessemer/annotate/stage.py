"""Annotate: from data to labelled data.

Rows without a label (missing, an empty text, an infinite number) are set aside in a file of their own and
counted. The task and the order of the classes are found here, once, for every stage that follows. Of several targets
that is about the main one; the others may be missing in any row, and are null there from here on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bessemer.annotate.classes import Class, check_case, label, ordered, with_positive
from bessemer.annotate.labels import Labels
from bessemer.annotate.spec import AnnotateSpec
from bessemer.annotate.task import choose
from bessemer.core.errors import DataError
from bessemer.core.further import Further, check_names
from bessemer.core.parquet import machine_explained, write_parquet
from bessemer.core.sql import quote

if TYPE_CHECKING:
    from bessemer.core.artifact import Artifact, ArtifactRef
    from bessemer.core.signature import Task
    from bessemer.core.stage import Context

_PER_CLASS = 2  # one row to learn from and one to judge with


@dataclass(frozen=True)
class _Found:
    """What a target is: its task, its classes in order, and the rows of each; rare: classes that were set aside."""

    task: Task
    classes: list[Class]
    counts: dict[Class, int]
    rare: list[Class]


def run(spec: AnnotateSpec, inputs: Mapping[str, ArtifactRef], ctx: Context) -> dict[str, ArtifactRef]:
    """Find task and classes; set rows without the main target aside.

    Raises:
        ProjectError: no such target, or `task` or `positive` do not go with it.
        DataError: no labels, a constant target, a class with a single row, or answers whose names would clash.
    """
    data = ctx.open(inputs["data"])
    connection = ctx.connect()
    try:
        with machine_explained("reading", "the labels"):
            labels = Labels(connection, data, ctx.shared["target"])
            return {"labelled": _labelled(spec, labels, data, ctx)}
    finally:
        connection.close()


def _labelled(spec: AnnotateSpec, labels: Labels, data: Artifact, ctx: Context) -> ArtifactRef:
    unlabelled = int(labels.one("count(*)", labels.missing))
    if unlabelled == data.meta["rows"]:
        raise DataError(
            f"target '{labels.name}' has no value in any row", fix="check the source, or name another target"
        )
    found = _judged(spec, labels, ctx.shared.get("task"), ctx)
    unlabelled += len(found.rare)
    task, classes = found.task, with_positive(found.classes, spec.positive)
    _tell(task, classes, labels.name, ctx)
    if unlabelled:
        ctx.note(f"{unlabelled:,} rows have no label and are set aside")
    further = _further(spec, labels, data, ctx)
    check_names(task, classes, [Further.from_json(one) for _, one in further])
    stored = {labels.name: labels.value(task), **{own.name: own.kept(one["task"]) for own, one in further}}
    meta = {
        "rows": data.meta["rows"] - unlabelled,
        "unlabelled": unlabelled,
        "target": labels.name,
        "task": task,
        "classes": classes,
        "counts": {label(c): found.counts[c] for c in classes},
        "positive": classes[1] if task == "binary" else None,
        **({"further": [one for _, one in further]} if further else {}),
        **({"whole": data.meta["whole"]} if "whole" in data.meta else {}),
    }
    return ctx.store.put("labelled", _files(labels, data, unlabelled, stored, ctx), meta)


def _judged(spec: AnnotateSpec, labels: Labels, wanted: Task | None, ctx: Context) -> _Found:
    """The task and the classes of a target; rows of classes that are set aside count as without a label from here on.

    Raises:
        ProjectError, DataError: see `run`.
    """
    task = choose(labels.facts(), wanted)
    if task == "regression":
        return _Found(task, [], {}, [])
    counts, rare = _without_rare(spec, labels.counts(), labels.name)
    labels.without(rare)
    classes = ordered(list(counts))
    check_case(classes, labels.name)
    if rare:
        ctx.warn(f"{len(rare)} classes of {labels.name} with a single row are set aside: {_listed(rare)}")
    return _Found("binary" if len(counts) == 2 else "multiclass", classes, counts, rare)


def _further(
    spec: AnnotateSpec, main: Labels, data: Artifact, ctx: Context
) -> list[tuple[Labels, dict[str, Any]]]:
    """The further targets, judged on the rows that have the main one, and what `labelled` says of each."""
    found = []
    for name, wanted in ctx.shared.get("further", ()):
        labels = Labels(main.connection, data, name, f"NOT {main.missing}", further=True)
        rows, missing = int(labels.one("count(*)")), int(labels.one("count(*)", labels.missing))
        if missing == rows:
            what = f"target '{name}' has no value in any row that has '{main.name}'"
            raise DataError(what, fix="check the source, or leave it out of `target`")
        own = _judged(spec, labels, wanted, ctx)
        _tell(own.task, own.classes, name, ctx)
        if missing := missing + len(own.rare):
            ctx.note(f"{missing:,} rows have no {name}: they teach the other targets alone")
        told = Further(name, own.task, tuple(own.classes)).to_json()
        counts = {label(c): own.counts[c] for c in own.classes}
        found.append((labels, {**told, "counts": counts, "missing": missing}))
    return found


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


def _listed(classes: list[Class]) -> str:
    shown = ", ".join(repr(c) for c in classes[:10])
    return shown + (f" and {len(classes) - 10} more" if len(classes) > 10 else "")


def _tell(task: str, classes: list[Class], name: str, ctx: Context) -> None:
    told = f"predicts {name}: {task}"
    if task == "binary":
        told += f", the positive class is {classes[1]!r} (not {classes[0]!r})"
    elif task == "multiclass":
        told += f", {len(classes)} classes"
    ctx.note(told)


def _files(
    labels: Labels, data: Artifact, unlabelled: int, stored: Mapping[str, str], ctx: Context
) -> dict[str, Any]:
    """The rows with and without a label; where nothing changes, the very file that came in.

    stored: what stands in the columns of targets from here on, as SQL.
    """
    changed = [f"{sql} AS {quote(name)}" for name, sql in stored.items() if sql != quote(name)]
    select = f"SELECT * REPLACE ({', '.join(changed)})" if changed else "SELECT *"
    files: dict[str, Any] = {"data.parquet": data.path("data.parquet")}
    if unlabelled or changed:
        files["data.parquet"] = ctx.temporary("data.parquet")
        query = f"{select} FROM {labels.relation} WHERE NOT {labels.missing}"
        write_parquet(labels.connection, query, files["data.parquet"])
    if unlabelled:
        files["unlabelled.parquet"] = ctx.temporary("unlabelled.parquet")
        query = f"SELECT * FROM {labels.relation} WHERE {labels.missing}"
        write_parquet(labels.connection, query, files["unlabelled.parquet"])
    return files
