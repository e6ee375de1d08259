"""Where the time goes when a topic of JSON is landed, and what else could parse it: CPU of each part, without a broker.

    .venv/bin/python benchmarks/kafka_parts.py [--messages 100000] [--rounds 7]

The messages are those of `kafka.py`. Each part is measured alone, the least of some rounds: microseconds of CPU a
message, of all threads. The libraries are given the types; the scanner's columns are checked against Arrow's.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
from kafka import json_values

from bessemer.acquire.streams.bodies import packed
from bessemer.acquire.streams.decoders.json import JsonDecoder, _parsed
from bessemer.acquire.streams.decoders.scanned import scanned
from bessemer.acquire.streams.lander import Lander
from bessemer.acquire.streams.pump import CHUNK
from bessemer.acquire.streams.reader import uncollected
from bessemer.acquire.streams.records import Records, joined, records_of
from bessemer.acquire.streams.table import LandingTable

FIELDS = {
    "id": pa.int64(),
    "user": pa.string(),
    "amount": pa.float64(),
    "page": pa.string(),
    "ok": pa.bool_(),
    "at": pa.string(),
    "session": pa.string(),
}


def messages_of(values: list[bytes]) -> list[list[Any]]:
    """Messages as the client gives them, in as many calls as it takes."""
    from confluent_kafka import Message

    made = [
        Message(topic="clicks", value=value, partition=0, offset=at, timestamp=(1, 1_767_225_600_000 + at))
        for at, value in enumerate(values)
    ]
    return [made[start : start + CHUNK] for start in range(0, len(made), CHUNK)]


def parsers(values: list[bytes]) -> dict[str, Callable[[], Any]]:
    """The ways to parse that are compared."""
    import duckdb
    import msgspec
    import polars as pl

    lines, bodies = b"\n".join(values), packed(values)
    connection = duckdb.connect(":memory:", config={"threads": 1})
    connection.register("messages", pa.table({"v": bodies.cast(pa.string())}))
    types = (
        '{"id":"BIGINT","user":"VARCHAR","amount":"DOUBLE","page":"VARCHAR","ok":"BOOLEAN","at":"VARCHAR",'
        '"session":"VARCHAR"}'
    )
    schema = {name: pl.from_arrow(pa.array([], kind)).dtype for name, kind in FIELDS.items()}
    plain = {"int64": int, "string": str, "double": float, "bool": bool}
    struct = msgspec.defstruct("Click", [(name, plain[str(kind)]) for name, kind in FIELDS.items()], gc=False)
    objects = msgspec.json.Decoder(struct)
    return {
        "scanner (_scanner.c)": lambda: scanned(bodies, FIELDS, only=False),
        "DuckDB, from_json_strict": lambda: connection.sql(
            f"SELECT unnest(from_json_strict(v, '{types}')) FROM messages"
        ).to_arrow_table(),
        "polars, read_ndjson": lambda: pl.read_ndjson(lines, schema=schema),
        "msgspec, objects without columns": lambda: objects.decode_lines(lines),
        "Arrow, read_json": lambda: _parsed(lines, FIELDS, flat=True, only=False),
    }


def measured(what: str, part: Callable[[], Any], messages: int, rounds: int) -> Any:
    """Say the CPU of a part, microseconds a message; gives what it gives."""
    least = float("inf")
    for _ in range(rounds):
        start = time.process_time()
        made = part()
        least = min(least, time.process_time() - start)
    print(f"{what:40} {least / messages * 1e6:.3f} us", flush=True)
    return made


def taken(values: list[bytes], rounds: int) -> Records:
    """Messages as the lander takes them."""
    with uncollected():
        chunks = messages_of(values)
        part = partial(map, records_of, chunks)
        return measured(
            "fields of messages, values packed", lambda: joined(list(part())), len(values), rounds
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=7)
    asked = parser.parse_args()
    values = list(json_values(asked.messages))
    records = taken(values, asked.rounds)
    for name, parse in parsers(values).items():
        measured(name, parse, asked.messages, asked.rounds)
    found = scanned(records.values, FIELDS, only=False)
    assert found is not None
    assert found.equals(_parsed(b"\n".join(values), FIELDS, flat=True, only=False))
    with tempfile.TemporaryDirectory() as folder:
        lander = Lander(LandingTable(str(Path(folder) / "clicks"), "clicks"), JsonDecoder())
        lander.begin([0])
        made = measured(
            "rows for the table", lambda: lander._made(records, FIELDS), asked.messages, asked.rounds
        )
        ends = count(1)
        measured(
            "Parquet and the commit",
            lambda: lander.table.append(made.table, {0: next(ends)}),
            asked.messages,
            asked.rounds,
        )


if __name__ == "__main__":
    main()
