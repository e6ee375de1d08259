"""`bessemer access`: keys are made, listed and revoked, in the project's file or another."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bessemer.serve.guards.keyfile import read_keys

pytestmark = pytest.mark.slow


def call(*args: str, cwd: Path) -> Any:
    return subprocess.run(
        [sys.executable, "-m", "bessemer", "access", *args], cwd=cwd, env={**os.environ}, capture_output=True,
        text=True, timeout=300, check=False,
    )  # fmt: skip


def test_a_key_is_shown_once_and_revoked(tmp_path: Path) -> None:
    made = call("add", "shop", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    key = made.stdout.split()[1]
    (entry,) = read_keys(tmp_path / "keys.yaml")
    assert (entry.name, entry.scopes) == ("shop", ["predict"])
    assert entry.sha256 == hashlib.sha256(key.encode()).hexdigest()
    shown = call(cwd=tmp_path)
    assert "shop" in shown.stdout
    assert entry.sha256 not in shown.stdout
    assert call("revoke", "shop", cwd=tmp_path).returncode == 0
    assert read_keys(tmp_path / "keys.yaml") == ()


def test_options_and_json(tmp_path: Path) -> None:
    given = ("--scope", "admin", "--scope", "predict", "--expires", "90d", "--rate", "5", "--burst", "9")
    made = json.loads(call("add", "ops", *given, "--file", "other.yaml", "--json", cwd=tmp_path).stdout)
    (entry,) = read_keys(tmp_path / "other.yaml")
    assert entry.sha256 == hashlib.sha256(made["key"].encode()).hexdigest()
    assert (entry.scopes, entry.requests_per_second, entry.burst) == (["admin", "predict"], 5.0, 9)
    assert entry.expires is not None
    assert abs(entry.expires - datetime.now(UTC) - timedelta(days=90)) < timedelta(minutes=5)
    listed = json.loads(call("--file", "other.yaml", "--json", cwd=tmp_path).stdout)
    assert [client["name"] for client in listed["clients"]] == ["ops"]
    assert "sha256" not in listed["clients"][0]


def test_the_file_that_the_project_names(tmp_path: Path) -> None:
    text = "data: data.csv\ntarget: y\nserve: {access: {keys: {file: secrets/clients.yaml}}}\n"
    (tmp_path / "bessemer.yaml").write_text(text)
    (tmp_path / "deep").mkdir()
    assert call("add", "shop", cwd=tmp_path / "deep").returncode == 0
    assert [entry.name for entry in read_keys(tmp_path / "secrets" / "clients.yaml")] == ["shop"]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("add", "shop"), "already has a client 'shop'"),
        (("add", "a b"), "name 'a b'"),
        (("add", "x", "--rate", "-1"), "requests_per_second"),
        (("add", "x", "--expires", "soon"), "--expires soon"),
        (("revoke", "shpo"), "did you mean 'shop'"),
        (("--file", "none.yaml"), "cannot read the key file"),
    ],
)
def test_what_cannot_mean_anything(args: tuple[str, ...], says: str, tmp_path: Path) -> None:
    assert call("add", "shop", cwd=tmp_path).returncode == 0
    done = call(*args, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert [entry.name for entry in read_keys(tmp_path / "keys.yaml")] == ["shop"]
