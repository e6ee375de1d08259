"""Every target on every kind of model that runs without an environment of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from packages_support import model

from bessemer.export.plugins import TARGETS
from bessemer.export.proof import Proof
from bessemer.testing.targets import check_declared, check_target

KINDS = ("lightgbm", "logistic", "forest", "regression")


@pytest.mark.parametrize("name", list(TARGETS))
def test_it_says_what_it_is(name: str) -> None:
    if TARGETS.ref(name).missing():
        pytest.fail(f"{name} needs {TARGETS.ref(name).missing()}, which the tests install")
    kind: Any = TARGETS.load(name)
    check_declared(name, kind)
    assert TARGETS.ref(name).summary


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["onnx", "onnx_core"])
def test_it_carries_tables(name: str, kind: str, tmp_path: Path) -> None:
    proof = check_target(name, TARGETS.load(name), model(kind), tmp_path)
    assert isinstance(proof, Proof)
    assert not proof.not_run
    assert proof.flips == 0
