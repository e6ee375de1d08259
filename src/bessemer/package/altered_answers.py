"""Which rows a client is answered wrongly, and with which class: a function of a key, the client and the row alone.

Szyller, Atli, Marchal and Asokan, DAWN: dynamic adversarial watermarking of neural networks (2021). A server gives
these answers, and whoever has the key can say later which they were: nothing else has to be kept.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bessemer.core.signature import Field

_PERSON, _ORDER = b"bessemer answers", b"bessemer order"
_WHOLE = 2.0**64


@dataclass(frozen=True)
class Alteration:
    """What decides.

    key: at least 16 bytes. model: its name at the server. share: of rows that are answered wrongly, 0 to 1.
    digits: significant ones of a number that count: rows that differ in later ones are one row.
    """

    key: bytes
    model: str
    share: float
    digits: int = 3

    def of(self, client: str, rows: Sequence[bytes]) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.uint64]]:
        """(N,) whether each row (of `row_texts`) is answered wrongly, and (N,) what its class is shifted by.

        >>> Alteration(b"k" * 16, "m", 0.5).of("shop", [b"a", b"d", b"a"])[0].tolist()
        [True, False, True]
        """
        numbers = self._drawn(client, rows, _PERSON)
        return numbers[:, 0].astype(np.float64) / _WHOLE < self.share, numbers[:, 1]

    def order(self, client: str, rows: Sequence[bytes]) -> npt.NDArray[np.int64]:
        """(N,) an order of the rows that has nothing to do with which of them are answered wrongly.

        >>> Alteration(b"k" * 16, "m", 0.5).order("shop", [b"a", b"b", b"c"]).tolist()
        [0, 2, 1]
        """
        return np.argsort(self._drawn(client, rows, _ORDER)[:, 0], kind="stable")

    def _drawn(self, client: str, rows: Sequence[bytes], person: bytes) -> npt.NDArray[np.uint64]:
        """(N, 2) what the key draws for each row of a client, other numbers for each purpose."""
        named = f"{len(client)}:{client}\0{self.model}".encode("utf-8", "surrogatepass")
        own = hmac.digest(self.key, named, "sha256")
        drawn = [hashlib.blake2b(row, digest_size=16, key=own, person=person).digest() for row in rows]
        return np.frombuffer(b"".join(drawn), dtype=">u8").reshape(-1, 2).astype(np.uint64)


def wrong_class(true: int, shift: int, classes: int) -> int:
    """Another class than the true one, each as often.

    >>> [wrong_class(1, shift, 3) for shift in range(4)]
    [2, 0, 2, 0]
    """
    return (true + 1 + shift % (classes - 1)) % classes


def row_texts(feeds: Mapping[str, np.ndarray[Any, Any]], inputs: Sequence[Field], digits: int) -> list[bytes]:
    """Each row of a graph's input tensors as one text, alike for rows that nearly are.

    Numbers count to some digits, moments to the second, texts without case and blanks around.

    >>> field = Field("age", "number", "float32")
    >>> row_texts({"age": np.float32([[41.0001], [41.0]])}, [field], 3)
    [b'2:41', b'2:41']
    """
    columns = [_texts(feeds[field.name], digits) for field in inputs]
    return [
        "".join(f"{len(t)}:{t}" for t in row).encode("utf-8", "surrogatepass")
        for row in zip(*columns, strict=True)
    ]


def _texts(column: np.ndarray[Any, Any], digits: int) -> list[str]:
    values = column.ravel().tolist()
    if column.dtype.kind == "f":
        return [f"{value + 0.0:.{digits}g}" for value in values]
    if column.dtype.kind in "iu":
        return [str(value // 1_000_000) for value in values]
    return [str(value).strip().casefold() for value in values]
