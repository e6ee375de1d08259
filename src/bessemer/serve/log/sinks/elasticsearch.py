"""A document in Elasticsearch for each prediction and each label; docs/elastic.md has their fields."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from bessemer.core.elastic.login import ElasticIndices, connect, credentials
from bessemer.core.errors import UsageError
from bessemer.core.spec import Duration
from bessemer.serve.log.sink import Beside, SegmentRefused

if TYPE_CHECKING:
    import pyarrow as pa
    from elasticsearch import Elasticsearch as Client

    from bessemer.core.elastic.bulk import Document
    from bessemer.package.prediction_log.convert import LogBatch

_LOG = logging.getLogger("bessemer.serve.log")
#: Statuses of a whole request that are about what was sent: any other says that the server takes nothing now.
_REFUSES = (400, 413)


class ElasticsearchSettings(ElasticIndices, Beside):
    """Where documents go, and how much may wait for it.

    >>> ElasticsearchSettings(url="https://es:9200", api_key_env="ELASTIC_API_KEY").prefix
    'bessemer'
    """

    timeout: Duration = Field(30.0, gt=0, le=600, description="How long one request may take.")


class Elasticsearch:
    """A document's id is its segment's name and its place in it, so that sending a segment again changes nothing."""

    Settings = ElasticsearchSettings
    beside: ClassVar[bool] = True

    def __init__(self, folder: Path, settings: ElasticsearchSettings) -> None:
        self._settings = settings
        # what is missing is said when the server starts, not by the process that delivers
        credentials(settings)
        self._client: Client | None = None

    def write(self, segment: str, batches: Iterator[LogBatch]) -> None:
        from bessemer.core.elastic.bulk import send
        from bessemer.core.elastic.faults import ElasticFault

        if self._client is None:
            self._client = self._connected()
        try:
            done = send(self._client, documents(segment, batches, self._settings.prefix))
        except ElasticFault as fault:
            if fault.status in _REFUSES:
                raise SegmentRefused(str(fault)) from fault
            raise
        if done.refused:
            _LOG.warning("Elasticsearch has refused %d of %s for good: %s", done.refused, segment, done.why)

    def _connected(self) -> Client:
        """What fails here is no segment's fault."""
        from bessemer.core.elastic.setup import ready

        settings = self._settings
        try:
            client = connect(settings.url, settings, settings.timeout)
        except ValueError as error:  # certificates that are none, say
            raise UsageError(
                "no client for Elasticsearch can be made of its settings", why=str(error)
            ) from error
        ready(client, settings.prefix)
        return client


def documents(segment: str, batches: Iterator[LogBatch], prefix: str) -> Iterator[Document]:
    """The documents of a segment's rows, in their order."""
    from bessemer.core.elastic.bulk import Document
    from bessemer.core.elastic.templates import index_name

    number = 0
    for batch in batches:
        index = index_name(prefix, "labels" if batch.is_labels else "predictions", batch.date)
        model = {"model": {"name": batch.model.model, "version": batch.model.version}}
        for row in _labels(batch) if batch.is_labels else _predictions(batch):
            yield Document(index, f"{segment}-{number}", {**row, **model})
            number += 1


def _labels(batch: LogBatch) -> Iterator[dict[str, Any]]:
    from bessemer.package.prediction_log.moments import rows_of

    number = batch.model.task == "regression"
    for row in rows_of(batch.rows):
        said = {"value": row["label"]} if number else {"class": _class(row["label"])}
        yield {
            "@timestamp": _moment(row["time"]),
            "prediction_id": row["prediction_id"],
            "client": row["client"] or None,
            "sequence": row["sequence"],
            **said,
        }


def _predictions(batch: LogBatch) -> Iterator[dict[str, Any]]:
    from bessemer.package.prediction_log.moments import rows_of

    places = [(field.name, *_place(field)) for field in batch.rows.schema if "." in field.name]
    regression = batch.model.task == "regression"
    for row in rows_of(batch.rows):
        found: dict[str, Any] = {
            "@timestamp": _moment(row["time"]),
            "prediction_id": row["prediction_id"],
            "client": row["client"] or None,
            "dialect": row["dialect"] or None,
            "latency_us": row["latency_us"],
        }
        if not regression:
            found["class"] = _class(row["out.prediction"])
        for column, side, kind, name, write in places:
            if (value := write(row[column])) is not None:
                found.setdefault(side, {}).setdefault(kind, {})[name] = value
        yield found


def _place(field: pa.Field) -> tuple[str, str, str, Callable[[Any], Any]]:
    """Where a column stands in a document, `in.number.age`, and how its values are written."""
    import pyarrow.types as types

    from bessemer.core.elastic.templates import field_name

    side, _, name = field.name.partition(".")
    if types.is_boolean(field.type):
        kind, write = "boolean", _same
    elif types.is_timestamp(field.type):
        kind, write = "time", _moment
    elif types.is_string(field.type):
        kind, write = "text", _same
    else:
        kind, write = "number", _number
    return side, kind, field_name(name), write


def _same(value: Any) -> Any:
    return value


def _number(value: Any) -> Any:
    """JSON has no NaN and no infinity."""
    return value if value is None or abs(value) < float("inf") else None


def _moment(value: int | None) -> str | None:
    """A date field of Elasticsearch takes years of four digits."""
    from bessemer.package.prediction_log.moments import iso

    return iso(value, "microseconds")


def _class(value: Any) -> str | None:
    """A class as text, whatever it is: `true` for True.

    >>> _class(True), _class(3), _class("yes")
    ('true', '3', 'yes')
    """
    if value is None:
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)
