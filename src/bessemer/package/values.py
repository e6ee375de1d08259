"""The values of a column as a tensor has them: their types, the missing ones, and what is said of wrong ones."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import numpy as np

from bessemer.core.errors import DataError
from bessemer.core.signature import MISSING_TIMESTAMP, Field

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)
_SHOWN = 20

#: The numpy type of each tensor type.
NUMPY = {"float32": np.float32, "float64": np.float64, "int64": np.int64, "bool": np.bool_, "string": object}


def missing_tensor(field: Field) -> np.ndarray:
    """The (1, 1) tensor of a missing value of a field."""
    if field.tensor == "string":
        return np.array([[""]], dtype=object)
    missing = MISSING_TIMESTAMP if field.dtype == "timestamp" else float("nan")
    return np.array([[missing]], dtype=NUMPY[field.tensor])


def microseconds(text: str) -> int | None:
    """Microseconds since 1970 (UTC) of an ISO 8601 text; None for ''.

    Raises:
        ValueError: the text is no date and no time.

    >>> microseconds("1970-01-01T01:00:00+01:00"), microseconds("1970-01-02")
    (0, 86400000000)
    """
    return since_1970(dt.datetime.fromisoformat(text.strip())) if text else None


def since_1970(moment: dt.datetime) -> int:
    """Microseconds since 1970 (UTC) of a time; one without a zone is UTC."""
    return ((moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)) - _EPOCH) // _MICROSECOND


def shown(value: object) -> str:
    """A value as an error shows it: at most 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def refused(faults: Sequence[str]) -> DataError:
    """The error that names what is wrong with the columns of the data; there is at least one fault."""
    fix = "give the columns that signature.json of the package names, of its types"
    if len(faults) == 1:
        return DataError(faults[0], fix=fix)
    more = [f"... and {len(faults) - _SHOWN} more"] if len(faults) > _SHOWN else []
    return DataError(
        f"{len(faults)} columns cannot be fed to the model",
        why="\n       ".join([*faults[:_SHOWN], *more]),
        fix=fix,
    )
