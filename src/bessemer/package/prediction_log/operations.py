"""What servers have done, minute by minute: counters that stand beside a prediction log, which has answers only.

    FOLDER/_operations/date=YYYY-MM-DD/WRITER.jsonl

A line is what one process did in an interval. It is appended with one write, so that a kill leaves whole lines; a part
of a line (a full disk) is passed over.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from bessemer.core.errors import FormatError
from bessemer.package.prediction_log import layout

FOLDER = "_operations"
FORMAT = 1
SUFFIX = ".jsonl"
#: Counters are written when their minute ends: who looks at a span of time takes those that were written until so many
#: seconds before its end, so that none is in two spans, or in none.
LAG = 10.0


@dataclass(frozen=True)
class Interval:
    """What one process did up to a time.

    time: Unix time of its end; seconds: its length; process: which process.
    done: of the model, by the names of the server's statistics: `requests`, `failed`, `refused`, `late`, `rows`,
    `queue_seconds` ...; `latencies` are counts by the histogram's buckets. Empty where it did nothing.
    waiting: requests that were not answered yet at its end.
    refused: by status, what the server refused before any model saw it. dropped: records that were lost, by what.
    cpu: seconds, of all models together; memory: bytes, at its end; NaN and 0 where they are not known.
    cold_start: seconds from the process's start until it could answer, in its first interval; else None.
    """

    time: float
    seconds: float
    process: str
    done: Mapping[str, Any] = field(default_factory=dict)
    waiting: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)
    cpu: float = float("nan")
    memory: int = 0
    cold_start: float | None = None
    share: float = 1.0


def read_operations(
    folder: str | Path, model: str, version: str, since: float, until: float
) -> Iterator[Interval]:
    """The intervals that end after `since` and not after `until` (Unix times), streaming, in no particular order.

    share: of the process's rows of an interval, how many were this version's; 0 where the process had none.

    Raises:
        FormatError: the files are of a later format.
    """
    root = Path(folder) / FOLDER
    for day in _days(root, since, until):
        for path in sorted(day.glob("*" + SUFFIX)):
            for line in _lines(path):
                if since < line["time"] <= until:
                    yield _interval(line, path.stem, model, version)


def failures(
    folder: str | Path, model: str, version: str, since: float, until: float
) -> Iterator[tuple[float, int]]:
    """When requests failed or came too late, which no prediction tells of: Unix time, and how many.

    They are those of the intervals that a span from `since` to `until` takes (see `LAG`), their times within it.
    """
    for each in read_operations(folder, model, version, since - LAG, until - LAG):
        count = each.done.get("failed", 0) + each.done.get("late", 0)
        if count:
            yield each.time + LAG - 1e-3, count


def added(intervals: Iterable[Interval]) -> dict[str, Any]:
    """The sum of what was done.

    >>> one = Interval(60.0, 60.0, "a", {"requests": 3, "latencies": [1, 2]})
    >>> added([one, one])
    {'requests': 6, 'latencies': [2, 4]}
    """
    numbers: Counter[str] = Counter()
    lists: dict[str, list[int]] = {}
    for interval in intervals:
        for name, value in interval.done.items():
            if isinstance(value, list):
                known = lists.setdefault(name, [0] * len(value))
                lists[name] = [a + b for a, b in zip(known, value, strict=True)]
            elif not isinstance(value, Mapping):
                numbers[name] += value
    return {**numbers, **lists}


def _interval(line: Mapping[str, Any], process: str, model: str, version: str) -> Interval:
    found = [each for each in line["models"] if each["model"] == model and each["version"] == version]
    mine: Mapping[str, Any] = found[0] if found else {}
    done: Mapping[str, Any] = mine.get("done", {})
    rows = sum(each["done"].get("rows", 0) for each in line["models"]) if done else 0
    return Interval(
        *(line["time"], line["seconds"], process, done, mine.get("waiting", 0)),
        *(line.get("refused", {}), line.get("dropped", {})),
        cpu=line.get("cpu", float("nan")),
        memory=line.get("memory", 0),
        cold_start=line.get("cold_start"),
        share=done.get("rows", 0) / rows if rows else 0.0,
    )


def _days(root: Path, since: float, until: float) -> list[Path]:
    try:
        found = sorted(root.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    first, last = layout.day_of(max(since, 0.0)), layout.day_of(until)
    return [path for path in found if first <= path.name.removeprefix("date=") <= last]


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        file = path.open("rb")
    except FileNotFoundError:  # retention has removed it just now
        return
    with file:
        for line in file:
            try:
                value = orjson.loads(line)
            except ValueError:
                continue
            if value["format"] > FORMAT:
                raise FormatError(
                    f"'{path}' has format {value['format']}, and this version reads {FORMAT}",
                    fix="pip install --upgrade bessemer",
                )
            yield value
