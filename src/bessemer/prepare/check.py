"""The faults of `prepare:` that show only beside the data: all of them at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bessemer.core.errors import Fault, ProjectError, did_you_mean
from bessemer.core.further import Further
from bessemer.core.signature import DType, Task
from bessemer.prepare.expressions import Expression, parse_all
from bessemer.prepare.labelled import Labelled
from bessemer.prepare.plugins import IGNORE, TRANSFORMS
from bessemer.prepare.spec import ColumnSpec, PrepareSpec

#: The types of landed columns, as signatures name them.
SQL_DTYPES: Mapping[str, DType] = {
    "BOOLEAN": "boolean",
    "BIGINT": "integer",
    "DOUBLE": "number",
    "VARCHAR": "string",
    "TIMESTAMP": "timestamp",
}


def check(spec: PrepareSpec, data: Labelled) -> dict[str, Expression]:
    """The derived features, parsed.

    Raises:
        ProjectError: with every fault; lines are left for the caller to fill in.
    """
    faults: list[Fault] = []
    derived: dict[str, Expression] = {}
    try:
        derived = parse_all(spec.derive, data.columns)
    except ProjectError as error:
        faults += error.faults
    faults += _split(spec, data)
    faults += _exclude(spec, data)
    faults += _weight(spec, data)
    faults += _leaks(derived, data.targets)
    faults += _derived_targets(spec, data)
    dtypes = {**data.columns, **{name: e.dtype for name, e in derived.items()}}
    for name, column in spec.columns.items():
        if name in dtypes:
            faults += _column(name, column, dtypes[name], data.targets)
        elif name not in spec.derive:  # a derived feature that does not parse has its fault already
            faults.append(_unknown(f"prepare.columns.{name}", name, dtypes))
    if faults:
        raise ProjectError(faults)
    return derived


def _unknown(path: str, name: str, known: Iterable[str]) -> Fault:
    return Fault(path, None, f"no column '{name}' in the data", did_you_mean(name, known))


def _split(spec: PrepareSpec, data: Labelled) -> Iterator[Fault]:
    split = spec.split
    if split.method == "stratified" and data.task == "regression":
        yield Fault(
            "prepare.split.method",
            None,
            "'stratified' needs classes, but this is a regression",
            "say random, or leave method out",
        )
    word = next((w for w in ("by", "group", "given") if getattr(split, w) is not None), None)
    if word is None:
        return
    name, path = str(split.column), f"prepare.split.{word}"
    if name not in data.columns:
        yield _unknown(path, name, data.columns)
    elif name in data.targets:
        yield Fault(path, None, f"'{name}' is {_a(data.targets)} target", "split by another column")
    elif word == "by" and data.columns[name] in ("string", "boolean"):
        yield Fault(
            path,
            None,
            f"'{name}' is a {data.columns[name]} column; a split by time needs a timestamp or a number",
            f"cast it in `acquire: {{sql: ...}}`, or say `group: {name}`",
        )
    elif word == "given" and data.columns[name] != "string":
        yield Fault(
            path,
            None,
            f"'{name}' is a {data.columns[name]} column; it must say 'train', 'valid' or 'test'",
            "make such a text column in `acquire: {sql: ...}`",
        )


def _exclude(spec: PrepareSpec, data: Labelled) -> Iterator[Fault]:
    for i, name in enumerate(spec.exclude):
        path = f"prepare.exclude.{i}"
        if name not in {**data.columns, **spec.derive}:
            yield _unknown(path, name, [*data.columns, *spec.derive])
        elif name in data.targets:
            what = f"'{name}' is {_a(data.targets)} target, which is never a feature"
            yield Fault(path, None, what, "remove it here")


def _a(targets: Sequence[str]) -> str:
    return "the" if len(targets) == 1 else "a"


def _weight(spec: PrepareSpec, data: Labelled) -> Iterator[Fault]:
    name, path = spec.weight, "prepare.weight"
    if name is None:
        return
    if name not in data.columns:
        yield _unknown(path, name, data.columns)
    elif name in data.targets:
        yield Fault(path, None, f"'{name}' is {_a(data.targets)} target", "weigh rows by another column")
    elif data.columns[name] not in ("integer", "number"):
        what = f"'{name}' is a {data.columns[name]} column; a weight is a number"
        yield Fault(path, None, what, "cast it in `acquire: {sql: ...}`")


def _leaks(derived: Mapping[str, Expression], targets: Sequence[str]) -> Iterator[Fault]:
    for name, expression in derived.items():
        for target in targets:
            if target in expression.columns:
                yield Fault(
                    f"prepare.derive.{name}",
                    None,
                    f"uses the target '{target}', which is not known when the model predicts",
                    "compute it from the other columns",
                )


def _derived_targets(spec: PrepareSpec, data: Labelled) -> Iterator[Fault]:
    for name in spec.derive:
        if name in data.targets and name not in data.columns:
            what = f"'{name}' is a target, and what is derived here is an input"
            yield Fault(f"prepare.derive.{name}", None, what, "compute it in `acquire: {sql: ...}`")


def _column(name: str, column: ColumnSpec, dtype: DType, targets: Sequence[str]) -> Iterator[Fault]:
    path = f"prepare.columns.{name}"
    kinds = [*TRANSFORMS.names(), IGNORE]
    if name in targets:
        what = f"'{name}' is {_a(targets)} target, which is never a feature"
        yield Fault(path, None, what, "remove it here")
    elif column.kind is None or column.kind == IGNORE:
        if column.encode and column.kind is None:
            yield Fault(f"{path}.encode", None, "needs `as`", f"say as what '{name}' is encoded")
    elif column.kind not in kinds:
        yield Fault(f"{path}.as", None, f"no kind '{column.kind}'", did_you_mean(column.kind, kinds))
    else:
        transform = TRANSFORMS.load(column.kind)
        if dtype not in transform.dtypes:
            fits = [k for k in TRANSFORMS.names() if dtype in TRANSFORMS.load(k).dtypes]
            yield Fault(
                f"{path}.as",
                None,
                f"'{name}' is a {dtype} column and cannot be taken as {column.kind}",
                f"it can be {', '.join([*fits, IGNORE])}; or derive a feature of another type from it",
            )
        for i, word in enumerate(column.encode or ()):
            if word not in transform.encodings:
                hint = did_you_mean(word, transform.encodings) or f"{column.kind} has nothing to choose"
                yield Fault(f"{path}.encode.{i}", None, f"no encoding '{word}' of {column.kind}", hint)


def check_columns(spec: PrepareSpec, columns: Mapping[str, str], shared: Mapping[str, Any]) -> list[Fault]:
    """The faults that need no more than the names and types of the columns.

    Args:
        columns: name -> type of the landed data.
        shared: project-wide settings: `target`, `task` where the project file says it, and `further` targets.
    """
    dtypes = {name: SQL_DTYPES[dtype] for name, dtype in columns.items()}
    task: Task = shared["task"] or "binary"  # the one that allows every split; the stage itself knows better
    further = tuple(Further(name, "regression") for name, _ in shared.get("further", ()))
    try:
        check(spec, Labelled(Path(), 0, dtypes, shared["target"], task, (), further=further))
    except ProjectError as error:
        return list(error.faults)
    return []


def fingerprint(
    spec: PrepareSpec, project_dir: Path, memo: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The digests of a given package and of pretrained models' files, which the stage reads from outside the store."""
    from bessemer.core.store import file_digest
    from bessemer.package.given import given_digest
    from bessemer.prepare.transforms.embedding_folder import READ

    if spec.given is not None:
        return {f"given {spec.given}": given_digest(project_dir / spec.given)}

    taken = (spec.embedding_of(name) for name, said in spec.columns.items() if said.kind == "embedding")
    folders = dict.fromkeys(said.model for said in taken if said.model is not None)
    paths = {f"{folder}/{name}": project_dir / folder / name for folder in folders for name in READ}
    return {
        f"model {name}": file_digest(path)[0] if path.is_file() else "missing" for name, path in paths.items()
    }
