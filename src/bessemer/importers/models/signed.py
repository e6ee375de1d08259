"""A model as its signature says it is: what both say must agree, and the signature says more of the columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from bessemer.core.errors import Fault, ProjectError, UsageError, did_you_mean
from bessemer.core.signature import DType, class_text
from bessemer.importers.models.filled import Filled
from bessemer.importers.models.foreign import Asked, Foreign, Input
from bessemer.importers.models.signature import ColumnSaid, Said
from bessemer.prepare.transforms.base import Plain
from bessemer.prepare.transforms.categorical import FittedCategorical

#: Types of columns that are numbers to a graph.
_NUMBERS: tuple[DType, ...] = ("number", "integer", "boolean")


def asked_of(
    columns: Iterable[str] = (), classes: Iterable[Any] = (), scores: str = "", said: Said | None = None
) -> Asked:
    """What the caller says by options and in a signature, together.

    Raises:
        UsageError: the two contradict each other.

    >>> from bessemer.importers.models.signature import signature_of
    >>> asked_of(said=signature_of("inputs: [age, income]", "signature.yaml")).columns
    ('age', 'income')
    """
    asked = Asked(tuple(columns), tuple(classes), scores)
    if said is None:
        return asked
    for option, given, told in (
        ("columns", asked.columns, tuple(said.inputs)),
        ("classes", tuple(map(class_text, asked.classes)), tuple(map(class_text, said.classes))),
        ("scores", scores, said.scores or ""),
    ):
        check_agrees(option, given, told)
    return replace(
        asked,
        columns=tuple(said.inputs) or asked.columns,
        classes=said.classes or asked.classes,
        scores=said.scores or scores,
        task=said.task or "",
        signature=said,
    )


def check_agrees(option: str, given: Any, told: Any) -> None:
    """Hold an option against the signature.

    Raises:
        UsageError: both say something, and not the same.
    """
    if given and told and given != told:
        shown = [one if isinstance(one, str) else ",".join(map(str, one)) for one in (given, told)]
        raise UsageError(
            f"--{option} says {shown[0]}, and the signature says {shown[1]}",
            fix=f"say it once: leave --{option} out",
        )


def signed(foreign: Foreign, said: Said | None) -> Foreign:
    """The model with what its signature says of its columns.

    Raises:
        ProjectError: the model is another than the signature says, or cannot do what it says; all faults at once.
    """
    if said is None:
        return foreign
    faults = []
    if said.task and said.task != foreign.task:
        what = f"the model's task is {foreign.task}, not {said.task}"
        faults.append(Fault("task", None, what, "correct it, or say what its numbers are: `scores`"))
    inputs = []
    for one in foreign.inputs:
        told = said.inputs.get(one.column.name)
        if told is None:
            inputs.append(one)
            continue
        for what, fix in _faults(one, told):
            faults.append(Fault(f"inputs.{one.column.name}", None, what, fix))
        inputs.append(one if faults else _told(one, told))
    if faults:
        raise ProjectError(faults, "the signature")
    return replace(foreign, inputs=tuple(inputs))


def _faults(one: Input, told: ColumnSaid) -> Iterable[tuple[str, str]]:
    """What the model does not have of what is said of a column, and how to mend it."""
    own, kind, missing = one.column.dtype, told.kind, told.missing
    if told.is_image != (not isinstance(one.fitted, Plain | FittedCategorical)):
        yield "the model takes no images there", "write its dtype: number, integer, boolean or string"
    elif isinstance(one.fitted, FittedCategorical):
        levels = [level for level in one.fitted.levels if level is not None]
        if told.dtype is not None and (own == "string") != (kind == "string"):
            yield f"the model takes categories that are {own}s there, and no {kind}", f"dtype: {own}"
        if missing is not None and missing not in levels:
            yield f"{missing!r} is none of its categories", did_you_mean(str(missing), map(str, levels))
    elif kind not in _NUMBERS and not told.is_image:
        yield f"the model takes a number there, and no {kind}", "dtype: number"
    elif isinstance(missing, str):
        yield f"'{missing}' is no number", "missing: 0"


def _told(one: Input, told: ColumnSaid) -> Input:
    domain: Mapping[str, Any] = one.domain if told.is_image else told.domain.told()
    one = replace(one, nullable=told.nullable, domain=domain)
    if isinstance(one.fitted, FittedCategorical):
        return one if told.missing is None else replace(one, fitted=_level(one.fitted, told.missing))
    if not isinstance(one.fitted, Plain):
        return one
    feature = one.fitted.feature
    if told.kind == "boolean":
        feature = replace(feature, kind="boolean")
    fitted = Plain(feature) if told.missing is None else Filled(feature, float(told.missing))
    return replace(one, column=replace(one.column, dtype=told.kind), fitted=fitted)


def _level(fitted: FittedCategorical, missing: Any) -> FittedCategorical:
    """A missing value as the category that stands for it."""
    row = fitted.table[fitted.levels.index(missing)]
    if None in fitted.levels:
        table = fitted.table.copy()
        table[fitted.levels.index(None)] = row
        return replace(fitted, table=table)
    # The last row is for what is no category.
    table = np.concatenate([fitted.table[:-1], row[None], fitted.table[-1:]])
    return replace(fitted, levels=(*fitted.levels, None), table=table)
