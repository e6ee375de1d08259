"""Every encoder, alone: first values, shapes, the graph it becomes, pretrained weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

from bessemer.core.blocks import Block
from bessemer.core.errors import UsageError
from bessemer.package.graph import serialize
from bessemer.package.row_bytes import row_bytes
from bessemer.package.runtime import open_session
from bessemer.package.safety import check_graph
from bessemer.train.check import fingerprint
from bessemer.train.networks.encoders.paths import located
from bessemer.train.networks.encoders.resnet import ResNet, ResNetSettings
from bessemer.train.networks.export import to_onnx
from bessemer.train.networks.plugins import ENCODERS
from bessemer.train.networks.protocol import Table
from bessemer.train.spec import TrainSpec

GREY = Block("photo", "image", 0, 64, (1, 8, 8))
WIDE = Block("photo", "image", 0, 3 * 31 * 20, (3, 31, 20))
WORDS = Block("review", "tokens", 0, 12, (12,), 50)
ANSWER = Block("about", "embedding", 0, 16, (16,))
TABLE = Table((True, False, True, True), (1, 3))
PLAIN = Table((False,))
SOURCES: tuple[Any, ...] = (GREY, WIDE, WORDS, ANSWER, TABLE, PLAIN)

#: Usual settings, but for the size of what would take seconds.
USUAL: Mapping[str, Mapping[str, Any]] = {"resnet": {"width": 8}}

#: Each encoder beside its usual settings, so that every branch is built.
OTHERS: Mapping[str, Mapping[str, Any]] = {
    "convnet": {"width": 3, "stages": 6},
    "resnet": {"depth": 10, "width": 4, "stem": "photo"},
    "vit": {"dim": 12, "layers": 1, "heads": 5, "stem": 6},
    "text_cnn": {"dim": 3, "filters": 5, "lengths": [1, 20]},
    "transformer": {"dim": 10, "layers": 1, "heads": 4},
    "mlp": {"size": 5, "layers": 1, "embedding": "none"},
    "ft_transformer": {"dim": 9, "layers": 1, "heads": 8},
    "linear": {"dim": 3},
}
CASES = [
    (name, source, settings)
    for name in ENCODERS
    for source in SOURCES
    for settings in (USUAL.get(name, {}), OTHERS[name])
    if source.kind in ENCODERS.load(name).KINDS
]


def built(name: str, source: Any, settings: Mapping[str, Any] | None = None, seed: int = 1) -> Any:
    kind: Any = ENCODERS.load(name)
    generator = torch.Generator().manual_seed(seed)
    asked = {**USUAL.get(name, {}), **(settings or {})}
    return kind(kind.Settings.model_validate(asked)).build(source, generator)


def rows(source: Any, n: int = 6) -> torch.Tensor:
    """Inputs as the protocol promises them; the first is of nothing but missing values."""
    rng = np.random.default_rng(5)
    if source.kind == "tokens":
        x = rng.integers(1, source.levels, (n, source.width)).astype(np.float32)
        for row, length in zip(x, range(n), strict=True):
            row[2 * length :] = 0
    else:
        x = rng.normal(size=(n, source.width)).astype(np.float32)
        x[0] = 0
    if source.kind == "table":
        x[:, source.features :] = rng.integers(0, 2, (n, source.width - source.features))
    return torch.from_numpy(x)


@pytest.mark.parametrize(("name", "source", "settings"), CASES)
def test_its_graph_says_what_it_says(name: str, source: Any, settings: Mapping[str, Any]) -> None:
    encoder = built(name, source, settings)
    net = nn.Sequential(encoder, nn.Linear(encoder.dim, 3)).eval()
    graph = serialize(to_onnx(net, source.width))
    check_graph(graph)
    session, x = open_session(graph, 1), rows(source)
    with torch.no_grad():
        wanted = net(x).numpy()
        assert encoder(x).shape == (len(x), encoder.dim)
    for n in (len(x), 1):
        (found,) = session.run(["score"], {"features": x.numpy()[:n]})
        assert np.abs(found - wanted[:n]).max() <= 1e-5 * max(1, np.abs(wanted).max())
    assert len({row.tobytes() for row in wanted}) > 1, "it tells rows apart"
    assert graph == serialize(to_onnx(net, source.width)), "the same values give the same bytes"


@pytest.mark.parametrize("name", list(ENCODERS))
def test_first_values_are_the_generators_alone(name: str) -> None:
    source = next(s for s in SOURCES if s.kind in ENCODERS.load(name).KINDS)
    torch.manual_seed(1)
    first = built(name, source).state_dict()
    torch.manual_seed(2)
    again, other = built(name, source).state_dict(), built(name, source, seed=2).state_dict()
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


@pytest.mark.parametrize("name", list(ENCODERS))
def test_every_parameter_learns(name: str) -> None:
    for source in (s for s in SOURCES if s.kind in ENCODERS.load(name).KINDS):
        encoder = built(name, source)
        for key, value in encoder.named_parameters():  # a first value of 0 stops what is behind it
            if not value.any():
                value.data += 0.01 * torch.randn(
                    value.shape, generator=torch.Generator().manual_seed(len(key))
                )
        weights = torch.randn(encoder.dim, generator=torch.Generator().manual_seed(0))
        (encoder(rows(source)) * weights).sum().backward()
        still = [
            key for key, value in encoder.named_parameters() if value.grad is None or not value.grad.any()
        ]
        assert not still, source


@pytest.mark.parametrize("name", ["text_cnn", "transformer"])
def test_padding_changes_nothing(name: str) -> None:
    short, long = Block("r", "tokens", 0, 4, (4,), 9), Block("r", "tokens", 0, 40, (40,), 9)
    one, other = built(name, short).eval(), built(name, long).eval()
    values = other.state_dict()
    one.load_state_dict({k: v[:4] if k == "places" else v for k, v in values.items()})
    x = torch.tensor([[3.0, 1, 8, 2], [5, 0, 0, 0], [0, 0, 0, 0]])
    with torch.no_grad():
        apart = one(x) - other(functional.pad(x, (0, 36)))
    assert apart.abs().max() < 1e-6


def test_a_missing_feature_is_told_from_an_ordinary_one() -> None:
    encoder = built("ft_transformer", TABLE).eval()
    x = torch.zeros(2, TABLE.width)
    x[1, TABLE.features] = 1  # the flag of feature 1
    with torch.no_grad():
        usual, missing = encoder(x)
    assert (usual - missing).abs().max() > 1e-3


def test_too_many_features_for_a_transformer_are_refused() -> None:
    with pytest.raises(UsageError, match="1024 features at most, and there are 1025"):
        built("ft_transformer", Table((True,) * 1025))


def test_an_image_keeps_where_things_are() -> None:
    """A dot in one corner is not a dot in another, which a mean over the whole image would not tell."""
    for name in ("convnet", "vit"):
        encoder, x = built(name, GREY).eval(), torch.zeros(2, 64)
        x[0, 0] = x[1, 63] = 3.0
        with torch.no_grad():
            first, last = encoder(x)
        assert (first - last).abs().max() > 0.01


# The writer of graphs


class _Foreign(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cumsum(x, dim=1)


class _Ceiled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(2, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.pool(x.reshape(-1, 1, 2, 2)).flatten(1)


def test_a_step_without_nodes_is_named() -> None:
    with pytest.raises(UsageError, match="no ONNX nodes are known for 'cumsum'"):
        to_onnx(_Foreign(), 3)


def test_a_setting_that_no_nodes_know_is_noticed() -> None:
    with pytest.raises((UsageError, ValueError)):
        to_onnx(_Ceiled(), 4)


@pytest.mark.parametrize("name", ["mlp", "ft_transformer"])
def test_values_that_rows_do_not_change_are_computed_once(name: str) -> None:
    graph = to_onnx(built(name, TABLE), TABLE.width).graph
    constants = {tensor.name for tensor in graph.initializer}
    assert not [node.name for node in graph.node if constants.issuperset(node.input)]


def test_a_module_is_left_as_it_was() -> None:
    net = nn.Sequential(built("linear", ANSWER), nn.Linear(64, 1)).train()
    to_onnx(net, 16)
    assert net.training
    assert net[0].dropout.training


# Pretrained weights


def torchvision_names(depth: int) -> list[str]:
    """The names of torchvision's state dict, which do not change: weights of years ago are read by them."""
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    names = ["conv1.weight", *(f"bn1.{v}" for v in norm)]
    for i, blocks in enumerate({18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}[depth], start=1):
        for j in range(blocks):
            at = f"layer{i}.{j}."
            for k in (1, 2):
                names += [f"{at}conv{k}.weight", *(f"{at}bn{k}.{v}" for v in norm)]
            if j == 0 and i > 1:
                names += [f"{at}downsample.0.weight", *(f"{at}downsample.1.{v}" for v in norm)]
    return [*names, "fc.weight", "fc.bias"]


@pytest.mark.slow
def test_torchvisions_names_are_the_resnets() -> None:
    for depth, size in ((18, 122), (34, 218)):
        settings = ResNetSettings(depth=depth, norm="frozen", weights="not read here")
        module = ResNet(settings.model_copy(update={"weights": None})).build(
            WIDE, torch.Generator().manual_seed(0)
        )
        wanted = torchvision_names(depth)
        assert len(wanted) == size
        kept = [n for n in wanted if not n.startswith("fc.") and not n.endswith("num_batches_tracked")]
        assert sorted(module.state_dict()) == sorted(kept)


def _frozen(path: Path) -> dict[str, torch.Tensor]:
    """Weights of a ResNet-10 of width 4, as torchvision would name them, its classifier too."""
    generator = torch.Generator().manual_seed(3)
    source = ResNet(
        ResNetSettings(depth=10, width=4, norm="frozen", stem="photo", weights="x").model_copy(
            update={"weights": None}
        )
    ).build(WIDE, torch.Generator().manual_seed(0))
    values = {
        name: torch.rand(value.shape, generator=generator) + 0.5 * name.endswith("running_var")
        for name, value in source.state_dict().items()
    }
    extra = {"fc.weight": torch.rand(5, 32), "bn1.num_batches_tracked": torch.tensor(7)}
    save_file({**values, **extra}, path)
    return values


def test_frozen_norms_are_those_of_batch_norm(tmp_path: Path) -> None:
    values = _frozen(tmp_path / "w.safetensors")
    settings = {"depth": 10, "width": 4, "norm": "frozen", "weights": str(tmp_path / "w.safetensors")}
    encoder = built("resnet", WIDE, settings).eval()
    x = rows(WIDE)
    with torch.no_grad():
        first = functional.conv2d(x.reshape(-1, 3, 31, 20), values["conv1.weight"], stride=2, padding=3)
        wanted = functional.batch_norm(
            first, *(values[f"bn1.{n}"] for n in ("running_mean", "running_var", "weight", "bias"))
        )
        assert torch.allclose(encoder.bn1(first), wanted, atol=1e-5)
        assert torch.equal(encoder.conv1.weight, values["conv1.weight"])
    net = nn.Sequential(encoder, nn.Linear(encoder.dim, 2))
    graph = to_onnx(net, WIDE.width)
    assert all(node.op_type != "BatchNormalization" for node in graph.graph.node)
    encoder.train()(x).sum().backward()
    assert torch.equal(encoder.bn1.running_mean, values["bn1.running_mean"]), (
        "training leaves statistics alone"
    )


def test_weights_of_an_encoder_come_back(tmp_path: Path) -> None:
    for name in ENCODERS:
        source = next(s for s in SOURCES if s.kind in ENCODERS.load(name).KINDS)
        path = tmp_path / f"{name}.safetensors"
        trained = built(name, source, seed=7)
        save_file(trained.state_dict(), path)
        again = built(name, source, {"weights": str(path)}, seed=8)
        with torch.no_grad():
            assert torch.equal(again.eval()(rows(source)), trained.eval()(rows(source)))


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    values = built("linear", ANSWER).state_dict()
    save_file({"layer.weight": values["layer.weight"][:3].clone(), "other": torch.zeros(2)}, path)
    with pytest.raises(UsageError) as caught:
        built("linear", ANSWER, {"weights": str(path)})
    said = str(caught.value)
    assert "'layer.bias' is missing" in said
    assert "'other' has no place" in said
    assert "'layer.weight' is (3, 16), not (64, 16)" in said
    save_file({**values, "layer.bias": torch.full((64,), float("nan"))}, path)
    with pytest.raises(UsageError, match=r"'layer.bias' has values that are no numbers"):
        built("linear", ANSWER, {"weights": str(path)})


def test_files_that_are_no_weights(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no file"):
        built("linear", ANSWER, {"weights": str(tmp_path / "none.safetensors")})
    pickled = tmp_path / "w.pt"
    torch.save({"layer.weight": torch.zeros(2)}, pickled)
    with pytest.raises(UsageError, match="is no safetensors file") as caught:
        built("linear", ANSWER, {"weights": str(pickled)})
    assert "may hold code" in str(caught.value)


def test_frozen_norms_ask_for_weights() -> None:
    with pytest.raises(ValidationError, match="takes its means and variances from `weights`"):
        ResNetSettings(norm="frozen")


# What is said of them


def test_every_encoder_is_on_its_page_with_every_setting() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "encoders.md").read_text("utf-8")
    for name in ENCODERS:
        kind: Any = ENCODERS.load(name)
        missing = [word for word in (name, *kind.Settings.model_fields) if f"`{word}`" not in page]
        assert not missing, f"docs/encoders.md does not name {missing} of {name}"


def test_weights_are_found_from_the_projects_folder(tmp_path: Path) -> None:
    save_file(built("linear", ANSWER).state_dict(), tmp_path / "w.safetensors")
    said = {
        "embedding_encoder": {"linear": {"weights": "w.safetensors"}},
        "encoders": {"a": "mlp"},
        "epochs": 3,
    }
    spec = TrainSpec.model_validate({"learner": "network", "params": said})
    before = fingerprint(spec, tmp_path)
    assert list(before) == ["weights w.safetensors"]
    (tmp_path / "w.safetensors").unlink()
    assert fingerprint(spec, tmp_path) == {"weights w.safetensors": "missing"}
    assert located(said, tmp_path)["epochs"] == 3
    assert located(said, tmp_path)["encoders"] == {"a": "mlp"}


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("ft_transformer", Table((True,) * 100)),
        ("transformer", Block("review", "tokens", 0, 128, (128,), 50)),
    ],
)
def test_a_graph_says_what_a_row_takes_inside_it(name: str, source: Any) -> None:
    """Attention holds a number for each pair of pieces and each head: far more than the row itself has."""
    encoder = built(name, source)
    graph = serialize(to_onnx(nn.Sequential(encoder, nn.Linear(encoder.dim, 3)).eval(), source.width))
    assert row_bytes(graph) >= 2 * 4 * 4 * source.width**2
