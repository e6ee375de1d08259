"""A registry of schemas (Confluent's HTTP API), and the mark by which a message names its schema."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from bessemer.core.errors import DataError, did_you_mean

if TYPE_CHECKING:
    from confluent_kafka.schema_registry import Schema

_MAGIC = 0
T = TypeVar("T")


class BadFrame(ValueError):
    """A message that does not begin with the mark of a registry, or whose schema is none."""


class BadSchema(BadFrame):
    """The registry has no schema of the message's id, or one that cannot be used: the same for all that name it."""


def frame(value: bytes) -> tuple[int, bytes]:
    """The id of the schema in a message, and what follows: a zero byte, four bytes of the id, the rest.

    Raises:
        BadFrame: it does not begin so.

    >>> frame(bytes([0, 0, 0, 0, 7]) + b"abc")
    (7, b'abc')
    """
    if len(value) < 5 or value[0] != _MAGIC:
        raise BadFrame("it does not begin with a registry's mark (a zero byte and the id of a schema)")
    return int.from_bytes(value[1:5], "big"), value[5:]


def once(bad: dict[bytes, str], value: bytes, ask: Callable[[bytes], T]) -> T:
    """What is asked for a message, but for a schema that was asked for in vain before.

    Args:
        bad: the beginnings of messages, which name their schema -> why it cannot be used.

    Raises:
        BadFrame: it cannot be used, or was not asked for again.
    """
    mark = value[:5]
    if mark in bad:
        raise BadFrame(bad[mark])
    try:
        return ask(value)
    except BadSchema as fault:
        bad[mark] = str(fault)
        raise


@dataclass(frozen=True)
class Text:
    """A schema's text, and those that it imports by name: each stands behind those that it imports itself."""

    text: str
    imports: dict[str, str] = field(default_factory=dict)


class Schemas(Protocol):
    """Where the schema of an id comes from."""

    def text(self, number: int) -> Text:
        """The schema.

        Raises:
            BadSchema: there is none of this id. DataError: the registry cannot be asked.
        """


class Registry:
    """A registry behind a URL. Schemas never change, so each is asked for once.

    Args:
        url: of the registry. login: user and password, where it wants some. ca: a file of certificates to trust.
    """

    def __init__(self, url: str, login: tuple[str, str] | None = None, ca: str | None = None) -> None:
        from confluent_kafka.schema_registry import SchemaRegistryClient

        said: dict[str, Any] = {"url": url, "timeout": 15}
        if login:
            said["basic.auth.user.info"] = ":".join(login)
        if ca:
            said["ssl.ca.location"] = ca
        self._url, self._client = url, SchemaRegistryClient(said)
        self._texts: dict[int, Text] = {}

    def text(self, number: int) -> Text:
        if number not in self._texts:
            schema = self._asked(number)
            self._texts[number] = Text(str(schema.schema_str), self._imports(schema))
        return self._texts[number]

    def _asked(self, number: int) -> Schema:
        return self._answer(f"schema {number}", lambda: self._client.get_schema(number))

    def _answer(self, what: str, ask: Callable[[], Schema]) -> Schema:
        import httpx
        from confluent_kafka.schema_registry import SchemaRegistryError

        try:
            return ask()
        except SchemaRegistryError as error:
            if error.http_status_code == 404:
                raise BadSchema(f"the registry has no {what}") from None
            fix = (
                "check `registry_username` and `registry_password_env`"
                if error.http_status_code in (401, 403)
                else ""
            )
            raise self._unusable(str(error), fix) from None
        except (httpx.HTTPError, OSError, ValueError) as error:
            raise self._unusable(str(error) or type(error).__name__) from None

    def _imports(self, schema: Schema) -> dict[str, str]:
        found: dict[str, str] = {}
        for reference in schema.references or ():
            there = self._imported(str(reference.subject), int(reference.version))
            found.update(self._imports(there))
            found[str(reference.name)] = str(there.schema_str)
        return found

    def _imported(self, subject: str, version: int) -> Schema:
        what = f"version {version} of the subject '{subject}', which the schema imports"
        return self._answer(what, lambda: self._client.get_version(subject, version).schema)

    def _unusable(self, why: str, fix: str = "") -> DataError:
        return DataError(
            f"the registry of schemas at {self._url} cannot be used",
            why=why,
            fix=fix or "check `registry` and whether it runs",
        )


def pick_message(wanted: str, there: list[str]) -> str:
    """The name of a message type: the wanted one, or the first.

    Raises:
        DataError: there is no such type.

    >>> pick_message("", ["shop.Click", "shop.View"])
    'shop.Click'
    """
    if not there:
        raise DataError("the schema has no message", fix="check the .proto file")
    if not wanted:
        return there[0]
    short = {name.rpartition(".")[2]: name for name in reversed(there)}
    found = wanted if wanted in there else short.get(wanted)
    if not found:
        raise DataError(f"the schema has no message '{wanted}'", fix=did_you_mean(wanted, there))
    return found
