"""Names of the folders and files of a prediction log.

    FOLDER/MODEL/VERSION/date=YYYY-MM-DD/part-SEGMENT.parquet    predictions
    FOLDER/MODEL/_labels/date=YYYY-MM-DD/part-SEGMENT.parquet    labels
    FOLDER/_journal/SEGMENT.journal                              what is not in Parquet yet

Dates are UTC. Names that begin with `.` are unfinished and nobody's business.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

JOURNALS = "_journal"
LABELS = "_labels"
SEGMENT_SUFFIX = ".journal"

_DAY = 86_400
_EPOCH = dt.date(1970, 1, 1).toordinal()
_FIRST = (dt.date.min.toordinal() - _EPOCH) * _DAY
_END = (dt.date.max.toordinal() + 1 - _EPOCH) * _DAY


@dataclass(frozen=True)
class Part:
    """A finished Parquet file. `date`: 'YYYY-MM-DD'. `segment`: the journal segment it was made from."""

    path: Path
    date: str
    segment: str


def folder_name(name: str) -> str:
    """A model's or version's name as a folder's: never empty, hidden, outside, or one of ours.

    >>> folder_name("churn"), folder_name("a/b"), folder_name(".."), folder_name("_labels")
    ('churn', 'a%2Fb', '%2E.', '%5Flabels')
    """
    if not name:
        raise ValueError("a model or version without a name cannot be logged")
    quoted = quote(name, safe="")
    return f"%{ord(quoted[0]):02X}{quoted[1:]}" if quoted[0] in "._" else quoted


def day_of(seconds: float) -> str:
    """The UTC date of a Unix time.

    >>> day_of(0.0), day_of(1767225600.5)
    ('1970-01-01', '2026-01-01')
    """
    return dt.date.fromordinal(_EPOCH + int(seconds // _DAY)).isoformat()


def has_day(seconds: float) -> bool:
    """Whether a Unix time has a date: years 1 to 9999.

    >>> has_day(0.0), has_day(9e12), has_day(float("nan"))
    (True, False, False)
    """
    return _FIRST <= seconds < _END


def part_name(segment: str) -> str:
    """The one name a segment's rows have in any partition, so that writing them twice replaces them."""
    return f"part-{segment}.parquet"


def partition(folder: Path, model: str, version: str | None, date: str) -> Path:
    """The folder of a day's predictions, or of its labels where `version` is None."""
    return (
        folder / folder_name(model) / (LABELS if version is None else folder_name(version)) / f"date={date}"
    )


def models(folder: Path) -> list[str]:
    """The models that have something in a log, by name."""
    return sorted(unquote(path.name) for path in _folders(folder))


def versions(folder: Path, model: str) -> list[str]:
    """The versions of a model that have predictions in Parquet, by name."""
    return sorted(unquote(path.name) for path in _folders(folder / folder_name(model)))


def parts(where: Path, since: str = "", until: str = "9999-12-31") -> Iterator[Part]:
    """The finished files below a version's or the labels' folder, for the dates from `since` to `until`."""
    for day in _listed(where):
        date = day.name.removeprefix("date=")
        if day.name.startswith("date=") and since <= date <= until:
            for path in _listed(day):
                if path.name.startswith("part-") and path.suffix == ".parquet":
                    yield Part(path, date, path.stem.removeprefix("part-"))


def segments(folder: Path) -> list[Path]:
    """The journal segments that are there, oldest first within a writer."""
    return [path for path in _listed(folder / JOURNALS) if _is_segment(path)]


def _is_segment(path: Path) -> bool:
    return path.suffix == SEGMENT_SUFFIX and not path.name.startswith(".")


def _folders(where: Path) -> list[Path]:
    return [path for path in _listed(where) if path.name[0] not in "._" and path.is_dir()]


def _listed(where: Path) -> list[Path]:
    try:
        return sorted(where.iterdir())
    except (FileNotFoundError, NotADirectoryError):  # retention may remove a day while it is listed
        return []
