"""The keys a server takes, ready to be looked up."""

from __future__ import annotations

import hmac
import logging
import math
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bessemer.core.errors import BessemerError, UsageError
from bessemer.core.redaction import remember
from bessemer.serve.guards.keyfile import SHOWN, KeyEntry, hash_of, read_keys
from bessemer.serve.guards.principal import Principal, Rate
from bessemer.serve.guards.spec import KeysSpec, LimitsSpec, Scope
from bessemer.serve.guards.watch import Stamp

log = logging.getLogger("bessemer.serve")

_SHORTEST = 32
_BOTH: list[Scope] = ["predict", "admin"]


@dataclass(frozen=True, slots=True)
class Known:
    """A key that is known: its digest (32 bytes), whose it is, when it ends (seconds since 1970)."""

    digest: bytes
    principal: Principal
    expires: float


class Keyring:
    """Looks up keys by their SHA-256.

    How long a look-up takes says nothing about a key: what is compared is a digest, which a client cannot steer, and
    the last comparison takes the same time wherever two digests differ.

    `refresh` reads the file again when it has changed. A file that is broken or gone leaves the keys as they are,
    and the log says so: a slip of an editor must not lock out everybody.
    """

    def __init__(self, spec: KeysSpec, folder: Path, limits: LimitsSpec | None, workers: int = 1) -> None:
        self._limits, self._workers = limits, workers
        self._fixed = [self._known(entry) for entry in _from_environment(spec)]
        self._path = folder / spec.file if spec.file else None
        self._stamp = Stamp(self._path) if self._path else None
        self._table: dict[bytes, Known] = {}
        self._fill(read_keys(self._path) if self._path else ())

    def __len__(self) -> int:
        return len(self._table)

    def clients(self, now: float) -> frozenset[str]:
        """The names of those who have a key that is taken at a moment (Unix seconds), and may not administer."""
        each = ((known.principal, known.expires) for known in self._table.values())
        return frozenset(who.name for who, expires in each if expires > now and "admin" not in who.scopes)

    def find(self, digest: bytes) -> Known | None:
        """The key with a SHA-256 (32 bytes), also when it has expired."""
        known = self._table.get(digest)
        if known is None or not hmac.compare_digest(known.digest, digest):
            return None
        return known

    def refresh(self) -> None:
        """Read the file again if it has changed; what is wrong with it goes to the log."""
        if self._stamp is None or self._path is None or not self._stamp.changed():
            return
        try:
            self._fill(read_keys(self._path))
        except BessemerError as error:
            log.error("the keys stay as they were: %s", error)
            return
        log.info("%d keys from %s", len(self._table), self._path.name)

    def _fill(self, entries: Iterable[KeyEntry]) -> None:
        known = [*self._fixed, *(self._known(entry) for entry in entries)]
        self._table = {one.digest: one for one in known}  # in one step, for the threads that look up

    def _known(self, entry: KeyEntry) -> Known:
        expires = entry.expires.timestamp() if entry.expires else math.inf
        rate, credential = self._rate(entry), entry.sha256[:SHOWN]
        principal = Principal(entry.name, frozenset(entry.scopes), rate, credential)
        return Known(bytes.fromhex(entry.sha256), principal, expires)

    def _rate(self, entry: KeyEntry) -> Rate | None:
        if entry.requests_per_second is None and entry.burst is None:
            return None
        each = entry.requests_per_second or (self._limits.requests_per_second if self._limits else 0.0)
        if not each:
            fix = "give it `requests_per_second` too, or set `serve.access.limits`"
            raise UsageError(f"the key '{entry.name}' has a burst and no limit", fix=fix)
        return Rate(each, entry.burst or max(1, round(each))).shared(self._workers)


def _from_environment(spec: KeysSpec) -> list[KeyEntry]:
    """The keys in environment variables, each named as its variable."""
    names: dict[str, list[Scope]] = {name: ["predict"] for name in spec.env}
    names |= dict.fromkeys(spec.admin_env, _BOTH)
    entries = []
    for name, scopes in names.items():
        key = os.environ.get(name, "").strip()
        if len(key) < _SHORTEST or not key.isascii() or not key.isprintable() or " " in key:
            why = "it is not set" if not key else f"a key has at least {_SHORTEST} characters, and no spaces"
            fix = 'python -c "import secrets; print(secrets.token_urlsafe(32))" makes one'
            raise UsageError(f"the environment variable {name} has no key", why=why, fix=fix)
        entries.append(KeyEntry(name=name, sha256=hash_of(remember(key)), scopes=scopes))
    return entries
