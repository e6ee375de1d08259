"""Private training: what it costs, and what answers still give away of the rows.

    .venv/bin/python benchmarks/privacy.py [--epsilons 8 3 1] [--seeds 3] [--epochs 40]

scikit-learn's digits, the learner `network` with a small convnet: 800 rows to learn from, 97 to stop by, 900 to judge.
The same network without privacy, and one without validation, dropout and decay, stand beside. Membership is what
the attack `membership` finds with four proxies. Seconds are CPU time of one core.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from network import digits, images

from bessemer.attack.attacks.membership import expected, recognised
from bessemer.attack.parts import odds_of
from bessemer.testing.learners import callbacks
from bessemer.train.learner import Part
from bessemer.train.params import resolved
from bessemer.train.plugins import LEARNERS

LEARN, STOP = 800, 97
NETWORK = {"image_encoder": {"convnet": {"width": 8, "stages": 2, "dropout": 0.0}}, "check": "none"}
PLAIN: dict[str, dict[str, Any]] = {
    "plain": {},
    "without validation, dropout and decay": {"dropout": 0.0, "weight_decay": 0.0, "early": 0},
}


def parts(seed: int) -> list[Part]:
    X, y = digits()
    order = np.random.default_rng(seed).permutation(len(y))
    X, y = X[order], y[order]
    return [Part(X[a:b], y[a:b]) for a, b in ((0, LEARN), (LEARN, LEARN + STOP), (LEARN + STOP, len(y)))]


def measured(params: dict[str, Any], seed: int, folder: Path) -> dict[str, float]:
    """Accuracy, seconds a step, epsilon, and what membership finds."""
    train, valid, test = parts(seed)
    by_heart = params.get("early") == 0
    own = {key: value for key, value in params.items() if key != "early"}
    learner = LEARNERS.load("network")
    steps = callbacks(folder, rounds=10_000, early_stopping=0)
    valid = valid.take(np.arange(0)) if by_heart else valid
    begin = time.process_time()
    fitted = learner().fit(images(8), train, valid, resolved(learner.PARAMS, own), steps)
    seconds = time.process_time() - begin
    sure = [odds_of(fitted.margin(part.X), part.y, "multiclass") for part in (train, test)]
    X, y = (np.concatenate([getattr(part, name) for part in (train, test)]) for name in ("X", "y"))
    loss, usual = np.concatenate(sure), expected(X, y, 10, 4, np.random.default_rng(seed))
    member = np.arange(len(y)) < LEARN
    _, _, curve = recognised({"by_loss": loss, "calibrated": loss - usual}, member, [0.01], 0.95)
    private = fitted.private or {}
    per_epoch = LEARN // fitted.params["batch_size"]
    return {
        "accuracy": float((sure[1] > 0).mean()),
        "epsilon": private.get("epsilon", float("inf")),
        "noise": private.get("noise_multiplier", 0.0),
        "ms a step": 1000 * seconds / (private.get("steps_taken") or fitted.params["epochs"] * per_epoch),
        "seconds": seconds,
        "area": curve[0].value,
        "at 1 %": curve[1].value,
    }


def main() -> None:
    asking = argparse.ArgumentParser(description=__doc__)
    asking.add_argument("--epsilons", type=float, nargs="*", default=[8.0, 3.0, 1.0])
    asking.add_argument("--seeds", type=int, default=3)
    asking.add_argument("--epochs", type=int, default=40)
    asked = asking.parse_args()
    cases = {name: {**NETWORK, **own, "epochs": asked.epochs} for name, own in PLAIN.items()}
    for epsilon in asked.epsilons:
        objective = {"objective": {"private": {"epsilon": epsilon, "accountant": "rdp"}}}
        cases[f"epsilon {epsilon:g}"] = {**NETWORK, **objective, "epochs": asked.epochs}
    for name, params in cases.items():
        found = []
        for seed in range(asked.seeds):
            with tempfile.TemporaryDirectory() as folder:
                found.append(measured(params, seed, Path(folder)))
        by_key = {key: [f[key] for f in found] for key in found[0]}
        told = {key: (np.mean(v), np.std(v) if np.isfinite(v).all() else 0.0) for key, v in by_key.items()}
        print(
            f"{name:12}",
            "  ".join(f"{key} {mean:.3f} +- {spread:.3f}" for key, (mean, spread) in told.items()),
            flush=True,
        )


if __name__ == "__main__":
    main()
