"""The features of a given package in the place of fitted ones: the same nodes, held against the data's columns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bessemer.core.blocks import blocks_of
from bessemer.core.errors import Fault, ProjectError, did_you_mean
from bessemer.core.signature import DType, Field, Signature
from bessemer.core.sql import quote
from bessemer.package.given import Given, open_given
from bessemer.prepare.assemble import Preprocessor
from bessemer.prepare.domain import MOST_CATEGORIES, domain_of
from bessemer.prepare.kinds import profile
from bessemer.prepare.labelled import Labelled
from bessemer.prepare.spec import PrepareSpec
from bessemer.prepare.train_table import TrainRows
from bessemer.prepare.transforms.base import Column, Feature

if TYPE_CHECKING:
    from bessemer.core.stage import Context

_NUMBERS: tuple[DType, ...] = ("number", "integer", "boolean")


def given_preprocessor(
    spec: PrepareSpec, data: Labelled, rows: TrainRows, folder: Path, ctx: Context
) -> Preprocessor:
    """The package's own graph of features; the signature says what the train part's columns look like.

    Raises:
        PackageError: the package is refused.
        ProjectError: the data lacks a column of the model, or has another type there; all of them at once.
    """
    assert spec.given is not None
    given = open_given(folder / spec.given)
    _check(given, data)
    columns = [Column(f.name, data.columns[f.name], quote(f.name), (f.name,)) for f in given.inputs]
    seen: dict[str, Field] = {}
    with ctx.progress("look at the columns", len(columns)) as bar:
        for group in rows.chunks(columns):
            for column, facts in zip(group, profile(group), strict=True):
                own = next(f for f in given.inputs if f.name == column.column.name)
                limit = max(spec.max_categories, MOST_CATEGORIES + 2)
                seen[own.name] = replace(
                    own,
                    dtype=data.columns[own.name],
                    nullable=facts.present < facts.rows,
                    domain=own.domain if own.is_image else domain_of(column, facts, limit),
                )
                bar.advance()
    inputs = tuple(seen[f.name] for f in given.inputs)
    features = tuple(Feature(**feature) for feature in given.info["features"])
    ctx.note(f"the features are those of {given.file}: {len(features)} from {len(inputs)} columns")
    signature = Signature(inputs, (), data.task, data.target, data.classes)
    return Preprocessor(given.front, signature, features, (), blocks_of(given.info))


def _check(given: Given, data: Labelled) -> None:
    """Every column that the model takes is in the data, with values of its kind."""
    faults = []
    for field in given.inputs:
        kind = data.columns.get(field.name)
        path = "prepare.given"
        if kind is None or field.name in data.targets:
            what = f"{given.file} takes a column '{field.name}', which the data does not have"
            known = [name for name in data.columns if name not in data.targets]
            faults.append(Fault(path, None, what, did_you_mean(field.name, known)))
        elif kind != field.dtype and not (kind in _NUMBERS and field.dtype in _NUMBERS):
            what = f"{given.file} takes '{field.name}' as a {field.dtype}, and the data has a {kind}"
            faults.append(Fault(path, None, what, "cast it in `acquire: {sql: ...}`"))
    if faults:
        raise ProjectError(faults)
