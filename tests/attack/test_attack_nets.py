"""Attacks on networks: what they find of real digits and of a table, what they may not touch, and what is refused."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from nets_support import DIGITS, convnet, digits, table_net, tumours

from bessemer.attack.answers import Answers, twin_of
from bessemer.attack.arena import Arena
from bessemer.attack.frame import STRIDE, Frame, framed
from bessemer.attack.library import evasion, seeded
from bessemer.attack.nets import BudgetAttack, WhiteBox
from bessemer.attack.plugins import ATTACKS
from bessemer.attack.protocol import Found, Victim
from bessemer.attack.surface import Surface, surface_of
from bessemer.package.decision import Decision
from bessemer.package.graph import GraphBuilder
from bessemer.testing.attacks import check_attack, sample_of, victim, whole

torch.set_num_threads(1)

#: Settings with which each is done in a moment.
QUICK: dict[str, dict[str, Any]] = {
    "pgd": {"steps": 10, "restarts": 2},
    "apgd": {"steps": 10},
    "square": {"steps": 60},
    "hop_skip_jump": {"steps": 3, "norm": "l_2", "first_questions": 20, "most_questions": 60},
    "boundary": {"steps": 15},
    "zoo": {"steps": 20, "searches": 2},
    "transfer": {"steps": 10},
    "smoothing": {"copies": 100, "first": 20},
}
NUMBERS = ["number"] * 10 + ["indicator"] * 2


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Victim:
    X, y = digits()
    folder = tmp_path_factory.mktemp("digits")
    linear = linear_of(X, y)
    graph, more = whole(convnet(), 64), {"baselines/linear.onnx": linear}
    return victim(folder, graph, X, y, list(range(10)), blocks=[DIGITS], files=more)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Victim:
    X, y = tumours()
    return table_victim(tmp_path_factory.mktemp("table"), X, y)


def table_victim(folder: Path, X: np.ndarray, y: np.ndarray, **facts: Any) -> Victim:
    return victim(folder, whole(table_net(), 12), X, y, ["no", "yes"], kinds=NUMBERS, facts=facts)


def linear_of(X: np.ndarray, y: np.ndarray) -> bytes:
    """Ridge regression on the classes, as a graph."""
    hot = np.eye(10)[y.astype(int)]
    weight = np.linalg.solve(X.T @ X + np.eye(X.shape[1]), X.T @ hot)
    g = GraphBuilder("linear")
    x = g.input("features", "float32", ("N", X.shape[1]))
    g.output(g.op("MatMul", [x, g.constant(weight.astype(np.float32))], name="score"), "float32", ("N", 10))
    data: bytes = g.model().SerializeToString()
    return data


def curve(found: Found) -> dict[float, float]:
    return {float(point.budget or 0): point.value for point in found.curve}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(QUICK))
def test_an_attack_on_images_keeps_what_is_promised(name: str, images: Victim, tmp_path: Path) -> None:
    found = check_attack(ATTACKS.load(name), QUICK[name], images, sample_of(images, 6), tmp_path)
    assert found.curve[-1].value < found.curve[0].value, "it finds something"
    assert "of 1" in found.unit


@pytest.mark.parametrize("name", ["apgd", "boundary", "hop_skip_jump", "pgd", "smoothing", "zoo"])
def test_an_attack_on_a_table_keeps_what_is_promised(name: str, table: Victim, tmp_path: Path) -> None:
    found = check_attack(ATTACKS.load(name), QUICK[name], table, sample_of(table, 7), tmp_path)
    assert found.curve[-1].value <= found.curve[0].value
    assert "standard deviations" in found.unit


def test_every_attack_on_networks_is_tried_here() -> None:
    nets = {name for name in ATTACKS.names() if ATTACKS.ref(name).summary.startswith("networks: ")}
    assert nets == set(QUICK)


@pytest.mark.slow
def test_gradients_bring_a_plain_network_down(images: Victim, tmp_path: Path) -> None:
    sample = sample_of(images, 60)
    weak, strong = (
        curve(
            check_attack(
                ATTACKS.load(name), {**QUICK[name], "budgets": [0.05, 0.2]}, images, sample, tmp_path
            )
        )
        for name in ("transfer", "apgd")
    )
    assert strong[0.0] == weak[0.0] > 0.9
    assert strong[0.2] < 0.2
    assert strong[0.05] < weak[0.05] < weak[0.0]


class Shove(BudgetAttack):
    """Moves everything by twice what is allowed."""

    def attempt(self, arena: Arena, frame: Frame, y: Any, budget: float, rng: Any) -> tuple[Any, int]:
        return 1 - frame.shown(), 1


class Nan(BudgetAttack):
    def attempt(self, arena: Arena, frame: Frame, y: Any, budget: float, rng: Any) -> tuple[Any, int]:
        return np.full_like(frame.shown(), np.nan), 1


@pytest.mark.parametrize("kind", [Shove, Nan])
def test_what_goes_further_than_the_budget_has_found_nothing(
    kind: type[BudgetAttack], images: Victim, tmp_path: Path
) -> None:
    found = check_attack(kind, {"budgets": [0.2]}, images, sample_of(images, 20), tmp_path)
    assert curve(found)[0.2] == curve(found)[0.0]
    assert not found.samples


def test_what_goes_as_far_as_allowed_counts(images: Victim, tmp_path: Path) -> None:
    found = check_attack(Shove, {"budgets": [1.0]}, images, sample_of(images, 20), tmp_path)
    assert curve(found)[1.0] < 0.5 < curve(found)[0.0]
    assert found.samples[0]["shape"] == [1, 8, 8]
    assert len(found.samples[0]["after"]) == 64


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    order=st.permutations(range(6)),
    by=arrays(np.float32, (6, 4), elements=st.floats(-50, 50, width=32)),
)
def test_whatever_is_moved_only_numbers_change(order: list[int], by: np.ndarray) -> None:
    """Rows come back in any order, moved in all coordinates, also in the one that says which row it is."""
    base = np.arange(30, dtype=np.float32).reshape(6, 5)
    base[2, 1] = np.nan
    one = np.ones(3, dtype=np.float32)
    surface = Surface(np.array([0, 1, 4]), 2 * one, 3 * one, -one, one, 5, None, "standard deviations")
    frame = Frame(surface, base, np.arange(6), None)
    assert frame.numbered
    X, which = frame.taken((frame.shown() + by)[order])
    assert which.tolist() == list(order)
    expected = base[order]
    np.testing.assert_array_equal(X[:, [2, 3]], expected[:, [2, 3]])
    np.testing.assert_array_equal(np.isnan(X), np.isnan(expected))
    assert np.nanmin(X[:, [0, 1, 4]]) >= 2 - 3
    assert np.nanmax(X[:, [0, 1, 4]]) <= 2 + 3
    assert STRIDE > 2 * 50


@pytest.mark.parametrize("facts", [{}, {"decision": Decision(0.9).to_json()}])
def test_the_twin_behind_a_frame_says_what_the_graph_says(facts: dict[str, Any], tmp_path: Path) -> None:
    X, y = tumours()
    if facts:
        empty = {
            "objective": "",
            "costs": None,
            "groups": [],
            "fair": None,
            "tolerance": 0,
            "table": [],
            "rows": [],
        }
        facts = {"decision": {**facts["decision"], **empty}}
    one = table_victim(tmp_path, X, y, **facts)
    sample = sample_of(one, 40)
    surface = surface_of(one)
    assert surface is not None
    arena = Arena(one, sample, surface)
    frame = arena.frame(np.arange(40))
    moved = frame.shown() + np.random.default_rng(0).normal(0, 0.3, (40, 11)).astype(np.float32)
    features, which = frame.taken(moved)
    expected = arena.answers.scores(features, frame.rows[which])
    module = framed(twin_of(one), frame)
    shown = torch.from_numpy(moved).requires_grad_(True)
    scores = module(shown)
    np.testing.assert_allclose(scores.detach().numpy(), expected, rtol=1e-4, atol=1e-4)
    scores[:, 1].sum().backward()
    assert shown.grad is not None
    missing = np.isnan(sample.X[:, 3])
    assert missing.any()
    assert not shown.grad[torch.from_numpy(missing), 3].any()
    assert not shown.grad[:, -1].any()


def test_answers_keep_to_the_threshold_that_ships(tmp_path: Path) -> None:
    X, y = tumours()
    one = table_victim(tmp_path, X, y, decision=Decision(0.9).to_json())
    sample, rows = sample_of(one, 569), np.arange(569)
    answers = Answers(one, sample)
    score = answers.scores(sample.X, rows)[:, 1] + np.log(0.9 / 0.1)
    np.testing.assert_array_equal(
        answers.answers(sample.X, rows), (1 / (1 + np.exp(-score)) >= 0.9).astype(int)
    )
    assert answers.asked == 2 * 569


def forest(features: int) -> bytes:
    g = GraphBuilder("tree")
    x = g.input("features", "float32", ("N", features))
    leaf = {
        "nodes_treeids": [0], "nodes_nodeids": [0], "nodes_featureids": [0], "nodes_values": [0.0],
        "nodes_modes": [b"LEAF"], "nodes_truenodeids": [0], "nodes_falsenodeids": [0], "target_treeids": [0],
        "target_nodeids": [0], "target_ids": [0], "target_weights": [1.0],
    }  # fmt: skip
    g.output(
        g.op("TreeEnsembleRegressor", [x], domain="ai.onnx.ml", name="score", **leaf), "float32", ("N", 1)
    )
    data: bytes = g.model().SerializeToString()
    return data


def refused(name: str, one: Victim, **more: Any) -> str:
    kind = ATTACKS.load(name)
    why: str = kind(kind.Settings.model_validate(more)).refuses(one)
    return why


def test_what_cannot_be_attacked_is_said(images: Victim, table: Victim, tmp_path: Path) -> None:
    X, y = tumours()
    trees = victim(tmp_path / "a", whole(forest(12), 12), X, y, ["no", "yes"], kinds=NUMBERS)
    flags = victim(tmp_path / "b", whole(table_net(), 12), X, y, ["no", "yes"], kinds=["indicator"] * 12)
    number = victim(tmp_path / "c", whole(table_net(), 12), X, y, [], kinds=NUMBERS)
    assert "TreeEnsembleRegressor" in refused("pgd", trees)
    assert refused("hop_skip_jump", trees) == ""
    assert "no feature is a number" in refused("boundary", flags)
    assert "no feature is a number" in refused("smoothing", flags)
    assert "no right and wrong" in refused("apgd", number)
    assert "not one image" in refused("square", table)
    assert "10 pixels" in refused("square", images, norm="l_2")
    assert "no linear baseline" in refused("transfer", table)


def over_pixels(build: Callable[[GraphBuilder, str], str]) -> bytes:
    """A head of ten classes: what is built of the pixels, times the weights of ridge regression."""
    g = GraphBuilder("pixels")
    made = build(g, g.input("features", "float32", ("N", 64)))
    weight = onnx.numpy_helper.to_array(onnx.load_from_string(linear_of(*digits())).graph.initializer[0])
    g.output(g.op("MatMul", [made, g.constant(weight)], name="score"), "float32", ("N", 10))
    data: bytes = g.model().SerializeToString()
    return data


def cubic(g: GraphBuilder, x: str) -> str:
    image = g.op("Reshape", [x, g.constant(np.array([-1, 1, 8, 8], dtype=np.int64))])
    sizes = g.constant(np.array([1, 1, 1, 1], dtype=np.float32))
    return g.op("Flatten", [g.op("Resize", [image, "", sizes], mode="cubic")])


def black_and_white(g: GraphBuilder, x: str) -> str:
    return g.op("Cast", [g.op("Greater", [x, g.constant(np.float32(0.5))])], to=1)


def partly_whole(g: GraphBuilder, x: str) -> str:
    whole = g.op("Cast", [g.op("Mul", [x, g.constant(np.float32(16))])], to=7)
    return g.op("Add", [x, g.op("Cast", [whole], to=1)])


def saturated(g: GraphBuilder, x: str) -> str:
    return g.op("Relu", [g.op("Sub", [x, g.constant(np.float32(2))])])


def missing(g: GraphBuilder, x: str) -> str:
    gone = g.op("Cast", [g.op("IsNaN", [x])], to=1)
    return g.op("Add", [x, gone])


def signed(g: GraphBuilder, x: str) -> str:
    return g.op("Sign", [g.op("Sub", [x, g.constant(np.float32(0.45))])])


@pytest.mark.parametrize(
    ("build", "told"),
    [
        (cubic, "Resize with mode 'cubic'"),
        (black_and_white, "is 0 on all"),
        (saturated, "is 0 on all"),
        (partly_whole, "whole numbers"),
        (missing, ""),
        (signed, ""),
    ],
)
def test_a_graph_whose_gradient_is_not_known_or_cut_is_left_out(
    build: Callable[[GraphBuilder, str], str], told: str, tmp_path: Path
) -> None:
    X, y = digits()
    graph = over_pixels(build)
    files = {"baselines/linear.onnx": graph}
    one = victim(tmp_path, whole(graph, 64), X, y, list(range(10)), blocks=[DIGITS], files=files)
    for name in ("apgd", "pgd", "transfer"):
        why = refused(name, one)
        assert told in why
        assert bool(told) == bool(why)
    assert refused("hop_skip_jump", one) == ""


def test_a_sign_hides_nothing_from_an_attack(tmp_path: Path) -> None:
    X, y = digits()
    one = victim(tmp_path, whole(over_pixels(signed), 64), X, y, list(range(10)), blocks=[DIGITS])
    settings_ = {"steps": 20, "budgets": [0.3]}
    found = curve(check_attack(ATTACKS.load("pgd"), settings_, one, sample_of(one, 30), tmp_path))
    assert found[0.3] < found[0.0] / 2


def test_a_row_whose_image_is_missing_stands_and_is_told(tmp_path: Path) -> None:
    """The network reads a missing image as grey; the row's class is whatever it says of that."""
    X, y = (values[:30].copy() for values in digits())
    X[4] = np.nan
    graph = whole(over_grey(convnet()), 64)
    one = victim(tmp_path / "first", graph, X, y, list(range(10)), blocks=[DIGITS])
    y[4] = Answers(one, sample_of(one, 30)).answers(X[4:5], np.array([4]))[0]
    one = victim(tmp_path / "second", graph, X, y, list(range(10)), blocks=[DIGITS])
    found = check_attack(
        ATTACKS.load("pgd"), {"steps": 10, "budgets": [0.5]}, one, sample_of(one, 30), tmp_path
    )
    assert curve(found)[0.5] == pytest.approx(1 / 30)
    assert any("1 rows could not be moved" in note for note in found.notes)


def over_grey(head: bytes) -> bytes:
    """A head behind what makes missing pixels grey."""
    g = GraphBuilder("grey")
    x = g.input("features", "float32", ("N", 64))
    known = g.op("Where", [g.op("IsNaN", [x]), g.constant(np.float32(0.5)), x])
    made = g.embed(onnx.load_from_string(head), {"features": known}, "net_")
    g.output(g.op("Identity", [made["score"]], name="score"), "float32", ("N", 10))
    data: bytes = g.model().SerializeToString()
    return data


def test_smoothing_is_certain_only_of_what_noise_does_not_turn(images: Victim, tmp_path: Path) -> None:
    sample = sample_of(images, 15)
    settings_ = {"copies": 400, "first": 50, "sigma": 0.2, "budgets": [0.1, 0.3, 5.0]}
    certain = curve(check_attack(ATTACKS.load("smoothing"), settings_, images, sample, tmp_path))
    assert certain[0.0] >= certain[0.1] >= certain[0.3] > certain[5.0] == 0
    # What is certain of the majority's answer holds against an attacker who knows the network.
    kind = ATTACKS.load("smoothing")
    smooth = kind(kind.Settings.model_validate(settings_))
    surface = surface_of(images)
    assert surface is not None
    arena = Arena(images, sample, surface)
    moved = kind_moved(arena, 0.3)
    for row in range(len(sample)):
        radius = smooth._radius(arena, row, np.random.default_rng(row))
        if radius >= 0.3:
            noisy = moved[row] + np.random.default_rng(1).normal(0, 0.2, (2000, 64)).astype(np.float32)
            said = arena.answers.answers(noisy.astype(np.float32), np.full(2000, row))
            assert np.bincount(said, minlength=10).argmax() == arena.y[row]


def kind_moved(arena: Arena, budget: float) -> np.ndarray:
    """All rows, each moved by PGD as far as the budget by l_2."""
    kind = ATTACKS.load("pgd")
    attack: WhiteBox = kind(kind.Settings.model_validate({"norm": "l_2", "steps": 20}))
    frame = arena.frame(np.arange(len(arena.sample)))
    moves, _ = attack.attempt(arena, frame, arena.y, budget, np.random.default_rng(0))
    return frame.taken(moves)[0]


def test_the_library_leaves_no_trace() -> None:
    home = os.environ["HOME"]
    evasion()
    assert os.environ["HOME"] == home
    before = np.random.get_state()[1].copy(), random.getstate(), torch.get_rng_state()
    drawn = []
    for _ in range(2):
        with seeded(np.random.default_rng(3)):
            drawn.append((np.random.rand(), random.random(), float(torch.rand(()))))
    assert drawn[0] == drawn[1]
    np.testing.assert_array_equal(before[0], np.random.get_state()[1])
    assert random.getstate() == before[1]
    assert torch.equal(torch.get_rng_state(), before[2])
