"""Networks, images and large trees in the formats of onnxruntime and torch, each in its own runtime."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from packages_support import model
from readme_support import run_readme

from bessemer.environments.plugins import ENVIRONMENTS
from bessemer.export.numeric import Core
from bessemer.export.plugins import TARGETS
from bessemer.export.proof import Proof
from bessemer.export.protocol import Source, UncarriedError
from bessemer.export.sidecar import example_rows
from bessemer.package.graph import GraphBuilder, serialize
from bessemer.testing.targets import check_target

pytestmark = pytest.mark.slow

#: Target -> what its answers differ by at most, and how many rows get another class: (table_net, convnet).
NETWORKS = {
    "ort": ((1e-6, 0), (1e-6, 0)),
    "onnx_core": ((1e-6, 0), (1e-6, 0)),
    "onnx_fp16": ((2e-3, 0), (2e-3, 1)),
    "onnx_int8": ((0.03, 2), (0.03, 4)),
    "torchscript": ((1e-6, 0), (1e-6, 0)),
    "torch_export": ((1e-6, 0), (1e-6, 0)),
}


def proven(name: str, kind: str, folder: Path, *, same_bytes: bool = True) -> Proof:
    proof = check_target(name, TARGETS.load(name), model(kind), folder, same_bytes=same_bytes)
    assert isinstance(proof, Proof), proof
    assert not proof.not_run
    return proof


@pytest.mark.parametrize("place", [0, 1], ids=["table_net", "convnet"])
@pytest.mark.parametrize("name", list(NETWORKS))
def test_networks(name: str, place: int, tmp_path: Path) -> None:
    difference, flips = NETWORKS[name][place]
    proof = proven(name, ("table_net", "convnet")[place], tmp_path)
    assert proof.rows > 60
    assert proof.difference < difference
    assert proof.flips <= flips


@pytest.mark.parametrize("kind", ["lightgbm", "logistic", "regression", "forest"])
@pytest.mark.parametrize("name", ["torchscript", "torch_export"])
def test_trees_in_torch(name: str, kind: str, tmp_path: Path) -> None:
    proof = proven(name, kind, tmp_path)
    assert proof.difference < 1e-6
    assert proof.flips == 0


class _OfRows(Source):
    """A core that was written for a number of rows."""

    @property
    def core(self) -> Core:  # type: ignore[override]
        g = GraphBuilder("core")
        x = g.input("encoded", "float32", ("N", 3))
        flat = g.op("Reshape", [x, g.constant(np.array([2, 3], dtype=np.int64))])
        g.output(g.op("Identity", [flat], name="score"), "float32", ("N", 3))
        return Core(serialize(g.model()), np.zeros(3, np.float32), (), ("score",), 3, None, "a test")


@pytest.mark.parametrize("name", ["torchscript", "torch_export"])
def test_a_graph_for_some_number_of_rows_is_refused(name: str, tmp_path: Path) -> None:
    kind: Any = TARGETS.load(name)
    with pytest.raises(UncarriedError, match=r"rows|torch\.export cannot record"):
        kind(kind.Settings()).export(_OfRows(model("logistic")), tmp_path)


def test_half_and_eight_bits_are_smaller(tmp_path: Path) -> None:
    sizes = {}
    for name in ("onnx_core", "onnx_fp16", "onnx_int8"):
        proven(name, "convnet", tmp_path / name)
        sizes[name] = (tmp_path / name / "one" / "core.onnx").stat().st_size
    assert sizes["onnx_fp16"] < 0.55 * sizes["onnx_core"]
    assert sizes["onnx_int8"] < 0.35 * sizes["onnx_core"]


@pytest.mark.parametrize("name", ["torchscript", "torch_export"])
def test_the_readme_runs(name: str, tmp_path: Path) -> None:
    package = model("lightgbm")
    said = run_readme(TARGETS.load(name), package, tmp_path / "out")
    expected = package.predict_rows(example_rows(Source(package)))[0]["prediction"]
    assert said.strip() == str([expected])


@pytest.mark.parametrize("name", ["onnx_core", "torch_export"])
def test_the_readme_of_an_image_model_runs(name: str, tmp_path: Path) -> None:
    said = run_readme(TARGETS.load(name), model("convnet"), tmp_path / "out")
    assert said.count("[") >= 2  # a row of scores


@pytest.mark.parametrize(("kind", "twice"), [("logistic", True), ("lightgbm", False)])
def test_machine_code(kind: str, twice: bool, tmp_path: Path) -> None:
    """Compiling takes long: the small one alone is compiled twice."""
    proof = proven("aotinductor", kind, tmp_path, same_bytes=twice)
    assert proof.difference < 1e-6
    assert proof.flips == 0
    content = (tmp_path / "one" / "core.pt2").read_bytes()
    assert sys.prefix.encode() not in content
    assert b"bessemer-work-" not in content


def test_machine_code_needs_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    kind: Any = TARGETS.load("aotinductor")
    why = kind(kind.Settings()).refuses(Source(model("logistic")))
    assert "no 'no-such-compiler' on the PATH" in why


@pytest.mark.parametrize("kind", ["lightgbm", "convnet"])
def test_served_by_torchserve(kind: str, tmp_path: Path) -> None:
    proof = proven("torchserve", kind, tmp_path)
    assert proof.runtime == "torchserve 0.12.0"
    assert proof.difference < 1e-6
    assert proof.flips == 0


def test_the_environment_of_torchserve_has_a_torch_that_loads() -> None:
    """PyPI's torch for Linux is the one for CUDA, and does not without its libraries."""
    import subprocess

    ENVIRONMENTS["torchserve"].ensure(lambda line: None)
    program = str(ENVIRONMENTS["torchserve"].program)
    done = subprocess.run([program, "-c", "import torch; print(torch.__version__)"], capture_output=True)
    assert done.stdout.startswith(b"2.13.0"), done.stderr
