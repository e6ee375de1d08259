"""A Kafka topic: its messages land in a Delta table, each once, and the data are that table."""

from __future__ import annotations

import hashlib
import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bessemer.acquire.kafka_reasons import reasons
from bessemer.acquire.protocol import Place, Relation
from bessemer.acquire.streams.decoded import RESERVED
from bessemer.acquire.streams.options import KafkaSource
from bessemer.core.errors import DataError, did_you_mean
from bessemer.core.sql import literal, quote

if TYPE_CHECKING:
    from bessemer.acquire.streams.lander import Lander
    from bessemer.core.stage import Context

__all__ = ["Kafka", "KafkaSource"]


class Kafka:
    """A topic. The offsets where its partitions end, or up to which they have landed, are the fingerprint."""

    def __init__(self, name: str, options: KafkaSource) -> None:
        self.name, self.options = name, options

    def uri(self) -> str:
        return f"kafka://{self.options.kafka}/{self.options.topic}"

    def fingerprint(self, place: Place) -> str:
        from bessemer.acquire.streams.open import client_of, table_of

        options = self.options
        client = client_of(self.name, options, place.project_dir, ends=False)
        table = table_of(self.name, options, place.project_dir)
        with closing(client), reasons(client, options, place.project_dir):
            partitions = client.partitions(options.topic, options.patience)
            highs = {p: client.watermarks(options.topic, p, options.patience)[1] for p in partitions}
        landed = table.nexts(partitions) if table.exists() else {}
        ends = {p: max(high, landed.get(p, 0)) for p, high in highs.items()}
        return hashlib.sha256(json.dumps([self.uri(), sorted(ends.items())]).encode()).hexdigest()

    def open(self, connection: Any, ctx: Context) -> Relation:
        from bessemer.acquire.streams.bounded import land_to_end
        from bessemer.acquire.streams.open import client_of, lander_of

        client = client_of(self.name, self.options, ctx.project_dir, ends=True)
        with closing(client), reasons(client, self.options, ctx.project_dir):
            # a name that is wrong must not make a table
            client.partitions(self.options.topic, self.options.patience)
            lander = lander_of(self.name, self.options, ctx.project_dir, ctx.warn)
            with ctx.progress(f"landing {self.options.topic}"):
                land_to_end(client, lander, self.options)
        self._tell(lander, ctx)
        folder = ctx.workdir / "streams" / hashlib.sha256(self.name.encode()).hexdigest()[:16]
        folder.mkdir(parents=True, exist_ok=True)
        return self._relation(lander, folder, ctx)

    def _relation(self, lander: Lander, folder: Path, ctx: Context) -> Relation:
        """The table, in the order of partitions and offsets: the same however it was landed."""
        from bessemer.acquire.streams.copy import copy_ordered
        from bessemer.acquire.streams.windows import snapshot

        columns = lander.table.columns()
        names = [name for name in columns if name not in RESERVED]
        if not names:
            unreadable, first = lander.table.unreadable()
            what = (
                f"no message of '{self.options.topic}' can be read: {first}"
                if unreadable
                else f"the topic '{self.options.topic}' has no messages"
            )
            raise DataError(what, fix=f"send some, or look into the Delta table '{lander.table.uri}'")
        if self.options.windows is not None:
            for name in (self.options.windows.time, *self.options.windows.by):
                if name not in names:
                    raise DataError(f"the messages have no field '{name}'", fix=did_you_mean(name, names))
        names += [f"_{name}" for name in self.options.metadata if f"_{name}" in columns]
        connection = ctx.connect(threads=1)
        with closing(connection):
            landed = copy_ordered(connection, lander.table, names, folder)
            if self.options.windows is not None:
                found = snapshot(connection, landed, self.options.windows, folder)
                for text in found.told:
                    ctx.note(text)
                return Relation(
                    f"SELECT * FROM read_parquet({literal(found.path)})", direct=True, files=(found.path,)
                )
        listed = ", ".join(map(quote, names))
        return Relation(f"SELECT {listed} FROM read_parquet({literal(landed)})", direct=True, files=(landed,))

    def _tell(self, lander: Lander, ctx: Context) -> None:
        counts, table = lander.counts, lander.table
        skipped = f", {counts.tombstones:,} tombstones" if counts.tombstones else ""
        ctx.note(
            f"{counts.rows:,} new messages of {self.options.topic}{skipped}; the table is at version {table.version}"
        )
        unreadable, first = table.unreadable()
        if unreadable:
            ctx.warn(
                f"{unreadable:,} messages of {self.options.topic}, {counts.poison:,} of them new, cannot be read; they "
                f"are in the Delta table with `_error` and `_raw`: {counts.first or first}"
            )
