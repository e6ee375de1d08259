"""ORT format with the same bytes each time.

onnxruntime writes one table of the file, which kernels take which types, in the order of a hash table that has another
seed each time. Here that table is written once more, sorted, behind the rest; the place where it was is left empty. The
format is a FlatBuffer; the fields' numbers are those of `ort.fbs` in onnxruntime's source.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

#: InferenceSession.kernel_type_str_resolver; every other table here has its fields in their order.
_RESOLVER = 3
_ALIGNED = 16

#: operator -> type's name -> (whether an input or output, its place).
_Kernels = dict[str, dict[str, list[tuple[int, int]]]]


def canonical(content: bytes) -> bytes:
    """The same model, byte for byte the same whenever it is written."""
    import flatbuffers
    from flatbuffers.table import Table

    file = bytearray(content)
    root = Table(file, struct.unpack_from("<I", file)[0])
    place = root.Offset(4 + 2 * _RESOLVER)
    if not place:
        return content
    at = root.Pos + place
    spans: list[tuple[int, int]] = []
    kernels = _read(Table(file, root.Indirect(at)), spans)
    start, stop = min(first for first, _ in spans), max(last for _, last in spans)
    file[start:stop] = bytes(stop - start)
    file += bytes(-len(file) % _ALIGNED)
    builder = flatbuffers.Builder(1024)
    builder.Finish(_written(builder, kernels))
    table = builder.Output()
    struct.pack_into("<I", file, at, len(file) + struct.unpack_from("<I", table)[0] - at)
    return bytes(file + table)


def _read(resolver: Any, spans: list[tuple[int, int]]) -> _Kernels:
    """The table; where its parts stand is added to `spans`."""
    found: _Kernels = {}
    for operator in _tables(resolver, 0, spans):
        types = found.setdefault(_text(operator, 0, spans), {})
        for one in _tables(operator, 1, spans):
            types[_text(one, 0, spans)] = [
                (_number(arg, 0, "b"), _number(arg, 1, "I")) for arg in _tables(one, 1, spans)
            ]
    spans.append(_span(resolver))
    return found


def _span(table: Any) -> tuple[int, int]:
    description = table.Pos - struct.unpack_from("<i", table.Bytes, table.Pos)[0]
    return table.Pos, table.Pos + struct.unpack_from("<H", table.Bytes, description + 2)[0]


def _tables(table: Any, field: int, spans: list[tuple[int, int]]) -> Iterator[Any]:
    from flatbuffers.table import Table

    place = table.Offset(4 + 2 * field)
    if not place:
        return
    first, count = table.Vector(place), table.VectorLen(place)
    spans.append((first - 4, first + 4 * count))
    for i in range(count):
        found = Table(table.Bytes, table.Indirect(first + 4 * i))
        spans.append(_span(found))
        yield found


def _text(table: Any, field: int, spans: list[tuple[int, int]]) -> str:
    at = table.Indirect(table.Pos + table.Offset(4 + 2 * field))
    size = struct.unpack_from("<I", table.Bytes, at)[0]
    spans.append((at, at + 4 + size + 1))
    return bytes(table.Bytes[at + 4 : at + 4 + size]).decode("utf-8")


def _number(table: Any, field: int, kind: str) -> int:
    place = table.Offset(4 + 2 * field)
    return int(struct.unpack_from(f"<{kind}", table.Bytes, table.Pos + place)[0]) if place else 0


def _written(builder: Any, kernels: _Kernels) -> int:
    operators = []
    for operator, types in sorted(kernels.items()):
        entries = []
        for name, args in sorted(types.items()):
            made = [_entry(builder, int8=kind, uint32=place) for kind, place in args]
            entries.append(_entry(builder, name=builder.CreateString(name), under=_vector(builder, made)))
        name, under = builder.CreateString(operator), _vector(builder, entries)
        operators.append(_entry(builder, name=name, under=under))
    return _entry(builder, name=_vector(builder, operators))


def _vector(builder: Any, offsets: list[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


def _entry(
    builder: Any, name: int = 0, under: int = 0, int8: int | None = None, uint32: int | None = None
) -> int:
    """A table of two fields at most: offsets, or numbers."""
    builder.StartObject(2)
    if int8 is not None:
        builder.PrependInt8Slot(0, int8, 0)
        builder.PrependUint32Slot(1, uint32, 0)
    else:
        builder.PrependUOffsetTRelativeSlot(0, name, 0)
        builder.PrependUOffsetTRelativeSlot(1, under, 0)
    return int(builder.EndObject())
