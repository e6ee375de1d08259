"""Messages in columns, as they came from the broker and before they are decoded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bessemer.acquire.streams import bodies

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

Headers = Sequence[tuple[str, bytes | None]] | None


@dataclass(frozen=True)
class Records:
    """n messages in the order in which they came.

    partitions, offsets, timestamps: (n,) int64; timestamps are milliseconds since 1970 in UTC, -1 where the message has
    none. values: n of Arrow's binary, null where a message has none. keys: n bytes or None. headers: n, or None where
    nobody asks for them.
    """

    partitions: np.ndarray
    offsets: np.ndarray
    timestamps: np.ndarray
    values: pa.ChunkedArray
    keys: list[bytes | None] | None = None
    headers: list[Headers] | None = None

    def __len__(self) -> int:
        return len(self.values)

    def only(self, mask: np.ndarray) -> Records:
        """The messages where the mask (n,) is true."""
        import numpy as np
        import pyarrow as pa

        if mask.all():
            return self
        rows = np.flatnonzero(mask).tolist()
        return Records(
            self.partitions[mask],
            self.offsets[mask],
            self.timestamps[mask],
            self.values.filter(pa.array(mask)),
            None if self.keys is None else [self.keys[row] for row in rows],
            None if self.headers is None else [self.headers[row] for row in rows],
        )

    def size(self) -> int:
        """The bytes of the values."""
        import pyarrow.compute as pc

        return pc.sum(pc.binary_length(self.values)).as_py() or 0

    def ends(self) -> dict[int, int]:
        """For each partition that has messages, the offset behind its last."""
        return {
            partition: int(self.offsets[self.partitions == partition].max()) + 1 for partition in self.there()
        }

    def there(self) -> list[int]:
        """The partitions that have messages, ascending."""
        import numpy as np

        found: list[int] = np.flatnonzero(np.bincount(self.partitions)).tolist()
        return found


def records_of(messages: Sequence[Any], *, keys: bool = False, headers: bool = False) -> Records:
    """Messages of the client, none of which is an error."""
    import numpy as np
    from confluent_kafka import Message

    count = len(messages)
    times = [time for _, time in map(Message.timestamp, messages)]
    return Records(
        np.fromiter(map(Message.partition, messages), np.int64, count),
        np.fromiter(map(Message.offset, messages), np.int64, count),
        np.asarray(times, np.int64),
        bodies.packed(list(map(Message.value, messages))),
        list(map(Message.key, messages)) if keys else None,
        list(map(Message.headers, messages)) if headers else None,
    )


def joined(parts: Sequence[Records]) -> Records:
    """Parts as one, in order; at least one part."""
    import numpy as np

    if len(parts) == 1:
        return parts[0]
    return Records(
        np.concatenate([part.partitions for part in parts]),
        np.concatenate([part.offsets for part in parts]),
        np.concatenate([part.timestamps for part in parts]),
        bodies.joined(part.values for part in parts),
        None if parts[0].keys is None else [key for part in parts for key in part.keys or ()],
        None if parts[0].headers is None else [each for part in parts for each in part.headers or ()],
    )


def text(value: bytes | None) -> str | None:
    """A key or a header as text; in base64 behind a mark where it is no UTF-8.

    >>> text(b"user-7"), text(bytes([255, 0]))
    ('user-7', 'base64:/wA=')
    """
    import base64

    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return "base64:" + base64.b64encode(value).decode()


def header_text(headers: Headers) -> str | None:
    """A message's headers as a JSON list of [name, value] in their order, as names may stand twice.

    >>> header_text([("trace", b"1"), ("trace", None)])
    '[["trace","1"],["trace",null]]'
    """
    import json

    if not headers:
        return None
    told: list[Mapping[str, Any] | list[str | None]] = [[name, text(value)] for name, value in headers]
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"))
