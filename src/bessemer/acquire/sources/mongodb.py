"""Documents of a MongoDB: the fields of a collection, or of a pipeline's result, as columns."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from bessemer.acquire.documents import Documents
from bessemer.acquire.options import IncrementalOptions
from bessemer.acquire.reading import check_kept, parse_moment
from bessemer.acquire.served import ServedSource
from bessemer.acquire.widening import Widening
from bessemer.core.errors import DataError
from bessemer.core.mongo import URL, connect, database_of, explained, not_there, shown
from bessemer.core.spec import Duration

if TYPE_CHECKING:
    import pyarrow as pa
    from pymongo import MongoClient
    from pymongo.client_session import ClientSession
    from pymongo.collection import Collection

    from bessemer.core.stage import Context

#: Stages of a pipeline that write.
_WRITING = ("$out", "$merge")
#: The version of the protocol since which there are snapshots: MongoDB 5.0.
_SNAPSHOTS = 13


def _plain(said: Any) -> Any:
    """A query as JSON, the dates that YAML knows as extended JSON.

    >>> _plain({"at": {"$gte": dt.date(2024, 1, 1)}})
    {'at': {'$gte': {'$date': '2024-01-01T00:00:00+00:00'}}}
    """
    if isinstance(said, Mapping):
        return {str(name): _plain(value) for name, value in said.items()}
    if isinstance(said, list | tuple):
        return [_plain(value) for value in said]
    return {"$date": parse_moment(said)} if isinstance(said, dt.date) else said


Query = Annotated[dict[str, Any], BeforeValidator(_plain)]


class MongodbSource(IncrementalOptions):
    mongodb: str = Field(
        pattern=URL,
        description="The server and the database, as mongodb://me:${PASSWORD}@host/database. ${NAME} is taken from the "
        "environment.",
    )
    collection: str | None = Field(
        default=None, min_length=1, description="The collection; needed where the database has several."
    )
    query: Query = Field(
        default_factory=dict,
        description="Which documents, as {paid: true, amount: {$gte: 10}}; extended JSON for types.",
    )
    fields: tuple[str, ...] = Field(
        default=(),
        strict=False,
        description="The fields to read, `a.b` for one of a document; all by default.",
    )
    sort: tuple[str, ...] = Field(
        default=("_id",),
        strict=False,
        description="Fields that say the order of the rows, `-` for the greatest first.",
    )
    pipeline: tuple[Query, ...] | None = Field(
        default=None,
        strict=False,
        description="An aggregation pipeline in the place of query, fields and sort.",
    )
    batch: int = Field(
        default=5000, ge=1, le=1_000_000, description="How many documents are in memory at once."
    )
    snapshot: bool = Field(
        default=True,
        description="Whether all is read as it was at one moment, where the server can (replica sets).",
    )
    timeout: Duration = Field(default=30.0, gt=0, le=3600, description="How long one answer may take.")

    @model_validator(mode="after")
    def _reads_only(self) -> MongodbSource:
        given = [name for name in ("query", "fields", "sort") if name in self.model_fields_set]
        if self.pipeline is not None and given:
            raise ValueError(
                f"give `pipeline` or `{given[0]}`, not both: $match, $project and $sort are stages of it"
            )
        for stage in self.pipeline or ():
            if found := next((name for name in stage if name in _WRITING), ""):
                raise ValueError(f"the stage {found} writes, and a source only reads")
        check_kept(self.fields, self.incremental, "fields")
        return self


class Mongodb(ServedSource[MongodbSource]):
    """A collection. A server has no fingerprint.

    A column is as wide as all its values (see `Widening`). Documents and lists become JSON text, ids and UUIDs text,
    times are in UTC.
    """

    def uri(self) -> str:
        return f"{shown(self.options.mongodb)}/{self.options.collection or ''}".rstrip("/")

    def newer(self, after: Any, ctx: Context) -> Iterator[pa.RecordBatch]:
        """See `IncrementalSource`."""
        widening, documents = Widening(self.uri()), Documents()
        with closing(self._connected()) as client:
            with explained(self.uri()):
                collection = self._collection(client)
                session = self._session(client)
            with session, explained(self.uri()):
                found = self._cursor(collection, session, after)
                while rows := [documents.row(each) for each in islice(found, self.options.batch)]:
                    yield widening.batch(rows)
        if documents.binary:
            ctx.warn(f"left out binary fields of '{self.uri()}': {', '.join(documents.binary)}")

    def _connected(self) -> MongoClient[dict[str, Any]]:
        return connect(self.options.mongodb, self.options.timeout, f"acquire.sources.{self.name}.mongodb")

    def _collection(self, client: MongoClient[dict[str, Any]]) -> Collection[dict[str, Any]]:
        database = database_of(client, self.options.mongodb)
        name = self.options.collection
        if name is None:
            there = database.list_collection_names(authorizedCollections=True)
            names = sorted(each for each in there if not each.startswith("system."))
            if len(names) != 1:
                fix = (
                    f"`collection:` one of {', '.join(names)}" if names else "check the name of the database"
                )
                raise DataError(f"'{self.uri()}' has {len(names)} collections, and none is named", fix=fix)
            return database[names[0]]
        if not database.list_collection_names(filter={"name": name}, authorizedCollections=True):
            raise not_there(database[name])
        return database[name]

    def _session(self, client: MongoClient[dict[str, Any]]) -> ClientSession:
        """One that reads as of one moment, where that is asked for and the server can."""
        hello = client.admin.command("hello")
        together = "setName" in hello or hello.get("msg") == "isdbgrid"
        can = together and hello.get("maxWireVersion", 0) >= _SNAPSHOTS
        return client.start_session(snapshot=True if self.options.snapshot and can else None)

    def _cursor(
        self, collection: Collection[dict[str, Any]], session: ClientSession, after: Any
    ) -> Iterator[Mapping[str, Any]]:
        options = self.options
        incremental = options.incremental
        newer = _from(incremental.cursor, after) if incremental and after is not None else {}
        if options.pipeline is not None:
            stages = [*map(_values, options.pipeline), *([{"$match": newer}] if newer else [])]
            yield from collection.aggregate(
                stages, session=session, batchSize=options.batch, allowDiskUse=True
            )
            return
        query = _values(options.query)
        yield from collection.find(
            {"$and": [query, newer]} if query and newer else query or newer,
            {**dict.fromkeys(options.fields, 1), **({} if "_id" in options.fields else {"_id": 0})}
            if options.fields
            else None,
            sort=[(field.removeprefix("-"), -1 if field.startswith("-") else 1) for field in options.sort]
            or None,
            batch_size=options.batch,
            session=session,
            allow_disk_use=True,
        )


def _values(said: Mapping[str, Any]) -> dict[str, Any]:
    """A query in the types of BSON, of extended JSON such as {$oid: ...}."""
    from bson.json_util import loads

    made: dict[str, Any] = loads(json.dumps(said))
    return made


def _from(cursor: str, after: Any) -> dict[str, Any]:
    """The documents from a value of the cursor on; the text of an id may be of an id or of a text."""
    from bson import ObjectId

    if isinstance(after, dt.datetime) and after.tzinfo is None:
        after = after.replace(tzinfo=dt.UTC)
    if isinstance(after, str) and ObjectId.is_valid(after):
        return {"$or": [{cursor: {"$gte": ObjectId(after)}}, {cursor: {"$gte": after}}]}
    return {cursor: {"$gte": after}}
