"""What a child says of itself, and where it may be written."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pyarrow.csv
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "export"))
from packages_support import SHARED, model, package

from bessemer.api.exporting import export
from bessemer.api.optimizing import optimize
from bessemer.core.errors import UsageError
from bessemer.monitor.monitor import Monitor
from bessemer.optimize.inherited import OF_ANSWERS
from bessemer.package.model import Model, load
from bessemer.package.write import write_package

#: Its smallest version is taken whatever it loses: what a child says that answers otherwise.
LOSSY: dict[str, Any] = {"ways": {"fewer_trees": {"keep": [0.1]}}, "loss": 1.0, "batch": 64}


def again(out: Path, version: str = "1", **more: bytes) -> Path:
    """The package of `lightgbm` with other members and another version."""
    one = model("lightgbm")
    members = {name: one.contents.bytes(name) for name in one.contents.members}
    kept = {name: data for name, data in members.items() if not name.startswith("manifest.")}
    about = {"created": one.manifest.created, "task": one.task, "target": one.signature.target}
    write_package(out, {**kept, **more}, name=one.name, version=version, **about)
    return out


@pytest.fixture(scope="module")
def child(tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = tmp_path_factory.mktemp("child")
    marked = again(folder / "parent.bsm", **{"certificate.json": b"{}", "robustness.json": b"{}"})
    made = load(optimize(marked, folder / "child.bsm", **LOSSY).path)
    assert made.contents.json("optimization.json")["taken"]["version"] == "10% of the trees"
    return made


def test_it_does_not_say_what_its_parent_was(child: Model) -> None:
    assert not set(OF_ANSWERS) & set(child.contents.members)
    assert child.info["learner"] == "lightgbm, optimised: 10% of the trees"
    assert (child.info["params"], child.info["iterations"], child.info["valid"]) == ({}, None, {})
    assert child.info["optimised"]["from"] == child.provenance["parent"]
    assert child.info["calibration"] == model("lightgbm").info["calibration"]
    assert set(child.provenance["artifacts"]) <= {"contract", "preprocessor", "splits", "statistics"}
    assert "10% of the trees" in child.card
    assert "versions tried: 1" in child.card


def test_its_graph_is_held_against_what_explains_it(child: Model) -> None:
    parity = child.provenance["parity"]
    assert parity["rows"] == 500
    assert parity["worst_probability_difference"] <= parity["tolerance"]
    assert (
        parity["worst_probability_difference"]
        != model("lightgbm").provenance["parity"]["worst_probability_difference"]
    )


def test_monitoring_compares_its_inputs_and_claims_nothing_of_its_outputs(child: Model) -> None:
    whole = model("lightgbm").reference
    assert child.reference["columns"] == whole["columns"]
    assert not child.reference["outputs"]
    assert not child.reference["performance"]
    assert not {"residuals", "errors", "calibration", "groups"} & set(child.reference)
    rows = pyarrow.csv.read_csv(SHARED / "adult" / "train.csv").slice(0, 400)
    found = Monitor(child).check(rows, score=True).to_json()
    assert set(found["columns"]) >= set(whole["columns"])
    assert not found["outputs"]
    assert not found["performance"]["reference"]
    assert Monitor(model("lightgbm")).check(rows, score=True).to_json()["outputs"]


def test_a_rewritten_one_keeps_what_was_said_and_tells_on_how_many_rows(tmp_path: Path) -> None:
    made = optimize(package("lightgbm"), tmp_path / "c.bsm", ways={"folded": {}}, loss=0.0)
    assert all(one.variant.same for one in made.found.tried)
    one = load(made.path)
    assert one.info == model("lightgbm").info
    assert "evaluation.json" in one.contents
    rows = made.found.taken.loss.rows
    taken = made.found.taken.variant.name
    assert (f"the same on {rows:,} rows" if taken == "folded" else "computes as its parent") in one.card


@pytest.mark.slow
def test_no_other_file_is_replaced(tmp_path: Path) -> None:
    notes = tmp_path / "notes.csv"
    notes.write_text("mine")
    with pytest.raises(UsageError, match="there already"):
        optimize(package("lightgbm"), notes, ways={"folded": {}})
    assert notes.read_text() == "mine"
    with pytest.raises(UsageError, match="there already"):
        optimize(package("lightgbm"), again(tmp_path / "other.bsm"), ways={"folded": {}})
    with pytest.raises(UsageError, match="there already"):
        optimize(package("lightgbm"), tmp_path, ways={"folded": {}})
    for version in ("1.1", "1.2"):  # an earlier child is
        made = optimize(package("lightgbm"), tmp_path / "c.bsm", ways={"folded": {}}, version=version)
    assert load(made.path).version == "1.2"


@pytest.mark.parametrize("version", ["../../x", "-1", "a" * 33, "1 2", "1\n"])
def test_a_version_is_a_version(version: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no version"):
        optimize(package("lightgbm"), tmp_path / "c.bsm", version=version)


def test_an_export_stays_in_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    folder, _ = export(again(tmp_path / "p.bsm", version="../../../../x"), "onnx")
    assert folder.resolve().is_relative_to(tmp_path / "here" / "build" / "export")
