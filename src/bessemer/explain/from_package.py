"""A package and some rows as a subject and a sample: what explainers need, without the run that made the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.core.errors import DataError, UsageError, did_you_mean
from bessemer.core.signature import class_text
from bessemer.explain.explanation import Baseline, Explanation
from bessemer.explain.local import named_class, output_of
from bessemer.explain.profile_rows import GivenRows, ProfileRows, features_of
from bessemer.explain.sample import Rows, check_sum, explained
from bessemer.explain.subject import Subject
from bessemer.package.feeds import to_columns

if TYPE_CHECKING:
    import pyarrow as pa

    from bessemer.core.signature import Field
    from bessemer.explain.sample import Floats, Sample
    from bessemer.package.model import Model


def subject_of(model: Model) -> Subject:
    """The model of a package under explanation.

    Raises:
        PackageError: the package has no native model.
    """
    contributions = model.explainer
    native = model.contents.bytes(model.info["native"]["file"])
    facts = {"classes": list(model.classes), "task": model.task, **model.info}
    return Subject(
        facts=facts,
        signature=model.signature,
        session=model.session,
        contributions=contributions,
        native=native,
        graph=partial(model.contents.bytes, "model.onnx"),
    )


def sample_of(
    model: Model, rows: pa.Table, *, asked: Sequence[int] | None = None, background: pa.Table | None = None
) -> tuple[Subject, Sample]:
    """Rows with their scores and contributions. What is the target's column, where there is one, is the actual value.

    Args:
        rows: raw rows, as `Model.predict` takes them. asked: positions of those to explain; all by default.
        background: rows to take values from; by default they are drawn from the package's profile.

    Raises:
        DataError: a column is missing or holds what cannot be converted, or there are no rows.
        UsageError: a position is not one.
    """
    if not rows.num_rows:
        raise DataError("there are no rows to explain")
    for position in asked or ():
        if not 0 <= position < rows.num_rows:
            last = rows.num_rows - 1
            raise UsageError(f"there is no row {position}", fix=f"rows are counted from 0 to {last}")
    subject = subject_of(model)
    parts = typed([rows] if background is None else [rows, background], model.signature.inputs)
    drawn: GivenRows | ProfileRows | None = None
    if background is not None:
        drawn = GivenRows(subject, parts[1], actual_of(model, background))
    elif model.reference.get("columns"):
        drawn = ProfileRows(subject, model.reference, parts[0].schema)
    own = Rows(parts[0], features_of(subject, parts[0]), actual_of(model, rows))
    sample = explained(subject, own, drawn)
    check_sum(sample)
    return subject, replace(sample, asked=tuple(asked if asked is not None else range(len(sample))))


def typed(tables: Sequence[pa.Table], inputs: Sequence[Field]) -> list[pa.Table]:
    """The model's columns, in its order, of types that all tables share: booleans, whole numbers, numbers, texts and
    timestamps in microseconds.

    Raises:
        DataError: names every column that is absent or cannot be converted.

    >>> import pyarrow as pa
    >>> from bessemer.core.signature import Field
    >>> typed([pa.table({"age": ["41", ""]})], [Field("age", "integer", "float32")])[0].to_pydict()
    {'age': [41, None]}
    """
    import pyarrow as pa

    columns = [to_columns(table, inputs, allow_missing=True) for table in tables]
    types = {field.name: _type([part[field.name] for part in columns], field) for field in inputs}
    schema = pa.schema(list(types.items()))
    return [
        pa.table([_cast(part[name], kind) for name, kind in types.items()], schema=schema) for part in columns
    ]


def _type(columns: Sequence[pa.Array], field: Field) -> pa.DataType:
    import pyarrow as pa

    if field.dtype == "integer" and field.tensor != "string" and not all(map(_is_whole, columns)):
        return pa.float64()
    return {
        "boolean": pa.bool_(),
        "integer": pa.int64(),
        "number": pa.float64(),
        "string": pa.string(),
        "timestamp": pa.timestamp("us"),
    }[field.dtype]


def _is_whole(column: pa.Array) -> bool:
    values = column.to_numpy(zero_copy_only=False)
    known = values[~np.isnan(values)]
    return bool((np.abs(known) < 2**53).all() and (known == np.round(known)).all())


def _cast(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """From the canonical types of `feeds` (float64, perhaps encoded text, microseconds) to a column's own."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    if pa.types.is_timestamp(kind) and pa.types.is_integer(column.type):
        lost = pc.equal(column, pa.scalar(-(2**63), pa.int64()))
        column = pc.if_else(lost, pa.scalar(None, pa.int64()), column)
    return column.cast(kind)


def actual_of(model: Model, table: pa.Table) -> Floats:
    """The actual class index or value of each row, NaN where the table does not say it."""
    target = model.signature.target
    if target not in table.column_names:
        return np.full(table.num_rows, np.nan)
    values = table.column(target).to_pylist()
    if model.task == "regression":
        return np.array([_number(value, target) for value in values])
    classes = {class_text(name): float(i) for i, name in enumerate(model.classes)}
    said = [class_text(value) for value in values]
    unknown = next((text for text in said if text and text not in classes), None)
    if unknown is not None:
        raise DataError(
            f"column '{target}' holds '{unknown}', which is no class of the model",
            fix=did_you_mean(unknown, classes),
        )
    return np.array([classes.get(text, np.nan) for text in said])


def _number(value: Any, target: str) -> float:
    try:
        return float("nan") if value in (None, "") else float(value)
    except (TypeError, ValueError):
        raise DataError(f"column '{target}' holds '{value}', which is no number") from None


def row_contributions(subject: Subject, sample: Sample) -> Explanation:
    """What each column added to the score of each row that was asked about: the package's own explanation."""
    rows = []
    for row in sample.asked or ():
        output = output_of(subject, sample, row)
        parts = sample.contributions[row, :, output]
        rows.append(
            {
                "row": row,
                "score": float(sample.score[row, output]),
                "base": float(sample.base[output]),
                "contributions": dict(zip(subject.groups, parts.tolist(), strict=True)),
                **named_class(subject, sample, row),
            }
        )
    return Explanation(
        "attributions",
        Baseline(subject.method[1], tuple(sample.base.tolist())),
        sample.error,
        {"rows": rows},
    )
