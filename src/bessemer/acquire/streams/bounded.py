"""Landing up to where a topic ends now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bessemer.acquire.streams.client import NoAnswer
from bessemer.acquire.streams.reader import Reader, uncollected

if TYPE_CHECKING:
    from bessemer.acquire.streams.client import Client
    from bessemer.acquire.streams.lander import Lander
    from bessemer.acquire.streams.options import KafkaSource


def land_to_end(client: Client, lander: Lander, options: KafkaSource) -> dict[int, int]:
    """Land every message that is committed when this is called; gives the offset behind the last of each partition.

    Raises:
        DataError: the brokers were away for as long as `patience` says, or too much cannot be read. What was landed
            until then stays, and the next call goes on behind it.
    """
    partitions = client.partitions(options.topic, options.patience)
    reader = Reader(client, lander, options)
    with reader.pump:
        ends: dict[int, int] = {}
        starts = reader.starts(partitions, ends)
        while left := {p: at for p, at in starts.items() if at < ends[p]}:
            _read(reader, left, ends)
            starts = reader.starts(left)
        reader.pump.flush()
        reader.pump.settle()
    return ends


def _read(reader: Reader, starts: dict[int, int], ends: dict[int, int]) -> None:
    """One pass over partitions that have something to land."""
    reader.assign(starts)
    left = set(starts)
    while left:
        missing = sum(ends[partition] - reader.positions.get(partition, 0) for partition in left)
        with uncollected():
            given = reader.read(0.2, max(missing, 1))  # who asks for more than there is waits in vain
            taken, reached = reader.sort(given, ends)
            del given
        if reader.restart():
            continue
        before = dict(reader.positions)
        reader.pump.take(taken)
        for partition, offset in reached.items():
            if reader.positions.get(partition) != before.get(partition):
                continue  # another writer has moved it: what was read up to the end is dropped, and comes again
            if offset >= ends[partition] and partition in left:
                reader.pump.reached(partition, ends[partition])
                reader.positions[partition] = max(ends[partition], reader.positions.get(partition, 0))
        done = {p for p in left if reader.positions.get(p, 0) >= ends[p]}
        if done:
            left -= done
            reader.pause(done)
        if left and reader.silence > reader.options.patience:
            raise reader.client.away(f"nothing came for {reader.options.patience:g} s", NoAnswer)
    reader.pump.flush()
    reader.pump.settle()
