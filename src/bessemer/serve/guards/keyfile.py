"""The file of clients' keys: who, with which hash, may do what, until when.

Only hashes are kept. A key has 256 random bits, so there is nothing to guess and a plain SHA-256 is right: a slow hash
(scrypt) protects passwords that people choose, and here would only let anyone burn the server's time.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, BeforeValidator, Field, ValidationError

from bessemer.core.errors import Fault, ProjectError, UsageError, did_you_mean
from bessemer.core.lock import Busy, exclusive
from bessemer.core.spec import Spec
from bessemer.core.store import write_atomic
from bessemer.core.yaml_lines import parse
from bessemer.serve.guards.spec import Scope

#: A prefix, so that scanners for leaked secrets find our keys and people know what they look at.
PREFIX = "bsk_"
#: So many digits of a key's hash tell it from others, and are of no use to anybody.
SHOWN = 16
_BUSY = Busy(
    "another process writes the key file",
    "one process after the other changes it, so that no key is lost",
    "try again in a moment",
)
_HEAD = "# Clients of the server: `bessemer access add NAME`, `bessemer access revoke NAME`. Hashes only, no keys.\n"


def new_key() -> str:
    """A new key: 256 random bits in 47 characters of [A-Za-z0-9_-].

    >>> len(new_key()), new_key()[:4]
    (47, 'bsk_')
    """
    return PREFIX + secrets.token_urlsafe(32)


def hash_of(key: str) -> str:
    """The SHA-256 of a key, as 64 hex digits.

    >>> hash_of("bsk_x")[:16]
    '73066f9e0ebadbb7'
    """
    return hashlib.sha256(key.encode()).hexdigest()


def _moment(value: Any) -> Any:
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError(f"{value!r} is not a time: write 2027-01-31T12:00:00Z") from None


def _utc(value: datetime) -> datetime:
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


Moment = Annotated[datetime, BeforeValidator(_moment, json_schema_input_type=str), AfterValidator(_utc)]


class KeyEntry(Spec):
    """One client.

    >>> KeyEntry(name="shop", sha256="0" * 64).scopes
    ['predict']
    """

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$",
        description="The client, as logs show it; unique in the file.",
    )
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="The SHA-256 of the key, 64 hex digits.")
    scopes: list[Scope] = Field(["predict"], min_length=1, description="What it may do.")
    expires: Moment | None = Field(
        None, description="When the key stops being taken (UTC where it has no zone); never without it."
    )
    requests_per_second: float | None = Field(
        None, gt=0, le=1e6, description="Its own limit instead of the server's."
    )
    burst: int | None = Field(None, ge=1, le=10_000_000, description="Its own burst.")


class _KeyFile(Spec):
    keys: list[KeyEntry] = Field([], description="The clients.")


def read_keys(path: Path) -> tuple[KeyEntry, ...]:
    """The clients in a key file.

    Raises:
        UsageError: the file cannot be read.
        ProjectError: every fault in it, with its line.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        fix = f"bessemer access add NAME --file {path}" if not path.exists() else ""
        raise UsageError(f"cannot read the key file '{path}'", why=why or "", fix=fix) from None
    document = parse(text)
    if document.faults:
        raise ProjectError(document.faults, path.name)
    value = {"keys": []} if document.value is None else document.value
    try:
        entries = _KeyFile.model_validate_json(json.dumps(value)).keys
    except ValidationError as error:
        faults = []
        for item in error.errors(include_url=False, include_input=False):  # the input may be a key
            where = ".".join(map(str, item["loc"]))
            faults.append(Fault(where, document.line(where), item["msg"]))
        raise ProjectError(faults, path.name) from None
    _check_unique(entries, path)
    return tuple(entries)


def _check_unique(entries: list[KeyEntry], path: Path) -> None:
    names: set[str] = set()
    hashes: dict[str, str] = {}
    faults = []
    for number, entry in enumerate(entries):
        if entry.name in names:
            faults.append(Fault(f"keys.{number}.name", None, f"the name '{entry.name}' stands twice"))
        if entry.sha256 in hashes:
            what = f"'{entry.name}' and '{hashes[entry.sha256]}' have the same key"
            faults.append(Fault(f"keys.{number}.sha256", None, what))
        names.add(entry.name)
        hashes[entry.sha256] = entry.name
    if faults:
        raise ProjectError(faults, path.name)


def add_key(path: Path, name: str, **settings: Any) -> str:
    """Make a key for a new client and put its hash into the file; gives the key, which is kept nowhere.

    settings: scopes, expires (datetime), requests_per_second, burst, as in `KeyEntry`.

    Raises:
        UsageError: the name is taken or not a name, or a setting is wrong.
        StoreError: the file cannot be written.
    """
    key = new_key()
    given = {name: value for name, value in settings.items() if value is not None}
    try:
        entry = KeyEntry(name=name, sha256=hash_of(key), **given)
    except ValidationError as error:
        item = error.errors()[0]
        raise UsageError(f"{item['loc'][0]} {item['input']!r}: {item['msg']}") from None
    with _locked(path):
        entries = read_keys(path) if path.exists() else ()
        if any(other.name == name for other in entries):
            fix = f"take another name, or first: bessemer access revoke {name}"
            raise UsageError(f"'{path}' already has a client '{name}'", fix=fix)
        _write(path, (*entries, entry))
    return key


def revoke_key(path: Path, name: str) -> None:
    """Take a client out of the file: a server that runs refuses its key about a second later.

    Raises:
        UsageError: there is no such client.
    """
    with _locked(path):
        entries = read_keys(path)
        kept = tuple(entry for entry in entries if entry.name != name)
        if len(kept) == len(entries):
            known = [entry.name for entry in entries]
            raise UsageError(f"'{path}' has no client '{name}'", fix=did_you_mean(name, known))
        _write(path, kept)


def shown_key(path: Path, name: str) -> str:
    """The first 16 digits of a client's hash, which tell its key from a later one; '' where it has none."""
    entries = read_keys(path) if path.exists() else ()
    return next((entry.sha256[:SHOWN] for entry in entries if entry.name == name), "")


def _locked(path: Path) -> Any:
    return exclusive(path.with_name(f".{path.name}.lock"), wait=10.0, busy=_BUSY)


def _write(path: Path, entries: tuple[KeyEntry, ...]) -> None:
    rows = [entry.model_dump(mode="json", exclude_none=True) for entry in entries]
    write_atomic(path, (_HEAD + yaml.safe_dump({"keys": rows}, sort_keys=False)).encode())
