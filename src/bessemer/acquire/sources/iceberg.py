"""Apache Iceberg tables: of a catalog, a folder or one metadata file, at any snapshot that is still there."""

from __future__ import annotations

import datetime as dt
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from bessemer.acquire.files import shown
from bessemer.acquire.options import IncrementalOptions, PathText
from bessemer.acquire.protocol import Place, Relation
from bessemer.acquire.reading import Columns, Moment, check_kept, chosen, nearest, told
from bessemer.acquire.remote import is_remote
from bessemer.core.errors import DataError, did_you_mean
from bessemer.core.filesystem import open_url
from bessemer.core.redaction import remember
from bessemer.core.secrets import expanded

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot

    from bessemer.core.stage import Context

_FIX = "check the address, the rights and the catalog's settings"
_METADATA = re.compile(r"^v?(\d+)(-[0-9a-f-]+)?(\.gz)?\.metadata\.json$")
_SETTING = "PYICEBERG_CATALOG__"
_SECRET = re.compile(r"CREDENTIAL|TOKEN|SECRET|PASSWORD|KEY", re.IGNORECASE)


class IcebergSource(IncrementalOptions):
    iceberg: PathText = Field(
        description="namespace.table of `catalog`; without one, the folder of a table or its metadata.json."
    )
    catalog: str | None = Field(
        default=None,
        min_length=1,
        description="A catalog that pyiceberg knows, by .pyiceberg.yaml or PYICEBERG_CATALOG__NAME__* variables.",
    )
    snapshot: int | None = Field(
        default=None, description="The id of the snapshot to read; the current one by default."
    )
    as_of: Moment | None = Field(
        default=None, description="Or the snapshot that was current at this moment, as 2024-07-01T12:00:00Z."
    )
    columns: Columns = ()

    @model_validator(mode="after")
    def _one_of(self) -> IcebergSource:
        if self.snapshot is not None and self.as_of is not None:
            raise ValueError("give `snapshot` or `as_of`, not both")
        check_kept(self.columns, self.incremental, "columns")
        return self


class Iceberg:
    """A snapshot of a table: the table's id and the snapshot's are its fingerprint, no row is read for it."""

    def __init__(self, name: str, options: IcebergSource) -> None:
        self.name, self.options = name, options

    def uri(self) -> str:
        where = shown(self.options.iceberg)
        return f"{self.options.catalog}:{where}" if self.options.catalog else where

    def fingerprint(self, place: Place) -> str:
        table = self._table(place.project_dir)
        snapshot = self._snapshot(table)
        schema = "" if self.options.snapshot or self.options.as_of else f" schema {table.schema().schema_id}"
        return f"iceberg:{table.metadata.table_uuid}@{snapshot.snapshot_id if snapshot else 'empty'}{schema}"

    def open(self, connection: Any, ctx: Context) -> Relation:
        return Relation(batches=self.newer(None, ctx))

    def newer(self, after: Any, ctx: Context) -> Iterator[pa.RecordBatch]:
        """See `IncrementalSource`; the manifests' statistics say which files are read at all."""
        from pyiceberg.expressions import AlwaysTrue, BooleanExpression, GreaterThanOrEqual
        from pyiceberg.io.pyarrow import ArrowScan, schema_to_pyarrow

        table = self._table(ctx.project_dir)
        with told(self.uri(), _FIX):
            snapshot = self._snapshot(table)
            wanted: BooleanExpression = AlwaysTrue()
            cursor = self.options.incremental.cursor if self.options.incremental else ""
            there = [field.name for field in (table.scan(snapshot_id=_id(snapshot)).projection()).fields]
            if after is not None and cursor:
                chosen([cursor], there, self.uri())
                wanted = GreaterThanOrEqual(cursor, after)
            scan = table.scan(
                wanted, tuple(chosen(self.options.columns, there, self.uri())), snapshot_id=_id(snapshot)
            )
            schema = schema_to_pyarrow(scan.projection())
            yield _empty(schema)
            # File by file: asked for all of them at once, it reads ahead without a bound.
            for task in sorted(scan.plan_files(), key=lambda task: task.file.file_path):
                reader = ArrowScan(table.metadata, table.io, scan.projection(), scan.row_filter)
                for batch in reader.to_record_batches([task]):
                    yield batch.cast(schema)

    def _table(self, project_dir: Path) -> Table:
        from pyiceberg.table import StaticTable

        options = self.options
        with told(self.uri(), _FIX):
            if options.catalog:
                return load_table(catalog_named(options.catalog), options.iceberg)
            path = expanded(options.iceberg, f"acquire.sources.{self.name}.iceberg")
            return StaticTable.from_metadata(_metadata(path, project_dir), storage())

    def _snapshot(self, table: Table) -> Snapshot | None:
        """The one to read; None for a table that never had any."""
        options = self.options
        if options.snapshot is not None:
            found = table.snapshot_by_id(options.snapshot)
            what, why = f"'{self.uri()}' has no snapshot {options.snapshot}", ""
        elif options.as_of is not None:
            moment = dt.datetime.fromisoformat(options.as_of)
            found = table.snapshot_as_of_timestamp(int(moment.timestamp() * 1000))
            what, why = (
                f"'{self.uri()}' has no snapshot of {options.as_of}",
                "it is older than all that are there",
            )
        else:
            return table.current_snapshot()
        if found is None:
            known = [f"{s.snapshot_id} ({_when(s)})" for s in reversed(table.snapshots())]
            raise DataError(what, why=why, fix=f"there are: {', '.join(known[:5]) or 'none'}")
        return found


def catalog_named(name: str) -> Catalog:
    """A catalog of pyiceberg's own settings, as they are now.

    Raises:
        DataError: there is no such catalog.
    """
    from pyiceberg.catalog import load_catalog
    from pyiceberg.utils.config import Config

    for variable, value in os.environ.items():
        if variable.upper().startswith(_SETTING) and _SECRET.search(variable):
            remember(value)
    config = Config()
    found = config.get_catalog_config(name)
    if found is None:
        known = [str(each) for each in (config.config.get("catalog") or {})]
        fix = did_you_mean(name, known) if known else f"export {_SETTING}{name.upper()}__URI=..."
        raise DataError(f"no catalog '{name}'", why="pyiceberg's settings have none of this name", fix=fix)
    return load_catalog(name, **{key: str(value) for key, value in found.items()})


def load_table(catalog: Catalog, name: str) -> Table:
    """A table of a catalog.

    Raises:
        DataError: it is not there; with the nearest name.
    """
    from pyiceberg.exceptions import NoSuchNamespaceError, NoSuchTableError

    try:
        return catalog.load_table(name)
    except (NoSuchTableError, NoSuchNamespaceError):
        spaces = catalog.list_namespaces()
        known = [".".join(table) for space in spaces for table in catalog.list_tables(space)]
        raise DataError(
            f"no table '{name}' in catalog '{catalog.name}'", fix=did_you_mean(name, sorted(known))
        ) from None


def storage() -> dict[str, str]:
    """Where S3 is, as the environment has it for every other client; keys are found by the client itself."""
    named = {"s3.endpoint": ("AWS_ENDPOINT_URL",), "s3.region": ("AWS_REGION", "AWS_DEFAULT_REGION")}
    found = {key: next((os.environ[v] for v in names if v in os.environ), "") for key, names in named.items()}
    return {key: value for key, value in found.items() if value}


def _metadata(path: str, project_dir: Path) -> str:
    """The newest metadata file of a table's folder, or the one that is named."""
    where = (
        path
        if is_remote(path)
        else str((project_dir / Path(path.removeprefix("file://")).expanduser()).absolute())
    )
    if path.endswith(".metadata.json"):
        if not is_remote(path) and not Path(where).is_file():
            raise DataError(f"no file '{path}'", why=f"looked for {where}", fix=nearest(Path(where)))
        return where
    fs, inside = open_url(where)
    folder = f"{inside.rstrip('/')}/metadata"
    names = [str(name).rpartition("/")[2] for name in fs.ls(folder, detail=False)] if fs.isdir(folder) else []
    hint = fs.cat_file(f"{folder}/version-hint.text").decode().strip() if "version-hint.text" in names else ""
    for name in (hint, f"v{hint}.metadata.json", f"{hint}.metadata.json"):
        if hint and name in names:
            return f"{where.rstrip('/')}/metadata/{name}"
    numbered = [(int(found[1]), name) for name in names if (found := _METADATA.match(name))]
    if not numbered:
        fix = "give the folder that has metadata/*.metadata.json, or name a `catalog`"
        local = Path(where)
        raise DataError(
            f"no Iceberg table '{path}'",
            why="it has no metadata/*.metadata.json",
            fix=fix if is_remote(path) or local.is_dir() else nearest(local),
        )
    return f"{where.rstrip('/')}/metadata/{max(numbered)[1]}"


def _id(snapshot: Snapshot | None) -> int | None:
    return snapshot.snapshot_id if snapshot else None


def _when(snapshot: Snapshot) -> str:
    return dt.datetime.fromtimestamp(snapshot.timestamp_ms / 1000, dt.UTC).isoformat(timespec="seconds")


def _empty(schema: pa.Schema) -> pa.RecordBatch:
    import pyarrow as pa

    return pa.RecordBatch.from_pylist([], schema)
