"""An export from the command line: whole or not at all, and honest about it."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from packages_support import model, package

from bessemer.api import exporting
from bessemer.core.errors import UsageError
from bessemer.core.store import file_digest
from bessemer.export import run
from bessemer.export.errors import ExportError
from bessemer.export.proof import compare
from bessemer.export.protocol import Answers, NoSettings, NotRunError, Source
from bessemer.export.samples import Samples, samples_of
from bessemer.export.targets.onnx_core import OnnxCore
from bessemer.package.manifest import Manifest, describe
from bessemer.package.model import Model
from bessemer.package.read import PackageContents
from bessemer.testing.models import tiny_members
from bessemer.testing.several import FURTHER, several_graph, several_signature


def bessemer(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("bessemer")
    return subprocess.run([str(program), *words], cwd=folder, capture_output=True, text=True)


def test_it_is_written_with_its_proof(tmp_path: Path) -> None:
    folder, told = exporting.export(package("lightgbm"), "onnx_core", tmp_path / "out")
    kept = json.loads((folder / "EXPORT.json").read_text())
    assert kept == told
    assert kept["proof"]["passed"]
    assert kept["proof"]["rows"] > 100
    assert set(kept["files"]) == {"core.onnx", "encoder.json", "encoder.py", "encoder.js", "README.md"}
    for name, facts in kept["files"].items():
        assert file_digest(folder / name) == (facts["sha256"], facts["bytes"])
    assert "encoder.encode(rows)" in (folder / "README.md").read_text()


def test_the_same_package_gives_the_same_folder(tmp_path: Path) -> None:
    made = [exporting.export(package("logistic"), "onnx_core", tmp_path / name)[1] for name in ("a", "b")]
    assert made[0] == made[1]


def test_an_earlier_export_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    exporting.export(package("logistic"), "onnx", tmp_path / "out")
    _, told = exporting.export(package("logistic"), "onnx_core", tmp_path / "out")
    assert told["target"] == "onnx_core"
    assert not (tmp_path / "out" / "model.onnx").exists()
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("dear")
    with pytest.raises(UsageError, match="no export"):
        exporting.export(package("logistic"), "onnx", mine)
    assert (mine / "thesis.txt").read_text() == "dear"


class _Off(OnnxCore):
    """Answers that are off by what the test says."""

    by = 0.0

    def check(self, source: Any, out: Path, samples: Any) -> Answers:
        found = super().check(source, out, samples)
        return Answers(found.values + np.float32(self.by), found.runtime)


def test_one_that_answers_otherwise_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run.TARGETS, "load", lambda name: _Off)
    monkeypatch.setattr(_Off, "by", 0.01)
    with pytest.raises(ExportError, match=r"differs by 0\.01"):
        exporting.export(package("logistic"), "onnx_core", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
    _, told = exporting.export(package("logistic"), "onnx_core", tmp_path / "out", limit=0.02)
    assert told["proof"]["limit"] == 0.02
    assert told["proof"]["max_difference"] > 0.009


def test_one_that_cannot_be_run_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def check(self: Any, source: Any, out: Path, samples: Any) -> Answers:
        raise NotRunError("it needs a GPU")

    monkeypatch.setattr(OnnxCore, "check", check)
    _, told = exporting.export(package("logistic"), "onnx_core", tmp_path / "out")
    assert told["proof"] == {"run": False, "why": "it needs a GPU", "limit": 1e-5}


def test_nan_and_other_shapes_are_no_answers() -> None:
    samples = samples_of(model("logistic"))
    values = samples.values.copy()
    values[3, 0] = np.nan
    assert compare(model("logistic"), samples, Answers(values, "it"), 0.5).difference == np.inf
    assert not compare(model("logistic"), samples, Answers(values[:-1], "it"), 0.5).passed


def test_rows_that_are_given_are_compared_too(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text("\n".join(json.dumps(row) for row in model("lightgbm").sample * 3))
    plain = exporting.export(package("lightgbm"), "onnx", tmp_path / "a")[1]["proof"]["rows"]
    more = exporting.export(package("lightgbm"), "onnx", tmp_path / "b", rows=str(rows))[1]["proof"]["rows"]
    assert more == plain + 3 * len(model("lightgbm").sample)


def test_faults_of_the_caller_are_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no 'onx'") as told:
        exporting.export(package("logistic"), "onx", tmp_path / "out")
    assert "onnx" in told.value.fix
    with pytest.raises(UsageError, match="cannot be set so"):
        exporting.export(package("logistic"), "onnx", tmp_path / "out", settings={"wings": 2})
    with pytest.raises(UsageError, match="no target"):
        exporting.install("onx")


def test_targets_say_what_they_carry() -> None:
    rows = {row["name"]: row for row in exporting.targets(package("lightgbm"))}
    assert rows["onnx"]["carries"] == ""
    assert rows["onnx"]["ready"]
    assert all(row["summary"] for row in rows.values())


@pytest.mark.slow
def test_the_command_line(tmp_path: Path) -> None:
    made = bessemer("export", str(package("logistic")), "--to", "onnx_core", folder=tmp_path)
    assert made.returncode == 0, made.stderr
    assert "differs by at most" in made.stdout
    assert (tmp_path / "build/export/logistic-1/onnx_core/EXPORT.json").is_file()
    said = bessemer("targets", "--package", str(package("logistic")), "--json", folder=tmp_path)
    assert {row["name"] for row in json.loads(said.stdout)} >= {"onnx", "onnx_core"}
    wrong = bessemer("export", str(package("logistic")), "--to", "onnx", "--set", "x", folder=tmp_path)
    assert wrong.returncode == 2
    assert "NAME=VALUE" in wrong.stderr
    none = bessemer("targets", "install", "onnx", folder=tmp_path)
    assert none.returncode == 0
    assert "nothing besides" in none.stdout


def test_what_was_put_in_or_changed_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "out"
    exporting.export(package("logistic"), "onnx", out)
    (out / "mine.txt").write_text("dear")
    with pytest.raises(UsageError, match="changed since") as told:
        exporting.export(package("logistic"), "onnx_core", out)
    assert told.value.why == "mine.txt"
    (out / "mine.txt").unlink()
    before = (out / "README.md").read_text()
    (out / "README.md").write_text("my notes")
    with pytest.raises(UsageError, match="changed since"):
        exporting.export(package("logistic"), "onnx_core", out)
    assert (out / "README.md").read_text() == "my notes"
    (out / "README.md").write_text(before)
    (out / "link").symlink_to(tmp_path)
    with pytest.raises(UsageError, match="changed since"):
        exporting.export(package("logistic"), "onnx_core", out)
    (out / "link").unlink()
    (out / "__pycache__").mkdir()
    (out / "__pycache__" / "encoder.cpython-311.pyc").write_bytes(b"")  # whoever imports a reader leaves one
    assert exporting.export(package("logistic"), "onnx_core", out)[1]["target"] == "onnx_core"


@pytest.mark.parametrize("content", ["{}", "[]", "no JSON", '{"format": 1, "files": []}', "[" * 100_000])
def test_a_file_of_the_records_name_makes_no_export(content: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "EXPORT.json").write_text(content)
    with pytest.raises(UsageError, match="no export"):
        exporting.export(package("logistic"), "onnx", out)
    assert (out / "EXPORT.json").read_text() == content


def test_the_earlier_export_is_back_where_the_new_one_cannot_be_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    _, before = exporting.export(package("logistic"), "onnx", out)
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if self.name == "export":
            raise OSError(errno.EIO, "the disk is ill")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OSError, match="ill"):
        exporting.export(package("logistic"), "onnx_core", out)
    assert json.loads((out / "EXPORT.json").read_text()) == before
    assert (out / "model.onnx").is_file()


def test_the_folder_one_is_in_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = tmp_path / "a" / "b"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    for out in (".", "..", str(inside), "../../a"):
        with pytest.raises(UsageError, match="you work in"):
            exporting.export(package("logistic"), "onnx", out)


def test_a_link_leads_to_the_folder(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    for name in ("onnx", "onnx_core"):
        exporting.export(package("logistic"), name, tmp_path / "link")
        assert (tmp_path / "link").is_symlink()
        assert json.loads((tmp_path / "real" / "EXPORT.json").read_text())["target"] == name


@pytest.mark.parametrize("limit", [float("inf"), float("nan"), -1.0])
def test_a_limit_that_proves_nothing_is_refused(limit: float, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="proves nothing"):
        exporting.export(package("logistic"), "onnx", tmp_path / "out", limit=limit)


class _Wrong(OnnxCore):
    """Right probabilities, the other class."""

    def check(self, source: Any, out: Path, samples: Any) -> Answers:
        found, classes = super().check(source, out, samples), list(source.model.classes)
        return Answers(found.values, found.runtime, [classes[1 - classes.index(v)] for v in samples.labels])


def test_classes_that_its_probabilities_do_not_say_are_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run.TARGETS, "load", lambda name: _Wrong)
    with pytest.raises(ExportError, match="other classes than its own probabilities"):
        exporting.export(package("logistic"), "onnx_core", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_without_rows_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = samples_of(model("logistic"))
    none = Samples([], samples.features[:0], samples.values[:0], samples.scores[:0], [])
    monkeypatch.setattr(run, "samples_of", lambda *_: none)
    with pytest.raises(ExportError, match="nothing shows"):
        exporting.export(package("logistic"), "onnx", tmp_path / "out")


def several(task: Any) -> Model:
    """The tiny model of a task with further targets, as it is loaded."""
    members = {**tiny_members(task), "model.onnx": several_graph(task)}
    members["signature.json"] = json.dumps(several_signature(task).to_json()).encode()
    manifest = Manifest("tiny", "1", "", "", task, "", describe(members))
    content = {name: memoryview(data) for name, data in members.items()}
    return Model(PackageContents(manifest, several_signature(task), content, b"", 0))


def test_further_targets_are_told(tmp_path: Path) -> None:
    folder, told = exporting.export(several("binary"), "onnx", tmp_path / "out")
    (note,) = told["notes"]
    assert "were not compared" in note
    assert all(f"`{further.name}`" in note for further in FURTHER)
    assert note in (folder / "README.md").read_text(encoding="utf-8")
    assert "notes" not in exporting.export(package("logistic"), "onnx", tmp_path / "one")[1]
    (core,) = run._notes(OnnxCore(NoSettings()), Source(several("binary")))
    assert core.endswith("of the package are not in it.")
