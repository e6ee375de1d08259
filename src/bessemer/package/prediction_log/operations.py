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
    folder: str | Path,
    model: str,
    version: str | None,
    since: float,
    until: float,
    unreadable: Counter[str] | None = None,
) -> Iterator[Interval]:
    """The intervals that end after `since` and not after `until` (Unix times), streaming, in no particular order.

    version: None adds up all of the model's. unreadable: where lines are counted, by file, that are no interval and
    are passed over: of all the days that were looked at, for such a line has no time.
    share: of the process's rows of an interval, how many were this version's; 0 where the process had none.

    Raises:
        FormatError: the files are of a later format.
    """
    root = Path(folder) / FOLDER
    for day in _days(root, since, until):
        for path in sorted(day.glob("*" + SUFFIX)):
            for line in _lines(path, Counter() if unreadable is None else unreadable):
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
    return _added(interval.done for interval in intervals)


def _added(some: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    numbers: Counter[str] = Counter()
    lists: dict[str, list[int]] = {}
    for done in some:
        for name, value in done.items():
            if isinstance(value, list):
                known = lists.setdefault(name, [0] * len(value))
                lists[name] = [a + b for a, b in zip(known, value, strict=True)]
            elif not isinstance(value, Mapping):
                numbers[name] += value
    return {**numbers, **lists}


def _interval(line: Mapping[str, Any], process: str, model: str, version: str | None) -> Interval:
    found = [each for each in line["models"] if each["model"] == model and version in (None, each["version"])]
    done: Mapping[str, Any] = found[0]["done"] if len(found) == 1 else _added(each["done"] for each in found)
    rows = sum(each["done"].get("rows", 0) for each in line["models"]) if done else 0
    return Interval(
        *(line["time"], line["seconds"], process, done, sum(each.get("waiting", 0) for each in found)),
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


def _lines(path: Path, unreadable: Counter[str]) -> Iterator[dict[str, Any]]:
    try:
        file = path.open("rb")
    except FileNotFoundError:  # retention has removed it just now
        return
    with file:
        for line in file:
            value = _read(line)
            if value is None:
                unreadable[str(path)] += 1
            elif value["format"] > FORMAT:
                raise FormatError(
                    f"'{path}' has format {value['format']}, and this version reads {FORMAT}",
                    fix="pip install --upgrade bessemer",
                )
            elif _is_interval(value):
                yield value
            else:
                unreadable[str(path)] += 1


def _read(line: bytes) -> dict[str, Any] | None:
    """A line's object; None where it is none, or has no format."""
    try:
        value = orjson.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) and isinstance(value.get("format"), int) else None


def _is_interval(value: Mapping[str, Any]) -> bool:
    models = value.get("models")
    return (
        all(isinstance(value.get(name), int | float) for name in ("time", "seconds"))
        and isinstance(models, list)
        and all(isinstance(each, dict) and _is_model(each) for each in models)
    )


def _is_model(value: Mapping[str, Any]) -> bool:
    named = all(isinstance(value.get(name), str) for name in ("model", "version"))
    return named and isinstance(value.get("done"), dict)
