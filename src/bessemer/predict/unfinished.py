"""What is written down of files that are not finished, and of a folder that is."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from bessemer.core.errors import UsageError
from bessemer.predict.protocol import Progress

if TYPE_CHECKING:
    from bessemer.predict.places import Place

#: Beside the parts of a folder that is complete: its rows and parts, and the job that made them.
DONE = "_SUCCESS"


class Part(NamedTuple):
    """A finished file: its size in bytes says whether it is still the one that was written."""

    name: str
    rows: int
    size: int


@dataclass
class State:
    """A job that writes files, as it was when everything in it was safe on disk.

    progress: what the finished parts and the growing file hold. size, notes: lengths of the growing file and its
    notes. before: the rows of the finished parts. sealed: the growing file is whole and is about to take its
    place under this name. last: there is no part after it.
    """

    key: str
    progress: Progress = field(default_factory=Progress)
    parts: list[Part] = field(default_factory=list)
    size: int = 0
    notes: int = 0
    before: int = 0
    sealed: str = ""
    last: bool = False

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"parts": [list(part) for part in self.parts]}

    @classmethod
    def from_json(cls, found: Mapping[str, Any] | None) -> State | None:
        """The state; None where there is none, or one that another version wrote."""
        try:
            made = cls(**found) if found else None
            if made:
                made.progress = Progress(**found["progress"]) if found else Progress()
                made.parts = [Part(*part) for part in made.parts]
        except TypeError:
            return None
        return made


def finished(place: Place) -> tuple[str, list[Part]] | None:
    """The key and the parts of a complete folder; None where it is not complete."""
    try:
        found = json.loads(place.read(DONE) or b"null")
        return (str(found["key"]), [Part(*part) for part in found["parts"]]) if found else None
    except (ValueError, KeyError, TypeError):
        return None


def all_there(place: Place, parts: Iterable[Part]) -> bool:
    return all(place.size(part.name) == part.size for part in parts)


def make_room(place: Place, where: str, suffix: str, *, ours: bool) -> None:
    """Remove an earlier job's parts from a folder; with files of others in it, refuse.

    Args:
        ours: whether what is named as our parts are was made by an earlier job.

    Raises:
        UsageError: the folder has other files.
    """
    found = [name for name in place.names() if not name.startswith((".", "_"))]
    foreign = [name for name in found if not (ours and is_part(name, suffix))]
    if foreign:
        raise UsageError(
            f"the folder '{where}' has other files: {', '.join(foreign[:5])}",
            why="a folder of parts is read as one table, and holds the rows of one job",
            fix="give an empty folder, or a new one",
        )
    place.remove(DONE)  # first: the folder is not complete any more
    for name in found:
        place.remove(name)


def part_name(number: int, suffix: str) -> str:
    return f"part-{number:05d}{suffix}"


def is_part(name: str, suffix: str) -> bool:
    """Whether a file is named as a part is.

    >>> is_part("part-00012.parquet", ".parquet"), is_part("part-1.csv", ".csv")
    (True, False)
    """
    number = name.removeprefix("part-").removesuffix(suffix)
    return number.isdigit() and name == part_name(int(number), suffix)
