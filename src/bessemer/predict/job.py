"""A job: open the source, take up what the sink has, score the rest batch by batch, finish."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from bessemer._version import __version__
from bessemer.core import canonical
from bessemer.core.errors import DataError, UsageError
from bessemer.core.redaction import without_password
from bessemer.predict.batches import plain
from bessemer.predict.plugins import SINKS
from bessemer.predict.protocol import Batch, Job, Progress, Rows, Sink, Target
from bessemer.predict.source import Given, open_rows
from bessemer.predict.target import target_of

if TYPE_CHECKING:
    from bessemer.package.model import Model

BATCH_ROWS = 65_536
#: Told of each batch that was written: its rows, and whether an earlier call did it.
Told = Callable[[int, bool], None]


@dataclass(frozen=True)
class Predicted:
    """What a job did.

    rows: of the whole output. taken_over: how many of them an earlier call had scored. unstable: why a kill would
    have made it begin anew; '' where it would have gone on.
    """

    rows: int
    taken_over: int
    output: str
    unstable: str = ""

    def _repr_html_(self) -> str:
        from bessemer.core.rich_html import card, text

        facts = [
            ("rows", text(f"{self.rows:,}")),
            ("scored before", text(f"{self.taken_over:,}" if self.taken_over else None)),
            ("output", text(self.output)),
            ("cannot go on", text(self.unstable or None)),
        ]
        return card("Predicted", facts)


def predict(
    model: Model,
    source: Given,
    output: str | Path | Mapping[str, Any],
    *,
    explain: bool = False,
    outliers: bool = False,
    keep: Sequence[str] = (),
    table: str = "",
    ending: str = "",
    part_rows: int | None = None,
    batch_rows: int = BATCH_ROWS,
    restart: bool = False,
    snapshot: bool = False,
    work: str | Path | None = None,
    checkpoint: float = 1.0,
    told: Told = lambda rows, before: None,
) -> Predicted:
    """Score every row of a source into a sink: each once, in order, whatever is killed when.

    A call with the arguments of one that was killed or failed goes on where that stopped. Another package, source or
    setting begins anew.

    Args:
        model: a loaded package.
        source: a file, folder, glob or URL of Parquet, CSV or JSON lines (plain or gzip); a database's URL; or a
            source as under `acquire: sources` in a project file.
        output: a file, a folder of parts, or a database, here or behind a URL (see `bessemer.predict.target`).
        explain: add the contributions, outliers: add how unusual each row is (see `Model.predict`).
        keep: columns of the source to put before the predictions, to know the rows by.
        table: of a database. ending, part_rows: of a folder's parts, such as csv.gz; parquet and 2^20 by default.
        batch_rows: rows in memory at once, for each of the model's threads.
        restart: throw away what an earlier call left.
        snapshot: keep the rows of the source on disk before the first is scored, so that a job over a source that
            is not twice the same can be gone on with.
        work: a folder for what is not finished and cannot stand beside the output; the user's cache by default.
        checkpoint: seconds between the moments at which finished batches are made safe.
        told: see `Told`.

    Raises:
        DataError: the source cannot be read, has changed meanwhile, or a column does not fit the model.
        UsageError: source or output mean nothing, a column to keep is not there, or the output is the source.
        StoreError: disk full or read-only.
    """
    target = target_of(output, table=table, ending=ending, part_rows=part_rows)
    if batch_rows < 1:
        raise UsageError(f"a batch cannot have {batch_rows} rows", fix="--batch-rows 65536")
    keep = tuple(dict.fromkeys(keep))
    for name in keep:
        if name in model.columns(explain=explain, outliers=outliers):
            raise UsageError(f"cannot keep '{name}': the predictions have a column of that name")
    place = Path(work) if work else _cache()
    asks = _Asks(explain, outliers)
    settings = [__version__, _digest(model), *asks.named(), list(keep), batch_rows, canonical.plain(target)]
    kept = _snapshot_folder(place, source, target, restart) if snapshot else None
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bessemer-predict-")))
        asked = canonical.digest([settings, canonical.plain(source)])
        rows = open_rows(source, model.signature.inputs, keep, batch_rows, folder, kept, asked)
        stack.enter_context(closing(rows))
        _not_the_source(rows, target)
        scorer = _Scorer(model, rows, tuple(keep), asks)
        job = _job(scorer, rows, settings, restart, place, checkpoint, model)
        done = _run(scorer, rows, SINKS.load(target.kind)(target, job), job, told)
    if kept is not None:
        shutil.rmtree(kept, ignore_errors=True)
    return Predicted(done[0], done[1], without_password(target.where), rows.unstable)


def _run(scorer: _Scorer, rows: Rows, sink: Sink, job: Job, told: Told) -> tuple[int, int]:
    """Rows in all, and rows that were there."""
    with closing(sink):
        fingerprint = rows.fingerprint() if not rows.unstable else ""
        progress = sink.open()
        before = progress.rows
        if before:
            told(before, True)
        if not progress.complete:
            for table, batch in scorer.scored(progress.file, progress.row, job.schema):
                progress = Progress(
                    progress.batches + 1, progress.rows + table.num_rows, batch.file, batch.row
                )
                sink.write(table, progress)
                told(table.num_rows, False)
            if not rows.unstable and rows.fingerprint() != fingerprint:
                raise DataError(
                    f"'{rows.uri}' was changed while it was scored",
                    why="the predictions may be of the old rows and the new",
                    fix="call it again: it begins anew",
                )
        sink.finish()
    return progress.rows, before


@dataclass(frozen=True)
class _Asks:
    """What each row is given beside its prediction."""

    explain: bool
    outliers: bool

    def named(self) -> list[Any]:
        return [self.explain, *(["outliers"] if self.outliers else [])]


class _Scorer:
    """The columns to keep, beside the predictions."""

    def __init__(self, model: Model, rows: Rows, keep: tuple[str, ...], asks: _Asks) -> None:
        self._model, self._rows, self._keep, self._asks = model, rows, keep, vars(asks)
        self._results = model.columns(**self._asks)

    def schema(self) -> pa.Schema:
        """The output's columns do not depend on the rows, so an empty source gives an empty output of the same."""
        empty = self._rows.empty()
        return self._beside(empty, self._model.predict(empty, **self._asks)).schema

    def _beside(self, table: pa.Table, scored: pa.Table) -> pa.Table:
        kept = plain(table.select(list(self._keep)))
        columns = {name: kept.column(name) for name in self._keep}
        return pa.table(columns | {name: scored.column(name) for name in self._results})

    def scored(self, file: int, row: int, schema: pa.Schema) -> Iterator[tuple[pa.Table, Batch]]:
        waiting: deque[Batch] = deque()

        def tables() -> Iterator[pa.Table]:
            for batch in self._rows.batches(file, row):
                waiting.append(batch)
                yield batch.table

        for scored in self._model.predict_batches(tables(), **self._asks):
            batch = waiting.popleft()
            yield _as_first(self._beside(batch.table, scored), schema), batch


def _as_first(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table in the types of the first one: a kept column may differ between the files of a glob."""
    try:
        return table.cast(schema)
    except pa.ArrowException as error:
        raise DataError(
            "a column to keep has other types in other files",
            why=str(error),
            fix="give it one type, or leave it out",
        ) from None


def _job(
    scorer: _Scorer, rows: Rows, settings: list[Any], restart: bool, work: Path, every: float, model: Model
) -> Job:
    schema = scorer.schema()
    mark = rows.fingerprint() if not rows.unstable else uuid.uuid4().hex
    columns = [f"{field.name} {field.type}" for field in schema]
    key = canonical.digest([settings, mark, columns])
    facts = {"model": model.name, "version": model.version, "package": _digest(model)}
    return Job(key, schema, not rows.unstable, restart, work, facts, every)


def _digest(model: Model) -> str:
    """Equal for equal packages: the manifest has the digest of every member."""
    return canonical.digest([model.manifest, model.contents.public_key.hex()])


def _cache() -> Path:
    import platformdirs

    return Path(platformdirs.user_cache_dir("bessemer")) / "predict"


def _snapshot_folder(work: Path, source: Given, target: Target, restart: bool) -> Path:
    name = canonical.digest([canonical.plain(source), canonical.plain(target), str(Path.cwd())])[:24]
    folder = work / f"snapshot-{name}"
    if restart:
        shutil.rmtree(folder, ignore_errors=True)
    return folder


def _not_the_source(rows: Rows, target: Target) -> None:
    """Refuse to write into what is read."""
    path = Path(target.where.removeprefix("file://"))
    for file in getattr(rows, "files", ()):
        one = Path(file.path)
        same = file.fs is None and path.exists() and path.samefile(one)
        inside = file.fs is None and target.folder and path.absolute() in one.absolute().parents
        if same or inside:
            raise UsageError(f"'{target.where}' is the source itself", fix="give the output another name")
