"""Raw values as callers have them: the readers beside an artefact take what the package takes, as it takes it."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bessemer.core.errors import DataError
from bessemer.core.signature import Field
from bessemer.export.readers import encoder, plain
from bessemer.package.records import rows_to_feeds

FIELDS = {
    "number": Field("x", "number", "float32"),
    "double": Field("x", "number", "float64"),
    "integer": Field("x", "integer", "float32"),
    "boolean": Field("x", "boolean", "float32"),
    "string": Field("x", "string", "string"),
    "timestamp": Field("x", "timestamp", "int64"),
}
_MOMENT = dt.datetime(2020, 2, 29, 23, 30, 0, 7)
VALUES: tuple[Any, ...] = (
    None, "", " ", float("nan"), pd.NA, pd.NaT, np.float32("nan"), Decimal("NaN"),
    0, 1, 2, -7, 2**40, 2**70, 10**400, True, False, np.bool_(True), np.int64(5), np.float32(0.1), 0.1, 1e300, 2.0,
    Decimal("1.5"), "1", "0", " 41 ", "1e3", "1_000", "0x10", "inf", "٣", "true", "True", " FALSE ", "yes", "Oslo", "☃",
    _MOMENT, _MOMENT.replace(tzinfo=dt.timezone(dt.timedelta(hours=-5))), dt.date(2020, 2, 29), np.str_("Oslo"),
    pd.Timestamp("2020-02-29T23:30:00Z"), np.datetime64("2020-02-29"), np.datetime64("NaT"),
    "2020-02-29", "2020-02-29T23:30:00", "2020-02-29 23:30:00.5", "2020-02-29T23:30:00Z", "2020-02-29T23:30:00+02:00",
    "2020-02-30", [], {}, b"x", 1j,
)  # fmt: skip


@pytest.mark.parametrize("kind", FIELDS)
def test_every_value_is_what_it_is_to_the_package(kind: str) -> None:
    field = FIELDS[kind]
    column = {"name": "x", "dtype": field.dtype, "tensor": field.tensor}
    refused = 0
    for value in VALUES:
        try:
            expected = rows_to_feeds([{"x": value}], [field])["x"]
        except DataError:
            refused += 1
            with pytest.raises(ValueError, match="column 'x'"):
                encoder.tensor([value], column)
            if not _numpy(value):
                with pytest.raises(ValueError, match="column 'x'"):
                    plain._read(value, column)
            continue
        found = encoder.tensor([value], column)
        assert found.dtype == expected.dtype
        assert _same(found.item(), expected.item()), value
        if not _numpy(value):
            assert _same(plain._read(value, column), expected.item()), value
    assert 0 < refused < len(VALUES)


def _numpy(value: Any) -> bool:
    """What the reader without NumPy knows nothing of."""
    return isinstance(value, np.generic)


def _same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and (a == b or (a != a and b != b))


def test_many_values_of_all_kinds_at_once() -> None:
    values = [value for value in VALUES if _taken(value, FIELDS["number"])]
    expected = rows_to_feeds([{"x": value} for value in values], [FIELDS["number"]])["x"]
    found = encoder.tensor(values, {"name": "x", "dtype": "number", "tensor": "float32"})
    assert np.array_equal(found, expected, equal_nan=True)


def _taken(value: Any, field: Field) -> bool:
    try:
        rows_to_feeds([{"x": value}], [field])
    except DataError:
        return False
    return True
