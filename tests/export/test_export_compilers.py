"""Compilers and phones: each artefact in its own runtime, held against the package."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from packages_support import model

from bessemer.environments.errors import ToolError
from bessemer.environments.plugins import ENVIRONMENTS
from bessemer.export.plugins import TARGETS
from bessemer.export.proof import Proof
from bessemer.export.protocol import Source, UncarriedError
from bessemer.testing.targets import check_target

pytestmark = pytest.mark.slow

KINDS = ("lightgbm", "logistic", "regression", "table_net", "convnet")
#: Target -> the greatest difference that was measured anywhere is below it.
CLOSE = {"openvino": 1e-6, "tvm": 1e-6, "iree": 1e-6, "executorch": 1e-6, "ncnn": 1e-6, "mnn": 5e-5}
#: Of these kinds two exports are compared byte by byte; the others take as long again.
TWICE = ("lightgbm",)
#: TensorRT times what it tries and keeps what was fastest; TVM orders some instructions by addresses in memory.
OTHERWISE = ("tensorrt", "tvm")


def checked(name: str, kind: str, folder: Path, **settings: Any) -> Proof:
    twice = kind in TWICE and name not in OTHERWISE
    found = check_target(name, TARGETS.load(name), model(kind), folder, settings=settings, same_bytes=twice)
    assert isinstance(found, Proof), found
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", CLOSE)
def test_it_answers_as_the_package_does(name: str, kind: str, tmp_path: Path) -> None:
    proof = checked(name, kind, tmp_path)
    assert not proof.not_run
    assert proof.difference < CLOSE[name]
    assert proof.flips == 0


@pytest.mark.parametrize("kind", ["lightgbm", "regression", "forest"])
def test_treelite(kind: str, tmp_path: Path) -> None:
    proof = checked("treelite", kind, tmp_path)
    assert proof.difference < 1e-6
    assert proof.flips == 0


def test_trees_compiled_by_tl2cgen(tmp_path: Path) -> None:
    proof = checked("treelite", "forest", tmp_path, runtime="tl2cgen")
    assert "tl2cgen" in proof.runtime
    assert proof.difference < 1e-6


@pytest.mark.parametrize("kind", ["logistic", "table_net"])
def test_treelite_takes_trees_alone(kind: str) -> None:
    with pytest.raises(UncarriedError, match="trees alone"):
        TARGETS.load("treelite")(None).refuses(Source(model(kind)))


@pytest.mark.parametrize(
    ("name", "file"), [("coreml", "core.mlpackage/Manifest.json"), ("tensorrt", "core.engine")]
)
@pytest.mark.parametrize("kind", ["lightgbm", "convnet"])
def test_what_cannot_run_here_is_written_and_says_so(name: str, file: str, kind: str, tmp_path: Path) -> None:
    proof = checked(name, kind, tmp_path)
    assert "answered by nobody yet" in proof.not_run
    assert (tmp_path / "one" / file).stat().st_size > 0


def test_one_compiled_for_another_machine_is_not_run(tmp_path: Path) -> None:
    import platform

    other = "aarch64" if platform.machine().lower() in ("x86_64", "amd64") else "x86_64"
    proof = checked("iree", "logistic", tmp_path, processor=other)
    assert other in proof.not_run


def test_without_a_compiler_it_says_what_to_install(tmp_path: Path) -> None:
    target: Any = TARGETS.load("tvm")
    with pytest.raises(ToolError) as told:
        target(target.Settings(compiler="no-such-cc")).export(Source(model("logistic")), tmp_path)
    assert "apt-get install gcc" in told.value.fix


@pytest.mark.parametrize("name", ["openvino", "tvm", "iree", "treelite", "mnn", "ncnn", "executorch"])
def test_its_readme_runs_as_it_stands(name: str, tmp_path: Path) -> None:
    target: Any = TARGETS.load(name)
    usage = target(target.Settings()).export(Source(model("lightgbm")), tmp_path)
    code = usage.split("```python\n", 1)[1].split("```", 1)[0]
    program = ENVIRONMENTS[target.environment].program
    done = subprocess.run([program, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
