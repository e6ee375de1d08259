"""Changes of bytes, of JSON values and of protobuf's wire format."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from bessemer.testing.fuzz.values import BYTES, NUMBERS, TEXTS, any_value

#: Bodies are kept shorter than this: what is large is another test's matter.
LONGEST = 16_384


# bytes ---------------------------------------------------------------------------------------------
def mutate_bytes(random: Random, body: bytes, others: Sequence[bytes]) -> bytes:
    """One change of some bytes: a bit, a number of four bytes, a part that is cut, doubled, moved or another body's.

    >>> mutate_bytes(Random(1), b"hello", [b"world"]) != b"hello"
    True
    """
    if not body:
        return random.choice(BYTES)
    place = random.randrange(len(body))
    end = min(len(body), place + 1 + int(random.expovariate(0.1)))
    kind = random.randrange(9)
    if kind == 0:
        return body[:place] + bytes([body[place] ^ (1 << random.randrange(8))]) + body[place + 1 :]
    if kind == 1:
        return body[:place] + bytes([random.randrange(256)]) + body[place + 1 :]
    if kind == 2:
        return body[:place] + body[end:]
    if kind == 3:
        return body[:end] + body[place:end] * random.choice((1, 2, 30)) + body[end:]
    if kind == 4:
        return body[:place]
    if kind == 5:
        return body[:place] + random.choice(BYTES) + body[place if random.random() < 0.5 else end :]
    if kind == 6:
        at = place & ~3
        number = random.choice(
            (0, 1, 2, 4, 8, len(body), 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, random.getrandbits(32))
        )
        return body[:at] + number.to_bytes(4, random.choice(("little", "big"))) + body[at + 4 :]
    other = random.choice(others)
    cut = random.randrange(len(other) + 1)
    return body[:place] + other[cut:] if kind == 7 else body[:place] + other[cut : cut + 40] + body[end:]


# JSON ----------------------------------------------------------------------------------------------
def mutate_json(random: Random, value: Any) -> Any:
    """The value with one change somewhere inside it; what is not changed is shared.

    >>> mutate_json(Random(3), {"a": [1, 2]})
    {'a': [1, 2.0]}
    """
    if not isinstance(value, dict | list) or not value or random.random() < 0.05:
        return _replaced(random, value)
    if isinstance(value, dict):
        return _in_object(random, value)
    copy = list(value)
    place = random.randrange(len(copy))
    kind = random.randrange(12)
    if kind == 0:
        del copy[place]
    elif kind == 1:
        copy.insert(place, any_value(random))
    elif kind == 2:
        copy = copy * random.choice((2, 3, 20))
    elif kind == 3:
        copy[place] = [copy[place]]
    else:
        copy[place] = mutate_json(random, copy[place])
    return copy[:3000]


def _in_object(random: Random, value: dict[str, Any]) -> dict[str, Any]:
    key = random.choice(list(value))
    kind = random.randrange(12)
    if kind == 0:
        return {k: v for k, v in value.items() if k != key}
    if kind == 1:
        return {**value, random.choice(TEXTS): any_value(random)}
    if kind == 2:
        return {(random.choice(TEXTS) if k == key else k): v for k, v in value.items()}
    if kind == 3:
        return dict(sorted(value.items(), key=lambda item: random.random()))
    return {**value, key: mutate_json(random, value[key])}


def _replaced(random: Random, value: Any) -> Any:
    """Another value: mostly one that could stand there too."""
    kind = random.random()
    if kind < 0.05:
        return [value]
    if kind < 0.1:
        return {random.choice(TEXTS): value}
    if kind < 0.25:
        return None
    if kind < 0.6 and isinstance(value, bool):
        return not value
    if kind < 0.45 and isinstance(value, int | float):
        return random.choice(NUMBERS)
    if kind < 0.6 and isinstance(value, int | float):
        return random.choice((-value, value * 1000, f"{value}", [value, value], float(f"{value}"[:300])))
    if kind < 0.6 and isinstance(value, str):
        place = random.randrange(len(value) + 1)
        return random.choice((random.choice(TEXTS), value[:place] + random.choice(TEXTS) + value[place:]))
    return any_value(random)


def json_bytes(random: Random, value: Any) -> bytes:
    """JSON as lenient writers write it: NaN, huge numbers, half of a surrogate pair; sometimes deep."""
    text = json.dumps(value, ensure_ascii=random.random() < 0.5)
    if random.random() < 0.01:
        depth = random.choice((50, 500, 1000, 3000))
        text = "[" * depth + text + "]" * depth
    if random.random() < 0.02:
        text = text.replace(":", random.choice((" : ", ":\n", "::", ":+")))
    return text.encode("utf-8", "surrogatepass")


# protobuf ------------------------------------------------------------------------------------------
def read_varint(data: bytes, place: int) -> tuple[int, int]:
    """A varint and where it ends. ValueError: there is none.

    >>> read_varint(bytes([0xAC, 0x02]), 0)
    (300, 2)
    """
    found = shift = 0
    while place < len(data) and shift < 70:
        found |= (data[place] & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if data[place - 1] < 0x80:
            return found, place
    raise ValueError("no varint")


def varint(value: int) -> bytes:
    """A number as a varint.

    >>> varint(300).hex()
    'ac02'
    """
    found = bytearray()
    value &= 2**64 - 1
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def fields_of(data: bytes) -> list[tuple[int, int, bytes]]:
    """The fields of a message: number, wire type, content. ValueError: it is none.

    >>> fields_of(b"\\x0a\\x01x")
    [(1, 2, b'x')]
    """
    found: list[tuple[int, int, bytes]] = []
    place = 0
    while place < len(data):
        tag, place = read_varint(data, place)
        wire = tag & 7
        if wire == 0:
            start = place
            _, place = read_varint(data, place)
        elif wire == 2:
            size, start = read_varint(data, place)
            place = start + size
        elif wire in (1, 5):
            start, place = place, place + (8 if wire == 1 else 4)
        else:
            raise ValueError("no field")
        if place > len(data):
            raise ValueError("cut")
        found.append((tag >> 3, wire, data[start:place]))
    return found


def message_bytes(fields: Sequence[tuple[int, int, bytes]]) -> bytes:
    """The message of some fields."""
    return b"".join(
        varint(number << 3 | wire) + (varint(len(content)) if wire == 2 else b"") + content
        for number, wire, content in fields
    )


def mutate_message(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """A message with one field changed, absent, doubled or of another number; lengths stay right."""
    try:
        fields = fields_of(data)
    except ValueError:
        return mutate_bytes(random, data, others)
    if not fields:
        return random.choice(BYTES)
    place = random.randrange(len(fields))
    number, wire, content = fields[place]
    kind = random.randrange(10)
    if kind == 0:
        del fields[place]
    elif kind == 1:
        fields.insert(random.randrange(len(fields)), fields[place])
    elif kind == 2:
        fields[place] = (random.randrange(1, 20), wire, content)
    elif kind == 3:
        fields[place] = (
            number,
            2,
            random.choice((*BYTES, random.choice(TEXTS).encode("utf-8", "surrogatepass"))),
        )
    elif wire == 0:
        chosen = random.choice(NUMBERS)
        fields[place] = (number, 0, varint(int(chosen)) if abs(chosen) < 1e19 else varint(2**64 - 1))
    elif wire == 2:
        inner: Callable[..., bytes] = mutate_message if random.random() < 0.7 else mutate_bytes
        fields[place] = (number, 2, inner(random, content, others))
    else:
        fields[place] = (number, wire, random.randbytes(len(content)))
    return message_bytes(fields)
