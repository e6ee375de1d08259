"""Whose bucket a request without a key belongs to: the client's address, seen through trusted proxies."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from functools import lru_cache

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_MOST_HOPS = 32


@lru_cache(4096)
def _parsed(text: str) -> Address | None:
    """An address as peers and proxies write it: with a port, in brackets, with a zone, IPv4 inside IPv6."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


@lru_cache(4096)
def _bucket(text: str) -> str:
    address = _parsed(text)
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))
    return str(address) if address else text[:64]


class Addresses:
    """Names the bucket of a client.

    A client has a whole /64 of IPv6 to choose from (RFC 6177), so that is one client. X-Forwarded-For is read from the
    right, as far as the hops are trusted: what stands left of the first untrusted one, anybody may have written.

    >>> addresses = Addresses(["10.0.0.0/8"])
    >>> addresses.bucket("10.0.0.1", {"x-forwarded-for": "1.1.1.1, 203.0.113.9, 10.0.0.7"})
    '203.0.113.9'
    >>> addresses.bucket("198.51.100.4", {"x-forwarded-for": "1.1.1.1"})
    '198.51.100.4'
    >>> addresses.bucket("2001:db8::1", {})
    '2001:db8::/64'
    """

    def __init__(self, proxies: Sequence[str]) -> None:
        self._proxies = [ipaddress.ip_network(text) for text in proxies]

    def bucket(self, address: str, headers: Mapping[str, str]) -> str:
        if self._proxies and self._trusted(address):
            address = self._client(address, headers.get("x-forwarded-for", ""))
        return _bucket(address)

    def _trusted(self, text: str) -> bool:
        address = _parsed(text)
        return address is not None and any(address in network for network in self._proxies)

    def _client(self, address: str, chain: str) -> str:
        """The first hop from the right that is no proxy of ours; where it is no address, the proxy before it."""
        for hop in reversed(chain[-2048:].split(",")[-_MOST_HOPS:]):
            if _parsed(hop) is None:
                return address
            address = hop.strip()
            if not self._trusted(address):
                return address
        return address
