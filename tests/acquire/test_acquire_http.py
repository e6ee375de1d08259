"""Files of web servers on this machine, good ones and bad ones."""

from __future__ import annotations

import datetime as dt
import gzip
import hashlib
import os
from collections.abc import Iterator
from email.utils import format_datetime
from pathlib import Path
from time import monotonic
from typing import Any

import pyarrow as pa
import pytest
from elsewhere_support import ParquetElsewhere, Reader, parquet

from bessemer.acquire.transfer.patience import Patience
from bessemer.acquire.transfer.website import Website
from bessemer.core.errors import DataError, StoreError
from bessemer.testing.sources import CHECKS, SECRET, Check, Options
from systems.certificates import self_signed
from systems.faulty_http import Answer, Fault, Files, Request, Site, serving

CONTENT = b"a,b\n1,x\n2,y\n"
LONG = b"id,text\n" + b"".join(b"%09d,%s\n" % (i, b"x" * 90) for i in range(2000))


@pytest.fixture
def files() -> Files:
    found = Files()
    found.content["/d.csv"], found.content["/long.csv"] = CONTENT, LONG
    return found


@pytest.fixture
def site(files: Files) -> Iterator[Site]:
    with serving(files) as found:
        yield found


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that are waited before another attempt, which takes no time here."""
    found: list[float] = []
    monkeypatch.setattr("bessemer.acquire.transfer.patience.sleep", found.append)
    return found


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    return Reader(tmp_path)


class ParquetOnTheWeb(ParquetElsewhere):
    """Folders with an index page, behind a login."""

    lacks = frozenset()

    def __init__(self, site: Site, files: Files) -> None:
        def write(path: str, content: bytes) -> None:
            files.content[f"/{path}"] = content

        files.user = "me:n@t/to be:guessed#%"
        os.environ["WEB_PASSWORD"] = "n@t/to be:guessed#%"
        super().__init__(f"http://me:${{WEB_PASSWORD}}@127.0.0.1:{site.port}", write, lambda: site.cut(100))

    def refused(self, name: str) -> Options:
        os.environ["WEB_PASSWORD"] = SECRET
        return {"parquet": f"{self.base}/{name}/"}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_parquet_on_the_web(
    check: Check,
    site: Site,
    files: Files,
    waits: list[float],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WEB_PASSWORD", "")
    check(ParquetOnTheWeb(site, files), tmp_path)


def test_a_checksum(site: Site, reader: Reader) -> None:
    digest = hashlib.sha256(CONTENT).hexdigest()
    source = {"csv": f"{site.url}/d.csv", "sha256": digest}
    raw = reader.acquire(source)
    assert (raw.meta["rows"], raw.meta["sources"]["d"]["fingerprint"]) == (2, digest)
    site.requests.clear()
    assert reader.fingerprint(source) == digest
    assert site.requests == [], "a checksum says enough"
    with pytest.raises(DataError, match="not the file that was meant"):
        reader.acquire({"csv": f"{site.url}/d.csv", "sha256": "0" * 64})


@pytest.mark.slow
def test_an_address_with_a_tag_is_read_when_it_changed(site: Site, files: Files, reader: Reader) -> None:
    source = {"csv": f"{site.url}/d.csv"}
    before = reader.fingerprint(source)
    assert (before, site.asked()) == (reader.fingerprint(source), []), "asked by HEAD alone"
    assert len(reader.rows(source)) == len(reader.rows(source, work="again")) == 2
    assert site.asked() == ["/d.csv"]
    files.content["/d.csv"] = CONTENT + b"3,z\n"
    assert reader.fingerprint(source) != before
    assert len(reader.rows(source)) == 3
    assert site.asked() == ["/d.csv", "/d.csv"]


@pytest.mark.slow
def test_without_a_tag_it_is_read_each_time_and_gives_the_same(
    site: Site, files: Files, reader: Reader
) -> None:
    files.etags = False
    files.headers["/d.csv"] = {"ETag": 'W/"as good as equal"'}
    source = {"csv": f"{site.url}/d.csv"}
    assert reader.fingerprint(source) != reader.fingerprint(source)
    assert reader.acquire(source).ref == reader.acquire(source).ref
    assert len(site.asked()) == 2


def test_a_server_that_knows_no_head(site: Site, files: Files, reader: Reader) -> None:
    site.fault = lambda request: Fault(405) if request.method == "HEAD" else None
    source = {"csv": f"{site.url}/d.csv"}
    assert reader.fingerprint(source) == reader.fingerprint(source)
    assert len(reader.rows(source)) == 2


@pytest.mark.slow
def test_of_a_folder_the_file_that_changed_is_read(site: Site, files: Files, reader: Reader) -> None:
    for i in range(20):
        files.content[f"/logs/part {i:02d}#ü.parquet"] = parquet(pa.table({"id": [i], "n": [i]}))
    files.content["/logs/_SUCCESS"] = files.content["/logs/readme.txt"] = b"no data"
    files.content["/logs/deep/z.parquet"] = b"of another folder"
    source = {"parquet": f"{site.url}/logs/"}
    assert [row["id"] for row in reader.rows(source)] == list(range(20))
    site.requests.clear()
    files.content["/logs/part 07#ü.parquet"] = parquet(pa.table({"id": [7], "n": [-7]}))
    del files.content["/logs/part 08#ü.parquet"]
    assert [row["n"] for row in reader.rows(source)] == [i if i != 7 else -7 for i in range(20) if i != 8]
    assert [path for path in site.asked() if path != "/logs/"] == ["/logs/part%2007%23%C3%BC.parquet"]
    assert [row["id"] for row in reader.rows({"parquet": f"{site.url}/logs/part 1*.parquet?t=1"})] == [
        *range(10, 20)
    ]
    assert all("?t=1" in path for path in site.asked()[-10:])
    with pytest.raises(DataError, match="no link to one"):
        reader.rows({"jsonl": f"{site.url}/logs/"})


@pytest.mark.parametrize("cuts", [1, 6])
def test_what_was_cut_goes_on_where_it_was(cuts: int, site: Site, reader: Reader, waits: list[float]) -> None:
    site.fail(*[Fault(cut=30_000)] * cuts)
    assert len(reader.rows({"csv": f"{site.url}/long.csv"})) == 2000
    ranges = [request.headers.get("range") for request in site.requests if request.method == "GET"]
    assert ranges == [None, *[f"bytes={30_000 * (i + 1)}-" for i in range(cuts)]]


def test_the_next_run_goes_on_where_this_one_ended(site: Site, reader: Reader, waits: list[float]) -> None:
    site.fail(Fault(cut=30_000), *[Fault(500)] * 4)
    with pytest.raises(DataError, match="cannot be read"):
        reader.rows({"csv": f"{site.url}/long.csv"})
    site.requests.clear()
    site.fault = lambda request: None
    assert len(reader.rows({"csv": f"{site.url}/long.csv"}, work="next")) == 2000
    assert [r.headers.get("range") for r in site.requests if r.method == "GET"] == ["bytes=30000-"]


def test_what_the_disk_has_no_room_for_is_not_begun(site: Site, reader: Reader) -> None:
    site.fault = lambda request: Fault(length=10**15) if request.method == "HEAD" else None
    with pytest.raises(StoreError, match="no room for 953,674,316 MB"):
        reader.rows({"csv": f"{site.url}/long.csv"})
    assert site.asked() == []


def test_without_ranges_it_begins_anew_and_not_for_ever(
    site: Site, files: Files, reader: Reader, waits: list[float]
) -> None:
    files.ranges = False
    site.fail(Fault(cut=30_000), Fault(cut=150_000))
    assert len(reader.rows({"csv": f"{site.url}/long.csv"})) == 2000
    site.fail(*[Fault(cut=30_000)] * 100)
    files.content["/long.csv"] += b"2001,x\n"
    site.requests.clear()
    with pytest.raises(DataError, match="cannot be read"):
        reader.rows({"csv": f"{site.url}/long.csv"})
    assert 1 < len(site.asked()) <= 20


def test_what_changes_after_the_cut_is_no_mixture(
    site: Site, files: Files, reader: Reader, waits: list[float]
) -> None:
    new = LONG.replace(b"xx", b"yy")

    def fault(request: Request) -> Fault | None:
        if request.method == "GET" and files.content["/long.csv"] == LONG:
            files.content["/long.csv"] = new  # what is answered now is still the old one, cut
            return Fault(200, {"ETag": f'"{hashlib.md5(LONG).hexdigest()}"'}, LONG, cut=50_000)
        return None

    site.fault = fault
    rows = reader.rows({"csv": f"{site.url}/long.csv"})
    assert {row["text"] for row in rows} == {"y" * 90}
    site.fault = lambda request: None
    site.requests.clear()
    assert {row["text"] for row in reader.rows({"csv": f"{site.url}/long.csv"}, work="next")} == {"y" * 90}
    assert len(site.asked()) == 1, "it was not kept as what it was not listed as"


def test_a_range_that_the_server_does_not_have(
    site: Site, files: Files, reader: Reader, waits: list[float]
) -> None:
    site.fail(Fault(cut=30_000), Fault(416, {"Content-Range": "bytes */10"}))
    assert len(reader.rows({"csv": f"{site.url}/long.csv"})) == 2000
    site.fail(Fault(cut=30_000), Fault(206, {"Content-Range": "bytes 5-9/10"}, b"other"))
    files.content["/long.csv"] += b"2001,x\n"
    assert len(reader.rows({"csv": f"{site.url}/long.csv"})) == 2001


def test_a_server_that_asks_for_time_gets_it(site: Site, reader: Reader, waits: list[float]) -> None:
    began = monotonic()
    soon = format_datetime(dt.datetime.now(dt.UTC) + dt.timedelta(seconds=50), usegmt=True)
    site.fail(Fault(429, {"Retry-After": "7"}), Fault(503, {"Retry-After": soon}), Fault(502))
    assert len(reader.rows({"csv": f"{site.url}/d.csv"})) == 2
    assert waits[0] == 7.0
    assert 49 - (monotonic() - began) <= waits[1] <= 50  # the date has whole seconds
    assert waits[2] == 2.0
    site.fail(Fault(503, {"Retry-After": "3600"}), method="HEAD")
    with pytest.raises(DataError, match="HTTP 503") as caught:
        reader.rows({"csv": f"{site.url}/d.csv"})
    assert "asks to wait 3,600 s" in str(caught.value)
    assert len(waits) == 3
    site.fail(*[Fault(504)] * 9, method="HEAD")
    with pytest.raises(DataError, match="cannot be read") as caught:
        reader.rows({"csv": f"{site.url}/d.csv"})
    assert "tried 4 times" in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("fault", [Fault(pause=600.0), Fault(drip=10)], ids=["silent", "dripping"])
def test_a_server_that_is_too_slow_is_told(fault: Fault, site: Site, tmp_path: Path) -> None:
    site.fault = lambda request: fault if request.method == "GET" else None
    address = f"{site.url}/long.csv", "https://the.address/long.csv", "csv"
    (remote,) = Website(*address, Patience()).listed()
    website = Website(*address, Patience(read=0.3, attempts=2, first_wait=0.0))
    with pytest.raises(DataError, match=r"https://the\.address/long\.csv") as caught:
        website.fetch(remote, tmp_path / "part", lambda size: None)
    assert "ReadTimeout" in str(caught.value) or "bytes in" in str(caught.value)


def test_a_length_that_is_not_true(site: Site, files: Files, reader: Reader, waits: list[float]) -> None:
    site.fault = lambda request: Fault(length=1000) if request.method == "GET" else None
    assert len(reader.rows({"csv": f"{site.url}/d.csv"})) == 2, (
        "asked for the rest it says that there is none"
    )
    files.ranges = False
    files.content["/d.csv"] += b"3,z\n"
    with pytest.raises(DataError, match="cannot be read") as caught:
        reader.rows({"csv": f"{site.url}/d.csv"})
    assert "expected" in str(caught.value)
    files.content["/d.parquet"] = parquet(pa.table({"id": [1], "n": [2]}))
    site.fault = lambda request: Fault(length=50, cut=50)
    with pytest.raises(DataError, match="not a whole Parquet file"):
        reader.rows({"parquet": f"{site.url}/d.parquet"})


def test_an_answer_without_a_length_is_cut_where_the_listing_says_more(
    site: Site, files: Files, reader: Reader, waits: list[float]
) -> None:
    site.fail(Fault(cut=30_000, unmeasured=True), Fault(unmeasured=True))
    assert len(reader.rows({"csv": f"{site.url}/long.csv"})) == 2000
    assert [r.headers.get("range") for r in site.requests if r.method == "GET"] == [None, "bytes=30000-"]
    files.etags = files.ranges = False
    site.fail(*[Fault(cut=30_000, unmeasured=True)] * 20)
    with pytest.raises(DataError, match="cannot be read") as caught:
        reader.rows({"csv": f"{site.url}/long.csv"}, work="next")
    assert "30,000 bytes came of" in str(caught.value)
    site.fail(Fault(unmeasured=True))
    assert len(reader.rows({"csv": f"{site.url}/long.csv"}, work="last")) == 2000


def test_redirects(site: Site, files: Files, reader: Reader) -> None:
    files.user = "me:secret"
    files.content["/there/d.csv"] = CONTENT
    with serving(Files()) as other:

        def fault(request: Request) -> Fault | None:
            path = request.path
            if path.startswith("/loop"):
                return Fault(302, {"Location": f"/loop{path}"})
            where = {"/near.csv": "/there/d.csv", "/far.csv": f"{other.url}/d.csv"}.get(path)
            return Fault(307, {"Location": where}) if where else None

        site.fault = fault
        base = f"http://me:secret@127.0.0.1:{site.port}"
        assert len(reader.rows({"csv": f"{base}/near.csv"})) == 2
        with pytest.raises(DataError, match="HTTP 404"):
            reader.rows({"csv": f"{base}/far.csv"})
        assert other.requests
        assert all("authorization" not in request.headers for request in other.requests), "another host"
        with pytest.raises(DataError, match="leads from place to place"):
            reader.rows({"csv": f"{base}/loop"})


def test_encryption(
    site: Site, files: Files, reader: Reader, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    context, trusted = self_signed(reader.folder)
    with serving(files, context) as safe:
        with pytest.raises(DataError, match="cannot be read") as caught:
            reader.rows({"csv": f"{safe.url}/d.csv"})
        assert "SSL_CERT_FILE" in str(caught.value)
        assert waits == [], "it will not be another one a second later"
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        assert len(reader.rows({"csv": f"{safe.url}/d.csv"})) == 2
        site.requests.clear()
        safe.fault = lambda request: Fault(302, {"Location": f"{site.url}/d.csv"})
        with pytest.raises(DataError, match=r"leads to '127\.0\.0\.1' without encryption"):
            reader.rows({"csv": f"{safe.url}/d.csv"})
        assert site.requests == []


@pytest.mark.slow
def test_what_came_packed_is_unpacked_once(site: Site, files: Files, reader: Reader) -> None:
    packed = {"Content-Encoding": "gzip"}
    for name, content, headers in (
        ("/plain.csv", gzip.compress(CONTENT), packed),
        ("/a.csv.gz", gzip.compress(CONTENT), {}),
        ("/b.csv.gz", gzip.compress(CONTENT), packed),
        ("/c.csv.gz", gzip.compress(gzip.compress(CONTENT)), packed),
    ):
        files.content[name], files.headers[name] = content, headers
        assert reader.rows({"csv": f"{site.url}{name}"})[1] == {"a": 2, "b": "y"}, name
    files.headers["/d.csv"] = packed
    with pytest.raises(DataError, match="not what its server says"):
        reader.rows({"csv": f"{site.url}/d.csv"})
    files.headers["/d.csv"] = {"Content-Encoding": "br"}
    with pytest.raises(DataError, match="came packed as 'br'"):
        reader.rows({"csv": f"{site.url}/d.csv"})
    files.content["/e.csv"], files.headers["/e.csv"] = gzip.compress(b"1,2\n" * 50_000_000, 9), packed
    with pytest.raises(DataError, match="bomb"):
        reader.rows({"csv": f"{site.url}/e.csv"})


def test_what_came_packed_before_a_kill_is_not_taken_for_the_data(
    site: Site, files: Files, reader: Reader, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    files.content["/plain.csv"], files.headers["/plain.csv"] = (
        gzip.compress(LONG),
        {"Content-Encoding": "gzip"},
    )
    source = {"csv": f"{site.url}/plain.csv"}

    def killed(*args: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("bessemer.acquire.transfer.website.decode", killed)
        with pytest.raises(KeyboardInterrupt):
            reader.rows(source)
    assert len(reader.rows(source, work="next")) == 2000
    files.content["/plain.csv"] = gzip.compress(LONG + b"2001,x\n")
    site.fail(Fault(length=10**6))  # asked for the rest it says that there is none, and not that it is packed
    assert len(reader.rows(source, work="last")) == 2001
    assert not [*reader.folder.rglob("*.packed")]


def test_a_name_that_only_the_server_knows(site: Site, files: Files, reader: Reader) -> None:
    files.content["/export"] = gzip.compress(CONTENT)
    files.headers["/export"] = {"Content-Disposition": 'attachment; filename="../../day.csv.gz"'}
    assert len(reader.rows({"csv": f"{site.url}/export?day=1"})) == 2


def test_an_address_in_the_environment(site: Site, reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_URL", f"{site.url}/d.csv?token=hush-hush-hush")
    raw = reader.acquire({"csv": "${DATA_URL}"})
    assert raw.meta["sources"]["d"]["uri"] == "${DATA_URL}"
    monkeypatch.setenv("DATA_URL", f"{site.url}/none.csv?token=hush-hush-hush")
    with pytest.raises(DataError, match="HTTP 404") as caught:
        reader.acquire({"csv": "${DATA_URL}"})
    assert "hush" not in str(caught.value)


def test_what_can_go_wrong_is_told(site: Site, files: Files, reader: Reader, waits: list[float]) -> None:
    with pytest.raises(DataError, match="HTTP 404") as caught:
        reader.rows({"csv": f"{site.url}/none.csv"})
    assert "nothing is there under this name" in str(caught.value)
    files.user = "me:secret"
    with pytest.raises(DataError, match="HTTP 401") as caught:
        reader.rows({"csv": f"{site.url}/d.csv"})
    assert "${PASSWORD}" in str(caught.value)
    with pytest.raises(DataError, match="cannot be read"):
        reader.rows({"csv": "http://127.0.0.1:1/d.csv"})
    with pytest.raises(DataError, match="nothing here reads 'nosuch://'"):
        reader.rows({"csv": "nosuch://a/d.csv"})
    with pytest.raises(DataError, match="is not an address"):
        reader.rows({"csv": "https:///d.csv"})
    files.user = ""
    files.content["/page.csv"] = b"\n<!DOCTYPE html>\n<title>Please log in</title>"
    with pytest.raises(DataError, match="is a web page, not data"):
        reader.rows({"csv": f"{site.url}/page.csv"})
    assert not [file for file in reader.folder.rglob("*.csv") if file.is_file()]


def test_an_answer_that_never_was_http(reader: Reader, waits: list[float]) -> None:
    def answering(request: Request) -> Answer:
        return Answer(200, {"Content-Length": "many"}, b"?")

    with serving(answering) as site, pytest.raises(DataError, match="cannot be read"):
        reader.rows({"csv": f"{site.url}/d.csv"})
