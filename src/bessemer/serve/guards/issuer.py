"""Where the keys of an issuer come from, and when they are fetched again: never while a request waits."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from bessemer.core.errors import UsageError
from bessemer.serve.guards.fetch import MOST_BYTES, FetchError, fetch
from bessemer.serve.guards.keyset import KeySet, KeySetError, parse_keys
from bessemer.serve.guards.spec import JwtSpec
from bessemer.serve.guards.watch import Periodic, Stamp

log = logging.getLogger("bessemer.serve")

_RETRY = 5.0


class Issuer:
    """Holds the newest key set that was good. `version` counts the changes.

    A URL is fetched at the start, every `refresh` seconds, and when a token names an unknown key, but not within
    `cooldown` seconds of the last time. When that fails, the keys that are there stay, and it is tried again after 5
    seconds, 10, 20, up to `cooldown`. A file is read at the start, and again when it changes.
    """

    def __init__(self, spec: JwtSpec, folder: Path) -> None:
        self.keys: KeySet | None = None
        self.version = 0
        self._spec = spec
        self._data = b""
        self._path = None if "://" in spec.jwks else folder / spec.jwks
        self._stamp = Stamp(self._path) if self._path else None
        self._next = 0.0
        self._last = -1e9
        self._failures = 0
        self._asked = False
        self._thread = Periodic("bessemer-jwks", self.refresh, 1.0)
        if self._path is not None:
            try:
                self._take(_read(self._path))
            except (OSError, KeySetError) as error:
                why = (error.strerror or "") if isinstance(error, OSError) else str(error)
                raise UsageError(f"cannot take keys from '{self._path}'", why=why) from None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._thread.stop()

    def ask(self) -> bool:
        """A token names a key that is not there: whether the keys are being fetched for it (else there is none)."""
        if self._path is not None:
            return False
        if self._asked:
            return True
        if time.monotonic() - self._last < self._spec.cooldown:
            return False
        self._asked = True
        self._thread.wake()
        return True

    def refresh(self) -> None:
        """Do what is due; called by the thread every second."""
        if self._path is not None:
            self._reread(self._path)
        elif self._asked or time.monotonic() >= self._next:
            self._fetch()
            self._asked = False

    def _reread(self, path: Path) -> None:
        assert self._stamp is not None
        if not self._stamp.changed():
            return
        try:
            self._take(_read(path))
        except (OSError, KeySetError) as error:
            log.error("the keys of %s stay as they were: %s", self._spec.issuer, error)

    def _fetch(self) -> None:
        try:
            self._take(fetch(self._spec.jwks, self._spec.timeout))
        except (FetchError, KeySetError) as error:
            wait = min(_RETRY * 2.0 ** min(self._failures, 10), max(_RETRY, self._spec.cooldown))
            self._failures += 1
            kept = "the keys stay as they were" if self.keys else "no token can be checked"
            log.error("no keys from %s: %s; %s, next try in %g s", self._spec.jwks, error, kept, wait)
        else:
            self._failures, wait = 0, self._spec.refresh
        self._last = time.monotonic()
        self._next = self._last + wait

    def _take(self, data: bytes) -> None:
        if data == self._data and self.keys is not None:
            return
        self.keys = parse_keys(data, self._spec.algorithms)
        self._data = data
        self.version += 1
        log.info("keys of %s: %d", self._spec.issuer, len(self.keys.ids))


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise KeySetError(f"it is larger than {MOST_BYTES // 1024} KB")
    return data
