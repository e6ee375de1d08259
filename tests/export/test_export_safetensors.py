"""Weights and layers by name: run in NumPy and torch, taken apart in torch, and read back as a model."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from packages_support import model
from readme_support import run_readme
from safetensors.numpy import load_file
from torch import nn

from bessemer.api import import_model, load
from bessemer.export.plugins import TARGETS
from bessemer.export.proof import Proof
from bessemer.export.protocol import Source
from bessemer.export.readers.encoder import Encoder
from bessemer.export.readers.layers_numpy import OPERATORS, Layers
from bessemer.export.readers.layers_torch import FUNCTIONS, MODULES, Network
from bessemer.export.readers.layers_torch import load as loaded
from bessemer.export.samples import samples_of
from bessemer.export.sidecar import example_rows
from bessemer.importers.models import layers
from bessemer.package.runtime import open_session
from bessemer.testing.targets import check_target

sys.path.insert(0, str(Path(__file__).parents[1] / "importers"))
from import_model_support import agree

pytestmark = pytest.mark.slow
TARGET: Any = TARGETS.load("safetensors")


@pytest.mark.parametrize("kind", ["logistic", "table_net", "convnet"])
def test_it_says_what_the_package_says_and_comes_back(kind: str, tmp_path: Path) -> None:
    proof = check_target("safetensors", TARGET, model(kind), tmp_path)
    assert isinstance(proof, Proof), proof
    assert proof.difference < 1e-6
    assert proof.flips == 0
    if kind != "convnet":
        folder, samples = tmp_path / "one", samples_of(model(kind))
        (folder / "signature.yaml").write_text(f"target: {model(kind).signature.target}")
        done = import_model(folder, signature=folder / "signature.yaml", output=tmp_path / "back.bsm")
        assert done.signature.classes == model(kind).classes
        reader: Any = Encoder
        encoded = reader.load(folder / "encoder.json").encode(samples.rows)
        names = [field.name for field in done.signature.inputs]
        agree(load(done.path), pd.DataFrame(encoded, columns=names), samples.values, 1e-5)


def test_layers_of_torch_carry_the_weights(tmp_path: Path) -> None:
    TARGET(None).export(Source(model("convnet")), tmp_path)
    reader: Any = loaded
    network: nn.Module = reader(tmp_path)
    kinds = [type(layer) for layer in network.layers.values()]  # type: ignore[operator]
    assert kinds.count(nn.Conv2d) == 6
    assert kinds.count(nn.GroupNorm) == 6
    assert kinds.count(nn.Linear) == 2
    held = sum(p.numel() for p in network.parameters())
    arrays = load_file(tmp_path / "weights.safetensors")
    assert held == sum(a.size for name, a in arrays.items() if name.endswith((".weight", ".bias")))
    with torch.no_grad():
        network.layers["gemm"].weight.zero_()  # type: ignore[index,union-attr,operator]
        (first, _), (second, _) = (network(torch.full((1, 64), value)) for value in (0.0, 1.0))
    assert torch.equal(first, second)  # nothing passes through a layer without weights


def test_trees_are_refused_by_name() -> None:
    assert TARGET(None).refuses(Source(model("lightgbm"))) == "it has trees, and no layers"


def test_the_readme_runs(tmp_path: Path) -> None:
    package = model("table_net")
    said = run_readme(TARGET, package, tmp_path / "out")
    expected = package.predict_rows(example_rows(Source(package)))[0]["prediction"]
    assert said.strip() == str([expected])


def test_the_same_operators_everywhere() -> None:
    assert set(OPERATORS) == {*FUNCTIONS, *MODULES} == layers.OPERATORS


def ints(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


DRAW = np.random.default_rng(1)
WEIGHT, KERNEL = (DRAW.normal(size=size).astype(np.float32) for size in ((40, 3), (4, 1, 2, 3)))
FOUR, TWO = (DRAW.random(size=size).astype(np.float32) + 0.5 for size in (4, 2))
POOL = {"kernel_shape": [2, 3], "strides": [2, 1], "pads": [0, 1, 1, 0]}
#: Operator -> its settings and what it takes behind an image (N, 2, 4, 5); `flat`: behind (N, 40) instead.
CASES: dict[str, tuple[dict[str, Any], tuple[np.ndarray, ...], bool]] = {
    "AveragePool": (POOL, (), False),
    "BatchNormalization": ({"epsilon": 0.01}, (TWO, TWO[::-1].copy(), TWO, TWO), False),
    "Clip": ({}, (np.float32(0.3), np.float32(0.9)), True),
    "Conv": (
        {"group": 2, "pads": [1, 0, 0, 2], "strides": [2, 1], "dilations": [1, 2]},
        (KERNEL, FOUR),
        False,
    ),
    "Flatten": ({"axis": 1}, (), False),
    "Gather": ({"axis": 1}, (ints(3, -1, 0),), True),
    "Gelu": ({"approximate": "tanh"}, (), True),
    "Gemm": ({"alpha": 0.5}, (WEIGHT, WEIGHT[0]), True),
    "GlobalAveragePool": ({}, (), False),
    "GroupNormalization": ({"num_groups": 2}, (TWO, TWO), False),
    "LayerNormalization": ({"axis": -1}, (WEIGHT[:, 0].copy(), WEIGHT[:, 1].copy()), True),
    "LeakyRelu": ({"alpha": 0.2}, (), True),
    "MatMul": ({}, (WEIGHT,), True),
    "MaxPool": (POOL, (), False),
    "Reshape": ({}, (ints(0, 4, -1),), True),
    "Slice": ({}, (ints(-1, 0), ints(-100, 3), ints(3, 2), ints(-2, 2)), False),
    "Softmax": ({"axis": 1}, (), True),
    "Squeeze": ({}, (ints(1),), True),
    "Transpose": ({"perm": [0, 2, 1, 3]}, (), False),
    "Unsqueeze": ({}, (ints(1, -1),), True),
}
_TWO_SIDED = ("Add", "Div", "Max", "Min", "Mul", "Pow", "Sub")


def network_of(op: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """An architecture with the operator, and its tensors."""
    settings, taken, flat = CASES.get(op, ({}, (WEIGHT[:, 0].copy(),) if op in _TWO_SIDED else (), True))
    tensors = {f"last.{i}": np.asarray(value) for i, value in enumerate(taken)}
    tensors["image.0"] = ints(-1, 2, 4, 5)
    before = "moved" if flat else "image"
    takes = [before, *(f"last.{i}" for i in range(len(taken)))]
    if op == "Concat":
        settings, takes = {"axis": 1}, [before, before]
    made = [
        {"name": "moved", "op": "Sub", "takes": ["encoded", "moved.0"]},
        {"name": "image", "op": "Reshape", "takes": ["moved", "image.0"]},
    ]
    if op in ("Pow", "Sqrt"):
        made[0]["op"] = "Identity"
        made[0]["takes"] = ["encoded"]
    if op == "Squeeze":
        tensors["thin.0"] = ints(1)
        made.append({"name": "thin", "op": "Unsqueeze", "takes": ["moved", "thin.0"]})
        takes[0] = "thin"
    tensors["moved.0"] = np.float32([0.6])
    last: dict[str, Any] = {"name": "last", "op": op, "takes": takes, "settings": settings}
    told = {"format": 1, "input": "encoded", "width": 40, "outputs": ["last"], "layers": [*made, last]}
    return told, tensors


@pytest.mark.parametrize("op", sorted(layers.OPERATORS))
def test_each_operator_is_alike_in_numpy_torch_and_onnxruntime(op: str) -> None:
    told, tensors = network_of(op)
    x = np.abs(np.random.default_rng(0).normal(size=(3, 40))).astype(np.float32) + np.float32(0.1)
    numpy_reader: Any = Layers
    torch_reader: Any = Network
    (found,) = numpy_reader(told, tensors)(x)
    kept = {name: torch.from_numpy(value.copy()) for name, value in tensors.items()}
    with torch.no_grad():
        (of_torch,) = torch_reader(told, kept).eval()(torch.from_numpy(x))
    (wanted,) = open_session(layers._graph(told, tensors), 1).run(None, {"encoded": x})
    assert found.shape == of_torch.shape == wanted.shape
    assert np.abs(found - wanted).max() <= 2e-6 * max(1, np.abs(wanted).max())
    assert np.abs(of_torch.numpy() - wanted).max() <= 2e-6 * max(1, np.abs(wanted).max())
