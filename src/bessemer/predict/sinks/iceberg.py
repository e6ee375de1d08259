"""An Iceberg table of a catalog: each commit has its rows and, as a property of the table, how far the job is."""

from __future__ import annotations

import json
from dataclasses import astuple
from typing import TYPE_CHECKING

from bessemer.core.errors import UsageError
from bessemer.predict.protocol import Job, Progress, Target
from bessemer.predict.sinks.lake import Lake, as_facts

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.table import Table

#: How often a commit is made anew because others have committed meanwhile.
_TRIES = 10
_RETRIES = "commit.retry.num-retries"


class Iceberg(Lake):
    """Appends to a table, which is made where there is none; its namespace too."""

    words = ("catalog",)

    def __init__(self, target: Target, job: Job) -> None:
        super().__init__(target, job)
        self._catalog = str(target.options.get("catalog") or "")
        if not self._catalog:
            raise UsageError(
                f"no catalog is named for '{target.where}'",
                why="only a catalog can say which of two commits came first",
                fix="'{iceberg: namespace.table, catalog: NAME}'",
            )
        self._table: Table | None = None

    def connect(self) -> list[str]:
        from pyiceberg.exceptions import NoSuchTableError

        from bessemer.acquire.sources.iceberg import catalog_named

        name, catalog = self._target.where, catalog_named(self._catalog)
        try:
            self._table = catalog.load_table(name)
        except NoSuchTableError:
            catalog.create_namespace_if_not_exists(name.rpartition(".")[0])
            self._table = catalog.create_table_if_not_exists(name, self._job.schema)
        return [str(field.name) for field in self._table.schema().fields]

    def known(self) -> Progress:
        assert self._table is not None
        said = self._table.properties.get(self._note)
        return Progress(*json.loads(said)) if said else Progress()

    @property
    def _note(self) -> str:
        return f"bessemer.job.{self._job.key}"

    def commit(self, rows: pa.Table | pa.RecordBatchReader, progress: Progress) -> None:
        """pyiceberg would commit again by itself after others have; here the job is looked at first."""
        from pyiceberg.exceptions import CommitFailedException

        table, before = self._table, self.known()
        assert table is not None
        if not hasattr(rows, "num_rows"):
            rows = rows.read_all() if table.spec().fields else rows
        for attempt in range(_TRIES):
            table.metadata.properties[_RETRIES] = "0"  # of this copy alone: it is not written
            try:
                with table.transaction() as transaction:
                    if not hasattr(rows, "num_rows") or rows.num_rows:
                        transaction.append(rows, snapshot_properties=as_facts(self._job))
                    transaction.set_properties({self._note: json.dumps(astuple(progress))})
                return
            except CommitFailedException:
                table.refresh()
                if self.known() != before:
                    raise self.another() from None
                if attempt == _TRIES - 1 or not hasattr(rows, "num_rows"):
                    raise
