"""Fitting: which columns become features, by which transform, and what the inputs look like."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bessemer.core.errors import DataError
from bessemer.core.sql import quote
from bessemer.core.stage import Context
from bessemer.prepare.domain import MOST_CATEGORIES, domain_of
from bessemer.prepare.expressions import Expression
from bessemer.prepare.kinds import Left, Profile, kind_of, profile
from bessemer.prepare.labelled import Labelled
from bessemer.prepare.plugins import IGNORE, TRANSFORMS
from bessemer.prepare.spec import ColumnSpec, PrepareSpec
from bessemer.prepare.train_table import Folds, chunks, read_target
from bessemer.prepare.transforms.base import Column, Fitted, TrainColumn

if TYPE_CHECKING:
    from bessemer.prepare.transforms.base import Transform

_SHOWN = 10


@dataclass
class Fit:
    """What was fitted, in the order of the columns.

    fitted: name of a raw column or derived feature -> its column and transform.
    nullable, domains: of every raw column that may become an input.
    left: name -> why it is no feature.
    """

    fitted: dict[str, tuple[Column, Fitted]] = field(default_factory=dict)
    nullable: dict[str, bool] = field(default_factory=dict)
    domains: dict[str, dict[str, Any]] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)


def candidates(spec: PrepareSpec, data: Labelled, derived: Mapping[str, Expression]) -> list[Column]:
    """The raw columns but the target, and the derived features."""
    raw = [
        Column(name, dtype, quote(name), (name,))
        for name, dtype in data.columns.items()
        if name != data.target
    ]
    made = [Column(name, e.dtype, e.sql, tuple(e.columns), derived=True) for name, e in derived.items()]
    return raw + made


def fit_columns(
    spec: PrepareSpec,
    data: Labelled,
    derived: Mapping[str, Expression],
    train: Path,
    folds: Folds,
    ctx: Context,
) -> Fit:
    """Fit every column on the train part.

    Raises:
        DataError: no column is left to learn from.
    """
    columns = candidates(spec, data, derived)
    fit = Fit(left={c.name: why for c in columns if (why := _unwanted(c, spec, data))})
    needed = {name for c in columns if c.derived and c.name not in fit.left for name in c.inputs}
    looked_at = [c for c in columns if c.name not in fit.left or c.name in needed]
    with ctx.connect() as connection, ctx.progress("fit features", len(looked_at)) as bar:
        target = read_target(connection, data, train, folds)
        for group in chunks(
            connection, train, looked_at, target, folds, width=len(data.columns), split_by=spec.split.by
        ):
            for column, facts in zip(group, profile(group), strict=True):
                _look(column, facts, spec, fit)
                bar.advance()
    _say(fit, spec, ctx)
    if not fit.fitted:
        raise DataError(
            "no column is left to learn from",
            why="; ".join(f"{name}: {why}" for name, why in list(fit.left.items())[:_SHOWN])
            or "only the target",
            fix="read more columns, derive features, or say what a column is: "
            "`prepare: {columns: {NAME: {as: categorical}}}`",
        )
    return fit


def _unwanted(column: Column, spec: PrepareSpec, data: Labelled) -> str:
    """Why the project file rules a column out as a feature, or ''."""
    name, said = column.name, spec.columns.get(column.name, ColumnSpec())
    if name in spec.exclude or said.kind == IGNORE:
        return "excluded"
    if name == spec.weight:
        return "it says how much a row counts"
    if said.kind is None and name == spec.split.column:
        if spec.split.by is None:
            return "it names the split's groups" if spec.split.group else "it names the split's parts"
        if data.columns[name] != "timestamp":
            return "the data is split by it: new rows lie beyond all values seen"
    return ""


def _look(column: TrainColumn, facts: Profile, spec: PrepareSpec, fit: Fit) -> None:
    """Note what one column looks like and, if it is to be a feature, fit it."""
    name = column.column.name
    if not column.column.derived:
        fit.nullable[name] = facts.present < facts.rows
        fit.domains[name] = domain_of(column, facts, max(spec.max_categories, MOST_CATEGORIES + 2))
    if name in fit.left:
        return
    said = spec.columns.get(name, ColumnSpec())
    kind = said.kind or kind_of(column, facts)
    if isinstance(kind, Left):
        fit.left[name] = kind.why
        return
    transform: Transform = TRANSFORMS.load(kind)()
    fitted = transform.fit(column, spec, said.encode)
    if fitted is None or not fitted.features:
        fit.left[name] = "nothing in it varies"
    else:
        fit.fitted[name] = (column.column, fitted)


def _reasons(fit: Fit) -> Iterator[tuple[str, list[str]]]:
    grouped: dict[str, list[str]] = {}
    for name, why in fit.left.items():
        if why != "excluded":
            grouped.setdefault(why, []).append(name)
    yield from grouped.items()


def _say(fit: Fit, spec: PrepareSpec, ctx: Context) -> None:
    for why, names in _reasons(fit):
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        ctx.note(f"left out {', '.join(names[:_SHOWN])}{more}: {why}")
