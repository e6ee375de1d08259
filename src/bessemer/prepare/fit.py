"""Fitting: which columns become features, by which transform, and what the inputs look like."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bessemer.core.errors import DataError
from bessemer.core.sql import quote
from bessemer.core.stage import Context
from bessemer.engines.refusal import NotCarriedOver
from bessemer.prepare.domain import MOST_CATEGORIES, domain_of
from bessemer.prepare.expressions import Expression
from bessemer.prepare.kinds import Left, Profile, kind_of, profile
from bessemer.prepare.labelled import Labelled
from bessemer.prepare.plugins import IGNORE, TRANSFORMS
from bessemer.prepare.spec import PrepareSpec
from bessemer.prepare.train_table import TrainRows
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
    here: what was fitted on the train part alone, though there were rows beside it.
    """

    fitted: dict[str, tuple[Column, Fitted]] = field(default_factory=dict)
    nullable: dict[str, bool] = field(default_factory=dict)
    domains: dict[str, dict[str, Any]] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)
    here: list[str] = field(default_factory=list)


def candidates(spec: PrepareSpec, data: Labelled, derived: Mapping[str, Expression]) -> list[Column]:
    """The raw columns but the targets, and the derived features."""
    raw = [
        Column(name, dtype, quote(name), (name,))
        for name, dtype in data.columns.items()
        if name not in data.targets
    ]
    made = [Column(name, e.dtype, e.sql, tuple(e.columns), derived=True) for name, e in derived.items()]
    return raw + made


def fit_columns(
    spec: PrepareSpec,
    data: Labelled,
    derived: Mapping[str, Expression],
    rows: TrainRows,
    ctx: Context,
) -> Fit:
    """Fit every column on the rows to learn from.

    Raises:
        DataError: no column is left to learn from.
    """
    columns = candidates(spec, data, derived)
    fit = Fit(left={c.name: why for c in columns if (why := _unwanted(c, spec, data))})
    needed = {name for c in columns if c.derived and c.name not in fit.left for name in c.inputs}
    looked_at = [c for c in columns if c.name not in fit.left or c.name in needed]
    with ctx.progress("fit features", len(looked_at)) as bar:
        for group in rows.chunks(looked_at):
            for column, facts in zip(group, profile(group), strict=True):
                _look(column, facts, spec, fit)
                bar.advance()
    _say(fit, ctx)
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
    name, said = column.name, spec.of(column.name)
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
    said = spec.of(name)
    kind = said.kind or kind_of(column, facts)
    if isinstance(kind, Left):
        fit.left[name] = kind.why
        return
    fitted = _fitted(TRANSFORMS.load(kind)(), column, spec, said.encode, fit)
    if fitted is None or not fitted.features:
        fit.left[name] = "nothing in it varies"
    else:
        fit.fitted[name] = (column.column, fitted)
        if kind == "image":
            fit.domains[name] = {"media": "image"}


def _fitted(
    transform: Transform, column: TrainColumn, spec: PrepareSpec, encode: Sequence[str] | None, fit: Fit
) -> Fitted | None:
    """Fit on all rows; on those of the train part where the transform cannot ask an engine."""
    if getattr(transform, "portable", False) and not column.alone:
        try:
            return transform.fit(column, spec, encode)
        except NotCarriedOver:
            pass
    if column.here.alone:
        fit.here.append(column.column.name)
    return transform.fit(column.here, spec, encode)


def _reasons(fit: Fit) -> Iterator[tuple[str, list[str]]]:
    grouped: dict[str, list[str]] = {}
    for name, why in fit.left.items():
        if why != "excluded":
            grouped.setdefault(why, []).append(name)
    yield from grouped.items()


def _say(fit: Fit, ctx: Context) -> None:
    for why, names in _reasons(fit):
        ctx.note(f"left out {_listed(names)}: {why}")
    if fit.here:
        ctx.note(f"learnt from the train part alone: {_listed(fit.here)}")


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"
