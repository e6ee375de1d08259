"""Which requests are in a sampled log: decided by the request's id alone, so that anyone can tell later."""

from __future__ import annotations

import hashlib
import re

_ROW = re.compile(r"-\d{1,9}\Z")
_WHOLE = 2.0**64


def request_of(prediction_id: str) -> str:
    """The id of the request a prediction belongs to: without the number of its row.

    >>> request_of("7f3a-12"), request_of("7f3a")
    ('7f3a', '7f3a')
    """
    return _ROW.sub("", prediction_id)


def in_sample(request_id: str, share: float) -> bool:
    """Whether a request is in a sample of this share (0 to 1). A larger sample holds all of a smaller one.

    >>> [in_sample("7f3a", share) for share in (0.0, 0.5, 1.0)]
    [False, True, True]
    """
    if share >= 1:
        return True
    digest = hashlib.blake2b(request_id.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") < share * _WHOLE


def may_be_in_sample(prediction_id: str, share: float) -> bool:
    """Whether a prediction can be in the log. False is certain.

    A request of one row has its own id, which may end as a row's number does; so both readings are asked.
    """
    return in_sample(prediction_id, share) or in_sample(request_of(prediction_id), share)
