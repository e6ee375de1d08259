"""JSON over HTTP, page by page, from a server on this machine with each way of paging and each fault."""

from __future__ import annotations

import datetime as dt
import gzip
import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pyarrow as pa
import pytest
from elsewhere_support import Reader
from pydantic import ValidationError

from bessemer.acquire.sources.rest import RestSource
from bessemer.acquire.spec import AcquireSpec
from bessemer.core.errors import BessemerError, DataError, UsageError
from bessemer.testing.sources import CHECKS, SECRET, Check, Options
from systems.faulty_http import Answer, Fault, Request, Site, serving

Rows = list[dict[str, Any]]


class Api:
    """Items by name, three at a time, at `/WAY/NAME`: the ways are those of `WAYS`.

    token: what it asks for. since: whether it knows the parameter.
    """

    def __init__(self) -> None:
        self.items: dict[str, Rows] = {}
        self.token, self.since, self.size = "", True, 3

    def __call__(self, request: Request) -> Answer:
        address = urlsplit(request.path)
        asked = dict(parse_qsl(address.query))
        _, style, name = address.path.split("/")
        if self.token and request.headers.get("authorization") != f"Bearer {self.token}":
            return Answer(401, {}, b'{"error": "who are you?"}')
        if name not in self.items:
            return Answer(404, {}, b"{}")
        rows = self.items[name]
        if self.since and "since" in asked:
            start = asked["since"].removesuffix("Z")
            rows = [r for r in rows if (r["tick"] >= int(start) if start.isdecimal() else r["at"] >= start)]
        return self._page(style, address.path, asked, rows)

    def _page(self, style: str, path: str, asked: dict[str, str], rows: Rows) -> Answer:
        if style == "all":
            return _json(rows)
        known = {"number": lambda: (int(asked["page"]) - 1) * self.size, "offset": lambda: int(asked["skip"])}
        start = known.get(style, lambda: int(asked.get("from", 0)))()
        page, end = rows[start : start + self.size], start + self.size
        more = end < len(rows)
        since = f"&since={asked['since']}" if "since" in asked else ""
        if style == "next":
            return _json(
                {"data": {"items": page}, "links": {"next": f"{path}?from={end}{since}" if more else None}}
            )
        if style == "link":
            link = f'<{path}?from={end}{since}>; rel="next", </>; rel="up"'
            return _json(page, {"Link": link} if more else {})
        if style == "cursor":
            return _json({"data": page, "meta": {"cursor": end if more else ""}})
        return _json({"data": page})


def _json(content: Any, headers: dict[str, str] | None = None) -> Answer:
    return Answer(200, {"Content-Type": "application/json", **(headers or {})}, json.dumps(content).encode())


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def site(api: Api) -> Iterator[Site]:
    with serving(api) as found:
        yield found


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    return Reader(tmp_path)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that are waited before another attempt, which takes no time here."""
    found: list[float] = []
    monkeypatch.setattr("bessemer.acquire.transfer.patience.sleep", found.append)
    return found


def plain(value: Any) -> Any:
    """A value as such servers write it."""
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return int(value) if value.as_tuple().exponent == 0 else float(value)
    return value


class Items:
    """Items behind a token."""

    lacks = frozenset({"infinite"})

    def __init__(self, site: Site, api: Api, patch: pytest.MonkeyPatch) -> None:
        self.site, self.api, self.patch = site, api, patch
        api.token, api.size = "the-right-token", 1000
        patch.setenv("API_TOKEN", api.token)
        self.interrupted: Callable[[], Any] = lambda: site.cut(50_000)

    def put(self, name: str, table: pa.Table) -> Options:
        self.api.items[name] = []
        self.add(name, table)
        return self.missing(name)

    def add(self, name: str, table: pa.Table) -> None:
        rows = [{key: plain(value) for key, value in row.items()} for row in table.to_pylist()]
        self.api.items[name] += rows

    def missing(self, name: str) -> Options:
        return {
            "rest": f"{self.site.url}/next/{name}",
            "records": "data.items",
            "page": {"next": "links.next"},
            "token_env": "API_TOKEN",
            "since": "since",
        }

    def refused(self, name: str) -> Options:
        self.patch.setenv("API_TOKEN", SECRET)
        return self.missing(name)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_items_of_an_api(
    check: Check, site: Site, api: Api, waits: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check(Items(site, api, monkeypatch), tmp_path)


WAYS: dict[str, Options] = {
    "all": {},
    "next": {"records": "data.items", "page": {"next": "links.next"}},
    "link": {"page": {"link": True}},
    "cursor": {"records": "data", "page": {"cursor": "meta.cursor", "param": "from"}},
    "number": {"records": "data", "page": {"number": "page"}},
    "offset": {"records": "data", "page": {"offset": "skip", "size": 3, "size_param": "top"}},
}


@pytest.mark.parametrize("count", [1, 3, 7])
@pytest.mark.parametrize("way", WAYS)
def test_each_way_of_paging_reads_all(way: str, count: int, site: Site, api: Api, reader: Reader) -> None:
    api.items["a"] = [{"id": i, "n": i / 2} for i in range(count)]
    source = {"rest": f"{site.url}/{way}/a", "params": {"kind": "x y", "open": True}, **WAYS[way]}
    assert reader.rows(source) == api.items["a"]
    assert site.requests[0].path.partition("?")[2].startswith("kind=x+y&open=true")
    if way == "offset":
        assert all("top=3" in request.path for request in site.requests)
        assert len(site.requests) == max(2, count // 3 + 1)


@pytest.mark.parametrize("way", ["number", "offset"])
@pytest.mark.parametrize("status", [0, 404])
def test_a_server_that_gives_less_than_it_is_asked_for(
    way: str, status: int, site: Site, api: Api, reader: Reader
) -> None:
    """Pages have three records, whatever is asked for; beyond the last one there is an empty page, or none."""
    page = {**WAYS[way]["page"], "size": 100, "size_param": "top"}
    source = {"rest": f"{site.url}/{way}/a", **WAYS[way], "page": page}
    for count in (2, 6, 7):
        api.items["a"] = [{"id": i, "n": i / 2} for i in range(count)]
        last = f"page={count // 3 + 1}&" if way == "number" else f"skip={count}&"
        site.fault = lambda request, last=last, n=count: (
            Fault(status) if status and n % 3 == 0 and last in request.path + "&" else None
        )
        assert reader.rows(source) == api.items["a"]
    site.fail(None, Fault(404))
    with pytest.raises(DataError, match="HTTP 404"):
        reader.rows({**source, "page": {**page, "size": 3}})


def test_types_hold_for_all_pages(site: Site, api: Api, reader: Reader) -> None:
    api.items["a"] = [
        {"id": 1, "wide": 1, "mixed": 7, "tags": ["a"], "at": "2024-01-02"},
        {"id": 2, "wide": None, "mixed": None, "tags": None, "at": None},
        {"id": 3, "late": True},
        {"id": 4, "wide": 2.5, "mixed": "seven", "tags": [], "at": "2024-01-02T03:04:05Z", "none": None},
    ]
    rows = reader.rows({"rest": f"{site.url}/link/a", **WAYS["link"]})
    assert [row["wide"] for row in rows] == [1.0, None, None, 2.5]
    assert [row["mixed"] for row in rows] == ["7", None, None, "seven"]
    assert [row["tags"] for row in rows] == ['["a"]', None, None, "[]"]
    assert [row["late"] for row in rows] == [None, None, True, None]
    assert rows[3]["at"] == dt.datetime(2024, 1, 2, 3, 4, 5)
    assert [row["none"] for row in rows] == [None] * 4


def test_names_that_sql_cannot_tell_apart(site: Site, api: Api, reader: Reader) -> None:
    api.items["a"] = [{"id": 1, "Name": "x", "name": "y"}]
    with pytest.raises(DataError, match="'Name' and 'name'"):
        reader.rows({"rest": f"{site.url}/all/a"})


def test_a_limit_and_a_rate(site: Site, api: Api, reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    api.items["a"] = [{"id": i, "n": i} for i in range(30)]
    slept: list[float] = []
    monkeypatch.setattr("bessemer.acquire.rest.client.sleep", slept.append)
    source, began = {"rest": f"{site.url}/link/a", **WAYS["link"], "limit": 8, "rate": 0.001}, monotonic()
    assert len(reader.rows(source)) == 8
    took = monotonic() - began
    assert len(site.requests) == 3
    assert slept[0] == 0.0
    assert all(1000 - took <= seconds <= 1000 for seconds in slept[1:])


@pytest.mark.slow
def test_only_what_is_new_is_asked_for(site: Site, api: Api, reader: Reader) -> None:
    def item(i: int, minute: int, n: int) -> dict[str, Any]:
        return {"id": i, "at": f"2024-01-01T00:{minute:02d}:00", "n": n}

    api.items["a"] = [item(i, i, i) for i in range(7)]
    source = {
        "rest": f"{site.url}/link/a",
        **WAYS["link"],
        "since": "since",
        "incremental": {"cursor": "at", "key": ["id"]},
    }
    assert [row["n"] for row in reader.rows(source)] == [0, 1, 2, 3, 4, 5, 6]
    site.requests.clear()
    api.items["a"][2] = item(2, 8, -2)
    api.items["a"].append(item(7, 9, 7))
    rows = reader.rows(source)
    assert {row["id"]: row["n"] for row in rows} == {0: 0, 1: 1, 2: -2, 3: 3, 4: 4, 5: 5, 6: 6, 7: 7}
    assert [request.path for request in site.requests] == ["/link/a?since=2024-01-01T00%3A06%3A00Z"]

    api.since = False  # a server that gives everything all the same
    api.items["a"].append(item(8, 10, 8))
    assert len(reader.rows(source)) == 9


@pytest.mark.slow
def test_pages_that_lead_nowhere_are_told(site: Site, api: Api, reader: Reader, waits: list[float]) -> None:
    api.items["a"] = [{"id": i, "n": i} for i in range(7)]

    def error(way: str, answers: Callable[[Request], Answer | None], **more: Any) -> str:
        def fault(request: Request) -> Fault | None:
            answer = answers(request)
            return answer and Fault(answer.status, answer.headers, answer.body)

        site.fault = fault
        with pytest.raises(BessemerError) as caught:
            reader.rows({"rest": f"{site.url}/{way}/a", **WAYS[way], **more})
        return str(caught.value)

    loop = {"data": {"items": [{"id": 1}]}, "links": {"next": "/next/a"}}
    assert "in a circle" in error("next", lambda request: _json(loop))
    same = {"data": [{"id": 1, "n": 1}], "meta": {"cursor": "same"}}
    assert "is the one before it again" in error("cursor", lambda request: _json(same))
    assert "is the one before it again" in error(
        "number", lambda request: _json({"data": [{"id": 1, "n": 1}]})
    )
    away = {"data": {"items": []}, "links": {"next": "http://other.example/a?token=1"}}
    told = error("next", lambda request: _json(away))
    assert "at another place: http://other.example/a" in told
    assert "token" not in told
    assert "is dict, not a text" in error(
        "next", lambda request: _json({**away, "links": {"next": {"a": 1}}})
    )
    assert "not a text or a number" in error(
        "cursor", lambda request: _json({"data": [], "meta": {"cursor": [1]}})
    )
    counter = iter(range(10**6))
    endless = lambda request: _json({"data": [], "meta": {"cursor": next(counter) + 1}})  # noqa: E731
    assert "has no end" in error("cursor", endless)


@pytest.mark.slow
def test_answers_that_are_not_what_was_said(site: Site, api: Api, reader: Reader) -> None:
    def error(content: bytes, kind: str = "application/json", **more: Any) -> str:
        site.fault = lambda request: Fault(200, {"Content-Type": kind}, content)
        with pytest.raises(DataError) as caught:
            reader.rows({"rest": f"{site.url}/all/a", **more})
        return str(caught.value)

    assert "a login that is missing" in error(b"<html>please log in</html>", "text/html")
    assert "does not answer with JSON" in error(b'[{"id": 1}, {"id"')
    assert "does not answer with JSON" in error(b"[" * 100_000)
    assert "Infinity is no JSON" in error(b'[{"id": Infinity}]')
    assert "`records: data.items`" in error(b'{"data": {"items": [{"id": 1}]}}')
    assert "did you mean 'data.items'?" in error(b'{"data": {"items": [{"id": 1}]}}', records="data.item")
    assert "no list at 'rows'" in error(b'{"error": "quota"}', records="rows")
    assert "is int, not an object: 3" in error(b"[1, 2, 3]".replace(b"1, 2, ", b""))
    assert "has no records" in error(b"[]")
    many = json.dumps([{f"c{i}": 1 for i in range(10_001)}]).encode()
    assert "different names" in error(many)
    packed = {"Content-Encoding": "gzip"}
    site.fault = lambda request: Fault(200, packed, gzip.compress(b'[{"id": 1, "n": 2}]'))
    assert reader.rows({"rest": f"{site.url}/all/a"}) == [{"id": 1, "n": 2}]
    site.fault = lambda request: Fault(200, packed, b"not packed")
    with pytest.raises(DataError, match="cannot be read"):
        reader.rows({"rest": f"{site.url}/all/a", "retries": 0})
    site.fault = lambda request: Fault(200, {}, b'[{"id": 1, "n": NaN}, {"id": 2, "n": 0.5}]')
    assert reader.rows({"rest": f"{site.url}/all/a"}) == [{"id": 1, "n": None}, {"id": 2, "n": 0.5}]


def test_what_may_pass_is_tried_again(site: Site, api: Api, reader: Reader, waits: list[float]) -> None:
    api.items["a"] = [{"id": i, "n": i} for i in range(7)]
    source = {"rest": f"{site.url}/link/a", **WAYS["link"]}
    site.fail(Fault(429, {"Retry-After": "7"}), None, Fault(cut=5), Fault(503), None)
    assert reader.rows(source) == api.items["a"]
    assert waits == [7.0, 0.5, 1.0]
    site.fail(*[Fault(500)] * 9)
    with pytest.raises(DataError, match="cannot be read") as caught:
        reader.rows({**source, "retries": 2})
    assert "tried 3 times" in str(caught.value)
    site.fault = lambda request: Fault(302, {"Location": request.path})
    with pytest.raises(DataError, match="leads from place to place"):
        reader.rows(source)


def test_credentials_stay_with_their_address(
    site: Site, api: Api, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_KEY", "hush-hush-hush")
    api.items["a"] = [{"id": 1, "n": 1}]
    source = {
        "rest": f"{site.url}/all/a",
        "headers": {"X-Api-Key": "${API_KEY}"},
        "params": {"k": "${API_KEY}"},
    }
    raw = reader.acquire(source)
    assert site.requests[0].headers["x-api-key"] == "hush-hush-hush"
    assert site.requests[0].path == "/all/a?k=hush-hush-hush"
    assert "hush" not in json.dumps(raw.meta)
    with serving(api) as other:
        site.fault = lambda request: Fault(307, {"Location": f"{other.url}/all/a"})
        assert len(reader.rows(source)) == 1
        assert "x-api-key" not in other.requests[0].headers
        assert other.requests[0].path == "/all/a"
    monkeypatch.delenv("API_KEY")
    with pytest.raises(BessemerError, match="1 fault") as caught:
        reader.rows(source)
    assert "API_KEY is not set" in str(caught.value)


@pytest.mark.parametrize("token", ["geheim-ä-geheim", "hush-hush\nx-admin: 1"])
def test_a_token_that_no_header_can_have(
    site: Site, reader: Reader, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("API_KEY", token)
    for source in ({"token_env": "API_KEY"}, {"headers": {"X-Api-Key": "${API_KEY}"}}):
        with pytest.raises(UsageError, match="has a character that no header may have") as caught:
            reader.rows({"rest": f"{site.url}/all/a", **source})
        assert token not in str(caught.value)
    assert not site.requests


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"page": {}}, "give one of next, cursor, link, number, offset, not none"),
        ({"page": {"next": "a", "offset": "b"}}, "not `next` and `offset`"),
        ({"page": {"cursor": "a"}}, "`cursor` and `param` go together"),
        ({"page": {"number": "a", "size_param": "b"}}, "`size_param` needs `size`"),
        ({"incremental": {"cursor": "at"}}, "`incremental` needs `since`"),
        ({"since": "since", "incremental": {"cursor": "at"}, "limit": 3}, "`limit` would leave out"),
        ({"token_env": "not a name"}, "token_env"),
    ],
)
def test_options_that_cannot_mean_anything(options: Options, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        RestSource.model_validate({"rest": "https://a/b", **options})
    with pytest.raises(ValidationError, match="should match pattern"):
        AcquireSpec.model_validate({"sources": {"a": {"rest": "ftp://a/b"}}})
