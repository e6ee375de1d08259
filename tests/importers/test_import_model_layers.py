"""Folders of safetensors with an architecture: written by hand, and what is refused of them."""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from import_model_support import agree, imported
from safetensors.numpy import save

from bessemer.core.errors import BessemerError, FormatError, UsageError
from bessemer.importers.models import layers
from bessemer.importers.models.foreign import Asked

DRAW = np.random.default_rng(5)
TENSORS: dict[str, np.ndarray] = {
    "first.weight": DRAW.normal(size=(4, 2)).astype(np.float32),
    "first.bias": DRAW.normal(size=4).astype(np.float16),
    "last.weight": DRAW.normal(size=(3, 4)),
    "last.bias": np.zeros(3, np.float32),
}


def told() -> dict[str, Any]:
    first = {
        "name": "first",
        "op": "Gemm",
        "takes": ["x", "first.weight", "first.bias"],
        "settings": {"transB": 1},
    }
    last = {
        "name": "last",
        "op": "Gemm",
        "takes": ["bent", "last.weight", "last.bias"],
        "settings": {"transB": 1},
    }
    bent = {"name": "bent", "op": "Tanh", "takes": ["first"]}
    return {
        "format": 1, "task": "multiclass", "classes": ["a", "b", "c"], "input": "x", "width": 2,
        "outputs": ["last"], "layers": [first, bent, last],
    }  # fmt: skip


def written(tmp_path: Path, value: Any, tensors: dict[str, np.ndarray] = TENSORS) -> Path:
    folder = tmp_path / "net"
    folder.mkdir()
    (folder / "architecture.json").write_text(json.dumps(value))
    (folder / "weights.safetensors").write_bytes(save(tensors))
    return folder


def test_it_says_what_its_layers_say(tmp_path: Path) -> None:
    model = imported(written(tmp_path, told()), columns=["age", "income"])
    rows = pd.DataFrame({"age": [0.5, -2.0, 3.0], "income": [1.0, 0.0, -1.0]})
    inner = np.tanh(rows.to_numpy() @ TENSORS["first.weight"].T + TENSORS["first.bias"])
    scores = np.exp(inner @ TENSORS["last.weight"].T)
    assert model.classes == ("a", "b", "c")
    agree(model, rows, scores / scores.sum(axis=1, keepdims=True))


def change(**values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda value: value.update(values)


def layer(at: int, **values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda value: value["layers"][at].update(values)


@pytest.mark.parametrize(
    ("alter", "said"),
    [
        (change(format=2), "is of the form 2"),
        (change(layers=[]), "has 0 layers"),
        (change(outputs=["lats"]), "no layer is the output 'lats'"),
        (layer(1, op="Tahn"), "is a 'Tahn'"),
        (layer(1, op="Loop"), "is a 'Loop'"),
        (layer(1, name="first"), "two layers are called 'first'"),
        (layer(0, takes=["last", "first.weight"]), "takes 'last'"),
        (layer(0, takes=["x", "first.wieght"]), "takes 'first.wieght'"),
        (layer(1, settings={"evil": {}}), "no architecture.json that can be read"),
        (layer(1, settings={"alpha": 1}), "cannot run"),
        (layer(0, takes=["x", "last.weight"]), "cannot run"),
        (change(task="regression", classes=[]), "3 numbers"),
        (change(task="multiclas"), "the task 'multiclas'.* is none"),
        pytest.param(
            change(task="binary"),
            "a binary task, and its numbers are of a multiclass one",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_what_is_not_understood_is_refused(
    alter: Callable[[dict[str, Any]], None], said: str, tmp_path: Path
) -> None:
    value = told()
    alter(value)
    with pytest.raises(FormatError, match=said):
        imported(written(tmp_path, value))


def test_its_tensors_are_numbers_of_a_few_dimensions(tmp_path: Path) -> None:
    for wrong in (np.zeros((4, 2), np.int8), np.zeros((1,) * 7, np.float32)):
        with pytest.raises(FormatError, match="F16, F32, F64, I64 of up to 6 dimensions are read"):
            layers._tensors(told()["layers"], save({**TENSORS, "first.weight": wrong}))


def named_again(entries: dict[str, list[int]], size: int, **more: Any) -> bytes:
    """A file whose tensors, name -> shape, all begin at its first byte."""
    header = {
        name: {"dtype": "F32", "shape": shape, "data_offsets": [0, 4 * int(np.prod(shape))]}
        for name, shape in entries.items()
    }
    said = json.dumps({**header, **more}).encode()
    return len(said).to_bytes(8, "little") + said + bytes(size)


def test_names_of_the_same_bytes_are_added_up(tmp_path: Path) -> None:
    """Before one of them is read: a name is a few bytes, and what it names may be all of the file."""
    size = 2**20
    data = named_again({f"t{i}": [size // 4] for i in range(3)}, size)
    network = [{"name": f"l{i}", "op": "Max", "takes": ["x", f"t{i}"]} for i in range(3)]
    with pytest.raises(FormatError, match="3,145,728 bytes together"):
        layers._tensors(network, data)
    assert set(layers._tensors(network[:2], data)) == {"t0", "t1"}  # as much as that may be shared
    meta = {"bessemer": json.dumps({"task": "regression", "layers": ["a"] * 9})}
    for weight, bias in (([1, 1], [size // 4]), ([size // 4, 1], [1])):
        content = named_again({"a.weight": weight, "a.bias": bias}, size, __metadata__=meta)
        (tmp_path / "m.safetensors").write_bytes(content)
        with pytest.raises(FormatError, match="more weights than the file has"):
            imported(tmp_path / "m.safetensors")


def test_groups_are_counted_before_they_are_made() -> None:
    value = told()
    takes = ["x", "first.bias", "first.bias"]
    value["layers"] = [
        {"name": "last", "op": "GroupNormalization", "takes": takes, "settings": {"num_groups": 10**12}}
    ]
    with pytest.raises(FormatError, match="has 1,000,000,000,000 groups"):
        layers._graph(value, TENSORS)


def test_numbers_beyond_float32_are_refused() -> None:
    wrong = {**TENSORS, "last.bias": np.array([1e300, 0, 0])}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(FormatError, match=r"'last\.bias' has numbers that are not finite"):
            layers._tensors(told()["layers"], save(wrong))


def test_its_classes_are_named_in_their_order(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the model's own classes in another order"):
        imported(written(tmp_path, told()), classes=["c", "b", "a"])


@pytest.mark.slow
def test_it_may_be_said_what_its_numbers_are(tmp_path: Path) -> None:
    """As its own note proposes."""
    value = told()
    value["layers"].append({"name": "soft", "op": "Exp", "takes": ["last"]})
    value["layers"].append({"name": "all", "op": "MatMul", "takes": ["soft", "ones"]})
    value["layers"].append({"name": "share", "op": "Div", "takes": ["soft", "all"]})
    value["outputs"] = ["share"]
    tensors = {**TENSORS, "ones": np.ones((3, 3), np.float32)}
    made = imported(written(tmp_path, value, tensors), scores="probabilities")
    inner = np.tanh([[0.5, 1.0]] @ TENSORS["first.weight"].T + TENSORS["first.bias"])
    scores = np.exp(inner @ TENSORS["last.weight"].T)
    agree(made, pd.DataFrame({"f0": [0.5], "f1": [1.0]}), scores / scores.sum())


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_damaged_folders_end_in_words(data: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "graph_read", lambda graph, asked: SimpleNamespace(task=asked.task))
    monkeypatch.setattr(layers, "noted", lambda foreign, encoder: None)
    value: Any = told()
    inner, parent, key = value, value, ""
    while isinstance(inner, dict | list) and inner:
        key = data.draw(st.sampled_from(sorted(inner) if isinstance(inner, dict) else range(len(inner))))
        parent, inner = inner, inner[key]
    parent[key] = data.draw(st.none() | st.integers() | st.text(max_size=2) | st.lists(st.text(), max_size=2))
    weights = bytearray(save(TENSORS))
    weights[data.draw(st.integers(0, len(weights) - 1))] = data.draw(st.integers(0, 255))
    files = {"architecture.json": json.dumps(value).encode(), "weights.safetensors": bytes(weights)}
    with contextlib.suppress(BessemerError):
        layers.LayersFolder().read(files, Asked())
