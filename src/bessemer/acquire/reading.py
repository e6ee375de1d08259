"""What sources that stand on a library of their own share: its errors told of the source, moments, columns."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from bessemer.acquire.options import Incremental
from bessemer.core.errors import BessemerError, DataError, did_you_mean


def parse_moment(value: Any) -> str:
    """A moment as ISO 8601, UTC where it says no zone, from what YAML made of it.

    >>> parse_moment("2024-07-01 12:00"), parse_moment(dt.date(2024, 7, 1))
    ('2024-07-01T12:00:00+00:00', '2024-07-01T00:00:00+00:00')
    """
    if isinstance(value, str):
        try:
            value = dt.datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(f"'{value}' is no time: write 2024-07-01T12:00:00Z") from None
    if not isinstance(value, dt.date):
        raise ValueError(f"{value!r} is no time: write 2024-07-01T12:00:00Z")
    if not isinstance(value, dt.datetime):
        value = dt.datetime(value.year, value.month, value.day)
    moment: dt.datetime = value if value.tzinfo else value.replace(tzinfo=dt.UTC)
    return moment.astimezone(dt.UTC).isoformat()


#: A moment of a project file: ISO 8601 in UTC.
Moment = Annotated[str, BeforeValidator(parse_moment, json_schema_input_type=str)]
Columns = Annotated[tuple[str, ...], Field(strict=False, description="The columns to read; all by default.")]


def words_of(error: Exception, lines: int = 3) -> str:
    """What a library's error says, on one line: its first lines, without colours.

    >>> words_of(ValueError("no\\n  \\x1b[31m↳\\x1b[0m such thing"))
    'no; such thing'
    """
    plain = [re.sub(r"\x1b\[[0-9;]*m|↳", "", line).strip() for line in str(error).splitlines()]
    return "; ".join([line for line in plain if line][:lines])


@contextmanager
def told(uri: str, fix: str) -> Iterator[None]:
    """Whatever a library raises while it reads becomes one error that names the source and says what to do."""
    try:
        yield
    except BessemerError:
        raise
    except Exception as error:
        why = f"{type(error).__name__}: {words_of(error)}"
        raise DataError(f"'{uri}' cannot be read", why=why, fix=fix) from error


def chosen(wanted: Sequence[str], there: Sequence[str], uri: str) -> list[str]:
    """The columns to read: those that are named, or all.

    Raises:
        DataError: one is not there.

    >>> chosen([], ["a", "b"], "x"), chosen(["b"], ["a", "b"], "x")
    (['a', 'b'], ['b'])
    """
    for name in wanted:
        if name not in there:
            raise DataError(f"'{uri}' has no column '{name}'", fix=did_you_mean(name, there))
    return list(wanted or there)


def check_kept(columns: Sequence[str], incremental: Incremental | None, setting: str) -> None:
    """Refuse a choice of columns without those that `incremental` goes by.

    Raises:
        ValueError: one is left out.

    >>> check_kept(["id"], None, "columns")
    """
    needed = [incremental.cursor, *incremental.key] if columns and incremental else []
    if missing := [name for name in needed if name not in columns]:
        raise ValueError(f"`{setting}` leaves out '{missing[0]}', which `incremental` goes by")


def nearest(path: Path) -> str:
    """What to do where a folder is not there: the nearest name beside it."""
    folder = path.parent
    if not folder.is_dir():
        return f"the folder {folder} does not exist"
    names = sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))
    return did_you_mean(path.name, names)
