"""The working folder, and an `mlp` that is there or is not, whatever this installation has."""

from __future__ import annotations

from pathlib import Path

import pytest

from bessemer.core.plugins import PluginRef
from bessemer.train.plugins import LEARNERS
from bessemer.train.search.plugins import SEARCHERS
from environments import kept_environments

__all__ = ["kept_environments"]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths on the command line are those of the working folder."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> None:
    """The neural network can run here."""
    ref = PluginRef("bessemer.train.learners.mlp:MLP", extra="torch")
    monkeypatch.setitem(LEARNERS._own, "mlp", ref)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch is not installed."""
    ref = PluginRef("bessemer.train.learners.mlp:MLP", extra="torch", requires=("no_such_torch",))
    monkeypatch.setitem(LEARNERS._own, "mlp", ref)


@pytest.fixture
def bare(no_network: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither torch nor optuna is installed."""
    for name in SEARCHERS:
        ref = PluginRef("bessemer.nowhere:Nothing", extra="search", requires=("no_such_optuna",))
        monkeypatch.setitem(SEARCHERS._own, name, ref)
