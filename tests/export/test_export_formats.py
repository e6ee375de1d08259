"""ORT format, 16-bit and 8-bit cores: small models of tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from packages_support import model
from readme_support import run_readme

from bessemer.export.image_samples import altered_images
from bessemer.export.numeric import Core
from bessemer.export.numeric.half import halved
from bessemer.export.ort_format import canonical
from bessemer.export.plugins import TARGETS
from bessemer.export.proof import Proof
from bessemer.export.protocol import Source
from bessemer.export.samples import samples_of
from bessemer.export.sidecar import example_rows
from bessemer.package.graph import GraphBuilder, serialize
from bessemer.package.image_pixels import read_image, write_image
from bessemer.package.runtime import open_session
from bessemer.testing.targets import check_target


def proven(name: str, kind: str, folder: Path, **settings: Any) -> Proof:
    """The proof of a target that carries a kind."""
    proof = check_target(name, TARGETS.load(name), model(kind), folder, settings=settings)
    assert isinstance(proof, Proof), proof
    assert not proof.not_run
    return proof


@pytest.mark.parametrize("optimise", ["basic", "extended"])
@pytest.mark.parametrize("kind", ["lightgbm", "logistic"])
def test_ort_answers_as_the_graph(kind: str, optimise: str, tmp_path: Path) -> None:
    proof = proven("ort", kind, tmp_path, optimise=optimise)
    assert (proof.difference, proof.flips) == (0, 0)


def test_ort_keeps_what_it_is_given_but_one_table(tmp_path: Path) -> None:
    """The file holds the same model after its table of kernels was written anew, and is no smaller than before."""
    import onnxruntime

    graph = core_of_product([[2.0]]).graph
    file = tmp_path / "it.ort"
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(file)
    options.add_session_config_entry("session.save_model_format", "ORT")
    onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    before = file.read_bytes()
    file.write_bytes(canonical(before))
    assert len(file.read_bytes()) > len(before)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    (found,) = session.run(["score"], {"encoded": np.float32([[3.0]])})
    assert found.tolist() == [[6.0]]


def test_half_and_eight_bits_carry_no_trees(tmp_path: Path) -> None:
    for name, why in (("onnx_fp16", "16 bits do not hold"), ("onnx_int8", "multiply none")):
        told = check_target(name, TARGETS.load(name), model("lightgbm"), tmp_path / name)
        assert isinstance(told, str)
        assert why in told


def test_half_of_a_line(tmp_path: Path) -> None:
    proof = proven("onnx_fp16", "logistic", tmp_path)
    assert proof.difference < 1e-3
    assert proof.flips == 0


def test_eight_bits_that_save_nothing_are_refused(tmp_path: Path) -> None:
    told = check_target("onnx_int8", TARGETS.load("onnx_int8"), model("logistic"), tmp_path)
    assert isinstance(told, str)
    assert "no smaller" in told


def core_of_product(weights: list[list[float]], scale: float = 1.0) -> Core:
    """encoded / scale times weights."""
    g = GraphBuilder("core")
    x = g.input("encoded", "float32", ("N", len(weights)))
    if scale != 1:
        x = g.op("Div", [x, g.constant(np.float32(scale))])
    g.output(
        g.op("MatMul", [x, g.constant(np.float32(weights))], name="score"), "float32", ("N", len(weights[0]))
    )
    return Core(serialize(g.model()), np.zeros(len(weights), np.float32), (), ("score",), 1, None, "a test")


def test_large_numbers_are_scaled_before_they_are_halved() -> None:
    """65504 is the largest number of 16 bits, and columns of money are larger."""
    graph = halved(core_of_product([[0.5], [0.25]], scale=1e6).graph)
    rows = np.float32([[3e6, 2e6], [1e5, 0]])
    (found,) = open_session(graph, 1).run(["score"], {"encoded": rows})
    assert found == pytest.approx(rows / 1e6 @ np.float32([[0.5], [0.25]]), abs=1e-3)
    kinds = {tensor.data_type for tensor in onnx.load_from_string(graph).graph.initializer}
    assert onnx.TensorProto.FLOAT16 in kinds


def test_weights_beyond_sixteen_bits_stay_finite() -> None:
    (found,) = open_session(halved(core_of_product([[1e9]]).graph), 1).run(
        ["score"], {"encoded": np.float32([[1.0]])}
    )
    assert np.isfinite(found).all()


def test_the_readme_runs(tmp_path: Path) -> None:
    package = model("lightgbm")
    said = run_readme(TARGETS.load("onnx_core"), package, tmp_path / "out")
    expected = package.predict_rows(example_rows(Source(package)))[0]["prediction"]
    assert said.strip() == str([expected])


def test_images_between_those_that_are_stored() -> None:
    rng = np.random.default_rng(3)
    stored = [write_image(rng.random(shape)) for shape in ((8, 6, 1), (5, 9, 3))]
    made = altered_images(stored, 12, np.random.default_rng(0))
    assert made == altered_images(stored, 12, np.random.default_rng(0))
    assert len(set(made)) == 12
    shapes = {read_image(text).shape for text in made}
    assert (5, 6, 3) in shapes  # one of each, cut to what both have
    assert shapes <= {(8, 6, 1), (5, 9, 3), (5, 6, 3)}


def test_other_seeds_draw_other_rows() -> None:
    first, second = (samples_of(model("logistic"), seed=seed) for seed in (0, 1))
    assert first.rows != second.rows
