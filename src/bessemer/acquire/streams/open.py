"""What a project file says of a topic, made into the parts that land it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from bessemer.acquire.sources.delta import located, storage
from bessemer.acquire.streams.client import Client, group_of, login
from bessemer.acquire.streams.lander import Lander
from bessemer.acquire.streams.table import LandingTable
from bessemer.core.errors import DataError
from bessemer.core.secrets import expanded, secret

if TYPE_CHECKING:
    from bessemer.acquire.streams.decoded import Decoder
    from bessemer.acquire.streams.options import KafkaSource
    from bessemer.acquire.streams.registry import Registry


def setting_of(name: str) -> str:
    return f"acquire.sources.{name}"


def client_of(name: str, options: KafkaSource, folder: Path, *, ends: bool) -> Client:
    said = login(options, options.kafka, folder, setting_of(name))
    return Client(said, group_of(options), options.kafka, ends=ends)


def table_of(name: str, options: KafkaSource, folder: Path) -> LandingTable:
    where = located(expanded(options.land, f"{setting_of(name)}.land"), folder)
    return LandingTable(where, options.topic, storage(where))


def lander_of(
    name: str, options: KafkaSource, folder: Path, told: Callable[[str], None] = lambda text: None
) -> Lander:
    """The lander of a source, with its table and its decoder."""
    return Lander(
        table_of(name, options, folder),
        decoder_of(name, options, folder),
        key="key" in options.metadata,
        headers="headers" in options.metadata,
        tombstones=options.tombstones == "keep",
        quarantine=options.quarantine,
        told=told,
    )


def decoder_of(name: str, options: KafkaSource, folder: Path) -> Decoder:
    """The decoder of a source's messages."""
    if options.format == "json":
        from bessemer.acquire.streams.decoders.json import JsonDecoder

        fields = options.schema_ if isinstance(options.schema_, dict) else None
        return JsonDecoder(fields, framed=options.registry is not None)
    text = _schema(options, folder)
    registry = _registry(name, options, folder)
    if options.format == "avro":
        from bessemer.acquire.streams.decoders.avro import AvroDecoder

        return AvroDecoder(registry, text)
    from bessemer.acquire.streams.decoders.protobuf import ProtobufDecoder

    return ProtobufDecoder(registry, text, options.message)


def _schema(options: KafkaSource, folder: Path) -> str:
    if not isinstance(options.schema_, str):
        return ""
    path = folder / Path(options.schema_).expanduser()
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = f"{type(error).__name__}: looked for {path}"
        raise DataError(
            f"the schema '{options.schema_}' cannot be read", why=why, fix="check `schema`"
        ) from None


def _registry(name: str, options: KafkaSource, folder: Path) -> Registry | None:
    from bessemer.acquire.streams.registry import Registry

    if options.registry is None:
        return None
    user = None
    if options.registry_username and options.registry_password_env:
        password = secret(options.registry_password_env, "the password of the registry's user")
        user = expanded(options.registry_username, f"{setting_of(name)}.registry_username"), password
    ca = str(folder / Path(options.ca).expanduser()) if options.ca else None
    return Registry(expanded(options.registry, f"{setting_of(name)}.registry"), user, ca)
