"""JSON Web Tokens of an issuer (RFC 7519, judged by the rules of RFC 8725)."""

from __future__ import annotations

import contextlib
import importlib.util
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bessemer.core.errors import MissingExtra
from bessemer.serve.guards.issuer import Issuer
from bessemer.serve.guards.principal import Principal, client_name
from bessemer.serve.guards.refusals import not_yet, wrong_credentials
from bessemer.serve.guards.spec import JwtSpec

if TYPE_CHECKING:
    from jwt import PyJWK

    from bessemer.serve.errors import RequestError

_MOST_SCOPES = 1000


class Tokens:
    """Says who a token is of.

    A token that was good is remembered by its SHA-256 until it expires, the issuer's keys change, or too many newer
    ones have come: from the second time on it costs one look-up.

    Raises:
        MissingExtra: PyJWT is not installed.
        UsageError: the file of keys cannot be read.
    """

    def __init__(self, spec: JwtSpec, folder: Path, wall: Callable[[], float] = time.time) -> None:
        for module in ("jwt", "cryptography"):
            if importlib.util.find_spec(module) is None:
                raise MissingExtra("serve.access.jwt", module, "serve")
        self.issuer = Issuer(spec, folder)
        self._spec = spec
        self._wall = wall
        self._known: OrderedDict[bytes, tuple[Principal, float, int]] = OrderedDict()

    def recall(self, digest: bytes) -> Principal | None:
        """Who a token with a SHA-256 (32 bytes) is of, where it was found good before and still is."""
        found = self._known.get(digest)
        if found is None:
            return None
        principal, expires, version = found
        if version == self.issuer.version and self._wall() < expires:
            return principal
        self._known.pop(digest, None)
        return None

    def verify(self, token: str, digest: bytes) -> Principal:
        """Check a token and remember it.

        Raises:
            RequestError: 401 with the reason, or 503 while the key it may be signed with is being fetched.
        """
        version = self.issuer.version  # before the check: keys that change meanwhile must forget this token
        claims = self._claims(token, self._key(token))
        since = claims.get("auth_time")
        principal = Principal(
            f"jwt:{self._name(claims)}",
            self._scopes(claims),
            since=float(min(since, self._wall())) if isinstance(since, int | float) else 0.0,
        )
        self._remember(digest, (principal, float(int(claims["exp"])) + self._spec.leeway, version))
        return principal

    def _remember(self, digest: bytes, found: tuple[Principal, float, int]) -> None:
        while len(self._known) >= self._spec.remember:
            with contextlib.suppress(KeyError):  # another thread was first
                self._known.popitem(last=False)  # the one that was verified first
        self._known[digest] = found

    def _key(self, token: str) -> PyJWK:
        """The key that a token's header names. Only `alg` and `kid` are read: no key, and no address of one."""
        import jwt

        if len(token) > self._spec.max_token:
            raise wrong_credentials("the token is too long", f"send at most {self._spec.max_token} bytes")
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, ValueError):
            raise wrong_credentials("the token is not a JWT") from None
        algorithm, kid = header.get("alg"), header.get("kid")
        if algorithm not in self._spec.algorithms:
            fix = f"sign with one of {', '.join(self._spec.algorithms)}"
            raise wrong_credentials("the algorithm of the token is not taken", fix)
        if "crit" in header or "b64" in header:
            raise wrong_credentials("the token has critical extensions, which are not taken")
        keys = self.issuer.keys
        if keys is None:
            self.issuer.ask()
            raise not_yet("tokens cannot be checked yet: the keys of their issuer are not here")
        key = keys.find(kid, algorithm)
        if key is None:
            raise self._unknown(kid, kid in keys.ids)
        return key

    def _unknown(self, kid: str | None, other: bool) -> RequestError:
        """Why there is no key. One that the issuer may have just begun to use is fetched."""
        if kid is None:
            return wrong_credentials("the token does not name its key")
        if other:
            return wrong_credentials("the key of the token is not for its algorithm")
        if self.issuer.ask():
            return not_yet("the key of the token is not known yet: the keys are being fetched")
        return wrong_credentials("the key of the token is not known")

    def _claims(self, token: str, key: PyJWK) -> dict[str, Any]:
        import jwt

        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key=key,
                algorithms=[key.algorithm_name],
                audience=self._spec.audience,
                issuer=self._spec.issuer,
                leeway=self._spec.leeway,
                options={"require": ["exp", "iss", "aud"]},
            )
            return claims
        except jwt.ExpiredSignatureError:
            raise wrong_credentials("the token has expired", "get a new one") from None
        except jwt.ImmatureSignatureError:
            raise wrong_credentials("the token is not valid yet", "look at the clock of its issuer") from None
        except jwt.InvalidAudienceError:
            fix = f"ask for a token for {' or '.join(self._spec.audience)}"
            raise wrong_credentials("the token is for another audience", fix) from None
        except jwt.InvalidIssuerError:
            raise wrong_credentials("the token is of another issuer") from None
        except jwt.MissingRequiredClaimError as error:
            raise wrong_credentials(f"the token has no claim {error.claim}") from None
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError):
            raise wrong_credentials("the signature of the token is wrong, or its claims are") from None

    def _name(self, claims: Mapping[str, Any]) -> str:
        name = claims.get(self._spec.name)
        if not isinstance(name, str) or not name:
            raise wrong_credentials(f"the token has no claim {self._spec.name}, which names the client")
        return client_name(name)

    def _scopes(self, claims: Mapping[str, Any]) -> frozenset[str]:
        granted: set[str] = set()
        for claim in self._spec.claims:
            value = claims.get(claim, "")
            words = value.split() if isinstance(value, str) else value
            if isinstance(words, list):
                granted.update(word for word in words[:_MOST_SCOPES] if isinstance(word, str))
        return frozenset(s for s, word in self._spec.scopes.items() if word == "*" or word in granted)
