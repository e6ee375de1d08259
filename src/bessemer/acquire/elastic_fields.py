"""From the mapping of an index to typed columns, and from hits to their rows."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal

from bessemer.core.errors import DataError, did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa

Kind = Literal["boolean", "integer", "unsigned", "number", "text", "time", "json"]
#: Columns, by the dotted paths of their fields.
Shape = dict[str, Kind]

_KINDS: Mapping[Kind, Collection[str]] = {
    "boolean": ("boolean",),
    "integer": ("long", "integer", "short", "byte", "token_count", "murmur3"),
    "unsigned": ("unsigned_long",),
    "number": ("double", "float", "half_float", "scaled_float", "rank_feature"),
    "text": (
        *("keyword", "constant_keyword", "wildcard", "text", "match_only_text", "annotated_text"),
        *("search_as_you_type", "ip", "version", "icu_collation_keyword", "semantic_text"),
    ),
    "time": ("date", "date_nanos"),
}
_OF_TYPE: Mapping[str, Kind] = {name: kind for kind, names in _KINDS.items() for name in names}
#: What is no value to learn from, or stands under another name already.
_LEFT_OUT = frozenset({"alias", "binary", "percolator", "completion"})
#: Java's pattern: UTC, to the microsecond, whatever the format that the documents have.
_TIME = "uuuu-MM-dd'T'HH:mm:ss.SSSSSSXXX"
_NESTED = ".*"


def fields_of(mappings: Sequence[Mapping[str, Any]]) -> Shape:
    """The columns of all indices of a pattern.

    Objects are taken apart, their paths dotted. Where indices disagree about a field, numbers become `number`, and
    everything else text. What has no simple type (nested documents, points, ranges, vectors) is JSON text.

    >>> one = {"properties": {"a": {"type": "long"}, "o": {"properties": {"p": {"type": "date"}}}}}
    >>> fields_of([one, {"properties": {"a": {"type": "double"}}}])
    {'a': 'number', 'o.p': 'time'}
    """
    found: Shape = {}
    for mapping in mappings:
        runtime = ((name, _kind(str(said.get("type")))) for name, said in mapping.get("runtime", {}).items())
        for name, kind in (*_leaves(mapping.get("properties", {})), *runtime):
            found[name] = kind if name not in found else _both(found[name], kind)
    return found


def _leaves(properties: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Kind]]:
    for name, said in properties.items():
        type_ = said.get("type", "object")
        if type_ in _LEFT_OUT:
            continue
        if type_ == "object":
            if said.get("enabled", True) is not False:
                yield from _leaves(said.get("properties", {}), f"{path}{name}.")
        else:
            yield path + name, _kind(type_)


def _kind(type_: str) -> Kind:
    return _OF_TYPE.get(type_, "json")


def _both(one: Kind, other: Kind) -> Kind:
    if one == other:
        return one
    return "number" if {one, other} <= {"integer", "unsigned", "number"} else "text"


def named(there: Shape, asked: Sequence[str], fields: Sequence[str], where: str) -> Shape:
    """The columns that `fields` names, by name or by pattern and in its order; all where it names none.

    Args:
        asked: every name that must be there.

    Raises:
        DataError: one is not.

    >>> named({"a": "text", "o.p": "time", "o.q": "text"}, ["o.*"], ["o.*"], "")
    {'o.p': 'time', 'o.q': 'text'}
    """
    for pattern in asked:
        if not any(fnmatchcase(name, pattern) for name in there):
            raise DataError(f"'{where}' has no field '{pattern}'", fix=did_you_mean(pattern, there))
    if not fields:
        return there
    return {name: kind for each in fields for name, kind in there.items() if fnmatchcase(name, each)}


class Fields:
    """How columns are asked for, and rows made of what comes.

    Args:
        shape: the columns. lists: those that may have several values in one document: they become lists.
        where: what the source is called in errors.
    """

    def __init__(self, shape: Shape, lists: Sequence[str], where: str) -> None:
        self._shape, self._where = shape, where
        self._lists = {name for name in shape if any(fnmatchcase(name, each) for each in lists)}

    @property
    def asked(self) -> list[dict[str, str]]:
        """What the `fields` of a search has; of nested documents the fields below."""
        found = []
        for name, kind in self._shape.items():
            if kind == "time":
                found.append({"field": name, "format": _TIME})
            else:
                found.append({"field": name})
                if kind == "json":
                    found.append({"field": name + _NESTED})
        return found

    def batch(self, hits: Sequence[Mapping[str, Any]]) -> pa.RecordBatch:
        """The rows of a page: a field that a document does not have is null.

        Raises:
            DataError: a document has several values where one is expected, or one that is not of the field's type.
        """
        import pyarrow as pa

        columns = [
            pa.array([self._cell(hit, name) for hit in hits], self._type(name)) for name in self._shape
        ]
        return pa.record_batch(columns, names=list(self._shape))

    def _type(self, name: str) -> pa.DataType:
        import pyarrow as pa

        kinds = {
            "boolean": pa.bool_(),
            "integer": pa.int64(),
            "unsigned": pa.uint64(),
            "number": pa.float64(),
            "text": pa.string(),
            "json": pa.string(),
            "time": pa.timestamp("us"),
        }
        found = kinds[self._shape[name]]
        return pa.list_(found) if name in self._lists and self._shape[name] != "json" else found

    def _cell(self, hit: Mapping[str, Any], name: str) -> Any:
        kind = self._shape[name]
        values = hit.get("fields", {}).get(name)
        if values is None and kind == "text":  # longer than `ignore_above`: not indexed, and still there
            values = hit.get("ignored_field_values", {}).get(name)
        if values is None:
            return None
        if kind == "json":
            return json.dumps(values[0] if len(values) == 1 else values, ensure_ascii=False)
        try:
            made = [_VALUES[kind](value) for value in values]
        except (ValueError, TypeError, OverflowError, LookupError) as error:
            raise DataError(
                f"'{self._where}': the field '{name}' of document {hit.get('_id')!r} is no {kind}",
                why=str(error),
                fix="leave such documents out by `query`, or the field by `fields`",
            ) from None
        if name in self._lists:
            return made
        if len(made) > 1:
            raise DataError(
                f"'{self._where}': the field '{name}' of document {hit.get('_id')!r} has {len(made)} values",
                fix=f"write `lists: [{name}]` to read it as a list, or leave it out by `fields`",
            )
        return made[0] if made else None


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False, "": False}[str(value)]


def _integer(value: Any) -> int:
    if isinstance(value, bool):
        raise ValueError(f"{value} is no number")
    return value if isinstance(value, int) else int(float(value))


def _number(value: Any) -> float:
    if isinstance(value, bool):
        raise ValueError(f"{value} is no number")
    return float(value)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def _time(value: Any) -> dt.datetime:
    """Naive and UTC, of ISO 8601 or of milliseconds since 1970.

    >>> _time("2026-01-01T01:00:00.5+01:00"), _time(1000)
    (datetime.datetime(2026, 1, 1, 0, 0, 0, 500000), datetime.datetime(1970, 1, 1, 0, 0, 1))
    """
    if isinstance(value, int | float):
        return dt.datetime(1970, 1, 1) + dt.timedelta(milliseconds=value)
    moment = dt.datetime.fromisoformat(str(value))
    return moment.astimezone(dt.UTC).replace(tzinfo=None) if moment.tzinfo else moment


_VALUES: Mapping[Kind, Any] = {
    "boolean": _boolean,
    "integer": _integer,
    "unsigned": _integer,
    "number": _number,
    "text": _text,
    "time": _time,
}
