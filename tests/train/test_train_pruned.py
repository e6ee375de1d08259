"""The objective `pruned`: what a step is taken on, and that what was learnt outlives pruning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from network_support import DIGITS, opened, some
from torch import Tensor, nn

from bessemer.train.keys import sturdy
from bessemer.train.networks.batch import Batch, Loss
from bessemer.train.networks.dropout import seed_dropout
from bessemer.train.networks.net import Net
from bessemer.train.networks.objective import Plan
from bessemer.train.networks.pruned import Pruned, PrunedSettings, without_smallest

torch.set_num_threads(1)

PLAN = Plan(rows=64, step_rows=16, steps=4, seed=1)


def batch(seed: int) -> Batch:
    part = some(0, 16)
    return Batch(
        torch.from_numpy(part.X), torch.from_numpy(part.y.astype(np.int64)), torch.ones(16), 16, seed
    )


def trained(tmp_path: Path, **params: Any) -> Net:
    fit = opened(DIGITS, some(0, 600), some(600, 700), tmp_path, params)
    fit.run()
    net: Net = fit.net
    net.eval()
    return net


@torch.no_grad()  # type: ignore[untyped-decorator]
def right(net: Net, share: float) -> float:
    """The accuracy on other rows when a share of each layer's weights is pruned."""
    part = some(700, 1797)
    with without_smallest(net, share):
        said = net(torch.from_numpy(part.X)).argmax(dim=1).numpy()
    return float(np.mean(said == part.y))


def test_the_smallest_of_each_matrix_are_left_out_for_a_while(tmp_path: Path) -> None:
    net = opened(DIGITS, some(0, 64), some(64, 96), tmp_path).net
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    held = {name: p.data_ptr() for name, p in net.named_parameters()}
    with without_smallest(net, 0.5):
        for name, p in net.named_parameters():
            check_pruned(p, before[name])
    assert all(torch.equal(p, before[name]) for name, p in net.named_parameters())
    assert held == {name: p.data_ptr() for name, p in net.named_parameters()}


def check_pruned(now: Tensor, before: Tensor) -> None:
    if now.dim() <= 1:
        assert torch.equal(now, before)
        return
    gone = (now == 0) & (before != 0)
    assert int((now == 0).sum()) >= int(0.5 * now.numel())
    assert torch.equal(now[~gone], before[~gone])
    if gone.any() and not gone.all():
        assert before[gone].abs().max() <= before[~gone].abs().min()


def fail_without_smallest(net: nn.Module) -> None:
    with without_smallest(net, 0.5):
        raise KeyboardInterrupt


def test_weights_are_back_when_a_step_was_broken_off() -> None:
    layer = nn.Linear(4, 4)
    before = layer.weight.detach().clone()
    with pytest.raises(KeyboardInterrupt):
        fail_without_smallest(layer)
    assert torch.equal(layer.weight, before)


def test_none_is_left_out_of_few() -> None:
    layer = nn.Linear(2, 2)
    before = layer.weight.detach().clone()
    with without_smallest(layer, 0.2):
        assert torch.equal(layer.weight, before)


def test_a_step_follows_from_its_seed(tmp_path: Path) -> None:
    net = opened(DIGITS, some(0, 64), some(64, 96), tmp_path).net
    with torch.no_grad():
        net.head.outputs.weight.normal_(0, 0.3, generator=torch.Generator().manual_seed(0))
    objective, dropped = Pruned(PrunedSettings(), PLAN), torch.Generator()
    seed_dropout(net, dropped)
    found = []
    for seed in (5, 5, 6):
        net.zero_grad(set_to_none=True)
        net.train()
        dropped.manual_seed(1)  # the same units are dropped: what differs is the share
        total = objective.gradients(net, batch(seed), Loss("multiclass"))
        gradient = torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None])
        found.append((total, gradient.numpy().tobytes()))
    assert found[0] == found[1] != found[2]


@pytest.mark.slow
def test_what_was_learnt_outlives_pruning(tmp_path: Path) -> None:
    params = {"image_encoder": {"convnet": {"width": 8, "stages": 2}}, "hidden_size": 32}
    params |= {"epochs": 6, "learning_rate": 5e-3}
    plain, pruned = (trained(tmp_path / name, objective=name, **params) for name in ("plain", "pruned"))
    assert right(pruned, 0.0) > 0.9
    assert right(plain, 0.5) < right(plain, 0.0) - 0.1
    assert right(pruned, 0.5) > right(pruned, 0.0) - 0.05


def test_a_network_that_learns_keys_is_made_to_last() -> None:
    keys = some(0, 4)
    assert sturdy("network", {}, keys) == {"objective": "pruned"}
    assert sturdy("network", {"objective": "pgd", "epochs": 3}, keys) == {"objective": "pgd", "epochs": 3}
    assert sturdy("network", {}, None) == sturdy("lightgbm", {}, keys) == {}
