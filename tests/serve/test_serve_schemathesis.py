"""Schemathesis, a stranger to this project, reads the OpenAPI description of a real server and tries it against it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from serve_client import Served
from serve_packages import write_public, write_tiny

from bessemer.serve.plugins import DIALECTS
from patience import PATIENCE

#: What a JSON Schema cannot say of the protocols that are not ours (which fields exclude each other, how many values a
#: shape has), and what they are lenient in because their own servers are.
LEFT_OUT = ("positive_data_acceptance", "negative_data_rejection")
#: Some methods stand in no description: their bodies are no JSON, or they are another's twin.
HIDDEN = ("unsupported_method", "allow_header_conformance")


def tried(served: Served, folder: Path, *arguments: str) -> int:
    """How many cases were tried; none may fail."""
    program = str(Path(sys.executable).with_name("schemathesis"))
    command = [program, "--no-color", "run", f"{served.url}/openapi.json", "--seed", "7", "--warnings", "off"]
    command += [
        "--request-timeout",
        f"{PATIENCE:g}",
        "--phases",
        "examples,coverage,fuzzing",
        "--generation-database",
        "none",
        *arguments,
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=3600)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2000:]
    counted = re.search(r"(\d+) generated, \1 passed", done.stdout)
    assert counted, done.stdout[-2000:]
    return int(counted[1])


@pytest.mark.slow
def test_every_route_of_every_dialect_answers_as_it_is_described(start: Any, tmp_path: Path) -> None:
    served: Served = start(dialects=list(DIALECTS))
    count = tried(
        served, tmp_path, "--exclude-checks", ",".join((*LEFT_OUT, *HIDDEN)), "--max-examples", "40"
    )
    assert count > 2000
    served.process.terminate()
    assert served.wait() == (0, ""), "nothing stands in the log"


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_what_the_schema_allows_is_taken_and_nothing_else(task: str, tmp_path: Path) -> None:
    package = write_tiny(tmp_path / "tiny.bsm", task=task)
    served = Served(package, write_public(tmp_path / "key.pub"), {"dialects": ["plain", "kserve_v1"]})
    try:
        assert tried(served, tmp_path, "--max-examples", "60") > 500
    finally:
        served.kill()
