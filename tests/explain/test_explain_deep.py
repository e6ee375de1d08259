"""Explanations of networks: known truths, completeness, the protocol, and the sanity checks of Adebayo et al. 2018."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from deep_support import accuracy, convnet, digits, likeness, trained
from torch import Tensor, nn

from bessemer.core.errors import UsageError
from bessemer.explain.deep.plugins import DEEP
from bessemer.explain.deep.question import Attribution, Question
from bessemer.testing.deep import check_deep

ATTRIBUTIONS = (
    "integrated_gradients",
    "saliency",
    "smooth_grad",
    "grad_cam",
    "deep_lift",
    "lrp",
    "occlusion",
)
#: With signs: then a network that says the opposite is explained by the opposite.
SIGNED: dict[str, dict[str, Any]] = {
    "saliency": {"signed": True},
    "smooth_grad": {"signed": True, "samples": 20},
    "grad_cam": {"positive": False},
    "integrated_gradients": {"steps": 128},
}


def explained(name: str, question: Question, **settings: Any) -> Attribution:
    kind = DEEP.load(name)
    return kind(kind.Settings(**settings)).explain(question)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Of steps this small, two threads are slower than one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def pictures() -> tuple[Tensor, Tensor, Tensor]:
    return digits()


@pytest.fixture(scope="module")
def network(pictures: tuple[Tensor, Tensor, Tensor]) -> nn.Module:
    images, classes, _ = pictures
    made = trained(convnet(), images[:1500], classes[:1500], 15)
    assert accuracy(made, images[1500:], classes[1500:]) > 0.75
    return made


@pytest.fixture(scope="module")
def asked(network: nn.Module, pictures: tuple[Tensor, Tensor, Tensor]) -> Question:
    """Thirty pictures that the network has not been trained on."""
    images, classes, _ = pictures
    return Question(network, images[1500:1530], classes[1500:1530].tolist())


@pytest.mark.parametrize("name", DEEP.names())
def test_keeps_the_protocol(name: str, asked: Question, pictures: tuple[Tensor, Tensor, Tensor]) -> None:
    images = pictures[0]
    more = {"layer": "4", "concepts": {"some": images[:20]}, "contrasts": images[20:100].split(20)}
    question = Question(asked.module, asked.inputs[:4], asked.target[:4], **(more if name == "tcav" else {}))  # type: ignore[index]
    found = check_deep(DEEP.load(name), DEEP.load(name).Settings(), question)
    wanted = {"tcav": (1,), "grad_cam": (4, 1, 12, 12)}.get(name, tuple(question.inputs.shape))
    assert found.values.shape == wanted


@pytest.mark.parametrize("name", ATTRIBUTIONS)
def test_points_at_the_strokes(name: str, asked: Question, pictures: tuple[Tensor, Tensor, Tensor]) -> None:
    strength = np.abs(explained(name, asked).values)
    ink = pictures[2][1500:1530].numpy()
    near = nn.functional.max_pool2d(pictures[2][1500:1530].float(), 3, stride=1, padding=1).numpy() > 0
    inside = np.array([one[where].mean() for one, where in zip(strength, ink, strict=True)])
    outside = np.array([one[~where].mean() for one, where in zip(strength, near, strict=True)])
    assert inside.mean() > 1.5 * outside.mean()
    assert (inside > outside).mean() > 0.7


@pytest.mark.parametrize("name", ["integrated_gradients", "deep_lift", "lrp"])
def test_parts_add_up_within_the_stated_error(name: str, asked: Question) -> None:
    found = explained(name, asked, **SIGNED.get(name, {}))
    rows, columns = range(30), asked.target
    score = asked.output(asked.inputs).numpy()[rows, columns]
    nothing = asked.output(torch.zeros_like(asked.inputs[:1])).numpy()[0, columns]
    wanted = score if name == "lrp" else score - nothing
    gap = np.abs(found.values.sum(axis=(1, 2, 3)) - wanted).max()
    assert found.error.value is not None
    assert gap <= found.error.value + 1e-4
    assert gap >= found.error.value - 1e-4, "no more is stated than there is"
    assert name == "lrp" or found.error.value < 0.02 * np.abs(wanted).max()


def test_relevance_is_complete_where_no_bias_keeps_a_share(asked: Question) -> None:
    plain = copy.deepcopy(asked.module)
    for layer in plain.modules():
        if getattr(layer, "bias", None) is not None:
            nn.init.zeros_(layer.bias)
    found = explained("lrp", Question(plain, asked.inputs, asked.target))
    assert found.error.value is not None
    assert found.error.value < 1e-4 * np.abs(found.values).sum(axis=(1, 2, 3)).max()


def test_of_a_linear_network_parts_are_the_weight_times_the_difference() -> None:
    torch.manual_seed(0)
    line, inputs, baseline = nn.Linear(5, 3), torch.randn(7, 5), torch.randn(1, 5)
    for name in ("integrated_gradients", "deep_lift", "occlusion"):
        settings = {"window": 1} if name == "occlusion" else {}
        found = explained(name, Question(line, inputs, 2, baseline=baseline), **settings)
        wanted = (line.weight[2] * (inputs - baseline)).detach().numpy()
        assert np.allclose(found.values, wanted, atol=1e-5), name
        assert np.allclose(found.baseline.value, line(baseline).detach().numpy()[0])


def test_deep_lift_is_complete_past_skip_connections_and_unusual_activations() -> None:
    class Skip(nn.Module):
        def __init__(self, bend: nn.Module) -> None:
            super().__init__()
            self.bend = bend

        def forward(self, x: Tensor) -> Tensor:
            return x + self.bend(x)

    torch.manual_seed(0)
    bends = [Skip(nn.SELU()), Skip(nn.Mish()), nn.GELU(), Skip(nn.ReLU())]
    layers = [layer for bend in bends for layer in (nn.Linear(4, 4), bend)]
    found = explained("deep_lift", Question(nn.Sequential(*layers), torch.randn(9, 4), 1))
    assert found.error.value is not None
    assert found.error.value < 1e-5


def test_the_standard_error_of_smooth_grad_is_that_of_runs_with_other_seeds(asked: Question) -> None:
    runs = [
        explained(
            "smooth_grad", Question(asked.module, asked.inputs[:1], asked.target[:1], seed=seed), samples=10
        )  # type: ignore[index]
        for seed in range(20)
    ]
    seen = np.std([run.values for run in runs], axis=0, ddof=1).max()
    stated = np.mean([run.error.value for run in runs])
    assert 0.5 * stated < seen < 2 * stated


@pytest.mark.parametrize("name", ATTRIBUTIONS)
def test_random_weights_are_explained_otherwise_and_nearly_the_same_weights_are_not(
    name: str, asked: Question
) -> None:
    """Adebayo et al. 2018: what stays the same when the weights are drawn anew does not explain the network."""
    own, near, other = (
        explained(name, Question(net, asked.inputs, asked.target), **SIGNED.get(name, {})).values
        for net in (asked.module, nudged(asked.module), convnet(seed=5))
    )
    assert likeness(own, near) > 0.8
    assert abs(likeness(own, other)) < 0.2


def nudged(network: nn.Module) -> nn.Module:
    """The network with a hundredth of noise on its weights."""
    made = copy.deepcopy(network)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in made.parameters():
            weight += 0.01 * weight.std() * torch.randn(weight.shape, generator=generator)
    return made


@pytest.fixture(scope="module")
def misled(pictures: tuple[Tensor, Tensor, Tensor]) -> nn.Module:
    """A network that has learnt random labels by heart."""
    images, classes, _ = pictures
    shuffled = classes[torch.from_numpy(np.random.default_rng(0).permutation(300))]
    made = trained(convnet(), images[:300], shuffled, 60)
    assert accuracy(made, images[:300], shuffled) > 0.9
    return made


@pytest.mark.parametrize("name", ATTRIBUTIONS)
def test_random_labels_are_explained_otherwise(name: str, asked: Question, misled: nn.Module) -> None:
    own, other = (
        explained(name, Question(net, asked.inputs, asked.target), **SIGNED.get(name, {})).values
        for net in (asked.module, misled)
    )
    assert abs(likeness(own, other)) < 0.2


@pytest.mark.slow
def test_a_climb_reaches_more_than_any_picture(
    network: nn.Module, pictures: tuple[Tensor, Tensor, Tensor]
) -> None:
    images = pictures[0]
    question = Question(network, images[:6], 3)
    found = explained("activation_maximisation", question)
    most = float(question.output(images)[:, 3].max())
    assert min(found.details["reached"]) > most
    assert all(a < b for a, b in zip(found.details["start"], found.details["reached"], strict=True))
    best = torch.from_numpy(found.values).float()
    assert np.allclose(question.output(best)[:, 3].numpy(), found.details["reached"], rtol=1e-4)
    assert images[:6].min() <= best.min()
    assert best.max() <= images[:6].max()
    blank = explained("activation_maximisation", Question(network, images[:1] * 0, 3), low=0, high=1)
    assert blank.details["reached"][0] > most
    assert blank.error.value is None
    unit = explained("activation_maximisation", Question(network, images[:2], 7, layer="3"), steps=30)
    assert min(np.subtract(unit.details["reached"], unit.details["start"])) > 0


def stripes(rng: np.random.Generator, rows: int, down: float) -> tuple[Tensor, Tensor]:
    """Noise; in a share of the pictures stripes go down, in half of them across. The class is whether some go down."""
    images = rng.uniform(0, 1, (rows, 1, 12, 12)).astype(np.float32)
    has = [rng.random(rows) < share for share in (down, 0.5)]
    images[has[0], :, :, ::3] += 0.7
    images[has[1], :, ::3, :] += 0.7
    return torch.from_numpy(images), torch.from_numpy(has[0].astype(np.int64))


@pytest.mark.slow
def test_tcav_finds_the_concept_that_the_label_depends_on_and_no_random_one() -> None:
    rng = np.random.default_rng(0)
    images, classes = stripes(rng, 600, 0.5)
    network = trained(convnet(outputs=2), images, classes, 4)
    inputs, held = stripes(rng, 100, 0.5)
    assert accuracy(network, inputs, held) > 0.95
    concepts = {"down": stripes(rng, 60, 1)[0]}
    concepts |= {f"random {i}": stripes(rng, 60, 0.1)[0] for i in range(4)}
    contrasts = [stripes(rng, 60, 0.1)[0] for _ in range(8)]
    for target, score in ((1, 1.0), (0, 0.0)):
        found = explained(
            "tcav", Question(network, inputs, target, layer="4", concepts=concepts, contrasts=contrasts)
        )
        said = found.details["concepts"]
        assert found.values[0] == pytest.approx(score, abs=0.1)
        assert said["down"]["accuracy"] > 0.8
        assert said["down"]["significant"]
        assert not [name for name, one in said.items() if one["significant"] and name != "down"]
        assert min(one["p"] for name, one in said.items() if name != "down") > 10 * said["down"]["p"]


def test_questions_that_mean_nothing_are_refused(network: nn.Module, asked: Question) -> None:
    images = asked.inputs
    little = Question(network, images, layer="4", concepts={"few": images[:3]}, contrasts=[images] * 3)
    for wrong, words in [
        (lambda: Question(network, images.int()), "cannot be explained"),
        (lambda: Question(network, images[:0]), "cannot be explained"),
        (lambda: Question(network, images * torch.nan), "NaN"),
        (lambda: Question(network, images, [1, 2]), "for 30 rows"),
        (lambda: Question(network, images, 0.5), "float64"),
        (lambda: Question(network, images, baseline=images[:1] / 0), "baseline"),
        (lambda: Question(network, images, baseline=images[:2]), "does not fit"),
        (lambda: explained("saliency", Question(network, images, 10)), "no output 10"),
        (lambda: explained("saliency", Question(nn.Conv2d(1, 1, 3), images)), "not scores"),
        (lambda: explained("grad_cam", Question(network, images, layer="9")), "no layer '9'"),
        (lambda: explained("grad_cam", Question(network, images, layer="7")), "no height and width"),
        (lambda: explained("grad_cam", Question(nn.Linear(3, 1), torch.ones(2, 3))), "convolutions"),
        (
            lambda: explained("lrp", Question(nn.Sequential(nn.Linear(3, 1), nn.GELU()), torch.ones(2, 3))),
            "GELU",
        ),
        (lambda: explained("tcav", Question(network, images, layer="4")), "sets of random inputs"),
        (lambda: explained("activation_maximisation", Question(network, images * 0)), "nowhere to climb"),
        (lambda: explained("tcav", little), "do not show a concept"),
        (lambda: explained("deep_lift", Question(reused(), torch.ones(2, 3))), "more than once"),
    ]:
        with pytest.raises(UsageError) as refused:
            wrong()
        assert words in str(refused.value)


def reused() -> nn.Module:
    bend = nn.ReLU()
    return nn.Sequential(nn.Linear(3, 3), bend, nn.Linear(3, 3), bend, nn.Linear(3, 1))


def test_one_row_one_output_and_targets_of_any_kind() -> None:
    torch.manual_seed(0)
    flat = nn.Sequential(nn.Linear(3, 1), nn.Tanh(), nn.Flatten(0))
    for name in ("integrated_gradients", "saliency", "smooth_grad", "deep_lift", "occlusion"):
        assert explained(name, Question(flat, torch.ones(1, 3))).values.shape == (1, 3)
        two = [
            Question(nn.Linear(3, 2), torch.zeros(2, 3), np.array([0, 1])),
            Question(flat, torch.zeros(2, 3)),
        ]
        assert all(np.isfinite(explained(name, one).values).all() for one in two), "as the baseline itself"


def test_every_method_and_setting_is_on_the_page() -> None:
    text = (Path(__file__).parents[2] / "docs" / "deep-explanations.md").read_text("utf-8")
    for name in DEEP:
        assert f"`{name}`" in text
        assert not [key for key in DEEP.load(name).Settings.model_fields if f"`{key}`" not in text], name
