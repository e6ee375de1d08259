"""Messages of gRPC filled at random, for methods of which there is no example."""

from __future__ import annotations

from random import Random
from typing import Any

from bessemer.serve import protos
from bessemer.testing.fuzz.values import BYTES, NUMBERS, TEXTS

_MOST_DEPTH = 7


def input_of(path: str) -> Any | None:
    """The class of the message that a method takes; None where its service is not described.

    >>> input_of("/inference.GRPCInferenceService/ModelInfer").DESCRIPTOR.name
    'ModelInferRequest'
    """
    service, _, method = path.strip("/").rpartition("/")
    try:
        found = protos.pool().FindServiceByName(service).methods_by_name[method]
    except KeyError:
        return None
    return protos.message(found.input_type.full_name)


def filled(random: Random, kind: Any, depth: int = 0) -> Any:
    """A message of a class with some of its fields set."""
    made = kind()
    for field in kind.DESCRIPTOR.fields:
        if depth > _MOST_DEPTH or random.random() < 0.4:
            continue
        if field.is_repeated:
            _fill_repeated(random, made, field, depth)
        elif field.message_type is not None:
            inner = filled(random, type(getattr(made, field.name)), depth + 1)
            getattr(made, field.name).CopyFrom(inner)
        else:
            setattr(made, field.name, _scalar(random, field))
    return made


def _fill_repeated(random: Random, made: Any, field: Any, depth: int) -> None:
    holder = getattr(made, field.name)
    for _ in range(random.randrange(4)):
        if field.message_type is None:
            holder.append(_scalar(random, field))
        elif field.message_type.GetOptions().map_entry:
            key, value = (field.message_type.fields_by_name[name] for name in ("key", "value"))
            name = _scalar(random, key)
            if value.message_type is None:
                holder[name] = _scalar(random, value)
            else:
                holder[name].CopyFrom(filled(random, type(holder[name]), depth + 1))
        else:
            holder.append(filled(random, protos.message(field.message_type.full_name), depth + 1))


def _scalar(random: Random, field: Any) -> Any:
    """A value that the field can have."""
    kind = field.cpp_type
    if kind == field.CPPTYPE_STRING:
        if field.type == field.TYPE_BYTES:
            return random.choice(BYTES)
        return random.choice(TEXTS).encode("utf-8", "ignore").decode()
    if kind == field.CPPTYPE_BOOL:
        return random.random() < 0.5
    if kind == field.CPPTYPE_ENUM:
        return random.choice(field.enum_type.values).number
    number = random.choice(NUMBERS)
    if kind in (field.CPPTYPE_DOUBLE, field.CPPTYPE_FLOAT):
        return float(min(max(number, -(10**300)), 10**300))
    bits = 32 if kind in (field.CPPTYPE_INT32, field.CPPTYPE_UINT32) else 64
    whole = int(number) if number == number and abs(number) < 1e300 else 0
    whole &= 2**bits - 1
    signed = kind in (field.CPPTYPE_INT32, field.CPPTYPE_INT64)
    return whole - 2**bits if signed and whole >= 2 ** (bits - 1) else whole
