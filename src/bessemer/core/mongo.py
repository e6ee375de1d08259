"""How to reach a MongoDB, and its errors in words that say what to do. The source and the sink stand on it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bessemer.core.errors import DataError, did_you_mean
from bessemer.core.secrets import expanded

if TYPE_CHECKING:
    from pymongo import MongoClient
    from pymongo.collection import Collection
    from pymongo.database import Database

#: `mongodb://` or `mongodb+srv://`; the path names the database.
URL = r"^mongodb(\+srv)?://.+"
_NO_LOGIN, _NO_RIGHT = 18, 13
_SNAPSHOT = {
    239: "the snapshot is older than the server keeps",
    246: "the server has no snapshot",
    72: "",
    20: "",
}


def connect(url: str, timeout: float, setting: str = "") -> MongoClient[dict[str, Any]]:
    """A client; nothing is asked of the server yet.

    Args:
        url: `${NAME}` is taken from the environment. timeout: seconds that an answer, or an election, may take.

    Raises:
        DataError: the URL means nothing.
    """
    from bson.codec_options import DatetimeConversion
    from pymongo import MongoClient
    from pymongo.errors import PyMongoError

    try:
        return MongoClient(
            expanded(url, setting),
            tz_aware=True,
            uuidRepresentation="standard",
            datetime_conversion=DatetimeConversion.DATETIME_AUTO,
            serverSelectionTimeoutMS=round(timeout * 1000),
            connectTimeoutMS=round(timeout * 1000),
            socketTimeoutMS=round(timeout * 1000),
            appname="bessemer",
        )
    except (PyMongoError, ValueError) as error:
        raise DataError(
            f"'{shown(url)}' is no address of a MongoDB",
            why=str(error),
            fix="mongodb://me:${PASSWORD}@host/database",
        ) from None


def shown(url: str) -> str:
    """The address without options and passwords, as records have it.

    >>> shown("mongodb://me:${PASSWORD}@host/db?authSource=admin")
    'mongodb://me@host/db'
    """
    return re.sub(r"(://[^:/@]*)(:[^@]*)?@", r"\1@", url.partition("?")[0])


def database_of(client: MongoClient[dict[str, Any]], url: str) -> Database[dict[str, Any]]:
    """The database that the URL names.

    Raises:
        DataError: it names none.
    """
    from pymongo.errors import ConfigurationError

    try:
        return client.get_default_database()
    except ConfigurationError:
        names = _names(lambda: client.list_database_names(), ("admin", "config", "local"))
        fix = f"end it with /DATABASE; there are: {', '.join(names)}" if names else "end it with /DATABASE"
        raise DataError(f"'{shown(url)}' names no database", fix=fix) from None


def not_there(collection: Collection[dict[str, Any]]) -> DataError:
    """That there is no such collection, and the nearest name: of a collection, or of the database."""
    client, database = collection.database.client, collection.database
    names = _names(lambda: database.list_collection_names(authorizedCollections=True), ())
    what = f"no collection '{collection.name}' in database '{database.name}'"
    if names:
        return DataError(what, fix=did_you_mean(collection.name, names))
    there = _names(lambda: client.list_database_names(), ("admin", "config", "local"))
    if database.name in there or not there:
        return DataError(
            what, why="the database has no collections that this user sees", fix="check the rights"
        )
    return DataError(what, why="there is no such database", fix=did_you_mean(database.name, there))


def _names(asked: Any, hidden: tuple[str, ...]) -> list[str]:
    """Names, or none where this user may not ask for them."""
    from pymongo.errors import OperationFailure

    try:
        return sorted(name for name in asked() if name not in hidden and not name.startswith("system."))
    except OperationFailure:
        return []


def _said(details: Mapping[str, Any]) -> str:
    """What the server says, without the documents: of many writes that it refuses, how many and why the first.

    >>> refused = {"index": 3, "code": 121, "errmsg": "Document failed validation", "op": {"name": "me"}}
    >>> _said({"writeErrors": [refused, refused]})
    '2 documents were refused, the first with code 121: Document failed validation'
    """
    refused = details.get("writeErrors") or details.get("writeConcernErrors") or []
    if not refused:
        return str(details.get("errmsg") or "")
    many = f"{len(refused):,} documents were" if len(refused) > 1 else "a document was"
    first = "the first with code" if len(refused) > 1 else "with code"
    return f"{many} refused, {first} {refused[0].get('code')}: {str(refused[0].get('errmsg'))[:300]}"


@contextmanager
def explained(where: str, done: str = "read") -> Iterator[None]:
    """What goes wrong at a server, told of this place.

    Args:
        done: what could not be done with it.
    """
    from bson.errors import BSONError
    from pymongo.errors import ConnectionFailure, OperationFailure, PyMongoError

    try:
        yield
    except OperationFailure as error:
        said = _said(error.details or {}) or str(error)
        fix = "check `query`, `pipeline` and `sort`"
        if done == "written":
            fix = "check the collection's rules (a schema, unique indexes) and the rights; then call it again"
        if error.code == _NO_LOGIN:
            fix = "check the user, the password and `authSource` in the URL"
        elif error.code == _NO_RIGHT:
            fix = "give the user the right to it, or log in: mongodb://me:${PASSWORD}@host/database"
        elif error.code in _SNAPSHOT and "snapshot" in said.lower():
            fix = "write `snapshot: false`, or raise the server's minSnapshotHistoryWindowInSeconds"
        raise DataError(f"'{where}' cannot be {done}", why=said, fix=fix) from None
    except ConnectionFailure as error:
        raise DataError(
            f"'{where}' cannot be {done}",
            why=f"{type(error).__name__}: {str(error).partition(', Timeout:')[0][:300]}",
            fix="check the address and whether the server runs; then call it again",
        ) from None
    except (PyMongoError, BSONError) as error:
        raise DataError(
            f"'{where}' cannot be {done}", why=f"{type(error).__name__}: {error}", fix="check the settings"
        ) from None
