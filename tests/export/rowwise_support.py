"""What the targets that are written line by line share in their tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import derived_support
import packages_support
import pytest

from bessemer.export.plugins import TARGETS
from bessemer.export.proof import Proof
from bessemer.package.model import Model
from bessemer.testing.targets import check_target

#: Packages of tables; `derived` has moments, booleans and derived columns.
_SLOW = pytest.mark.slow
_OWN = ("derived", "words")
TABLES = ("lightgbm", "ensemble", "logistic", "forest", "regression", "derived")


def kinds(*names: str) -> list[Any]:
    """Packages to test with: two of them always, the others where slow tests run, since each is a run of its own."""
    return [name if name in ("lightgbm", "derived") else pytest.param(name, marks=_SLOW) for name in names]


def model(kind: str) -> Model:
    return derived_support.model(kind) if kind in _OWN else packages_support.model(kind)


def package(kind: str) -> Path:
    return derived_support.package(kind) if kind in _OWN else packages_support.package(kind)


def proven(name: str, kind: str, folder: Path, limit: float, **settings: Any) -> Proof:
    """A target carries a package: no flip, and no more than a limit apart."""
    proof = check_target(name, TARGETS.load(name), model(kind), folder, settings=settings)
    assert isinstance(proof, Proof), proof
    assert not proof.not_run
    assert proof.flips == 0
    assert proof.difference <= limit
    assert proof.rows > 100
    return proof


def refused(name: str, kind: str, folder: Path, **settings: Any) -> str:
    """Why a target does not carry a package."""
    why = check_target(name, TARGETS.load(name), model(kind), folder, settings=settings)
    assert isinstance(why, str), "it is carried"
    return why
