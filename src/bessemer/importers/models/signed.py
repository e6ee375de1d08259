"""A model as its signature says it is: what both say must agree, and the signature says more of the columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from bessemer.core.errors import Fault, ProjectError, UsageError, did_you_mean
from bessemer.core.signature import DType, class_text
from bessemer.importers.models.filled import Filled
from bessemer.importers.models.foreign import EXACT, Asked, Foreign, Input
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
    faults += _document_faults(foreign, said)
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
    if told.is_image != (one.domain.get("media") == "image"):
        yield "the model takes no images there", "write its dtype: number, integer, boolean or string"
    elif isinstance(one.fitted, FittedCategorical):
        yield from _category_faults(one.column.dtype, one.fitted, told)
    elif isinstance(one.fitted, Plain):
        yield from _number_faults(one, told)


def _category_faults(own: DType, fitted: FittedCategorical, told: ColumnSaid) -> Iterable[tuple[str, str]]:
    levels = [level for level in fitted.levels if level is not None]
    said = levels if told.domain.categories is None else told.domain.categories
    if told.dtype is not None and (own == "string") != (told.kind == "string"):
        yield f"the model takes categories that are {own}s there, and no {told.kind}", f"dtype: {own}"
    if told.missing is not None and told.missing not in levels:
        yield f"{told.missing!r} is none of its categories", did_you_mean(str(told.missing), map(str, levels))
    if (told.domain.min, told.domain.max) != (None, None):
        yield "the model takes categories there, which have no `min` and no `max`", "leave them out"
    if unknown := [one for one in said if one not in levels]:
        yield (
            f"the model does not know the category {unknown[0]!r} of its domain",
            did_you_mean(str(unknown[0]), map(str, levels)),
        )
    elif lost := [one for one in levels if one not in said]:
        yield (
            f"its domain lacks the category {lost[0]!r} of the model",
            "leave the domain out, or name them all",
        )


def _number_faults(one: Input, told: ColumnSaid) -> Iterable[tuple[str, str]]:
    missing, domain, whole = told.missing, told.domain, one.precision == "whole"
    if told.kind not in _NUMBERS:
        yield f"the model takes a number there, and no {told.kind}", "dtype: number"
    if isinstance(missing, str):
        yield f"'{missing}' is no number", "missing: 0"
    if text := next((one for one in domain.categories or () if isinstance(one, str)), None):
        yield f"its domain has the category '{text}', and the model takes a number there", "domain: {min: 0}"
    if told.nullable and not one.nullable and missing is None:
        yield (
            "a row may lack it, and the model has no answer then",
            "nullable: false, or `missing`: what stands for it",
        )
    for name, value in (("missing", missing), ("min", domain.min), ("max", domain.max)):
        if value is None or isinstance(value, str):
            continue
        if value != int(value) and (whole or (name != "missing" and told.kind != "number")):
            yield f"`{name}` is {value}, and its values are whole numbers", f"{name}: {round(value)}"
        if abs(value) > EXACT and one.precision != "single":
            yield (
                f"`{name}` is {value:,}, and the package rounds whole numbers beyond {EXACT:,}",
                "stay within that",
            )


def _document_faults(foreign: Foreign, said: Said) -> Iterable[Fault]:
    """What is said of the columns of a document, which has types and missing values of its own."""
    alone = {one.column.name for one in foreign.inputs}
    for name, told in said.inputs.items():
        own = foreign.columns.get(name)
        if own is None:
            continue
        if told.dtype is not None and told.kind != own:
            yield Fault(f"inputs.{name}", None, f"the document says {own}, not {told.kind}", f"dtype: {own}")
        if told.missing is not None:
            what = "the document says what stands for a missing value"
            yield Fault(f"inputs.{name}", None, what, "leave `missing` out")
        if name not in alone and (told.nullable is False or told.domain.told()):
            what = (
                "the document computes with it and others at once: of it alone nothing but its dtype is taken"
            )
            yield Fault(f"inputs.{name}", None, what, "leave `nullable` and `domain` out")


def _told(one: Input, told: ColumnSaid) -> Input:
    domain: Mapping[str, Any] = one.domain if told.is_image else told.domain.told()
    may = one.nullable or told.missing is not None
    one = replace(one, nullable=may if told.nullable is None else told.nullable, domain=domain)
    if isinstance(one.fitted, FittedCategorical):
        return one if told.missing is None else replace(one, fitted=_level(one.fitted, told.missing))
    if not isinstance(one.fitted, Plain):
        return one
    feature, dtype = one.fitted.feature, one.column.dtype if told.dtype is None else told.kind
    if dtype == "boolean":
        feature = replace(feature, kind="boolean")
    fitted = Plain(feature) if told.missing is None else Filled(feature, float(told.missing))
    return replace(one, column=replace(one.column, dtype=dtype), fitted=fitted)


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
