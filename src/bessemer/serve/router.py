"""Which route of which dialect answers a method and a path."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bessemer.core.errors import UsageError, nearest
from bessemer.serve.dialect import Dialect, Route
from bessemer.serve.errors import RequestError
from bessemer.serve.wire import GRPC, Request

_MOST_KNOWN = 4096


@dataclass(frozen=True)
class Endpoint:
    """A route and the dialect it belongs to."""

    dialect: Dialect
    route: Route


class Found:
    """What answers a method and path: one endpoint, or several that share it; and what stands in the path."""

    __slots__ = ("_asking", "_rest", "endpoints", "params")

    def __init__(self, endpoints: tuple[Endpoint, ...], params: Mapping[str, str]) -> None:
        self.endpoints, self.params = endpoints, params
        self._asking = [(e.route.accepts, e) for e in endpoints if e.route.accepts and len(endpoints) > 1]
        self._rest = next((e for e in endpoints if e.route.accepts is None), endpoints[0])

    def choose(self, request: Request) -> Endpoint:
        """The first that accepts the request; the one that does not ask takes the rest."""
        for accepts, endpoint in self._asking:
            if accepts(request):
                return endpoint
        return self._rest


class Router:
    """The routes of some dialects. Where dialects share a path, they must say how: `accepts` or `union`.

    Raises:
        UsageError: two dialects answer the same method and path, and nothing tells them apart.
    """

    def __init__(self, dialects: Sequence[Dialect], own: Sequence[Endpoint] = ()) -> None:
        self.dialects = tuple(dialects)
        table: dict[tuple[str, str], list[Endpoint]] = {}
        everything = [*own, *(Endpoint(dialect, route) for dialect in dialects for route in dialect.routes)]
        for endpoint in everything:
            table.setdefault((endpoint.route.method, _shape(endpoint.route.path)), []).append(endpoint)
        for (method, _), endpoints in table.items():
            _check_shared(method, endpoints)
        # a path without names is found before one with names: /v2/models/index before /v2/models/{model}
        self._table = sorted(
            ((method, _pattern(each[0].route.path), tuple(each)) for (method, _), each in table.items()),
            key=lambda row: row[2][0].route.path.count("{"),
        )
        self._known: dict[tuple[str, str], Found] = {}

    def find(self, method: str, path: str) -> Found | None:
        """What answers; None where nothing does."""
        key = (method, path)
        found = self._known.get(key)
        if found is not None:
            return found
        wanted = "GET" if method == "HEAD" else method
        for own, pattern, endpoints in self._table:
            if own == wanted and (match := pattern.fullmatch(path)):
                found = Found(endpoints, _params(endpoints[0].route, match))
                if len(self._known) >= _MOST_KNOWN:  # paths that never come again fill it
                    self._known.clear()
                self._known[key] = found
                return found
        return None

    def speaker(self, path: str) -> Dialect:
        """The dialect whose paths share the first part with this one; the first where none does."""
        head = path.split("/")[1:2]
        for _, _, endpoints in self._table:
            if endpoints[0].route.path.split("/")[1:2] == head:
                return endpoints[0].dialect
        return self.dialects[0]

    def lost(self, request: Request) -> RequestError:
        """Why nothing answers a method and path: the wrong method, or the wrong path."""
        methods = sorted(
            {m for m, pattern, _ in self._table if m != GRPC and pattern.fullmatch(request.path)}
        )
        if methods:
            allowed = ", ".join(methods)
            what = f"{request.path} does not take {request.method}"
            return RequestError(405, what, fix=f"use {allowed}", headers=(("allow", allowed),))
        paths = sorted(
            {e.route.path for m, _, each in self._table for e in each if m != GRPC and e.route.shown}
        )
        near = nearest(request.path, paths)
        fix = f"did you mean '{near}'?" if near else "GET /docs lists what there is"
        return RequestError(404, f"there is nothing at {request.path}", fix=fix)

    def endpoints(self) -> Iterator[Endpoint]:
        for _, _, endpoints in self._table:
            yield from endpoints


def _shape(path: str) -> str:
    """The path with its names forgotten: `/{model}/predict` and `/{app}/predict` are the same place."""
    return re.sub(r"\{\w+\}", "{}", path)


def _pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", path)
    texts = [re.escape(part) if i % 2 == 0 else "([^/]+)" for i, part in enumerate(parts)]
    if ":" in path:  # '/models/{model}:predict': the verb is no part of the name
        texts = [text.replace("([^/]+)", "([^/]+?)") for text in texts]
    elif len(texts) > 1 and not texts[-1]:  # '/models/{model}' is not '/models/churn:predict'
        texts[-2] = "([^/:]+)"
    return re.compile("".join(texts))


def _params(route: Route, match: re.Match[str]) -> dict[str, str]:
    return dict(zip(re.findall(r"\{(\w+)\}", route.path), match.groups(), strict=True))


def _check_shared(method: str, endpoints: list[Endpoint]) -> None:
    unions = [e for e in endpoints if e.route.union]
    if len(endpoints) == 1 or len(unions) == len(endpoints):
        return
    open_to_all = [e for e in endpoints if e.route.accepts is None]
    if unions or len(open_to_all) > 1:
        one, other = (unions or open_to_all)[0], next(e for e in endpoints[1:])
        raise UsageError(
            f"the dialects '{one.dialect.name}' and '{other.dialect.name}' both answer {method} {one.route.path}",
            fix="take one of them out of `serve.dialects`",
        )
