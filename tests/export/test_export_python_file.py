"""One Python file without a package."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from rowwise_support import TABLES, kinds, model, package, proven, refused

from bessemer.api import exporting
from bessemer.export.readers import plain


@pytest.mark.parametrize("kind", kinds(*TABLES, "table_net"))
def test_it_answers_as_the_package(kind: str, tmp_path: Path) -> None:
    proven("python_file", kind, tmp_path, 5e-7)


@pytest.mark.slow
def test_what_it_does_not_know_is_named(tmp_path: Path) -> None:
    assert "StringSplit" in refused("python_file", "words", tmp_path / "words")


def test_the_readme_runs(tmp_path: Path) -> None:
    folder, _ = exporting.export(package("derived"), "python_file", tmp_path / "out")
    code = (folder / "README.md").read_text().split("```python\n")[1].split("```")[0]
    run = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, '.')\n{code}"]
    done = subprocess.run(run, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "probability" in done.stdout


def test_moments_are_read_as_they_come(tmp_path: Path) -> None:
    folder, _ = exporting.export(package("derived"), "python_file", tmp_path / "out")
    row = next(row for row in model("derived").sample if row["seen"] is not None)
    seen = str(row["seen"]).replace(" ", "T")
    rows = [{**row, "seen": text} for text in (seen, f"{seen}Z", f"{seen}+00:00")] + [{**row, "seen": None}]
    lines = "\n".join(json.dumps(row, default=str) for row in rows)
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(folder / "derived.py")], input=lines, capture_output=True, text=True
    )
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert said[0] == said[1] == said[2]
    assert len(said) == 4


def test_numbers_are_those_of_floating_point() -> None:
    inf, nan = float("inf"), float("nan")
    known = plain.OPERATORS
    assert known["Div"]({}, 1.0, 0.0) == inf
    assert known["Div"]({}, -1.0, 0.0) == -inf
    assert known["Div"]({}, -7, 2) == -3
    assert known["Exp"]({}, 1000.0) == inf
    assert known["Log"]({}, 0.0) == -inf
    assert known["Max"]({}, nan, 1.0) != known["Max"]({}, nan, 1.0)
    assert known["Round"]({}, 2.5) == 2.0
    assert known["Cast"]({"to": "i64"}, nan) == plain.MISSING_TIME
    assert plain.f32(1e300) == inf
    assert plain.f32(0.1) == 0.10000000149011612
