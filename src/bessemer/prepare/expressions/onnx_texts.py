"""Operations on strings as ONNX nodes: '' is NULL."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bessemer.prepare.expressions.emitter import Emitter, Truth
from bessemer.prepare.expressions.patterns import full_match


def concat(e: Emitter, parts: Sequence[str]) -> str:
    """Joined; a NULL adds nothing."""
    result = parts[0]
    for part in parts[1:]:
        result = e.op("StringConcat", result, part)
    return result


def join(e: Emitter, parts: Sequence[str]) -> str:
    """Joined; NULL where one is."""
    missing = e.any_of([e.is_missing(part, "string") for part in parts])
    return e.where(missing, e.missing("string"), concat(e, parts))


def matches(e: Emitter, x: str, kind: str, text: str, escaped_by: str) -> Truth:
    """Whether a string matches a constant pattern."""
    flag = e.op("RegexFullMatch", x, pattern=full_match(kind, text, escaped_by))
    return e.known(flag, e.is_missing(x, "string"))


def member(e: Emitter, x: str, values: Sequence[str]) -> Truth:
    """Whether a string is one of the constants: one look-up in a hash table."""
    keys, codes = ["", *values], [2, *([1] * len(values))]
    code = e.op(
        "LabelEncoder", x, domain="ai.onnx.ml", keys_strings=keys, values_int64s=codes, default_int64=0
    )
    return Truth(e.op("Equal", code, e.long(1)), e.op("Equal", code, e.long(0)))


def change_case(e: Emitter, x: str, action: str) -> str:
    """ASCII letters in the other case.

    StringNormalizer takes one dimension and at least one text, so that one is put at the end and taken off again;
    the locale C is there on every system.
    """
    first, last = (e.constant(np.array([n], dtype=np.int64)) for n in (0, -1))
    texts = e.op("Concat", e.op("Reshape", x, last), e.constant(np.array(["end"], dtype=object)), axis=0)
    changed = e.op("StringNormalizer", texts, case_change_action=action, is_case_sensitive=1, locale="C")
    return e.op("Reshape", e.op("Slice", changed, first, last), e.op("Shape", x), allowzero=1)


def of_integer(e: Emitter, x: str) -> str:
    """The decimal digits of whole numbers; NULL beyond 64 bits."""
    fits = e.op("Less", e.op("Abs", x), e.double(2.0**63))  # NaN does not fit either
    digits = e.cast(e.cast(e.where(fits, x, e.double(0.0)), "int64"), "string")
    return e.where(fits, digits, e.missing("string"))


def of_boolean(e: Emitter, x: Truth) -> str:
    """'true' or 'false'."""
    return e.where(x.true, e.text("true"), e.where(x.false, e.text("false"), e.missing("string")))
