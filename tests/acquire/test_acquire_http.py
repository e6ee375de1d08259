"""Downloads over HTTP from a real server on this machine."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from bessemer.acquire.spec import AcquireSpec
from bessemer.acquire.stage import fingerprint, run
from bessemer.core.artifact import Artifact
from bessemer.core.errors import DataError
from bessemer.core.stage import Context
from bessemer.core.store import Store

CONTENT = b"a,b\n1,x\n2,y\n"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        if self.path != "/cut.csv":
            return super().do_GET()
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(CONTENT)
        return None


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "www").mkdir()
    (tmp_path / "www/d.csv").write_bytes(CONTENT)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "www")))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def acquire(place: Path, source: dict[str, Any]) -> Artifact:
    (place / "work").mkdir(exist_ok=True)
    store = Store(place / "store")
    ctx = Context(store=store, stage="acquire", shared={}, seed=7, project_dir=place, workdir=place / "work")
    spec = AcquireSpec.model_validate_json(json.dumps({"sources": {"d": source}}))
    return store.get(run(spec, {}, ctx)["raw"])


def test_download_with_checksum(site: str, tmp_path: Path) -> None:
    digest = hashlib.sha256(CONTENT).hexdigest()
    source = {"csv": f"{site}/d.csv", "sha256": digest}
    raw = acquire(tmp_path, source)
    assert (raw.meta["rows"], raw.meta["sources"]["d"]["fingerprint"]) == (2, digest)
    spec = AcquireSpec.model_validate({"sources": {"d": source}})
    assert fingerprint(spec, tmp_path) == {"source d": digest}
    with pytest.raises(DataError, match="not the file that was meant"):
        acquire(tmp_path, {"csv": f"{site}/d.csv", "sha256": "0" * 64})


def test_without_checksum_it_is_read_each_time_and_gives_the_same(site: str, tmp_path: Path) -> None:
    source = {"csv": f"{site}/d.csv"}
    spec = AcquireSpec.model_validate({"sources": {"d": source}})
    assert fingerprint(spec, tmp_path) != fingerprint(spec, tmp_path)
    assert acquire(tmp_path, source).ref == acquire(tmp_path, source).ref


def test_what_can_go_wrong_is_told(site: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="HTTP 404"):
        acquire(tmp_path, {"csv": f"{site}/none.csv"})
    with pytest.raises(DataError, match=r"incomplete|cannot be read"):
        acquire(tmp_path, {"csv": f"{site}/cut.csv"})
    with pytest.raises(DataError, match="cannot be read"):
        acquire(tmp_path, {"csv": "http://127.0.0.1:1/d.csv"})
    with pytest.raises(DataError, match="nothing here reads 'nosuch://'"):
        acquire(tmp_path, {"csv": "nosuch://a/d.csv"})
    assert not list((tmp_path / "work").rglob("*.part"))
