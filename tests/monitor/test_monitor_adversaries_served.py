"""The whole way: an attack over HTTP on a real server, found in its log by the command, slowed by the server."""

from __future__ import annotations

import json
import math
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from attacks import Domain, Rows, hop_skip_jump, size, take
from package_support import given, write
from served_support import Process, serving

from bessemer.core.suspects import SuspectsFile
from bessemer.package.model import load
from bessemer.package.write import write_package
from bessemer.profile.queries import describe_queries
from bessemer.serve.guards.keyfile import add_key
from bessemer.testing.models import tiny_members, tiny_signature
from patience import PATIENCE, until

SETTINGS = """data: x.csv
target: churned
serve:
  timeout: 300s
  read_timeout: 300s
  keep_alive: 300s
  log: true
  access:
    keys: {file: keys.yaml}
    suspects: {requests_per_second: 0.01}
  telemetry: {access_log: {file: access.log}}
monitor:
  rows: 200
  silence: null
  watchers: [near_queries, uniform_queries, fingerprints, feedback]
  suspects: throttle
"""


def packaged(folder: Path) -> Path:
    """The tiny model with a reference that says what usual queries are."""
    model = load(write(folder, "binary"))
    facts = dict(model.reference)
    facts["queries"] = describe_queries(given(5000, 1), facts["columns"], np.random.default_rng(0))
    members = tiny_members("binary") | {"reference.json": json.dumps(facts).encode()}
    named = {"name": "tiny", "version": "1.0.0", "created": "2026-01-01T00:00:00Z"}
    path = folder / "served.bsm"
    write_package(path, members, **named, task="binary", target=tiny_signature("binary").target)
    return path


class Asks:
    """A client that asks over HTTP, under its key."""

    def __init__(self, port: int, key: str) -> None:
        self.url, self._key = f"http://127.0.0.1:{port}/predict", key

    def __call__(self, rows: Rows) -> np.ndarray:
        values = [
            {
                "tenure": round(float(rows["tenure"][i])),
                "monthly charges": float(rows["monthly charges"][i]),
                "autopay": bool(rows["autopay"][i]),
                "contract": str(rows["contract"][i]),
                "désactivé": None,
            }
            for i in range(size(rows))
        ]
        status, said = self.post({"rows": values})
        assert status == 200, said
        return np.array([list(each["probability"].values())[1] for each in said["predictions"]])

    def post(self, body: Any) -> tuple[int, Any]:
        headers = {"x-api-key": self._key, "content-type": "application/json"}
        request = urllib.request.Request(self.url, json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, error.read()


def rows_of(table: pa.Table) -> Rows:
    names = ("tenure", "monthly charges", "autopay", "contract")
    rows = {name: np.array(table.column(name).to_pylist(), dtype=object) for name in names}
    return rows | {name: rows[name].astype(float) for name in ("tenure", "monthly charges")}


@pytest.mark.slow
def test_an_attack_is_found_and_slowed(tmp_path: Path) -> None:
    package = packaged(tmp_path)
    (tmp_path / "bessemer.yaml").write_text(SETTINGS)
    names = [f"shop-{i}" for i in range(10)]
    keys = {name: add_key(tmp_path / "keys.yaml", name) for name in [*names, "mallory"]}
    server, port = serving(tmp_path, package)
    begun = time.time()
    with server:
        shops = [Asks(port, keys[name]) for name in names]
        for i, shop in enumerate(shops):
            shop(rows_of(given(120, 500 + i)))
        mallory, known = Asks(port, keys["mallory"]), rows_of(given(300, 9))
        domain, row = Domain.of(known), take(known, [0])
        said = mallory(known) > 0.5
        other = domain.scaled(take(known, np.flatnonzero(said != said[0])))
        hop_skip_jump(mallory, domain, row, other[0], 8, np.random.default_rng(0))

        found = look(tmp_path, package, begun)
        assert {row["column"] for row in found if row["of"] == "client"} == {"mallory"}
        assert "near_queries" in {row["detector"] for row in found}
        (suspect,) = SuspectsFile(tmp_path / ".bessemer" / "suspects.json").read(time.time()).values()
        assert (suspect.name, suspect.action) == ("mallory", "throttle")

        body = {
            "rows": [
                {"tenure": 1, "monthly charges": 20.0, "autopay": True, "contract": None, "désactivé": None}
            ]
        }
        until(lambda: 429 in [mallory.post(body)[0] for _ in range(5)], "mallory is slowed")
        assert [shops[0].post(body)[0] for _ in range(20)] == [200] * 20
        until(
            lambda: b'"action":"throttle"' in (tmp_path / "access.log").read_bytes(),
            "it is in the access log",
        )


def look(folder: Path, package: Path, begun: float) -> list[dict[str, Any]]:
    """What `bessemer monitor watch --once` finds in one window, which has all that came since then (Unix time)."""
    now = time.time()
    length = math.ceil(now - begun) + 1
    while begun // length != now // length:
        length += 1
    time.sleep((now // length + 1) * length - now)
    words = ("monitor", "watch", str(package), "--once", "--json", "--every", f"{length}s")
    with Process(folder, *words) as one:
        output, _ = one.process.communicate(timeout=PATIENCE)
    (window,) = (json.loads(line) for line in output.splitlines() if line.startswith("{"))
    return list(window["findings"])
