"""Integrated gradients and DeepLIFT of the network that ships: read from its graph, held to its scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bessemer.core.errors import BessemerError, MissingExtra
from bessemer.explain.head_network import head_network
from bessemer.explain.network_rows import check_parity, refused
from bessemer.explain.plugins import EXPLAINERS
from bessemer.explain.sample import draw
from bessemer.explain.subject import open_subject
from bessemer.package.natives import open_native
from bessemer.testing.explainers import check_explainer

NAMES = ("integrated_gradients", "deep_lift")


def artifacts(one: Any) -> tuple[Any, Any]:
    model, splits = (one.store.get(one.refs[ref]) for ref in ("model", "splits"))
    return model, splits


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("name", NAMES)
def test_keeps_the_protocol_and_adds_up_to_the_score(made: Callable[..., Any], name: str, task: str) -> None:
    one = made(task, "mlp")
    model, splits = artifacts(one)
    kind = EXPLAINERS.load(name)
    found = check_explainer(kind, kind.Settings(rows=6), model, splits, one.context())
    rows = found.content["rows"]
    scale = max(1.0, *(abs(row["score"] - row["base"]) for row in rows))
    assert found.error.value is not None
    assert found.error.value < 1e-3 * scale
    strongest = [
        max(row["contributions"], key=lambda group, r=row: abs(r["contributions"][group])) for row in rows
    ]
    assert {"noise", "seen"}.isdisjoint(strongest), "the target does not depend on these"


@pytest.mark.slow
def test_the_two_methods_and_shapley_values_tell_the_same_story(made: Callable[..., Any]) -> None:
    """Three definitions, one network, one baseline: they differ, but not in what matters."""
    one = made("binary", "mlp")
    model, splits = artifacts(one)
    subject = open_subject(model)
    sample = draw(splits, subject, 200, one.context())
    by = {}
    for name in NAMES:
        kind = EXPLAINERS.load(name)
        found = kind(kind.Settings(rows=10)).explain(subject, sample, one.context(), lambda: None)
        rows = found.content["rows"]
        by[name] = np.array([[row["contributions"][g] for g in subject.groups] for row in rows])
    shapley = sample.contributions[[row["row"] for row in rows], :, 0]
    for values in by.values():
        assert np.corrcoef(values.ravel(), shapley.ravel())[0, 1] > 0.9


@pytest.mark.parametrize("activation", ["selu", "mish", "silu", "relu"])
@pytest.mark.parametrize("embedding", ["pbld", "none"])
def test_every_network_of_the_learner_is_read(activation: str, embedding: str) -> None:
    native = trained(activation, embedding)
    rows = awkward()
    network = head_network(native)
    said = network.module(network.entered(rows)).numpy()
    assert np.allclose(said, open_native("head", native, 1).margin(rows), atol=1e-4)
    assert network.owner.tolist() == [0, 1, 2, 3, 0], "a flag for the feature with gaps"


def awkward() -> np.ndarray:
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(30, 4)).astype(np.float32)
    rows[:4] = [[np.nan] * 4, [1e38] * 4, [-1e38] * 4, [0] * 4]
    return rows


def trained(activation: str, embedding: str) -> bytes:
    """The head of a network with random weights: what it says does not matter, only that it is read."""
    import torch

    from bessemer.core import canonical
    from bessemer.train.learners.mlp_net import Net, Scaling
    from bessemer.train.learners.mlp_onnx import to_onnx

    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 4)).astype(np.float32)
    X[::5, 0] = np.nan
    X[:, 3] = 1.0
    scaling = Scaling.of(X)
    params = {"activation": activation, "embedding": embedding, "hidden_layers": 2, "hidden_size": 8}
    net = Net(scaling.inputs, 1, np.zeros(1), params)
    net.start(scaling.apply(X), 0.5, torch.Generator().manual_seed(0))
    with torch.no_grad():
        net.weights[-1].normal_(generator=torch.Generator().manual_seed(1))
        for slope in net.slopes:
            slope.uniform_(0.5, 1.5, generator=torch.Generator().manual_seed(2))
    model = to_onnx(net, scaling, (10.0, 3.0), (-50.0, 80.0))
    baseline = np.nanmedian(X, axis=0).astype(float).tolist()
    return canonical.dump_bytes({"baseline": baseline}) + b"\n" + model.SerializeToString()


@pytest.mark.slow
def test_a_network_that_is_wired_otherwise_is_noticed(made: Callable[..., Any]) -> None:
    """The nodes come in their order, but one constant is another: nothing is said of such a network."""
    one = made("binary", "mlp")
    subject = open_subject(artifacts(one)[0])
    features = awkward_rows(len(subject.features))
    network = head_network(subject.native)
    check_parity(network, subject, features)
    network.module[-1].bias.data += 1.0
    with pytest.raises(BessemerError, match="differs from it by 1"):
        check_parity(network, subject, features)


def awkward_rows(features: int) -> np.ndarray:
    rows = np.random.default_rng(2).normal(size=(10, features)).astype(np.float32)
    rows[0] = np.nan
    return rows


def test_other_models_are_refused_with_a_reason(made: Callable[..., Any]) -> None:
    subject = open_subject(artifacts(made("binary"))[0])
    assert "kind 'trees'" in refused(subject)
    network = open_subject(artifacts(made("binary", "mlp"))[0])
    assert refused(network) == ""
    assert "mlp learner" in refused(replace(network, native=other_head()))


@pytest.mark.slow
def test_the_stage_writes_them_for_networks_and_leaves_them_out_for_trees(made: Callable[..., Any]) -> None:
    asked = [{name: {"rows": 2}} for name in NAMES]
    _, explanations = made("multiclass", "mlp").explain(explainers=asked)
    assert set(explanations["found"]) == set(NAMES)
    assert [len(one["content"]["rows"]) for one in explanations["found"].values()] == [2, 2]
    _, explanations = made("multiclass").explain(explainers=asked)
    assert explanations["found"] == {}


def test_without_the_library_the_project_file_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "captum" else real(name))
    with pytest.raises(MissingExtra, match="captum") as missing:
        EXPLAINERS.load("deep_lift")
    assert "bessemer[deep]" in missing.value.fix


def other_head() -> bytes:
    from bessemer.package.graph import GraphBuilder

    g = GraphBuilder("other")
    x = g.input("features", "float32", ("N", 2))
    weight, bias = (g.constant(np.ones(shape, dtype=np.float32)) for shape in ((2, 1), (1,)))
    g.output(g.op("Gemm", [x, weight, bias], name="score"), "float32", ("N", 1))
    model: bytes = g.model().SerializeToString()
    return b'{"baseline": [0, 0]}\n' + model
