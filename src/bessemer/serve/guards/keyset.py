"""A JSON Web Key Set (RFC 7517) -> the public keys that may check a token, by key id and algorithm."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jwt import PyJWK

log = logging.getLogger("bessemer.serve")

MOST_KEYS = 256
_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "EdDSA": "Ed25519"}
_PRIVATE = ("d", "p", "q", "k")


class KeySetError(ValueError):
    """Bytes that are no usable key set; the text says why."""


class KeySet:
    """The keys of an issuer. A key is bound to the algorithms it is made for, whatever a token says.

    So a public RSA key cannot become the secret of an HMAC: secrets are not taken from a key set, and HMAC is not among
    the algorithms. Key ids are looked up, never opened as a path or URL.
    """

    def __init__(self, keys: Sequence[dict[str, Any]], algorithms: Sequence[str]) -> None:
        self._table: dict[tuple[str, str], PyJWK] = {}
        self._nameless: dict[str, list[PyJWK]] = {}
        for number, key in enumerate(keys):
            for algorithm in algorithms:
                if _fits(key, algorithm) and (made := _make(key, algorithm, number)) is not None:
                    self._nameless.setdefault(algorithm, []).append(made)
                    if isinstance(key.get("kid"), str):
                        self._table[key["kid"], algorithm] = made
        self.ids = frozenset(kid for kid, _ in self._table)
        if not self._nameless:
            raise KeySetError(f"it has no key for any of {', '.join(algorithms)}")

    def find(self, kid: str | None, algorithm: str) -> PyJWK | None:
        """The key with an id; without an id, the key for the algorithm, where there is only one."""
        if kid is not None:
            return self._table.get((kid, algorithm))
        keys = self._nameless.get(algorithm, [])
        return keys[0] if len(keys) == 1 else None


def parse_keys(data: bytes, algorithms: Sequence[str]) -> KeySet:
    """The keys in a key set's JSON. Keys that do not fit (other uses, secrets, unknown types) are left out.

    Raises:
        KeySetError: it is no key set, or none of its keys fits.
    """
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise KeySetError("it is not JSON") from None
    keys = value.get("keys") if isinstance(value, dict) else None
    if not isinstance(keys, list):
        raise KeySetError('it is no key set: {"keys": [...]}')
    if len(keys) > MOST_KEYS:
        raise KeySetError(f"it has {len(keys)} keys, more than {MOST_KEYS}")
    return KeySet([key for key in keys if isinstance(key, dict)], algorithms)


def _fits(key: dict[str, Any], algorithm: str) -> bool:
    """Whether a key is for checking signatures of an algorithm."""
    operations = key.get("key_ops", ["verify"])
    if key.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:
        return False
    if key.get("alg", algorithm) not in (algorithm, "Ed25519" if algorithm == "EdDSA" else algorithm):
        return False
    if algorithm.startswith(("RS", "PS")):
        return bool(key.get("kty") == "RSA")
    kind = "OKP" if algorithm == "EdDSA" else "EC"
    return bool(key.get("kty") == kind and key.get("crv") == _CURVES[algorithm])


def _make(key: dict[str, Any], algorithm: str, number: int) -> PyJWK | None:
    from jwt import PyJWK
    from jwt.exceptions import PyJWTError

    if any(name in key for name in _PRIVATE):
        log.error(
            "key %d of the key set is private or a secret: it is not used, and should not be there", number
        )
        return None
    try:
        made = PyJWK(key, algorithm)
        problem = made.Algorithm.check_key_length(made.key)
    except (PyJWTError, ValueError, TypeError, KeyError) as error:
        problem = type(error).__name__
    if problem:
        log.warning("key %d of the key set cannot be used: %s", number, problem)
        return None
    return made
