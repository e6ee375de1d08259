"""Private training: what a step adds up, how much noise that takes, what is promised, and what it does not go with."""

from __future__ import annotations

import json
from collections.abc import Iterator
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
from bessemer.testing.learners import problem, rows
from bessemer.train.checkpoint import Checkpoints
from bessemer.train.network_target import Target
from bessemer.train.networks.batch import Batch, Loss
from bessemer.train.networks.dropout import seed_dropout
from bessemer.train.networks.objective import Plan
from bessemer.train.networks.private import Private, clipped_sum, row_gradients
from bessemer.train.networks.private_accounting import budget_of, epsilon_of
from bessemer.train.networks.private_noise import normals, step_key
from bessemer.train.networks.private_secret import run_secret, user_secret
from bessemer.train.private import PrivateSpec, check_private
from bessemer.train.spec import TrainSpec
from bessemer.train.stage import run
from bessemer.train.weights import class_weights

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


@pytest.mark.slow
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


def test_noise_is_normal() -> None:
    from scipy.stats import kstest

    drawn = normals(step_key(1, "noise", 2), 20_000)
    assert kstest(drawn, "norm").pvalue > 1e-3
    assert np.array_equal(drawn, normals(step_key(1, "noise", 2), 20_000))


def test_noise_is_rounded_once() -> None:
    """Added to a gradient of 1, what is below a float's last place is not first made a float of its own."""
    net: Any = nn.Linear(40, 40, bias=False)
    own = objective()
    net.weight.grad = torch.ones(40, 40)
    own.finish(net, 0)
    spread = own.budget.noise / PLAN.step_rows
    drawn = torch.from_numpy(normals(step_key(PLAN.seed, "noise", 0), 1600) * spread).view(40, 40)
    assert torch.equal(net.weight.grad, (1.0 + drawn).float())
    assert not torch.equal(net.weight.grad, 1.0 + drawn.float())


def test_noise_falls_as_epsilon_grows() -> None:
    noises = [budget_of(PrivateSpec(epsilon=e, accountant="rdp"), 1.0, 100).noise for e in (0.5, 1, 3, 8, 50)]
    assert noises == sorted(noises, reverse=True)
    assert len(set(noises)) == len(noises)


@pytest.mark.slow
@pytest.mark.parametrize("accountant", ["rdp", "prv"])
def test_epsilon_is_what_opacus_says_step_by_step(accountant: str) -> None:
    from opacus.accountants import create_accountant

    asked = PrivateSpec(epsilon=2.0, accountant=accountant)
    found = budget_of(asked, 0.05, 40)
    assert 2.0 - 0.02 <= found.epsilon <= 2.0
    own: Any = create_accountant(accountant)
    for _ in range(40):
        own.step(noise_multiplier=found.noise, sample_rate=0.05)
    exactly = {"eps_error": 0.02} if accountant == "prv" else {}
    assert own.get_epsilon(delta=asked.delta, **exactly) == pytest.approx(found.epsilon)
    assert found.accountant == accountant
    assert epsilon_of(found.noise, 0.05, 80, asked.delta, accountant) > found.epsilon


@pytest.mark.slow
def test_every_step_that_is_planned_is_accounted_for(tmp_path: Path) -> None:
    """61 rows in steps of 16 are 4 steps an epoch where rows are drawn, and 3 where they are dealt."""
    fit = opened(DIGITS, some(0, 61), some(64, 96), tmp_path, {"objective": {"private": ASKED}})
    fit.run()
    told = fit.model().private
    assert told["steps"] == told["steps_taken"] == fit.training.progress.total == 12
    assert told["epsilon"] == epsilon_of(told["noise_multiplier"], 16 / 61, 12, 1e-5, "rdp")


@pytest.mark.slow
def test_the_loss_of_training_rows_is_written_nowhere(tmp_path: Path) -> None:
    """No noise hides it: not in a curve, not in a checkpoint within an epoch."""
    own: dict[str, Any] = {"objective": {"private": ASKED}, "checkpoint_steps": 1, "checkpoint_seconds": 1e6}
    fit = opened(DIGITS, some(0, 61), some(64, 96), tmp_path, own)
    training, saved = fit.training, []
    save = Checkpoints.save
    training._checkpoints = Checkpoints(tmp_path / "network.npz", "any")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            Checkpoints, "save", lambda self, state, arrays: (saved.append(state), save(self, state, arrays))
        )
        fit.run()
    assert "train_loss" not in training.state.curves
    assert [state["state"]["loss"] for state in saved] == [0.0] * len(saved)
    assert any(state["state"]["counted"] for state in saved), "some stand within an epoch"


@pytest.mark.slow
@pytest.mark.parametrize(("epsilon", "steps", "by"), [(50.0, 10_000, "prv"), (3.0, 1_000_000, "rdp")])
def test_many_steps_are_composed_on_a_bounded_number_of_points(epsilon: float, steps: int, by: str) -> None:
    """What numeric composition would take too many for is left to Renyi's divergence, and that is said."""
    sizes = []
    from opacus.accountants.analysis.prv import Domain

    create = Domain.create_aligned
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Domain, "create_aligned", lambda *a: sizes.append(create(*a)) or sizes[-1])
        found = budget_of(PrivateSpec(epsilon=epsilon, delta=1.3e-6), 0.01, steps)
    assert found.accountant == by
    assert 0.95 * epsilon < found.epsilon <= epsilon
    assert all(domain.size <= 2**20 + 4 for domain in sizes)
    assert bool(sizes) == (by == "prv")


def test_nothing_of_the_rows_is_in_the_start(tmp_path: Path) -> None:
    """Not even how frequent classes are."""
    few = some(0, 64)
    fit = opened(DIGITS, few, few, tmp_path, {"objective": {"private": ASKED}})
    assert not fit.net.head.outputs.bias.any()


@pytest.fixture
def another_user(tmp_path: Path) -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BESSEMER_CONFIG_DIR", str(tmp_path / "another user"))
        yield patch


def test_the_secret_is_made_once_and_for_this_user_alone(
    another_user: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made, file = user_secret(), tmp_path / "another user" / "keys" / "noise.secret"
    assert file.read_bytes() == made == user_secret()
    assert len(made) == 32
    assert file.stat().st_mode & 0o777 == 0o600
    assert run_secret({"a": 1}) == run_secret({"a": 1}) != run_secret({"a": 2})
    file.write_bytes(b"short")
    with pytest.raises(UsageError, match="5 bytes and not 32"):
        user_secret()


def private_bytes(folder: Path, **more: Any) -> bytes:
    params = {"objective": {"private": ASKED}, "epochs": 1, "batch_size": 64, **more.pop("params", {})}
    fit = opened(DIGITS, some(0, 64), some(64, 96), folder, params, **more)
    fit.run()
    content: bytes = fit.model().form.content
    return content


def test_noise_follows_from_the_secret_and_from_all_that_a_step_follows_from(tmp_path: Path) -> None:
    """The seed is in every package: what follows from it alone, whoever has the model can compute."""
    first = private_bytes(tmp_path / "a")
    assert private_bytes(tmp_path / "b") == first
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BESSEMER_CONFIG_DIR", str(tmp_path / "another user"))
        assert private_bytes(tmp_path / "c") != first
    assert private_bytes(tmp_path / "d", fingerprint="of other rows") != first


def drawn_secrets(patch: pytest.MonkeyPatch) -> list[int]:
    """The secrets of the fits to come."""
    from bessemer.train.networks import fit

    found: list[int] = []
    patch.setattr(fit, "run_secret", lambda of: found.append(run_secret(of)) or found[-1])
    return found


def test_other_first_weights_have_other_noise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a file with pretrained weights that has changed; and other settings too."""
    from bessemer.train.networks import fit

    found, built = drawn_secrets(monkeypatch), fit.build
    opened(DIGITS, some(0, 64), some(64, 96), tmp_path, {"objective": {"private": ASKED}})
    opened(DIGITS, some(0, 64), some(64, 96), tmp_path, {"objective": {"private": ASKED}, "epochs": 4})
    monkeypatch.setattr(fit, "build", lambda *given: woken(built(*given)))
    opened(DIGITS, some(0, 64), some(64, 96), tmp_path, {"objective": {"private": ASKED}})
    assert len(set(found)) == 3


def test_all_but_noise_and_rows_stays_on_the_seed(tmp_path: Path, another_user: pytest.MonkeyPatch) -> None:
    params = {"objective": {"private": ASKED}}
    own = opened(DIGITS, some(0, 64), some(64, 96), tmp_path, params)
    another_user.setenv("BESSEMER_CONFIG_DIR", str(tmp_path / "a third user"))
    other = opened(DIGITS, some(0, 64), some(64, 96), tmp_path, params)
    for name, value in own.net.state_dict().items():
        assert torch.equal(value, other.net.state_dict()[name])
    assert own.feed.seed == other.feed.seed < 2**31
    assert not np.array_equal(own.feed.sampler.rows(0), other.feed.sampler.rows(0))


def test_a_checkpoint_of_another_secret_is_not_gone_on_from(tmp_path: Path) -> None:
    first = private_bytes(tmp_path / "work")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BESSEMER_CONFIG_DIR", str(tmp_path / "another user"))
        alone = private_bytes(tmp_path / "elsewhere")
        assert private_bytes(tmp_path / "work") == alone != first


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
        ({"learner": "network", "private": 3, "class_weight": "balanced"}, "give the weights yourself"),
        ({"learner": "network", "private": 3, "reweigh": ["sex"]}, "leave it out"),
        ({"learner": "network", "private": {"epsilon": 3, "target_range": [5, 5]}}, "lower end first"),
        ({"learner": "network", "private": 60}, "less than or equal to 50"),
        ({"learner": "network", "private": {"epsilon": 3, "secure": True}}, "secure"),
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
    part, none = rows("binary", 200), rows("binary", 200).take(np.arange(0))
    asked = spec(learner="network", private={"epsilon": 3, "delta": 0.01})
    with pytest.raises(ProjectError) as caught:
        check_private(asked, "binary", part, none, part)
    assert [fault.path for fault in caught.value.faults] == ["train.private.delta", *["train.private"] * 2]
    assert "200 training rows" in caught.value.faults[0].what
    assert "validation part" in (caught.value.faults[1].fix or "")
    check_private(spec(learner="network", private=3), "binary", part, part, None)


def test_the_range_of_a_number_has_to_be_said(tmp_path: Path) -> None:
    part = rows("regression", 200)
    with pytest.raises(ProjectError, match="may not be taken from the rows") as caught:
        check_private(spec(learner="network", private=3), "regression", part, part, None)
    assert "target_range: [0, 100]" in (caught.value.faults[0].fix or "")
    ranged = spec(learner="network", private={"epsilon": 3, "target_range": [0, 100]})
    check_private(ranged, "regression", part, part, None)
    with pytest.raises(ProjectError, match="a range is of a number"):
        check_private(ranged, "binary", part, part, None)
    with pytest.raises(UsageError, match="may not be taken"):
        opened(problem("regression"), part, part, tmp_path, {"objective": {"private": ASKED}})


@pytest.mark.slow
def test_one_row_changes_what_is_learnt_of_no_other(tmp_path: Path) -> None:
    """Neither by the mean and range of a number, nor by weights that are made to have a mean."""
    part = rows("regression", 200)
    weighed = replace(part, weight=np.linspace(0.5, 2, 200))
    far, heavy = weighed.y.copy(), np.linspace(0.5, 2, 200)
    far[0], heavy[0] = 1e6, 1e3
    own = Target.public(problem("regression"), weighed, (-2.0, 6.0))
    other = Target.public(problem("regression"), replace(part, y=far, weight=heavy), (-2.0, 6.0))
    assert torch.equal(own.values[1:], other.values[1:])
    assert torch.equal(own.weight[1:], other.weight[1:])
    assert (own.scale, own.bounds) == (other.scale, other.bounds) == ((2.0, 4.0), (-2.0, 6.0))
    assert float(other.values[0]) == 1.0
    assert own.margin(np.array([[-9.0], [0.5]])).ravel().tolist() == [-2.0, 4.0]
    assert class_weights({"b": 3}, ["a", "b"], np.array([0.0, 1, 1]), as_said=True) == (1.0, 3.0)
    params = {"objective": {"private": {**ASKED, "target_range": [-2, 6]}}, "epochs": 1}
    fit = opened(problem("regression"), weighed, weighed, tmp_path, params)
    fit.run()
    said = fit.model().margin(part.X)
    assert fit.training.judge._target.bounds == (-2.0, 6.0)
    assert said.min() >= -2
    assert said.max() <= 6


def test_no_noise_for_next_to_no_epsilon() -> None:
    with pytest.raises(UsageError, match="no noise keeps to") as caught:
        budget_of(PrivateSpec(epsilon=1e-9, accountant="rdp"), 1.0, 1000)
    assert "larger epsilon" in caught.value.fix


@pytest.mark.slow
def test_the_promise_stands_in_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = {"train": rows("binary", 200), "valid": rows("binary", 80, seed=1)}
    emitted: list[tuple[str, Any]] = []
    ctx = make_context(tmp_path, emitted)
    inputs = put_inputs(ctx.store, "binary", parts, ["no", "yes"])
    secrets = drawn_secrets(monkeypatch)
    refs = run(spec(learner="network", private=ASKED, params=TINY), inputs, ctx)
    told = ctx.open(refs["model"]).json("model.json")["private"]
    assert told["epsilon"] <= told["asked"] == 8
    assert told["delta"] == 1e-5
    assert told["sampling"] == "poisson"
    assert told["rows"] == 200
    assert any("taken as public" in text for text in told["beyond"])
    assert "self-check" not in str(emitted), "a check on training rows would tell of them"
    assert any("differentially private: epsilon" in str(data) for _, data in emitted)
    card = model_card(
        name="n", version="1", description="", signature=Signature((), (), "binary", "y", ("no", "yes")),
        model_json={"private": told}, evaluation={}, explanations={}, explainer={}, splits={}, parity={},
        gates_ignored=False,
    )  # fmt: skip
    assert "Differentially private: epsilon 7.9" in card
    assert "Not covered by it: statistics of the training rows that preprocessing" in card
    assert "noise of a secret that its maker keeps" in card
    assert "from the same rows add up" in card
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    for secret in (user_secret(), secrets[0].to_bytes(32)):
        assert not any(secret in content or secret.hex().encode() in content for content in written)
        assert secret.hex() not in str(emitted)
        assert str(int.from_bytes(secret)) not in str(emitted) + str(written)
    parts["train"].y[0] = 1 - parts["train"].y[0]
    others = put_inputs(ctx.store, "binary", parts, ["no", "yes"])
    run(spec(learner="network", private=ASKED, params=TINY), others, ctx)
    assert len(set(secrets)) == 2, "another row gives other noise"
    plain = run(spec(learner="network", params={**TINY, "check": "none"}), inputs, ctx)
    assert "private" not in ctx.open(plain["model"]).json("model.json")
