"""Who asks: by a key, a token, or a certificate."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path

from bessemer.serve.errors import RequestError
from bessemer.serve.guards.address import Addresses
from bessemer.serve.guards.buckets import Buckets
from bessemer.serve.guards.keyring import Keyring
from bessemer.serve.guards.principal import Principal, Rate, client_name
from bessemer.serve.guards.refusals import too_often, wrong_credentials
from bessemer.serve.guards.spec import AccessSpec
from bessemer.serve.guards.tokens import Tokens

_MOST_CREDENTIAL = 65536
_MOST_FAILING = 4096
_FAILURE_BURST = 5  # seconds' worth of wrong tokens at once


class Identity:
    """Finds out who sends a request. Arguments are those of `Guard`; `anonymous` is who shows nothing."""

    def __init__(
        self,
        access: AccessSpec,
        anonymous: Principal,
        addresses: Addresses,
        workers: int,
        clock: Callable[[], float],
        *,
        folder: Path,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.keys = Keyring(access.keys, folder, access.limits, workers) if access.keys else None
        self.tokens = Tokens(access.jwt, folder, wall) if access.jwt else None
        self._certificates, self._closed = access.certificates, access.closed
        self._anonymous, self._addresses = anonymous, addresses
        self._clock, self._wall = clock, wall
        each = access.jwt.failures_per_second if access.jwt else 1.0
        self._failures = Rate(each, max(1, round(each * _FAILURE_BURST))).shared(workers)
        self._failed = Buckets(_MOST_FAILING)

    def known(self) -> frozenset[str] | None:
        """The clients there are now, those who administer aside; None where they are nobody's to say."""
        if self.keys is None or self.tokens is not None or self._certificates is not None:
            return None
        return self.keys.clients(self._wall())

    def of(self, headers: Mapping[str, str], address: str, certificate: str) -> Principal:
        """Who asks, by what they show.

        Raises:
            RequestError: 401, 429 or 503.
        """
        credential = headers.get("x-api-key") or _bearer(headers.get("authorization", ""))
        if not credential:
            return self.certified(certificate) if certificate else self._anonymous
        if len(credential) > _MOST_CREDENTIAL:
            raise wrong_credentials("the key is too long")
        try:
            digest = sha256(credential.encode()).digest()
        except UnicodeEncodeError:
            raise wrong_credentials("the key is not text") from None
        if self.keys is not None and (known := self.keys.find(digest)) is not None:
            if self._wall() >= known.expires:
                raise wrong_credentials("the key has expired", "ask for a new one")
            return known.principal
        if self.tokens is not None:
            if (principal := self.tokens.recall(digest)) is not None:
                return principal
            if credential.count(".") == 2:
                return self._verified(credential, digest, self._addresses.bucket(address, headers))
        raise wrong_credentials("the key is not known", "ask who runs the server for one")

    def _verified(self, token: str, digest: bytes, source: str) -> Principal:
        """Check a token that is not remembered, unless its sender has lately sent too many wrong ones."""
        assert self.tokens is not None
        now = self._clock()
        if wait := self._failed.wait(source, self._failures, now):
            raise too_often(self._failures, wait)
        try:
            return self.tokens.verify(token, digest)
        except RequestError:
            self._failed.take(source, self._failures, now)
            raise

    def certified(self, name: str) -> Principal:
        """Who has a certificate with a name, which TLS has verified."""
        spec, shown = self._certificates, f"certificate:{client_name(name)}"
        if spec is None:
            return self._anonymous if self._closed else Principal(shown, self._anonymous.scopes)
        names = {"predict": spec.predict, "admin": spec.admin}
        scopes = frozenset(scope for scope, ones in names.items() if name in ones or "*" in ones)
        return Principal(shown, scopes)


def _bearer(value: str) -> str:
    """What follows the scheme Bearer (in any case, RFC 9110), '' for another scheme."""
    if value[:7].lower() == "bearer ":
        return value[7:].strip()
    return ""
