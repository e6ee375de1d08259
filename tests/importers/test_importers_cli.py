"""`bessemer import` as a user calls it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CONFIG = """\
input_features:
  - {name: tenure, type: number, preprocessing: {normalization: zscore}}
  - {name: photo, type: image}
output_features:
  - {name: Churn, type: binary}
trainer: {optimizer: {type: adam}}
model_type: gbm
"""


def call(*args: str, cwd: Path) -> Any:
    return subprocess.run(
        [sys.executable, "-m", "bessemer", "import", *args], cwd=cwd, env={**os.environ, "COLUMNS": "200"},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


@pytest.mark.slow
def test_it_says_what_it_wrote_and_lists_what_it_could_not_keep(tmp_path: Path) -> None:
    (tmp_path / "ludwig.yaml").write_text(CONFIG)
    done = call("ludwig.yaml", "--data", "churn.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("wrote bessemer.yaml\n")
    assert "input_features.0.preprocessing.normalization: zscore -> numbers as they are" in done.stdout
    assert "line 3: left out: pictures are no columns of a table; nearest: " in done.stdout
    assert "trainer.optimizer" in done.stdout
    assert done.stdout.rstrip().endswith("bessemer run")
    assert "#   trainer.optimizer" in (tmp_path / "bessemer.yaml").read_text()
    again = call("ludwig.yaml", "--data", "churn.csv", cwd=tmp_path)
    assert again.returncode == 2
    assert "--force" in again.stderr
    assert call("ludwig.yaml", "--data", "churn.csv", "--force", cwd=tmp_path).returncode == 0


@pytest.mark.slow
def test_json_names_everything(tmp_path: Path) -> None:
    (tmp_path / "ludwig.yaml").write_text(CONFIG)
    options = ["--data", "../a/churn.csv", "-o", "new/b.yaml", "--json", "--from", "ludwig"]
    done = call("ludwig.yaml", *options, cwd=tmp_path)
    found = json.loads(done.stdout)
    assert (found["project"], found["tool"], found["target"]) == ("new/b.yaml", "ludwig", "Churn")
    assert [row["path"] for row in found["without_counterpart"]] == ["input_features.1", "trainer.optimizer"]
    assert found["without_counterpart"][0]["line"] == 3
    assert found["approximate"][0]["became"] == "numbers as they are"
    assert "data: ../../a/churn.csv\n" in (tmp_path / "new" / "b.yaml").read_text()


@pytest.mark.slow
def test_errors_are_words(tmp_path: Path) -> None:
    (tmp_path / "ludwig.yaml").write_text(CONFIG)
    for args in (
        ["ludwig.yaml"],
        ["nothere.yaml", "--data", "a.csv"],
        ["ludwig.yaml", "--data", "a.xyz"],
        ["."],
    ):
        done = call(*args, cwd=tmp_path)
        assert done.returncode == 2
        assert "fix:" in done.stderr
        assert "Traceback" not in done.stderr
    assert not (tmp_path / "bessemer.yaml").exists()
