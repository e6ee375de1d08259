"""Who asked what in a window: the rows of each client as points, without those that it has asked before."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bessemer.core.sql import literal, quote
from bessemer.monitor.tables import opened
from bessemer.monitor.watching.packed import packed, unpacked
from bessemer.monitor.watching.watched import Watched
from bessemer.package.queries import Usual, usual_queries
from bessemer.stats.queries import Points

#: Clients that the log has no name for, together: no key's name has a space.
NOBODY = "(no name)"
#: So many rows are remembered, so that one that is asked again is not taken for a new one.
_ROWS = 16_384
#: And the last so many of each of so many clients, whatever the others ask: as many as rows are compared with.
_OWN_ROWS, _OWN_CLIENTS = 128, 128
_BATCH_ROWS = 65_536


@dataclass(frozen=True)
class Asked:
    """Some rows of one client in the order of their time: points, and a number of each row's own values (not 0)."""

    client: str
    points: Points
    rows: NDArray[np.uint32]


class Repeated:
    """The rows that clients have asked lately: health checks and retries ask the same again and mean nothing by it.

    The last of all clients together are known, and the last of each: one that asks much makes nobody else's forgotten.
    """

    def __init__(self, memory: Mapping[str, Any] | None = None) -> None:
        kept = memory or {}
        self._known: dict[int, None] = dict.fromkeys(unpacked(kept.get("all", ""), np.uint64).tolist())
        self._own: dict[str, dict[int, None]] = {
            client: dict.fromkeys(unpacked(keys, np.uint64).tolist())
            for client, keys in kept.get("own", {}).items()
        }

    def fresh(self, clients: Sequence[str], keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Which of some rows, by client and by a number of row and client, are asked for the first time, bool (n,)."""
        found = np.zeros(len(keys), dtype=bool)
        for at, (client, key) in enumerate(zip(clients, keys.tolist(), strict=True)):
            known = _newest(self._known, key, _ROWS)
            found[at] = not (_newest(self._of(client), key, _OWN_ROWS) or known)
        return found

    def _of(self, client: str) -> dict[int, None]:
        own = self._own.pop(client, None)
        if own is None:
            own = {}
            if len(self._own) >= _OWN_CLIENTS:
                del self._own[next(iter(self._own))]  # who was not heard of for longest
        self._own[client] = own
        return own

    def memory(self) -> dict[str, Any]:
        return {"all": _keys(self._known), "own": {client: _keys(own) for client, own in self._own.items()}}


def _newest(known: dict[int, None], key: int, most: int) -> bool:
    """Put a key at the end: what is asked every minute is never forgotten. Gives whether it was there."""
    there = key in known
    if there:
        del known[key]
    elif len(known) >= most:
        del known[next(iter(known))]
    known[key] = None
    return there


def _keys(known: dict[int, None]) -> str:
    return packed(np.fromiter(known, dtype=np.uint64, count=len(known)))


def usual_of(watched: Watched) -> tuple[Usual | None, dict[str, Any]]:
    """What usual queries are, where rows can be compared with them; else what is to be shown in its place."""
    usual = usual_queries(watched.reference.facts)
    if usual is None:
        return None, {
            "silent": "the package does not say what usual queries are: it has too few training rows"
        }
    absent = [name for name in usual.columns.names if name not in watched.window.inputs]
    if absent:
        return None, {"silent": f"not logged as they are: {', '.join(absent)}"}
    return usual, {}


def asked(watched: Watched, usual: Usual, repeated: Repeated, ignore: Collection[str]) -> Iterator[Asked]:
    """The new rows of each client, by their time, in memory that does not grow with the window."""
    names = usual.columns.names
    values = ", ".join(quote(f"in.{name}") for name in names)
    query = (
        f"SELECT client, hash({values}) AS own, hash(client, {values}) AS both, {values} "
        f"FROM read_parquet({literal(watched.window.path)}) ORDER BY time, prediction_id"
    )
    with opened(watched.window.path) as (connection, _):
        for batch in connection.sql(query).to_arrow_reader(_BATCH_ROWS):
            yield from _by_client(batch, usual, repeated, ignore)


def _by_client(batch: Any, usual: Usual, repeated: Repeated, ignore: Collection[str]) -> Iterator[Asked]:
    who = batch.column("client").fill_null("").to_pylist()
    fresh = np.flatnonzero(repeated.fresh(who, _column(batch, "both")))
    batch = batch.take(fresh)
    if not batch.num_rows:
        return
    points = usual.columns.points(lambda name: batch.column(f"in.{name}"))
    own = _column(batch, "own")
    rows = np.maximum((own ^ (own >> np.uint64(32))).astype(np.uint32), 1)
    coded = batch.column("client").fill_null("").dictionary_encode()
    clients, codes = coded.dictionary.to_pylist(), coded.indices.to_numpy()
    order = np.argsort(codes, kind="stable")
    for part in np.split(order, np.flatnonzero(np.diff(codes[order])) + 1):
        client = clients[codes[part[0]]]
        if client not in ignore:
            yield Asked(client or NOBODY, points.take(part), rows[part])


def _column(batch: Any, name: str) -> NDArray[np.uint64]:
    found: NDArray[np.uint64] = batch.column(name).to_numpy()
    return found


def recent(kept: Mapping[str, Any], most: int) -> dict[str, Any]:
    """The last entries of a mapping that keeps its order."""
    return dict(list(kept.items())[-most:])
