"""Files of a real FTP server, which ends transfers in the middle."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from elsewhere_support import ParquetElsewhere, Reader

from bessemer.core.errors import DataError
from bessemer.testing.sources import CHECKS, SECRET, Check, Options
from systems.ftp import PASSWORD, USER, ftp

pytestmark = pytest.mark.slow


class Server:
    """Its files are those of a folder; `cut` has it end every transfer after so many bytes."""

    def __init__(self, port: int, folder: Path) -> None:
        self.url, self._folder = f"ftp://{USER}:${{FTP_PASSWORD}}@127.0.0.1:{port}", folder

    def write(self, path: str, content: bytes) -> None:
        file = self._folder / "files" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    @contextmanager
    def cut(self, after: int) -> Iterator[None]:
        (self._folder / "cut").write_text(str(after))
        yield
        (self._folder / "cut").unlink()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("ftp")
    with ftp(folder) as port:
        yield Server(port, folder)


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTP_PASSWORD", PASSWORD)


class ParquetOnFtp(ParquetElsewhere):
    lacks = frozenset()

    def refused(self, name: str) -> Options:
        os.environ["FTP_PASSWORD"] = SECRET  # the test's monkeypatch puts it back
        return {"parquet": f"{self.base}/{name}/"}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_parquet_on_ftp(check: Check, server: Server, tmp_path: Path) -> None:
    prefix = check.__name__
    place = ParquetOnFtp(
        f"{server.url}/{prefix}",
        lambda path, content: server.write(f"{prefix}/{path}", content),
        lambda: server.cut(0),
    )
    check(place, tmp_path)


def test_what_is_cut_again_and_again_goes_on_where_it_was(server: Server, tmp_path: Path) -> None:
    server.write("big.csv", b"id,text\n" + b"".join(b"%09d,%s\n" % (i, b"x" * 90) for i in range(20_000)))
    with server.cut(500_000):
        assert len(Reader(tmp_path).rows({"csv": f"{server.url}/big.csv"})) == 20_000


def test_only_what_changed_is_read(server: Server, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        server.write(f"some/{name}.csv", f"id,name\n1,{name}\n".encode())
    reader, source = Reader(tmp_path), {"csv": f"{server.url}/some/*.csv"}
    assert [row["name"] for row in reader.rows(source)] == ["a", "b", "c"]
    before = reader.fingerprint(source)
    with server.cut(0):  # no file can be read: nothing is asked for
        assert [row["name"] for row in reader.rows(source)] == ["a", "b", "c"]
    server.write("some/b.csv", b"id,name\n1,bee\n")
    assert reader.fingerprint(source) != before
    assert [row["name"] for row in reader.rows(source)] == ["a", "bee", "c"]
    assert any("1 of 3 files" in note for note in reader.notes)


def test_a_server_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        Reader(tmp_path).rows({"csv": "ftp://127.0.0.1:1/a.csv"})
