"""Removals do to a model what they say, whatever it is made of."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from bessemer.package.graph import GraphBuilder, serialize
from bessemer.package.natives import Weighted, encode_ensemble, open_native
from bessemer.package.trees.codec import encode
from bessemer.package.trees.model import Tree, Trees
from bessemer.protect.plugins import REMOVALS
from bessemer.protect.removals.removal import Stolen

RNG = np.random.default_rng(0)
X = RNG.normal(size=(400, 3)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.float64)
WEIGHTS = RNG.normal(size=(3, 1)).astype(np.float32)


def stump(value: float, feature: int = 0) -> Tree:
    """Minus the value below 0, the value above."""
    parts = ([feature], np.float32([0]), [True], [-1], [-2], [[-value], [value]], [200.0, 200.0])
    return Tree(*(np.array(part) for part in parts))


def trees(*values: float) -> bytes:
    return encode(Trees(tuple(stump(value) for value in values), np.zeros(1), 3))


def head() -> bytes:
    g = GraphBuilder("head")
    x = g.input("features", "float32", ("N", 3))
    g.output(g.op("MatMul", [x, g.constant(WEIGHTS)], name="score"), "float32", ("N", 1))
    return json.dumps({"baseline": [0, 0, 0]}).encode() + b"\n" + serialize(g.model())


def stolen(kind: str, content: bytes, **more: Any) -> Stolen:
    return Stolen(
        **{
            "kind": kind,
            "content": content,
            "task": "binary",
            "classes": 2,
            "X": X,
            "y": Y,
            "seed": 0,
            **more,
        }
    )


def removed(name: str, victim: Stolen, level: float) -> np.ndarray:
    removal = REMOVALS.load(name)()
    assert removal.refuses(victim) == ""
    return removal.remove(victim, level)(X)


def test_cutting_keeps_the_first_trees() -> None:
    side = np.where(X[:, :1] > 0, 1.0, -1.0)
    assert removed("cut", stolen("trees", trees(1.0, 0.5, 4.0, 8.0)), 0.5) in (
        pytest.approx(1.5 * side),
        pytest.approx(3.0 * side),  # scaled up, where the thief's rows like that better
    )


def test_of_both_ways_to_cut_the_thief_takes_what_fits_his_rows() -> None:
    """Trees that agree with the labels are scaled up, and trees that are wrong are not."""
    side = np.where(X[:, :1] > 0, 1.0, -1.0)
    assert removed("cut", stolen("trees", trees(0.5, 0.5)), 0.5) == pytest.approx(1.0 * side)
    assert removed("cut", stolen("trees", trees(-0.5, -0.5)), 0.5) == pytest.approx(-0.5 * side)


def test_every_member_of_an_ensemble_is_edited() -> None:
    both = encode_ensemble([Weighted(0.5, "trees", trees(1.0, 7.0)), Weighted(0.25, "head", head())])
    victim = stolen("ensemble", both)
    assert victim.kinds == {"trees", "head"}
    zero = victim.edited(trees=lambda t: Trees((), t.base, t.features), head=lambda graph: graph)
    assert zero(X) == pytest.approx(0.25 * X @ WEIGHTS, abs=1e-6)
    assert victim.edited()(X) == pytest.approx(victim.margin()(X))


@pytest.mark.parametrize(("bits", "most"), [(8, 1 / 127 / 2), (4, 1 / 7 / 2)])
def test_quantising_moves_no_value_further_than_half_a_step(bits: int, most: float) -> None:
    values = (1.0, 0.31, 0.77)
    before = open_native("trees", trees(*values), 1).margin(X)
    after = removed("quantise", stolen("trees", trees(*values)), bits)
    assert 0 < np.abs(after - before).max() <= 3 * most + 1e-6


def test_pruning_takes_the_smallest_weights() -> None:
    after = removed("prune", stolen("head", head()), 0.5)
    kept = np.where(np.abs(WEIGHTS) >= np.quantile(np.abs(WEIGHTS), 0.5), WEIGHTS, 0)
    assert (kept == 0).any()
    assert after == pytest.approx(X @ kept, abs=1e-5)


def test_fine_tuning_fits_the_thiefs_rows_better() -> None:
    victim = stolen("head", head())
    before = victim.loss(victim.margin()(X))
    mild, hard = (victim.loss(removed("finetune", victim, rate)) for rate in (1e-4, 1e-2))
    assert hard < mild < before


def test_growing_goes_on_from_what_was_stolen() -> None:
    victim = stolen("trees", trees(0.1))
    losses = [
        victim.loss(victim.margin()(X)),
        *(victim.loss(removed("grow", victim, level)) for level in (5, 40)),
    ]
    assert losses[0] > losses[1] > losses[2]
    three = stolen(
        "constant", b'{"score": [0.0, 0.0, 0.0]}', task="multiclass", classes=3, y=np.arange(400) % 3.0
    )
    assert removed("grow", three, 3).shape == (400, 3)


def test_a_student_says_what_its_teacher_says() -> None:
    victim = stolen("trees", trees(1.0))
    assert ((removed("distil", victim, 30)[:, 0] > 0) == (X[:, 0] > 0)).mean() > 0.99
    one = stolen("constant", b'{"score": [-1.0]}')
    assert (removed("distil", one, 30) == -1.0).all()


def test_noise_blurs_only_what_is_continuous() -> None:
    flags = X.copy()
    flags[:, 1] = flags[:, 1] > 0
    victim = stolen("head", head(), X=flags)
    moved = REMOVALS.load("noise")().remove(victim, 0.2)
    changed = (moved(flags) - flags @ WEIGHTS).std()
    spread = flags.std(axis=0) * WEIGHTS[:, 0] * [1, 0, 1]
    assert changed == pytest.approx(0.2 * np.sqrt((spread**2).sum()), rel=0.2)


def test_what_cannot_be_tried_is_said() -> None:
    linear = json.dumps(
        {"impute": [0] * 3, "mean": [0] * 3, "scale": [1] * 3, "coef": [[1, 0, 0]], "intercept": [0]}
    ).encode()
    victim = stolen("linear", linear)
    said = {name: REMOVALS.load(name)().refuses(victim) for name in REMOVALS}
    assert {name for name, why in said.items() if why} == {"cut", "finetune", "prune", "quantise"}
