"""One document over HTTPS, bounded in size and time."""

from __future__ import annotations

from bessemer.core.exchange import MOST_BYTES, ExchangeError, exchange

__all__ = ["MOST_BYTES", "FetchError", "fetch"]


class FetchError(Exception):
    """Why a document could not be fetched, in one sentence."""


def fetch(url: str, timeout: float) -> bytes:
    """The body at a URL, at most 256 KB, within `timeout` seconds. Redirects are not followed.

    Raises:
        FetchError: anything but a complete answer with status 200.
    """
    try:
        answer = exchange(url, headers={"accept": "application/json"}, timeout=timeout)
    except ExchangeError as error:
        raise FetchError(str(error)) from None
    if answer.status != 200:
        raise FetchError(f"status {answer.status}")
    return answer.body
