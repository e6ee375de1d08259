"""A Delta Lake table: each commit has its rows and, as application transactions, how far the job is with them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bessemer.acquire.sources.delta import located, storage
from bessemer.core.secrets import expanded
from bessemer.predict.protocol import Job, Progress, Target
from bessemer.predict.sinks.lake import Lake, as_facts

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import DeltaTable

#: The numbers of a `Progress`, each a transaction of its own: they last as long as the table, the log's entries do not.
_NUMBERS = ("batches", "rows", "file", "row", "complete")


class Delta(Lake):
    """Appends to a table, which is made where there is none."""

    def __init__(self, target: Target, job: Job) -> None:
        super().__init__(target, job)
        self._table: DeltaTable | None = None
        self._address = located(expanded(target.where), Path())

    def connect(self) -> list[str]:
        from deltalake import DeltaTable, write_deltalake
        from deltalake.exceptions import TableNotFoundError

        options = storage(self._address)
        try:  # `is_deltatable` would stop all threads of this process while it asks
            self._table = DeltaTable(self._address, storage_options=options)
        except TableNotFoundError:
            write_deltalake(self._address, self._job.schema.empty_table(), storage_options=options)
            self._table = DeltaTable(self._address, storage_options=options)
        return [field.name for field in self._table.schema().fields]

    def known(self) -> Progress:
        assert self._table is not None
        said = {number: self._table.transaction_version(self._name(number)) or 0 for number in _NUMBERS}
        return Progress(said["batches"], said["rows"], said["file"], said["row"], bool(said["complete"]))

    def _name(self, number: str) -> str:
        return f"bessemer:{self._job.key}:{number}"

    def commit(self, rows: pa.Table | pa.RecordBatchReader, progress: Progress) -> None:
        """Two that commit for one job from the same version are told apart by Delta itself: the second is refused."""
        from deltalake import write_deltalake
        from deltalake.exceptions import CommitFailedError
        from deltalake.transaction import CommitProperties, Transaction

        assert self._table is not None
        numbers: list[Any] = [progress.batches, progress.rows, progress.file, progress.row, progress.complete]
        noted = [Transaction(self._name(n), int(v)) for n, v in zip(_NUMBERS, numbers, strict=True)]
        try:
            write_deltalake(
                self._table,
                rows,
                mode="append",
                schema_mode="merge",  # the table may have more columns, in another order
                commit_properties=CommitProperties(as_facts(self._job), app_transactions=noted),
            )
        except CommitFailedError as error:
            if "Concurrent transaction" not in str(error):
                raise
            raise self.another() from error
