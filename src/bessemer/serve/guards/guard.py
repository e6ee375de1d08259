"""The door of the server: who asks, whether they may, and whether not too often."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from bessemer.core.errors import UsageError
from bessemer.serve.errors import RequestError
from bessemer.serve.guards.address import Addresses
from bessemer.serve.guards.buckets import Buckets
from bessemer.serve.guards.cors import Cors, Headers
from bessemer.serve.guards.identity import Identity
from bessemer.serve.guards.principal import Principal, Rate
from bessemer.serve.guards.refusals import no_credentials, not_allowed, rate_headers, too_often
from bessemer.serve.guards.spec import AccessSpec, CorsSpec
from bessemer.serve.guards.suspects import Suspects, audited
from bessemer.serve.guards.watch import Periodic
from bessemer.serve.wire import Response

_NO_HEADERS: Mapping[str, str] = {}


class Guard:
    """Admits requests. It has no socket; `admit` takes a few microseconds at most and never waits.

    A client is known by the first of: the header `x-api-key`, `authorization: Bearer` (a key or a token), its
    certificate. A wrong key is refused also where one would not have been needed. Headers have lowercase names, so
    gRPC metadata fits as it is, with the full method (`/package.Service/Method`) as the path.

    Every process has a guard of its own, with its part of each limit: `workers` of them together keep it, and one
    connection, which stays with one process, gets its part.

    Args:
        access: who may do what.
        cors: which pages may call; None: the browser lets none.
        workers: how many processes serve together, at least 1.
        clock: seconds that never go back, for limits.
        folder: what paths in `access` are relative to.
        wall: seconds since 1970, for what expires.

    Raises:
        UsageError, ProjectError: keys are missing, or their file is wrong.
        MissingExtra: tokens are asked for and PyJWT is not installed.

    >>> guard = Guard(AccessSpec(limits={"requests_per_second": 1, "burst": 1}))
    >>> guard.admit("POST", "/predict", {}, "192.0.2.1").scopes
    frozenset({'predict'})
    >>> guard.admit("POST", "/predict", {}, "192.0.2.1")
    Traceback (most recent call last):
    bessemer.serve.errors.RequestError: too many requests: the limit is 1 a second and 1 at once
      fix: wait 1 second
    """

    def __init__(
        self,
        access: AccessSpec,
        cors: CorsSpec | None = None,
        workers: int = 1,
        clock: Callable[[], float] = time.monotonic,
        *,
        folder: Path | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        if workers < 1:
            raise UsageError(f"{workers} workers cannot share a limit")
        limits = access.limits
        self._clock = clock
        self._closed = access.closed
        free = access.anonymous if access.anonymous is not None else ([] if self._closed else ["predict"])
        self._anonymous = Principal("", frozenset(free))
        self._public, self._patterns = _paths(access.public)
        self._rate = (
            Rate(limits.requests_per_second, limits.at_once).shared(workers) if limits is not None else None
        )
        self._shown = limits is not None and limits.headers
        most = limits.remember if limits is not None else 65536
        self._clients, self._strangers = Buckets(most), Buckets(most)
        self._addresses = Addresses(access.proxies)
        self._identity = Identity(
            access, self._anonymous, self._addresses, workers, clock, folder=folder or Path(), wall=wall
        )
        self._suspects = (
            Suspects(access.suspects, folder or Path(), workers, self._identity.known, wall, self._rate)
            if access.suspects is not None
            else None
        )
        self._cors = Cors(cors) if cors is not None else None
        self._open = not self._closed and limits is None
        self._files = Periodic("bessemer-access", self.refresh, 1.0)

    def start(self) -> None:
        """Begin to watch the key file and to fetch the issuer's keys, in threads.

        Call it in each process, after a fork.
        """
        if self._identity.tokens is not None:
            self._identity.tokens.issuer.start()
        if self._identity.keys is not None or self._suspects is not None:
            self._files.start()

    def stop(self) -> None:
        """End the threads."""
        self._files.stop()
        if self._identity.tokens is not None:
            self._identity.tokens.issuer.stop()

    def refresh(self) -> None:
        """Read the files of keys and of suspects again if they have changed; the thread does so every second."""
        if self._identity.keys is not None:
            self._identity.keys.refresh()
        if self._suspects is not None:
            self._suspects.refresh()

    def admit(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        address: str,
        *,
        scope: str = "predict",
        certificate: str = "",
    ) -> Principal:
        """Let a request in.

        Args:
            path: decoded, as the routes are looked up.
            headers: names in lowercase.
            address: of the peer, as text; '' where it has none (a Unix socket).
            scope: what the route needs.
            certificate: the name in the client's certificate, as `tls.peer_name` gives it, '' without one.

        Raises:
            RequestError: 401, 403, 429 or 503, with the headers the answer must have.
        """
        if self._open and not certificate:
            if scope in self._anonymous.scopes or self.is_public(path):
                return self._anonymous
            raise _nobody_may(scope)
        if path in self._public or (self._patterns is not None and self.is_public(path)):
            return self._anonymous
        if self._closed:
            principal = self._identity.of(headers, address, certificate)
        else:
            principal = self._identity.certified(certificate) if certificate else self._anonymous
        if self._suspects is not None and principal.name in self._suspects.acted:
            principal = self._suspects.met(principal)
        rate = principal.rate or self._rate
        if rate is not None:
            wait = self._take(principal, rate, headers, address)
            if wait:
                raise audited(too_often(rate, wait), principal)
        if scope not in principal.scopes:
            raise self._lacking(principal, scope)
        return principal

    def _take(self, principal: Principal, rate: Rate, headers: Mapping[str, str], address: str) -> float:
        if principal.name:
            return self._clients.take(principal.name, rate, self._clock())
        return self._strangers.take(self._addresses.bucket(address, headers), rate, self._clock())

    def _lacking(self, principal: Principal, scope: str) -> RequestError:
        if not self._closed:
            return _nobody_may(scope)
        if not principal.name and not principal.scopes:
            return no_credentials()
        return not_allowed(scope, principal.name)

    @property
    def free(self) -> bool:
        """Whether everybody may predict, as often as they like: `admit` need not be asked then."""
        return self._open and "predict" in self._anonymous.scopes

    @property
    def pages(self) -> bool:
        """Whether answers may need further headers: for pages of other origins, or to show the limit."""
        return self._cors is not None or self._shown

    def is_public(self, path: str) -> bool:
        """Whether a path is answered without a key and without a limit."""
        return path in self._public or (self._patterns is not None and bool(self._patterns.fullmatch(path)))

    def preflight(self, method: str, headers: Mapping[str, str]) -> Response | None:
        """The answer to a browser's preflight, which comes without a key and so goes before `admit`; else None.

        Raises:
            RequestError: 403 for an origin that is not allowed.
        """
        return self._cors.preflight(method, headers) if self._cors is not None else None

    def response_headers(
        self,
        headers: Mapping[str, str] = _NO_HEADERS,
        principal: Principal | None = None,
        address: str = "",
    ) -> Headers:
        """What any answer must have beside its own headers: those of CORS, and the limit where it is shown.

        Args:
            headers: of the request.
            principal: who was let in; None for a refusal and for public paths, which have no limit to show.
        """
        found = self._cors.headers(headers) if self._cors is not None else ()
        if not self._shown or principal is None:
            return found
        rate = principal.rate or self._rate
        assert rate is not None, "the limit is shown only where there is one"
        if principal.name:
            left, reset = self._clients.left(principal.name, rate, self._clock())
        else:
            bucket = self._addresses.bucket(address, headers)
            left, reset = self._strangers.left(bucket, rate, self._clock())
        return (*found, *rate_headers(rate, left, reset))


def _nobody_may(scope: str) -> RequestError:
    fix = "give clients keys with this scope: `serve.access.keys`"
    return RequestError(403, f"nobody may do this here: it needs the scope '{scope}'", fix=fix)


def _paths(public: list[str]) -> tuple[frozenset[str], re.Pattern[str] | None]:
    """Paths to look up, and one expression for those with `*`."""
    exact = frozenset(path for path in public if "*" not in path)
    patterns = [re.escape(path).replace(r"\*", "[^/]+") for path in public if "*" in path]
    return exact, re.compile("|".join(patterns)) if patterns else None
