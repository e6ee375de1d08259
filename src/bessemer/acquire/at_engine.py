"""The project's SQL at an engine: sources go there or are there already, and all rows or a sample come back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bessemer.acquire.batches import spool
from bessemer.acquire.landing import land
from bessemer.acquire.personal import key_mark
from bessemer.acquire.spec import AcquireSpec
from bessemer.core import canonical
from bessemer.core.parquet import write_parquet
from bessemer.core.sql import quote
from bessemer.engines.columns import Column, describe
from bessemer.engines.columns import canonical as landed
from bessemer.engines.remote import Query, Remote
from bessemer.engines.table import HASH, keep, opened

if TYPE_CHECKING:
    from bessemer.core.stage import Context

_CASTS = {
    "TIMESTAMP_NS": "TIMESTAMP",
    "TIMESTAMP_S": "TIMESTAMP",
    "TIMESTAMP_MS": "TIMESTAMP",
    "UBIGINT": "DECIMAL(20,0)",
}
_CASTS |= {
    "HUGEINT": "DECIMAL(38,0)",
    "UHUGEINT": "DECIMAL(38,0)",
    "UTINYINT": "SMALLINT",
    "USMALLINT": "INTEGER",
}
_CASTS |= {"UINTEGER": "BIGINT", '"NULL"': "VARCHAR"}
_KEPT = {
    "BOOLEAN",
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "FLOAT",
    "DOUBLE",
    "VARCHAR",
    "DATE",
    "TIMESTAMP",
}
_KEPT |= {"TIMESTAMP WITH TIME ZONE"}


class AtEngine:
    """One run's sources at the engine that the project names."""

    def __init__(self, spec: AcquireSpec, ctx: Context) -> None:
        self.spec, self.ctx = spec, ctx
        self.name, self.settings = next(iter(spec.engine.items()))
        self.engine = opened(self.name, self.settings, ctx)
        self.remote = Remote(self.engine, self.name)

    def find(self, name: str, kind: str, options: Any) -> bool:
        """Whether the source is a table at the engine; it is known to the SQL then."""
        relation = self.engine.find(kind, options)
        if relation is not None:
            self.remote.add(name, relation)
        return relation is not None

    def bring(self, name: str, query: str, connection: Any) -> int:
        """Take a query's rows to the engine as table `name`; gives their number.

        What engines do not know lands first: nested values as JSON, times of day as seconds; binary data is left out.
        """
        file = self.ctx.workdir / f"brought-{len(self.remote.tables)}.parquet"
        columns = describe(connection, f"({query})")
        plain = [(column, *_plain(column, kind)) for column, kind in columns]
        kept = [(column, sql, kind) for column, sql, kind in plain if sql]
        listed = ", ".join(f"{sql} AS {quote(column)}" for column, sql, _ in kept)
        rows = write_parquet(connection, f"SELECT {listed} FROM ({query})", file)
        self.remote.add(name, self.engine.load(name, [file]), [(column, kind) for column, _, kind in kept])
        file.unlink()
        return rows

    def land(
        self, records: Mapping[str, Mapping[str, Any]], connection: Any, target: Path
    ) -> tuple[list[Column], dict[str, Any] | None]:
        """Run the SQL and land what comes back, in the order of the rows' hash, which is the same in every run.

        Args:
            records: what the record of the run says of each source.

        Returns:
            the columns, and where there is a sample what `engines.table.reopened` needs for the whole.
        """
        sql = self.spec.sql or f"SELECT * FROM {quote(next(iter(self.spec.sources)))}"
        query = self.remote.query(sql)
        seed = int(self.ctx.rng("sample").integers(2**32))
        with self.ctx.progress(f"running the SQL on {self.name}"):
            if self.spec.sample is None:
                found, _ = spool(self.engine.batches(query.sql), self._folder(), self.name)
                order = f"md5(concat({', '.join(_texts(query))}))"
                return land(connection, f"({found} ORDER BY {order})", target, self.ctx), None
            whole = keep(self.engine, self.name, self._kept(sql, records), query, seed)
            found, _ = spool(whole.sample(self.spec.sample), self._folder(), self.name)
        ordered = f"(SELECT * EXCLUDE ({HASH}) FROM ({found}) ORDER BY {HASH})"
        columns = land(connection, ordered, target, self.ctx)
        self.ctx.note(f"{whole.rows:,} rows stay at {self.name} as '{whole.kept}'; a sample of them is here")
        return columns, whole.to_json(self.settings, self.spec.sample)

    def close(self) -> None:
        self.engine.close()

    def _folder(self) -> Path:
        return self.ctx.workdir / "from-engine"

    def _kept(self, sql: str, records: Mapping[str, Mapping[str, Any]]) -> str:
        """A name that no other section, key or content of the sources has."""
        key = key_mark(self.spec.personal_key_env) if "hash" in self.spec.personal.values() else ""
        found = {name: record["fingerprint"] for name, record in records.items()}
        content = [canonical.plain(self.spec), key, sql, found]
        return f"bessemer_{canonical.digest(content)[:16]}"


def _texts(query: Query) -> list[str]:
    return [f"coalesce(CAST({quote(name)} AS VARCHAR), '~'), '|'" for name, _ in query.columns]


def _plain(name: str, kind: str) -> tuple[str, str]:
    """How a column goes to an engine, and its type there; '' for one that does not."""
    if kind in _KEPT or kind.startswith("DECIMAL"):
        return quote(name), kind
    if kind in _CASTS:
        return f"CAST({quote(name)} AS {_CASTS[kind]})", _CASTS[kind]
    found = landed(name, kind)
    return (found.expression, found.dtype) if found is not None else ("", "")
