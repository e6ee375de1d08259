"""What Elasticsearch must know before the first document comes: types of fields, and when indices go.

Indices are named PREFIX-KIND-DAY. A field whose name others choose (an input of a model) stands below its type, as
`in.number.age` and `in.text.contract`, so that two models or versions never disagree about one field.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

#: Numbers of this table's templates; raised when they change, so that a newer server's are not replaced by older ones.
REVISION = 1
KINDS = ("predictions", "labels", "windows", "tests", "findings")
#: Which indices go when the log's days go, and which with the monitor's store; in days.
KEEP: Mapping[str, int] = {"log": 90, "monitor": 365}
_GOES_WITH = {
    "predictions": "log",
    "labels": "log",
    "windows": "monitor",
    "tests": "monitor",
    "findings": "monitor",
}
_FIELDS = 5000

_KEYWORD: dict[str, Any] = {"type": "keyword", "ignore_above": 1024}
_DATE: dict[str, Any] = {"type": "date"}
_DOUBLE: dict[str, Any] = {"type": "double"}
_LONG: dict[str, Any] = {"type": "long"}
_BOOLEAN: dict[str, Any] = {"type": "boolean"}
_TEXT: dict[str, Any] = {"type": "text"}
_KEPT: dict[str, Any] = {"type": "object", "enabled": False}

_TYPES = {"number": _DOUBLE, "text": _KEYWORD, "boolean": _BOOLEAN, "time": _DATE}
_MODEL: dict[str, Any] = {"properties": {"name": _KEYWORD, "version": _KEYWORD}}
_SPAN: dict[str, Any] = {"properties": {"start": _DATE, "end": _DATE}}

PROPERTIES: Mapping[str, Mapping[str, Any]] = {
    "predictions": {
        "prediction_id": _KEYWORD,
        "client": _KEYWORD,
        "dialect": _KEYWORD,
        "latency_us": _LONG,
        "class": _KEYWORD,
    },
    "labels": {
        "prediction_id": _KEYWORD,
        "client": _KEYWORD,
        "class": _KEYWORD,
        "value": _DOUBLE,
        "sequence": _LONG,
    },
    "windows": {
        "window": _SPAN,
        "rows": _LONG,
        "looks": _LONG,
        "alarm": _BOOLEAN,
        "findings": _LONG,
        "tests": _LONG,
        "labelled": _LONG,
        "metric": _KEYWORD,
        "performance": {"properties": dict.fromkeys(("reference", "measured", "estimated"), _DOUBLE)},
        "check": _KEPT,
    },
    "tests": {
        "window": _SPAN,
        "column": _KEYWORD,
        "of": _KEYWORD,
        "detector": _KEYWORD,
        "statistic": _KEYWORD,
        "value": _DOUBLE,
        "p_value": _DOUBLE,
        "found": _BOOLEAN,
    },
    "findings": {
        "window": _SPAN,
        "notice": _KEYWORD,
        "kind": _KEYWORD,
        "severity": _KEYWORD,
        "subject": _KEYWORD,
        "column": _KEYWORD,
        "of": _KEYWORD,
        "detector": _KEYWORD,
        "statistic": _KEYWORD,
        "value": _DOUBLE,
        "threshold": _DOUBLE,
        "p_value": _DOUBLE,
        "since": _DATE,
        "title": _TEXT,
        "text": _TEXT,
        "todo": _TEXT,
        "body": _KEPT,
    },
}
#: Paths below which every field is of one type. They name no objects themselves: a template would be taken for those.
_DYNAMIC: Mapping[str, tuple[str, ...]] = {
    "predictions": tuple(f"{side}.{kind}.*" for side in ("in", "out") for kind in _TYPES),
    "windows": tuple(
        f"{kind}.{part}.*" for kind in ("measured", "estimated") for part in ("value", "low", "high")
    ),
}


def index_name(prefix: str, kind: str, day: str) -> str:
    """The index of a kind and a day.

    >>> index_name("bessemer", "predictions", "2026-01-31")
    'bessemer-predictions-2026.01.31'
    """
    return f"{prefix}-{kind}-{day.replace('-', '.')}"


def field_name(name: str) -> str:
    """A column's name as one field: dots would make it several, and a blank name is none.

    >>> field_name("monthly charges"), field_name("a.b"), field_name("50%"), field_name(" ")
    ('monthly charges', 'a%2Eb', '50%25', '%20')
    """
    safe = name.replace("%", "%25").replace(".", "%2E")
    return safe if safe.strip() else re.sub(r"\s", lambda found: f"%{ord(found[0]):02X}", safe) or "%"


def policies(prefix: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and body of each policy of index lifecycle management: indices are merged when their day is over, and go."""
    for name, days in KEEP.items():
        yield (
            f"{prefix}-{name}",
            {
                "phases": {
                    "hot": {"min_age": "0ms", "actions": {"set_priority": {"priority": 100}}},
                    "warm": {
                        "min_age": "2d",
                        "actions": {"set_priority": {"priority": 50}, "forcemerge": {"max_num_segments": 1}},
                    },
                    "delete": {"min_age": f"{days}d", "actions": {"delete": {}}},
                }
            },
        )


def component_templates(prefix: str, *, lifecycle: bool = True) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and body of each component template.

    Args:
        lifecycle: whether the server has index lifecycle management.
    """
    for name in KEEP:
        settings: dict[str, Any] = {"number_of_shards": 1, "mapping": {"total_fields": {"limit": _FIELDS}}}
        if lifecycle:
            settings["lifecycle"] = {"name": f"{prefix}-{name}"}
        yield (
            f"{prefix}-{name}-settings",
            {"template": {"settings": {"index": settings}}, "version": REVISION},
        )
    common = {"@timestamp": _DATE, "model": _MODEL}
    yield f"{prefix}-common", {"template": {"mappings": {"properties": common}}, "version": REVISION}


def index_templates(prefix: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and body of each composable index template."""
    for kind in KINDS:
        mappings: dict[str, Any] = {"properties": dict(PROPERTIES[kind])}
        if dynamic := [_dynamic(path) for path in _DYNAMIC.get(kind, ())]:
            mappings["dynamic_templates"] = dynamic
        yield (
            f"{prefix}-{kind}",
            {
                "index_patterns": [f"{prefix}-{kind}-*"],
                "priority": 300,
                "version": REVISION,
                "composed_of": [f"{prefix}-common", f"{prefix}-{_GOES_WITH[kind]}-settings"],
                "template": {"mappings": mappings},
                "_meta": {"description": f"{kind} of models that Bessemer serves", "managed_by": "bessemer"},
            },
        )


def _dynamic(path: str) -> dict[str, Any]:
    """Below a type's name every field is of that type; figures are numbers."""
    parts = path.split(".")
    return {"_".join(parts[:-1]): {"path_match": path, "mapping": _TYPES.get(parts[1], _DOUBLE)}}
