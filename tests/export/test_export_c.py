"""C99: built without a warning and run here, and on an emulated Cortex-M4."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from rowwise_support import TABLES, model, package, proven, refused

from bessemer.api import exporting
from bessemer.core.signature import Field
from bessemer.export.rowwise.c_files import members
from bessemer.export.rowwise.c_run import row_line
from bessemer.export.rowwise.c_words import literal, text


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*TABLES, "table_net"])
def test_it_answers_as_the_package_on_both(kind: str, tmp_path: Path) -> None:
    proof = proven("c", kind, tmp_path, 5e-7)
    board = proof.beside["cortex_m4"]
    assert isinstance(board, dict), f"`make cortex` installs what is missing: {board}"
    assert board["rows"] == 64
    assert board["max_difference"] <= 5e-7
    assert board["ram_bytes"] == 0, "all that a call takes is on the stack"
    assert 0 < board["stack_bytes"] < 20_000
    assert 500 < board["instructions_per_row"] < 3_000_000
    assert board["flash_bytes"] > 1000


@pytest.mark.slow
def test_weights_of_eight_bits_take_a_quarter(tmp_path: Path) -> None:
    """A network's larger products; the answers are less exact."""
    sizes = {}
    for weights in ("float32", "int8"):
        proof = proven("c", "table_net", tmp_path / weights, 0.02, weights=weights)
        sizes[weights] = proof.beside["cortex_m4"]["flash_bytes"]
    assert sizes["int8"] < 0.35 * sizes["float32"]


@pytest.mark.slow
def test_what_has_no_form_in_c_is_named(tmp_path: Path) -> None:
    assert "StringSplit" in refused("c", "words", tmp_path)


@pytest.mark.slow
def test_nothing_of_the_library_but_mathematics_and_texts(tmp_path: Path) -> None:
    """The symbols that the objects ask for."""
    folder, _ = exporting.export(package("derived"), "c", tmp_path / "out")
    compiler = shutil.which("cc")
    assert compiler
    asked = set()
    for name in ("model", "encoder"):
        command = [compiler, "-std=c99", "-O1", "-c", f"{name}.c", "-o", str(tmp_path / f"{name}.o")]
        subprocess.run(command, cwd=folder, check=True)
        said = subprocess.run(
            ["nm", "-u", str(tmp_path / f"{name}.o")], capture_output=True, text=True, check=True
        )
        asked |= {line.split()[-1] for line in said.stdout.splitlines()}
    known = {"expf", "logf", "log", "fmod", "strcmp", "fabs", "memcpy", "memset", "__stack_chk_fail"}
    assert asked <= known | {"_GLOBAL_OFFSET_TABLE_"}


def test_columns_become_members_and_texts_literals() -> None:
    columns = [Field(name, "number", "float32") for name in ("a b", "a_b", "int", "9", "é", "class")]
    assert list(members(columns).values()) == ["a_b", "a_b_2", "int_", "_9", "column", "class_"]
    assert text('a"\\?\u2603') == '"a\\042\\134\\077\\342\\230\\203"'
    for value in np.random.default_rng(0).normal(size=200).astype(np.float32):
        assert np.float32(literal(value, "f32").rstrip("f")) == value
    assert literal(-(2**63), "i64") == "INT64_MIN"


def test_rows_keep_their_tabs_and_lines() -> None:
    columns = [Field("t", "string", "string"), Field("x", "number", "float32")]
    assert row_line(columns, {"t": "a\tb\nc\\d", "x": None}) == "a\\tb\\nc\\\\d\t"
    assert row_line(columns, {"t": None, "x": 1.5}) == "\t1.5"
    assert row_line(columns, {"t": "!", "x": None}) == "\\!\t", "an exclamation mark alone ends the input"


@pytest.mark.slow
def test_the_readme_runs(tmp_path: Path) -> None:
    """Its lines of C, in a program."""
    folder, _ = exporting.export(package("lightgbm"), "c", tmp_path / "out")
    code = (folder / "README.md").read_text().split("```c\n")[1].split("```")[0]
    head, body = code.split("struct", 1)
    program = (
        f'#include <stdio.h>\n{head}\nint main(void) {{\nstruct{body}\nprintf("%f", score[0]); return 0; }}\n'
    )
    (folder / "example.c").write_text(program)
    command = [
        "cc",
        "-std=c99",
        "-Wall",
        "-Werror",
        "example.c",
        "model.c",
        "encoder.c",
        "-lm",
        "-o",
        "example",
    ]
    subprocess.run(command, cwd=folder, check=True)
    assert float(subprocess.run(["./example"], cwd=folder, capture_output=True, text=True).stdout) < 0
    assert model("lightgbm").task == "binary"
