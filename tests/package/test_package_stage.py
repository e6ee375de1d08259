"""The package stage, from artifacts in a store to a package that loads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bessemer.core.artifact import ArtifactRef
from bessemer.core.errors import GateError, PackageError
from bessemer.core.signature import Signature
from bessemer.core.stage import Context
from bessemer.core.store import Store
from bessemer.package import keys
from bessemer.package.card import model_card
from bessemer.package.model import load
from bessemer.package.parity import sample_rows, spread_rows
from bessemer.package.read import read_package
from bessemer.package.spec import PackageSpec
from bessemer.package.stage import fingerprint, run
from bessemer.testing.models import tiny_info, tiny_signature

EVALUATION = {
    "task": "binary",
    "metric": "roc_auc",
    "rows": 2500,
    "confidence": 0.95,
    "metrics": {"roc_auc": {"value": 0.8, "low": 0.78, "high": 0.82}, "brier": {"value": 0.1, "low": None}},
    "baselines": {"constant": {"roc_auc": 0.5}},
    "gates": [
        {"gate": "roc_auc", "required": ">= 0.7", "value": 0.8, "passed": True, "why": "roc_auc is 0.8"}
    ],
    "slices": {
        "city": [
            {"value": "Bern|*x*", "rows": 90, "metrics": {"roc_auc": {"value": 0.7, "low": 0.6, "high": 0.8}}}
        ]
    },
}
FAILED = [{"gate": "roc_auc", "required": ">= 0.9", "value": 0.8, "passed": False, "why": "roc_auc is 0.8"}]


class Bench:
    """A store with the artifacts of a run, and a context to run the stage in."""

    def __init__(self, folder: Path, made: Any) -> None:
        self.store = Store(folder / "store")
        self.made = made
        (folder / "work").mkdir()
        self.told: list[tuple[str, Any]] = []
        provenance = {"seed": 7, "stages": {"acquire": {"key": "k"}}}
        shared = {
            "name": "churn é",
            "version": "2.0.0",
            "description": "Who leaves.",
            "provenance": provenance,
        }
        self.ctx = Context(
            self.store,
            "package",
            shared,
            7,
            folder,
            folder / "work",
            emit=lambda kind, data: self.told.append((kind, data)),
        )
        pq.write_table(made.table, folder / "test.parquet", row_group_size=300)
        self.inputs = {
            "model": self.model(made.native),
            "splits": self.put("splits", {"test.parquet": folder / "test.parquet"}, rows={"test": 2500}),
            "evaluation": self.evaluation(EVALUATION, True),
            "explainer": self.put("explainer", {"explainer.json": b'{"method": "linear"}'}),
            "explanations": self.put("explanations", {"explanations.json": b'{"global": {}}'}),
            "reference": self.put("reference", {"reference.json": b'{"format": 1}'}),
            "report": self.put("report", {"report.html": b"<html>"}),
            "contract": self.put("contract", {"contract.yaml": b"columns: {}"}, quarantine=0.05),
        }

    def put(self, kind: str, files: dict[str, Any], **meta: Any) -> ArtifactRef:
        return self.store.put(kind, files, meta)

    def model(self, native: bytes) -> ArtifactRef:
        files = {
            "model.onnx": self.made.model,
            "signature.json": json.dumps(self.made.signature.to_json()).encode(),
            "model.json": json.dumps(self.made.model_json).encode(),
            self.made.native_name: native,
            "baselines/constant.onnx": b"not shipped",
        }
        return self.put("model", files, learner="linear", task=self.made.signature.task)

    def evaluation(self, value: dict[str, Any], passed: bool) -> ArtifactRef:
        return self.put("evaluation", {"evaluation.json": json.dumps(value).encode()}, passed=passed)

    def run(self, **spec: Any) -> Path:
        made = run(PackageSpec(**spec), self.inputs, self.ctx)["package"]
        artifact = self.store.get(made)
        assert artifact.meta["file"] == "churn-é-2.0.0.bsm"
        return artifact.path(artifact.meta["file"])


@pytest.fixture
def bench(tmp_path: Path, make_trained: Any) -> Bench:
    return Bench(tmp_path, make_trained("binary", "linear"))


def test_it_loads_and_predicts_and_holds_everything(tmp_path: Path, model_of: Any) -> None:
    bench = Bench(tmp_path, model_of)
    model = load(bench.run())
    native = model_of.native_name
    copied = {"evaluation.json", "explainer.json", "explanations.json", "reference.json", "report.html"}
    made = {
        "card.html",
        "card.md",
        "contract.yaml",
        "model.json",
        "model.onnx",
        "provenance.json",
        "sample.json",
    }
    assert set(model.manifest.members) == copied | made | {"signature.json", native}
    assert model.provenance["contract"] == {"quarantine": 0.05}
    parity = model.provenance["parity"]
    assert parity["rows"] == 2500
    assert 0 <= parity["worst_score_difference"] < 1e-4
    assert parity["label_flips"] == 0
    assert model.provenance["seed"] == 7
    assert model.provenance["artifacts"]["model"] == bench.inputs["model"].digest
    out = model.predict(model.sample, explain=True)
    assert out.num_rows == len(model.sample) == 5
    assert any(value is None for row in model.sample for value in row.values())


def test_two_runs_differ_in_time_and_signature_only(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    first = bench.run().read_bytes()
    assert bench.run().read_bytes() == first
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000001")
    second = read_package(bench.run())
    assert second.manifest.created == "2001-09-09T01:46:41Z"
    assert second.manifest.members == read_package(first).manifest.members


def test_a_failed_gate_stops_the_package(bench: Bench) -> None:
    bench.inputs["evaluation"] = bench.evaluation({**EVALUATION, "gates": FAILED}, False)
    with pytest.raises(GateError, match="failed 1 gate, so nothing was packaged") as caught:
        bench.run()
    assert caught.value.failed == tuple(FAILED)
    assert "roc_auc (required: >= 0.9): roc_auc is 0.8" in caught.value.why
    card = load(bench.run(ignore_gates=True)).card
    assert "failed a gate and was packaged on request" in card
    assert any(kind == "warning" and "failed gates: roc_auc" in data["text"] for kind, data in bench.told)


def test_a_graph_that_is_not_the_model_is_refused(bench: Bench) -> None:
    fitted = json.loads(bench.made.native)
    fitted["intercept"][0] += 0.01
    bench.inputs["model"] = bench.model(json.dumps(fitted).encode())
    with pytest.raises(PackageError, match=r"differs from the trained model by 0\.00"):
        bench.run()


def test_a_native_model_that_gives_nan_is_refused(bench: Bench) -> None:
    fitted = json.loads(bench.made.native)
    fitted["scale"][0] = 0.0
    fitted["mean"] = fitted["impute"]
    bench.inputs["model"] = bench.model(json.dumps(fitted).encode())
    with np.errstate(all="ignore"), pytest.raises(PackageError, match="differs from the trained model"):
        bench.run()


def test_the_card_says_what_there_is(bench: Bench) -> None:
    card = load(bench.run()).card
    assert card.startswith("# churn é 2.0.0\n\nWho leaves.")
    assert "| roc\\_auc | 0.8 | 0.78 to 0.82 | 0.5 |" in card
    assert "| brier | 0.1 | - | - |" in card
    assert "| city | Bern\\|\\*x\\* | 90 | 0.7 | 0.6 to 0.8 |" in card
    assert "| income € | number | may be missing |" in card
    assert "`probability` is that of: yes" in card


def test_it_runs_with_a_model_and_splits_alone(bench: Bench) -> None:
    bench.inputs = {name: bench.inputs[name] for name in ("model", "splits")}
    model = load(bench.run(sample=0, parity_rows=100))
    assert model.evaluation == {}
    assert model.sample == []
    assert model.provenance["parity"]["rows"] == 100
    assert "No slices were asked for" in model.card


def test_the_key_is_part_of_what_the_stage_reads(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fingerprint(PackageSpec(), tmp_path) == {"signing_key": "none"}
    signer = read_package(bench.run()).public_key
    assert fingerprint(PackageSpec(), tmp_path, {}) == {"signing_key": keys.key_id(signer)}
    monkeypatch.setenv("BESSEMER_CONFIG_DIR", str(tmp_path / "other"))
    other = read_package(bench.run()).public_key
    assert other != signer
    assert fingerprint(PackageSpec(), tmp_path) == {"signing_key": keys.key_id(other)}


@pytest.mark.parametrize(
    ("rows", "count", "found"), [(1000, 100, 100), (199, 100, 199), (250, 100, 125), (0, 9, 0)]
)
def test_rows_are_spread_over_the_file(tmp_path: Path, rows: int, count: int, found: int) -> None:
    pq.write_table(
        pa.table({"i": pa.array(range(rows), pa.int64())}), tmp_path / "t.parquet", row_group_size=70
    )
    chosen = spread_rows(tmp_path / "t.parquet", count)["i"].to_pylist()
    assert len(chosen) == found
    assert chosen == list(range(0, rows, max(1, rows // count)))


def test_the_sample_ends_with_the_row_that_misses_most(make_rows: Any, make_trained: Any) -> None:
    signature: Signature = make_trained("binary", "linear").signature
    rows = make_rows(300)
    sample = sample_rows(rows, signature, 3)
    assert len(sample) == 3
    missing = [sum(v is None for v in row.values()) for row in rows.to_pylist()]
    assert sum(v is None for v in sample[-1].values()) == max(missing)
    assert json.loads(json.dumps(sample)) == sample


def test_the_card_tells_of_training_rows_that_travel() -> None:
    facts: dict[str, Any] = {
        "name": "m", "version": "1", "description": "", "signature": tiny_signature("binary"),
        "model_json": tiny_info("binary"), "evaluation": {}, "explanations": {}, "splits": {}, "parity": {},
        "gates_ignored": False,
    }  # fmt: skip
    said = {"attribution": {"background": {"file": "background.npy", "rows": 100}}}
    assert "100 training rows travel in the package" in model_card(**facts, explainer=said)
    assert "travel" not in model_card(**facts, explainer={"attribution": {"background": None}})
