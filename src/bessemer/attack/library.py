"""adversarial-robustness-toolbox, as attacks use it: quiet, seeded, and with nothing written into a home folder."""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch


@contextmanager
def seeded(rng: np.random.Generator) -> Iterator[None]:
    """Seeds numpy's, torch's and Python's global generators, which the library draws from, and keeps torch to one
    thread, since sums of several depend on their number; what was there comes back after."""
    import torch

    seed = int(rng.integers(2**31))
    before, threads = (np.random.get_state(), random.getstate()), torch.get_num_threads()
    torch.set_num_threads(1)
    random.seed(seed)
    np.random.seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            yield
        finally:
            np.random.set_state(before[0])
            random.setstate(before[1])
            torch.set_num_threads(threads)


def evasion() -> Any:
    """The library's attacks."""
    with _another_home():
        import art.attacks.evasion

        return art.attacks.evasion


@contextmanager
def _another_home() -> Iterator[None]:
    """The library makes a folder in the home of whoever imports it: it is shown one that goes away."""
    home = os.environ.get("HOME")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HOME"] = folder
        try:
            yield
        finally:
            os.environ.pop("HOME")
            if home is not None:
                os.environ["HOME"] = home


def white_box(module: torch.nn.Module, shape: tuple[int, ...], classes: int, bounds: tuple[Any, Any]) -> Any:
    """A module that gives scores of classes, as the library takes it."""
    import torch

    evasion()
    from art.estimators.classification import PyTorchClassifier

    return PyTorchClassifier(
        module,
        loss=torch.nn.CrossEntropyLoss(),
        input_shape=shape,
        nb_classes=classes,
        clip_values=bounds,
        device_type="cpu",
    )


def black_box(
    ask: Callable[[np.ndarray], np.ndarray], shape: tuple[int, ...], classes: int, bounds: tuple[Any, Any]
) -> Any:
    """A function from inputs (n, *shape) to scores (n, classes), as the library takes it."""
    evasion()
    from art.estimators.classification.blackbox import BlackBoxClassifierNeuralNetwork

    return BlackBoxClassifierNeuralNetwork(ask, shape, classes, channels_first=True, clip_values=bounds)
