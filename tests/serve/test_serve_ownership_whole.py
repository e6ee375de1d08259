"""`bessemer serve` with `ownership`, as a process: what clients are told, what the log keeps, and that both agree."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from serve_command import Server
from serve_packages import PUBLIC, write_public, write_tiny

from bessemer.package.altered_answers import Alteration, row_texts, wrong_class
from bessemer.package.model import load
from bessemer.package.prediction_log.read import read_log
from bessemer.package.read import read_package
from bessemer.package.records import rows_to_feeds
from bessemer.protect.answers import learnt
from bessemer.serve.guards.keyfile import add_key

pytestmark = pytest.mark.slow

KEY = b"sixteen bytes or more of a key"
SETTINGS = """serve:
  workers: 1
  log: {folder: log}
  access: {keys: {file: keys.yaml}}
  ownership: {share: 5%, key: answers.key}
"""
ROWS = [
    {"tenure": i % 73, "monthly charges": 18.0 + i % 97, "autopay": i % 3 == 0, "contract": "One year"}
    for i in range(400)
]


def ask(server: Server, key: str, rows: list[Any]) -> list[Any]:
    body = json.dumps({"rows": rows}).encode()
    headers = {"content-type": "application/json", "x-api-key": key}
    request = urllib.request.Request(f"{server.url}/predict", body, headers)
    with urllib.request.urlopen(request) as answer:
        return [one["prediction"] for one in json.loads(answer.read())["predictions"]]


def test_what_a_client_was_told_follows_from_the_log_and_the_key(tmp_path: Path) -> None:
    package, public = write_tiny(tmp_path / "tiny.bsm"), write_public(tmp_path / "public.pem")
    (tmp_path / "answers.key").write_bytes(KEY)
    keys = {name: add_key(tmp_path / "keys.yaml", name, scopes=["predict"]) for name in ("mallory", "shop")}
    server = Server(tmp_path, public, str(package), settings=SETTINGS)
    try:
        told = {name: ask(server, key, ROWS) for name, key in keys.items()}
        assert ask(server, keys["shop"], ROWS[::-1]) == told["shop"][::-1]
    finally:
        server.stop()
    true = load(package, trust=[PUBLIC]).predict(ROWS)["prediction"].to_pylist()
    logged = read_log(tmp_path / "log", "tiny", labels=False).read_all().to_pylist()
    assert len(logged) == 3 * len(ROWS)
    contents = read_package(package, trust=[PUBLIC])
    fields, classes = contents.signature.inputs, list(contents.signature.classes)
    texts = row_texts(rows_to_feeds(ROWS, fields), fields, 3)
    for name, answers in told.items():
        chosen, shifts = Alteration(KEY, "tiny", 0.05).of(name, texts)
        assert chosen.any()
        assert answers == [
            classes[wrong_class(classes.index(one), int(shift), len(classes))] if other else one
            for one, other, shift in zip(true, chosen, shifts, strict=True)
        ]
    found = learnt(contents, str(package), tmp_path / "log", Alteration(KEY, "tiny", 0.05))
    assert {one.client for one in found} == {"mallory", "shop"}
    assert all(one.hits == 0 for one in found), (
        "the log keeps what the model said, so the model has not learnt"
    )
