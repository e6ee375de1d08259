"""Reading a prediction log: Parquet and journals together, each prediction once, joined with its last label."""

from __future__ import annotations

import datetime as dt
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from bessemer.core.errors import UsageError, did_you_mean
from bessemer.core.sql import connect, literal, quote
from bessemer.package.prediction_log import layout
from bessemer.package.prediction_log.convert import convert
from bessemer.package.prediction_log.journal import Segment
from bessemer.package.prediction_log.model import METADATA, LoggedModel
from bessemer.package.prediction_log.parts import write_parts

Moment = dt.datetime | float

_BASE = ("prediction_id", "time", "version", "client", "dialect", "latency_us")
_SQL_TYPES = {
    pa.bool_(): "BOOLEAN", pa.int64(): "BIGINT", pa.float64(): "DOUBLE", pa.string(): "VARCHAR",
    pa.timestamp("us"): "TIMESTAMP",
}  # fmt: skip
_MEMORY = 2**30
_DAY = 86_400.0
_BATCH_ROWS = 65_536


def read_log(
    folder: str | Path,
    model: str,
    *,
    version: str | None = None,
    since: Moment | None = None,
    until: Moment | None = None,
    labels: bool = True,
    newest: int | None = None,
    columns: Sequence[str] | None = None,
    without: Sequence[str] = (),
) -> pa.RecordBatchReader:
    """The predictions of a model as they were logged, streaming, also those that are in journals still.

    What stands in the log when this is called is read, each prediction once, while servers write and roll.

    Args:
        folder: of the log.
        version: only this one; all by default, and an input whose type differs between versions is then
            of the type that holds both (text, when nothing else does).
        since, until: from `since` (included) to `until` (not): datetimes (UTC where naive) or Unix seconds.
        labels: join what `feedback` brought: the last label of each prediction.
        newest: only the last so many, the newest first. Without it the order is not promised.
        columns: only these of those below; the others are not read.
        without: clients whose predictions and whose labels are left out, as if they had never asked or told anything.

    Returns:
        batches with `prediction_id`, `time` (UTC, microseconds), `version`, `client`, `dialect`, `latency_us`,
        `in.NAME` of each logged input, `out.prediction`, for classes `out.probability...` and `out.score...`; with
        `labels` also `label` and `label_time`, null where there is none.

    Raises:
        UsageError: the folder has no such model or version.
        FormatError: the log is of a later format.
    """
    keep = ExitStack()
    with ExitStack() as failed:
        failed.push(keep)
        scratch = Path(keep.enter_context(tempfile.TemporaryDirectory(prefix="bessemer-log-")))
        files = _Files(Path(folder), scratch, model, _time(since), _time(until))
        wanted = files.versions(version)
        connection = keep.enter_context(
            connect(threads=len(os.sched_getaffinity(0)), memory=_MEMORY, temporary=scratch / "spill")
        )
        query = _predictions(connection, {name: files.predictions(name) for name in wanted}, files)
        if without:
            query = f"SELECT * FROM ({query}) WHERE {_not_of(without)}"
        if newest is not None:
            query += f" ORDER BY time DESC, prediction_id LIMIT {int(newest)}"
        if labels:
            query = _labelled(query, files, without)
            query += " ORDER BY time DESC, prediction_id" if newest is not None else ""
        if columns is not None:
            query = f"SELECT {', '.join(map(quote, columns))} FROM ({query})"
        reader = connection.sql(query).to_arrow_reader(_BATCH_ROWS)
        failed.pop_all()
    return pa.RecordBatchReader.from_batches(reader.schema, _stream(reader, keep))


def models_in(folder: str | Path) -> list[str]:
    """The models that have anything in a log, by name, also those that are in journals alone; none without a log.

    Raises:
        FormatError: the log is of a later format.
    """
    found = set(layout.models(Path(folder)))
    with ExitStack() as stack:
        for path in layout.segments(Path(folder)):
            if file := _opened(path, stack):
                found |= {batch.model.model for batch in convert(Segment(file))}
    return sorted(found)


def read_labels(
    folder: str | Path, model: str, since: Moment, until: Moment
) -> tuple[int, dt.datetime | None]:
    """How many labels came from `since` (included) to `until` (not), and when the last of them did (naive, UTC).

    Raises:
        UsageError: the folder has no such model.
        FormatError: the log is of a later format.
    """
    first, last = (round(float(_time(moment) or 0.0) * 1e6) for moment in (since, until))
    with ExitStack() as keep:
        scratch = Path(keep.enter_context(tempfile.TemporaryDirectory(prefix="bessemer-log-")))
        files = _Files(Path(folder), scratch, model, _time(since), _time(until))
        files.versions(None)
        found = files.labels()
        if not found:
            return 0, None
        connection = keep.enter_context(connect(threads=1, memory=_MEMORY, temporary=scratch / "spill"))
        span = f"arrived >= make_timestamp({first}) AND arrived < make_timestamp({last})"
        query = f"SELECT count(*), max(arrived) FROM {_scan_labels(found)} WHERE {span}"
        row = connection.execute(query).fetchone()
        return int(row[0]), row[1]


def labelled_between(
    folder: str | Path,
    model: str,
    since: Moment,
    until: Moment,
    *,
    version: str | None = None,
    columns: Sequence[str] | None = None,
) -> pa.RecordBatchReader:
    """The predictions whose first label came from `since` (included) to `until` (not), whenever they were made.

    They stream in the order in which the labels came. Each prediction comes once, in whatever pieces time is cut, with
    that first label; what came later for it (`read_log` has it) does not bring it again.

    Args:
        version, columns: as of `read_log`.

    Returns:
        batches of the columns that `read_log` gives with labels.

    Raises:
        UsageError: the folder has no such model or version.
        FormatError: the log is of a later format.
    """
    first, last = (float(_time(moment) or 0.0) for moment in (since, until))
    keep = ExitStack()
    with ExitStack() as failed:
        failed.push(keep)
        scratch = Path(keep.enter_context(tempfile.TemporaryDirectory(prefix="bessemer-log-")))
        # a prediction is older than its label, clocks that differ aside
        files = _Files(Path(folder), scratch, model, None, last + _DAY)
        wanted = files.versions(version)
        connection = keep.enter_context(
            connect(threads=len(os.sched_getaffinity(0)), memory=_MEMORY, temporary=scratch / "spill")
        )
        paths = {name: files.predictions(name) for name in wanted}
        query = _predictions(connection, paths, files)
        if not any(paths.values()):
            columns = None  # none has its column
        query, order = _first_labelled(query, files, first, last)
        chosen = "*" if columns is None else ", ".join(map(quote, columns))
        excluded = " EXCLUDE (sequence)" if columns is None else ""
        reader = connection.sql(f"SELECT {chosen}{excluded} FROM ({query}){order}").to_arrow_reader(
            _BATCH_ROWS
        )
        failed.pop_all()
    return pa.RecordBatchReader.from_batches(reader.schema, _stream(reader, keep))


def _first_labelled(predictions: str, files: _Files, since: float, until: float) -> tuple[str, str]:
    """The query of predictions whose first label came within a span, and its order."""
    found = files.labels_between(since, until)
    if not found:
        none = f"NULL::{_label_type(files)} AS label, NULL::TIMESTAMP AS label_time, 0 AS sequence"
        return f"SELECT *, {none} FROM ({predictions}) WHERE false", ""
    begin, end = (f"make_timestamp({round(moment * 1e6)})" for moment in (since, until))
    labels = (
        f"SELECT prediction_id, label, arrived AS label_time, sequence FROM {_scan_labels(found)} "
        f"WHERE arrived >= {begin} AND arrived < {end} QUALIFY row_number() OVER "
        "(PARTITION BY prediction_id ORDER BY arrived, sequence) = 1"
    )
    earlier = files.labels_between(None, since)
    if earlier:
        known = f"SELECT prediction_id FROM {_scan_labels(earlier)} WHERE arrived < {begin}"
        labels = f"SELECT * FROM ({labels}) ANTI JOIN ({known}) USING (prediction_id)"
    joined = f"SELECT p.*, l.* EXCLUDE (prediction_id) FROM ({predictions}) p JOIN ({labels}) l USING (prediction_id)"
    # clients name requests, and ask again under the same name: a label speaks for the first of them
    joined += " QUALIFY row_number() OVER (PARTITION BY prediction_id ORDER BY p.time) = 1"
    return joined, " ORDER BY label_time, sequence, prediction_id"


def labels_given(
    folder: str | Path, model: str, version: str, since: Moment, until: Moment, columns: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    """Every label that came from `since` (included) to `until` (not) for predictions of a version, streaming; also one
    that a later label replaced, or that replaced another.

    Args:
        columns: of the predictions (see `read_log`), beside which there are `label` and `giver`: who gave it, '' where
            that is not known. Of several labels that one client gave a prediction within the span, the last.

    Raises:
        UsageError: the folder has no such model or version.
        FormatError: the log is of a later format.
    """
    first, last = (float(_time(moment) or 0.0) for moment in (since, until))
    with ExitStack() as keep:
        scratch = Path(keep.enter_context(tempfile.TemporaryDirectory(prefix="bessemer-log-")))
        files = _Files(Path(folder), scratch, model, None, last + _DAY)
        files.versions(version)
        given, said = files.labels_between(first, last), files.predictions(version)
        if not given or not said:
            return
        threads = len(os.sched_getaffinity(0))
        connection = keep.enter_context(connect(threads=threads, memory=_MEMORY, temporary=scratch / "spill"))
        begin, end = (f"make_timestamp({round(moment * 1e6)})" for moment in (first, last))
        labels = (
            f"SELECT prediction_id, label, coalesce(client, '') AS giver FROM {_scan_labels(given)} "
            f"WHERE arrived >= {begin} AND arrived < {end} QUALIFY row_number() OVER "
            "(PARTITION BY prediction_id, coalesce(client, '') ORDER BY time DESC, sequence DESC) = 1"
        )
        made = _predictions(connection, {version: said}, files)
        chosen = ", ".join(f"p.{quote(name)}" for name in columns)
        query = f"SELECT {chosen}, l.label, l.giver FROM ({made}) p JOIN ({labels}) l USING (prediction_id)"
        yield from connection.sql(query).to_arrow_reader(_BATCH_ROWS)


def _stream(reader: Any, keep: ExitStack) -> Iterator[pa.RecordBatch]:
    with keep:
        yield from reader


def _time(moment: Moment | None) -> float | None:
    if not isinstance(moment, dt.datetime):
        return moment
    return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp()


def versions_in(folder: str | Path) -> dict[str, list[str]]:
    """By model the versions that have predictions in a log, also in journals alone; none without a log.

    Raises:
        FormatError: the log is of a later format.
    """
    root = Path(folder)
    found = {(name, version) for name in layout.models(root) for version in layout.versions(root, name)}
    with ExitStack() as stack:
        for path in layout.segments(root):
            if file := _opened(path, stack):
                found |= {(batch.model.model, batch.model.version) for batch in convert(Segment(file))}
    models = sorted({name for name, _ in found})
    return {model: sorted(version for name, version in found if name == model) for model in models}


class _Files:
    """The Parquet files that hold a log: its own, and those its journals were unrolled into, for this reader alone.

    Journals are opened before the files are listed. A segment that is rolled meanwhile is then read from the
    opened journal, and the files that were made of it are left out by their name.
    """

    def __init__(
        self, folder: Path, scratch: Path, model: str, since: float | None, until: float | None
    ) -> None:
        self.model, self.since, self.until = model, since, until
        self._roots = (folder, scratch)
        with ExitStack() as stack:
            journals = {path.stem: file for path in layout.segments(folder) if (file := _opened(path, stack))}
            for name, file in journals.items():
                mine = (batch for batch in convert(Segment(file)) if batch.model.model == model)
                write_parts(scratch, name, mine, flush=False)
        self._journals = journals.keys()
        self._first = layout.day_of(since) if since is not None else ""
        self._last = layout.day_of(until) if until is not None else "9999-12-31"

    def versions(self, wanted: str | None) -> list[str]:
        known = sorted({name for root in self._roots for name in layout.versions(root, self.model)})
        if not known and not self._labels("", "9999-12-31"):
            there = sorted({name for root in self._roots for name in layout.models(root)})
            raise UsageError(
                f"the prediction log {self._roots[0]} has no model '{self.model}'",
                fix=did_you_mean(self.model, there) or "serve it with `log`, or name another folder",
            )
        if wanted is not None and wanted not in known:
            raise UsageError(
                f"the prediction log has no version '{wanted}' of '{self.model}'",
                fix=did_you_mean(wanted, known),
            )
        return known if wanted is None else [wanted]

    def predictions(self, version: str) -> list[Path]:
        return self._parts(layout.folder_name(version), self._first, self._last)

    def labels(self) -> list[Path]:
        """Labels come after their predictions; a day is allowed for clocks that differ."""
        first = layout.day_of(self.since - 86_400) if self.since is not None else ""
        return self._labels(first, "9999-12-31")

    def labels_between(self, since: float | None, until: float) -> list[Path]:
        """The files that have the labels of a span of time."""
        return self._labels("" if since is None else layout.day_of(since), layout.day_of(until))

    def _labels(self, first: str, last: str) -> list[Path]:
        return self._parts(layout.LABELS, first, last)

    def _parts(self, name: str, first: str, last: str) -> list[Path]:
        own, scratch = (root / layout.folder_name(self.model) / name for root in self._roots)
        found = [p.path for p in layout.parts(own, first, last) if p.segment not in self._journals]
        return found + [part.path for part in layout.parts(scratch, first, last)]


def _opened(path: Path, stack: ExitStack) -> IO[bytes] | None:
    try:
        return stack.enter_context(path.open("rb"))
    except FileNotFoundError:  # rolled just now: its files are there
        return None


def _scan(files: Sequence[Path]) -> str:
    names = ", ".join(literal(path) for path in files)
    return f"read_parquet([{names}], union_by_name = true, hive_partitioning = false)"


def _scan_labels(files: Sequence[Path]) -> str:
    """The labels in files; those of earlier versions do not say when they came, only their time."""
    columns = "NULL::TIMESTAMP AS arrived WHERE false UNION ALL BY NAME SELECT * FROM "
    return f"(SELECT * REPLACE (coalesce(arrived, time) AS arrived) FROM (SELECT {columns}{_scan(files)}))"


def _predictions(connection: Any, by_version: dict[str, list[Path]], files: _Files) -> str:
    """The query of all predictions; columns are the base ones, then inputs, then outputs."""
    branches = [
        f"SELECT {literal(name)} AS version, * FROM {_scan(paths)}"
        for name, paths in by_version.items()
        if paths
    ]
    if not branches:
        nothing = (
            "NULL::VARCHAR AS prediction_id, NULL::TIMESTAMP AS time, NULL::VARCHAR AS version, "
            "NULL::VARCHAR AS client, NULL::VARCHAR AS dialect, NULL::BIGINT AS latency_us"
        )
        return f"SELECT {nothing} WHERE false"
    union = "\nUNION ALL BY NAME\n".join(branches)
    there = [row[0] for row in connection.execute(f"DESCRIBE {union}").fetchall()]
    rest = [n for n in there if n not in _BASE]
    ordered = [*_BASE, *(n for n in rest if n.startswith("in.")), *(n for n in rest if n.startswith("out."))]
    limits = [
        f"time {sign} make_timestamp({round(moment * 1e6)})"
        for sign, moment in ((">=", files.since), ("<", files.until))
        if moment is not None
    ]
    where = f" WHERE {' AND '.join(limits)}" if limits else ""
    return f"SELECT {', '.join(map(quote, ordered))} FROM ({union}){where}"


def _not_of(clients: Sequence[str]) -> str:
    return f"coalesce(client, '') NOT IN ({', '.join(map(literal, clients))})"


def _labelled(predictions: str, files: _Files, without: Sequence[str] = ()) -> str:
    """The predictions with their last label: by its time, then by the order it was taken in."""
    found = files.labels()
    if not found:
        return f"SELECT *, NULL::{_label_type(files)} AS label, NULL::TIMESTAMP AS label_time FROM ({predictions})"
    where = f" WHERE {_not_of(without)}" if without else ""
    last = (
        f"SELECT prediction_id, label, arrived AS label_time FROM {_scan_labels(found)}{where} "
        "QUALIFY row_number() OVER (PARTITION BY prediction_id ORDER BY time DESC, sequence DESC) = 1"
    )
    return (
        f"SELECT p.*, l.label, l.label_time FROM ({predictions}) p LEFT JOIN ({last}) l USING (prediction_id)"
    )


def _label_type(files: _Files) -> str:
    """The SQL type a label would have, by the newest file of predictions."""
    paths = [path for name in files.versions(None) for path in files.predictions(name)]
    if not paths:
        return "VARCHAR"
    model = described(paths[-1])
    return _SQL_TYPES[model.labels().field("label").type]


def described(part: Path) -> LoggedModel:
    """What a Parquet file of the log says about its model.

    Raises:
        FormatError: the file is of a later format, or of no prediction log.
    """
    import pyarrow.parquet as pq

    return LoggedModel.from_bytes((pq.read_schema(part).metadata or {}).get(METADATA, b""))
