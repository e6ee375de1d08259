"""Robust training: where rows may be moved to, what a step learns from, what it costs, and that it helps."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from network_support import DIGITS, MIXED, mixed, mixed_problem, opened, some
from pydantic import ValidationError
from stage_support import make_context, put_inputs

from bessemer.core.errors import UsageError
from bessemer.package.differentiable import twin
from bessemer.package.runtime import open_session
from bessemer.testing.learners import problem, rows
from bessemer.train.networks.batch import Batch, Loss
from bessemer.train.networks.dropout import seed_dropout
from bessemer.train.networks.objective import Plan
from bessemer.train.networks.plugins import OBJECTIVES
from bessemer.train.networks.robust import Ball, ball_of, worst
from bessemer.train.spec import TrainSpec
from bessemer.train.stage import run

torch.set_num_threads(1)

PLAN = Plan(rows=64, step_rows=16, steps=4, seed=1)


def spec(**said: Any) -> TrainSpec:
    return TrainSpec.model_validate_json(json.dumps(said))


def net_of(tmp_path: Path, **more: Any) -> Any:
    return opened(DIGITS, some(0, 64), some(64, 96), tmp_path, more).net


def woken(net: Any) -> Any:
    """A network whose last layer says something."""
    with torch.no_grad():
        net.head.outputs.weight.normal_(0, 0.3, generator=torch.Generator().manual_seed(0))
    return net


def batch(n: int = 16, seed: int = 5) -> Batch:
    part = some(0, n)
    return Batch(torch.from_numpy(part.X), torch.from_numpy(part.y.astype(np.int64)), torch.ones(n), n, seed)


@settings(max_examples=60, deadline=None)
@given(
    by=arrays(np.float32, (3, 4), elements=st.floats(-1e6, 1e6, width=32)),
    norm=st.sampled_from(["l_inf", "l_2"]),
    eps=st.sampled_from([0.01, 0.3, 2.0]),
)
def test_rows_stay_in_the_ball(by: np.ndarray, norm: Any, eps: float) -> None:
    scale = torch.tensor([1.0, 1.0, 0.0, 1.0])
    X = torch.tensor([[0.1, 0.9, 7.0, torch.nan], [0.0, 1.0, torch.nan, 0.5], [0.5, 0.5, -3.0, 0.2]])
    moved = Ball(scale, 0.0, 1.0, norm, eps).inside(X, torch.from_numpy(by) * scale)
    assert torch.equal(moved.isnan(), X.isnan())
    assert torch.equal(moved[[0, 2], 2], X[[0, 2], 2])
    away = torch.nan_to_num(moved - X)
    far = away.abs().amax(dim=1) if norm == "l_inf" else away.norm(dim=1)
    assert bool((far <= eps * (1 + 1e-5)).all())
    inside = torch.nan_to_num(moved[:, [0, 1, 3]], nan=0.5)
    assert bool(((inside >= 0) & (inside <= 1)).all())


def test_images_move_and_nothing_beside_them_does(tmp_path: Path) -> None:
    net = opened(mixed_problem(), mixed(64), mixed(32, 1), tmp_path).net
    ball = ball_of(net, "l_inf", 0.1)
    photo = MIXED[0]
    assert bool((ball.scale[photo.start : photo.stop] == 1).all())
    assert float(ball.scale.sum()) == photo.width
    assert (ball.low, ball.high) == (0.0, 1.0)


def test_of_a_table_the_numbers_move_by_their_spread(tmp_path: Path) -> None:
    X = np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32) * [1, 100, 1]
    X[:, 2] = X[:, 2] > 0
    part = replace(rows("binary", 64), X=X.astype(np.float32))
    ball = ball_of(opened(problem("binary"), part, part, tmp_path).net, "l_inf", 0.1)
    assert float(ball.scale[2]) == 0
    assert float(ball.scale[1] / ball.scale[0]) == pytest.approx(100, rel=0.5)


def test_texts_alone_cannot_be_moved(tmp_path: Path) -> None:
    part = mixed(64)
    text = replace(part, X=part.X[:, 33:43])
    of = replace(mixed_problem(), blocks=(replace(MIXED[1], start=0, stop=10),))
    with pytest.raises(UsageError, match="nothing to move"):
        ball_of(opened(of, text, text, tmp_path).net, "l_inf", 0.1)


def test_an_attacker_does_harm_and_leaves_no_gradient(tmp_path: Path) -> None:
    fit = opened(DIGITS, some(0, 200), some(200, 216), tmp_path, {"epochs": 4})
    fit.run()
    net, one, loss = fit.net, batch(), Loss("multiclass")
    net.zero_grad(set_to_none=True)
    ball = ball_of(net, "l_inf", 0.15)

    def harm(output: torch.Tensor) -> torch.Tensor:
        return loss.each(output, one).sum()

    moved = {steps: worst(net, one.X, harm, ball, steps, one.generator()) for steps in (1, 10)}
    assert net.training
    assert all(parameter.grad is None for parameter in net.parameters())
    net.eval()
    with torch.no_grad():
        clean, *harmed = (float(harm(net(X))) for X in (one.X, moved[1], moved[10]))
    assert clean < harmed[0] <= harmed[1] * 1.05


@pytest.mark.parametrize("name", ["pgd", "trades", "noise"])
def test_a_step_follows_from_its_seed(name: str, tmp_path: Path) -> None:
    net, loss = woken(net_of(tmp_path)), Loss("multiclass")
    kind = OBJECTIVES.load(name)
    objective, dropped = kind(kind.Settings(), PLAN), torch.Generator()
    seed_dropout(net, dropped)
    found = []
    for seed in (5, 5, 6):
        net.zero_grad(set_to_none=True)
        net.train()
        dropped.manual_seed(1)  # the same layers are dropped: what differs is the objective's own
        total = objective.gradients(net, batch(seed=seed), loss)
        assert net.training
        gradient = torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None])
        found.append((total, gradient.numpy().tobytes()))
    assert found[0] == found[1] != found[2]


def test_trades_is_the_loss_and_what_was_turned(tmp_path: Path) -> None:
    """With next to no way to go nothing is turned: what is left is the plain loss. Dropout would turn something."""
    still = {"convnet": {"width": 4, "stages": 1, "dropout": 0}}
    net = woken(net_of(tmp_path, dropout=0.0, image_encoder=still))
    loss, one = Loss("multiclass"), batch()
    kind = OBJECTIVES.load("trades")
    totals = [
        kind(kind.Settings(eps=eps, steps=3, beta=beta), PLAN).gradients(net, one, loss)
        for eps, beta in ((1e-6, 6.0), (0.3, 6.0), (0.3, 12.0))
    ]
    net.eval()
    plain = float(loss.total(net(one.X), one).detach())
    assert totals[0] == pytest.approx(plain, rel=0.05)
    turned = (totals[2] - totals[1]) / 6
    assert turned > 0
    assert totals[1] - 6 * turned == pytest.approx(totals[0], rel=0.2)


def test_trades_refuses_numbers(tmp_path: Path) -> None:
    part = rows("regression", 64)
    net = opened(problem("regression"), part, part, tmp_path).net
    kind = OBJECTIVES.load("trades")
    one = Batch(torch.from_numpy(part.X), torch.zeros(64), torch.ones(64), 64, 1)
    with pytest.raises(UsageError, match="target is a number"):
        kind(kind.Settings(), PLAN).gradients(net, one, Loss("regression"))


def test_squeezing_is_in_the_graph_and_hides_nothing(tmp_path: Path) -> None:
    fit = opened(DIGITS, some(0, 64), some(64, 96), tmp_path, {"squeeze": 2, "epochs": 1})
    fit.run()
    head = fit.model().native().content.partition(b"\n")[2]
    session, X = open_session(head, 1), some(100, 120).X
    said, rounded = (session.run(None, {"features": v})[0] for v in (X, np.rint(X * 3) / np.float32(3)))
    np.testing.assert_array_equal(said, rounded)
    module = twin(head)
    given = torch.from_numpy(X).requires_grad_(True)
    score = module(given)
    np.testing.assert_allclose(score.detach().numpy(), said, atol=1e-5)
    score.sum().backward()
    assert given.grad is not None
    assert given.grad.any()


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"learner": "linear", "robust": "pgd"}, "`linear` has no robust training"),
        ({"robust": "pgd"}, "`auto` has no robust training"),
        ({"learner": "network", "robust": "pdg"}, "did you mean 'pgd'"),
        ({"learner": "network", "robust": {"pgd": {"eps": -1}}}, "eps"),
        ({"learner": "network", "robust": {"pgd": {}, "trades": {}}}, "write robust: pgd"),
        ({"learner": "network", "robust": "pgd", "params": {"objective": "plain"}}, "leave one of them out"),
    ],
)
def test_what_cannot_be_is_said(said: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        spec(**said)


def test_the_price_is_told_and_stands_beside_the_model(tmp_path: Path) -> None:
    parts = {"train": rows("binary", 200), "valid": rows("binary", 80, seed=1)}
    emitted: list[tuple[str, Any]] = []
    ctx = make_context(tmp_path, emitted)
    inputs = put_inputs(ctx.store, "binary", parts, ["no", "yes"])
    tiny = {"epochs": 2, "check": "none", "table_encoder": {"mlp": {"size": 8, "layers": 1}}}
    refs = run(spec(learner="network", robust={"pgd": {"steps": 2}}, params=tiny), inputs, ctx)
    history = ctx.open(refs["history"]).json("history.json")
    board = {row["learner"]: row for row in history["leaderboard"]}
    assert board["network"]["chosen"]
    assert not board["network plain"]["chosen"]
    assert board["network"]["params"]["objective"] == {"pgd": {"steps": 2}}
    assert board["network plain"]["params"]["objective"] == "plain"
    assert board["network"]["value"] != board["network plain"]["value"]
    assert any("robust training: log_loss" in str(data) for _, data in emitted)
    assert ctx.open(refs["model"]).json("model.json")["params"]["objective"] == {"pgd": {"steps": 2}}


@pytest.mark.slow
def test_it_holds_where_plain_training_does_not(tmp_path: Path) -> None:
    """Real digits, moved by an attacker of 20 steps."""
    train, valid, test = some(0, 600), some(600, 700), some(700, 800)
    one = Batch(torch.from_numpy(test.X), torch.from_numpy(test.y.astype(np.int64)), torch.ones(100), 100, 3)
    right: dict[str, tuple[float, float]] = {}
    for name, objective in (("plain", "plain"), ("trades", {"trades": {"eps": 0.1, "steps": 3}})):
        params = {
            "objective": objective,
            "epochs": 15,
            "image_encoder": {"convnet": {"width": 8, "stages": 2}},
        }
        fit = opened(DIGITS, train, valid, tmp_path / name, params)
        fit.run()
        net, loss = fit.net, Loss("multiclass")
        moved = worst(
            net, one.X, lambda out, loss=loss: loss.each(out, one).sum(), ball_of(net, "l_inf", 0.1), 20,
            one.generator(),
        )  # fmt: skip
        net.eval()
        with torch.no_grad():
            clean, harmed = ((net(X).argmax(dim=1) == one.y).float().mean() for X in (one.X, moved))
        right[name] = (float(clean), float(harmed))
    assert right["trades"][0] > 0.85
    assert right["trades"][1] > right["plain"][1] + 0.1
