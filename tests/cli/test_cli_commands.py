"""The command line without a run: help, wrong words, schema, flow, keys."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from bessemer.cli import COMMANDS


def call(*args: str, cwd: Path, **env: str) -> Any:
    return subprocess.run(
        [sys.executable, "-m", "bessemer", *args], cwd=cwd, env={**os.environ, **env}, capture_output=True, text=True,
        timeout=300, check=False,
    )  # fmt: skip


def test_help_names_every_command_and_the_exit_codes(tmp_path: Path) -> None:
    done = call("--help", cwd=tmp_path)
    assert done.returncode == 0
    for name, does in COMMANDS.items():
        assert name in done.stdout
        assert does.split()[0] in done.stdout
    assert "4 gates not passed" in " ".join(done.stdout.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_each_command(name: str, tmp_path: Path) -> None:
    done = call(name, "--help", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout


def test_a_wrong_command_offers_the_right_one(tmp_path: Path) -> None:
    done = call("predit", cwd=tmp_path)
    assert done.returncode == 2
    assert "did you mean 'predict'" in done.stderr


def test_no_project_file(tmp_path: Path) -> None:
    done = call("run", cwd=tmp_path)
    assert done.returncode == 2
    assert "bessemer init" in done.stderr


@pytest.mark.slow
def test_the_schema_accepts_the_example_and_refuses_a_typo(tmp_path: Path) -> None:
    import yaml

    schema = json.loads(call("schema", cwd=tmp_path).stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    example = Path(__file__).resolve().parents[2] / "examples" / "flights" / "bessemer.yaml"
    value = yaml.safe_load(example.read_text("utf-8"))
    jsonschema.validate(value, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**value, "trian": {}}, schema)
    assert call("schema", "-o", "s.json", cwd=tmp_path).returncode == 0
    assert json.loads((tmp_path / "s.json").read_text()) == schema


def test_flow_as_a_table_and_as_json(tmp_path: Path) -> None:
    rows = json.loads(call("flow", "--json", cwd=tmp_path).stdout)
    assert rows[0]["stage"] == "acquire"
    shown = call("flow", cwd=tmp_path).stdout
    assert all(row["stage"] in shown for row in rows)


@pytest.mark.slow
def test_keys_are_made_exported_and_trusted(tmp_path: Path) -> None:
    mine, theirs = {"BESSEMER_CONFIG_DIR": str(tmp_path / "a")}, {"BESSEMER_CONFIG_DIR": str(tmp_path / "b")}
    assert json.loads(call("keys", "--json", cwd=tmp_path, **mine).stdout)["signing"] == "none"
    assert call("keys", "export", "-o", "me.pub", cwd=tmp_path, **mine).returncode == 0
    own = json.loads(call("keys", "--json", cwd=tmp_path, **mine).stdout)["signing"]
    assert call("keys", "trust", "me.pub", cwd=tmp_path, **theirs).returncode == 0
    assert json.loads(call("keys", "--json", cwd=tmp_path, **theirs).stdout)["trusted"] == [own]
    assert (tmp_path / "a" / "keys" / "signing.key").stat().st_mode & 0o077 == 0
    done = call("keys", "trust", "nothing.pub", cwd=tmp_path, **theirs)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "command", [("verify", "x.bsm"), ("serve", "x.bsm"), ("predict", "x.bsm", "d.csv", "-o", "o.csv")]
)
def test_a_package_that_is_not_there(command: tuple[str, ...], tmp_path: Path) -> None:
    done = call(*command, cwd=tmp_path)
    assert done.returncode in (2, 5)
    assert "x.bsm" in done.stderr
    assert "Traceback" not in done.stderr
