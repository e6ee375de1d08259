"""A suspect behind an address: whatever speaks one of the dialects that servers of models speak."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bessemer.package.remote.client import Client, Door
from bessemer.package.remote.said import said_of

if TYPE_CHECKING:
    from bessemer.protect.suspects.suspect import Marked, Row


class UrlSuspect:
    """A server that is asked for the owner's columns."""

    def __init__(self, url: str, own: Marked, door: Door) -> None:
        self._client, self._own = Client(url, own.signature.inputs, door), own

    def said(self, rows: Sequence[Row]) -> np.ndarray:
        return said_of(self._client.ask(rows), self._own.certificate)
