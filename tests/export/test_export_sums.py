"""An ensemble that is told of sums of two numbers: values on a threshold, and missing ones, on each way out."""

from __future__ import annotations

from pathlib import Path

import pytest
from packages_support import model

from bessemer.export.plugins import TARGETS
from bessemer.export.proof import Proof
from bessemer.package.natives import decode_ensemble
from bessemer.testing.targets import check_target

pytestmark = pytest.mark.slow


def test_sums_are_what_is_tested() -> None:
    one = model("sums")
    native = one.info["native"]
    kinds = {member.kind for member in decode_ensemble(one.contents.bytes(native["file"]))}
    assert "pairs" in kinds


@pytest.mark.parametrize(
    ("target", "limit"), [("onnx_core", 1e-6), ("python_file", 1e-6), ("c", 1e-6), ("pmml", 1e-6)]
)
def test_every_row_takes_its_leaves(target: str, limit: float, tmp_path: Path) -> None:
    proof = check_target(target, TARGETS.load(target), model("sums"), tmp_path)
    assert isinstance(proof, Proof)
    assert not proof.not_run
    assert proof.difference < limit
