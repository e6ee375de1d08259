"""Private training: what a step adds up, how much noise that takes, what is promised, and what it does not go with."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from network_support import DIGITS, mixed, mixed_problem, opened, some
from pydantic import ValidationError
from stage_support import make_context, put_inputs
from torch import nn

from bessemer.core.errors import ProjectError, UsageError
from bessemer.core.signature import Signature
from bessemer.package.card import model_card
from bessemer.testing.learners import rows
from bessemer.train.networks.batch import Batch, Loss
from bessemer.train.networks.dropout import seed_dropout
from bessemer.train.networks.objective import Plan
from bessemer.train.networks.private import Private, clipped_sum, row_gradients
from bessemer.train.networks.private_accounting import budget_of, epsilon_of
from bessemer.train.networks.private_noise import noise_key, normals, secure_normals
from bessemer.train.private import PrivateSpec, check_private
from bessemer.train.spec import TrainSpec
from bessemer.train.stage import run

torch.set_num_threads(1)

#: Where all rows are in every step, accounting is a formula and takes no time.
PLAN = Plan(rows=16, step_rows=16, steps=4, seed=1)
#: Renyi's accountant is the quick one.
ASKED = {"epsilon": 8.0, "accountant": "rdp"}
TINY = {"epochs": 2, "batch_size": 200, "table_encoder": {"mlp": {"size": 8, "layers": 1}}}


def spec(**said: Any) -> TrainSpec:
    return TrainSpec.model_validate_json(json.dumps(said))


def objective(**said: Any) -> Private:
    return Private(PrivateSpec(**{**ASKED, **said}), PLAN)


def woken(net: Any) -> Any:
    """A network whose last layer says something, so that every layer has a gradient."""
    with torch.no_grad():
        net.head.outputs.weight.normal_(0, 0.3, generator=torch.Generator().manual_seed(0))
    return net


def batch(part: Any, n: int = 12) -> Batch:
    weight = torch.linspace(0.5, 2.0, n)
    return Batch(torch.from_numpy(part.X[:n]), torch.from_numpy(part.y[:n].astype(np.int64)), weight, n, 5)


def test_the_gradient_of_each_row_is_shortened(tmp_path: Path) -> None:
    """Of a network of every kind of input, against a loop over its rows."""
    net = woken(opened(mixed_problem(), mixed(64), mixed(16, 1), tmp_path, {"combiner": "attention"}).net)
    one, loss, longest = batch(mixed(64)), Loss("multiclass"), 2.0
    expected = {name: torch.zeros_like(p) for name, p in net.named_parameters()}
    lengths = []
    net.train()
    seed_dropout(net, None)
    for i in range(len(one)):
        net.zero_grad(set_to_none=True)
        row = replace(one, X=one.X[i : i + 1], y=one.y[i : i + 1], weight=one.weight[i : i + 1])
        loss.each(net(row.X), row).sum().backward()
        found = {n: p.grad for n, p in net.named_parameters() if p.grad is not None}
        lengths.append(float(torch.cat([g.flatten() for g in found.values()]).norm()))
        for name, gradient in found.items():
            expected[name] += gradient * min(1.0, longest / lengths[-1]) / PLAN.step_rows
    assert min(lengths) < longest < max(lengths), "some are shortened, some are not"
    net.zero_grad(set_to_none=True)
    objective(max_grad_norm=longest).gradients(net, one, loss)
    for name, parameter in net.named_parameters():
        torch.testing.assert_close(parameter.grad, expected[name], atol=1e-6, rtol=1e-4)


def test_rows_in_parts_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net, one, loss = (
        woken(opened(DIGITS, some(0, 64), some(64, 96), tmp_path).net),
        batch(some(0, 64)),
        Loss("multiclass"),
    )
    net.train()
    found = []
    for values in (2**24, 1):
        monkeypatch.setattr("bessemer.train.networks.private._VALUES", values)
        net.zero_grad(set_to_none=True)
        told = objective().gradients(net, one, loss)
        found.append((told, torch.cat([p.grad.flatten() for p in net.parameters()])))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-5)
    torch.testing.assert_close(found[0][1], found[1][1], atol=1e-6, rtol=1e-4)


def test_what_is_not_finite_counts_as_nothing() -> None:
    gradients = {"a": torch.tensor([[3.0, 0.0], [torch.inf, 1.0], [torch.nan, 1.0], [0.3, 0.0]])}
    gradients["b"] = torch.tensor([[4.0], [0.0], [0.0], [0.4]])
    found = clipped_sum(gradients, 1.0)
    torch.testing.assert_close(found["a"], torch.tensor([0.6 + 0.3, 0.0]))
    torch.testing.assert_close(found["b"], torch.tensor([0.8 + 0.4]))


def test_a_step_without_rows_is_noise_alone(tmp_path: Path) -> None:
    net = opened(DIGITS, some(0, 64), some(64, 96), tmp_path).net
    own = objective()
    own.finish(net, 0)
    first = torch.cat([p.grad.flatten() for p in net.parameters()])
    spread = own.budget.noise / PLAN.step_rows
    assert float(first.std()) == pytest.approx(spread, rel=0.1)
    net.zero_grad(set_to_none=True)
    own.finish(net, 1)
    second = torch.cat([p.grad.flatten() for p in net.parameters()])
    assert abs(float(np.corrcoef(first, second)[0, 1])) < 0.1
    with pytest.raises(AssertionError, match="beyond the 4"):
        own.finish(net, 4)


@pytest.mark.parametrize("draw", [normals, secure_normals])
def test_noise_is_normal(draw: Any) -> None:
    from scipy.stats import kstest

    drawn = draw(noise_key(1, 2), 20_000)
    assert kstest(drawn, "norm").pvalue > 1e-3
    assert np.array_equal(drawn, draw(noise_key(1, 2), 20_000))


def test_noise_falls_as_epsilon_grows() -> None:
    noises = [budget_of(PrivateSpec(epsilon=e, accountant="rdp"), 1.0, 100).noise for e in (0.5, 1, 3, 8, 50)]
    assert noises == sorted(noises, reverse=True)
    assert len(set(noises)) == len(noises)


@pytest.mark.parametrize("accountant", ["rdp", "prv"])
def test_epsilon_is_what_opacus_says_step_by_step(accountant: str) -> None:
    from opacus.accountants import create_accountant

    asked = PrivateSpec(epsilon=2.0, accountant=accountant)
    found = budget_of(asked, 0.05, 40)
    assert 2.0 - 0.02 <= found.epsilon <= 2.0
    own: Any = create_accountant(accountant)
    for _ in range(40):
        own.step(noise_multiplier=found.noise, sample_rate=0.05)
    assert own.get_epsilon(delta=asked.delta) == pytest.approx(found.epsilon)
    assert epsilon_of(found.noise, 0.05, 80, asked.delta, accountant) > found.epsilon


def test_every_step_that_is_planned_is_accounted_for(tmp_path: Path) -> None:
    """61 rows in steps of 16 are 4 steps an epoch where rows are drawn, and 3 where they are dealt."""
    fit = opened(DIGITS, some(0, 61), some(64, 96), tmp_path, {"objective": {"private": ASKED}})
    fit.run()
    told = fit.model().private
    assert told["steps"] == told["steps_taken"] == fit.training.progress.total == 12
    assert told["epsilon"] == epsilon_of(told["noise_multiplier"], 16 / 61, 12, 1e-5, "rdp")
    assert "train_loss" not in fit.training.state.curves, "the loss of training rows is not hidden by noise"


def test_nothing_of_the_rows_is_in_the_start(tmp_path: Path) -> None:
    """Not even how frequent classes are."""
    few = some(0, 64)
    fit = opened(DIGITS, few, few, tmp_path, {"objective": {"private": ASKED}})
    assert not fit.net.head.outputs.bias.any()


def test_secure_noise_is_another_in_each_run(tmp_path: Path) -> None:
    made = []
    for name, secure in (("a", False), ("b", False), ("c", True), ("d", True)):
        params = {"objective": {"private": {**ASKED, "secure": secure}}, "epochs": 1, "batch_size": 64}
        fit = opened(DIGITS, some(0, 64), some(64, 96), tmp_path / name, params)
        fit.run()
        made.append(fit.model().form.content)
    assert made[0] == made[1]
    assert len(set(made)) == 3


def test_layers_that_mix_rows_are_refused(tmp_path: Path) -> None:
    net = opened(DIGITS, some(0, 64), some(64, 96), tmp_path).net
    net.head.hidden.append(nn.BatchNorm1d(8))
    with pytest.raises(UsageError, match="BatchNorm1d") as caught:
        objective().gradients(net, batch(some(0, 64)), Loss("multiclass"))
    assert "GroupNorm" in caught.value.fix


@pytest.mark.filterwarnings("ignore:Full backward hook")
def test_row_gradients_are_those_of_opacus(tmp_path: Path) -> None:
    from opacus import GradSampleModule

    net, loss = woken(opened(DIGITS, some(0, 64), some(64, 96), tmp_path).net), Loss("multiclass")
    one = batch(some(0, 64))
    net.train()
    seed_dropout(net, None)
    found, _ = row_gradients(net, dict(net.named_parameters()), one, loss)
    theirs = GradSampleModule(net, strict=False)
    loss.each(theirs(one.X), one).mean().backward()
    for name, parameter in net.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad_sample, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"learner": "lightgbm", "private": 3}, "`lightgbm` has no private training; say `learner: network`"),
        ({"private": 3}, "`auto` has no private training"),
        ({"learner": "network", "private": True}, "write private: {epsilon: 3}"),
        ({"learner": "network", "private": {"delta": 1e-6}}, "epsilon"),
        ({"learner": "network", "private": {"epsilon": 0}}, "greater than 0"),
        ({"learner": "network", "private": 3, "robust": "pgd"}, "leave one of them out"),
        ({"learner": "network", "private": 3, "outliers": True}, "leave `outliers` out"),
        ({"learner": "network", "private": 3, "learning_curve": True}, "spend epsilon anew"),
        ({"learner": "network", "private": 3, "params": {"mixup": 0.2}}, "that of two"),
        ({"learner": "network", "private": 3, "params": {"sampler": "balanced"}}, "the same chance"),
        ({"learner": "network", "private": 3, "params": {"learning_rate": "auto"}}, "give a number"),
        (
            {"learner": "network", "params": {"objective": {"private": {"epsilon": 3}}}},
            "asked for by `train:",
        ),
    ],
)
def test_what_cannot_be_is_said(said: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        spec(**said)


def test_rows_that_are_there_are_held_against_it() -> None:
    part = rows("binary", 200)
    asked = spec(learner="network", private={"epsilon": 3, "delta": 0.01})
    with pytest.raises(ProjectError) as caught:
        check_private(asked, part, part)
    assert [fault.path for fault in caught.value.faults] == ["train.private.delta", "train.private"]
    assert "200 training rows" in caught.value.faults[0].what
    check_private(spec(learner="network", private=3), part, None)


def test_no_noise_for_next_to_no_epsilon() -> None:
    with pytest.raises(UsageError, match="finds no noise") as caught:
        budget_of(PrivateSpec(epsilon=1e-9, accountant="rdp"), 1.0, 1000)
    assert "larger epsilon" in caught.value.fix


def test_the_promise_stands_in_the_model(tmp_path: Path) -> None:
    parts = {"train": rows("binary", 200), "valid": rows("binary", 80, seed=1)}
    emitted: list[tuple[str, Any]] = []
    ctx = make_context(tmp_path, emitted)
    inputs = put_inputs(ctx.store, "binary", parts, ["no", "yes"])
    refs = run(spec(learner="network", private=ASKED, params=TINY), inputs, ctx)
    told = ctx.open(refs["model"]).json("model.json")["private"]
    assert told["epsilon"] <= told["asked"] == 8
    assert told["delta"] == 1e-5
    assert told["sampling"] == "poisson"
    assert told["rows"] == 200
    assert any("preprocessing" in text for text in told["beyond"])
    assert "self-check" not in str(emitted), "a check on training rows would tell of them"
    assert any("differentially private: epsilon" in str(data) for _, data in emitted)
    card = model_card(
        name="n", version="1", description="", signature=Signature((), (), "binary", "y", ("no", "yes")),
        model_json={"private": told}, evaluation={}, explanations={}, explainer={}, splits={}, parity={},
        gates_ignored=False,
    )  # fmt: skip
    assert "Differentially private: epsilon 7.9" in card
    assert "Not covered by it: statistics that preprocessing" in card
    assert "who knows it knows the noise" in card
    plain = run(spec(learner="network", params={**TINY, "check": "none"}), inputs, ctx)
    assert "private" not in ctx.open(plain["model"]).json("model.json")
