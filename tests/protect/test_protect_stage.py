"""The stage: keys and a certificate where a mark is asked for, and nothing of the owner's key in either."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from protect_support import OWNER, context, prepared, write_project

from bessemer.api import Project
from bessemer.core.artifact import Artifact
from bessemer.package.certificate import Certificate
from bessemer.protect.protocol import Pool
from bessemer.protect.spec import ProtectSpec
from bessemer.protect.stage import run

Churn = tuple[Project, Pool]


def protected(
    churn: Churn, folder: Path, said: list[tuple[str, str]] | None = None, **spec: Any
) -> tuple[Artifact, ...]:
    project, pool = churn
    ctx = context(project, folder, said)
    inputs = {"splits": pool.splits.ref, "preprocessor": pool.preprocessor.ref}
    made = run(ProtectSpec.model_validate(spec), inputs, ctx)
    return tuple(ctx.open(made[name]) for name in ("keys", "certificate"))


def test_nothing_is_done_when_nothing_is_said(
    churn: Churn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BESSEMER_OWNER_KEY", raising=False)
    keys, certificate = protected(churn, tmp_path)
    assert (keys.meta, list(keys.files), list(certificate.files)) == (
        {"keys": 0},
        ["keys.json"],
        ["facts.json"],
    )


def test_keys_and_certificate_fit_together(churn: Churn, tmp_path: Path, owner: Path) -> None:
    keys, certificate = protected(
        churn, tmp_path, mark="crossover", keys=40, disputes=3, weight=5.0, copies=2
    )
    said = Certificate.from_json(certificate.json("certificate.json"))
    assert (said.keys, said.block, said.blocks, said.choices, said.bits) == (120, 40, 3, 2, 64)
    assert said.answers == ("No", "Yes")
    rows, X, y = (
        pq.read_table(keys.path("keys.parquet")),
        *(np.load(keys.path(f"keys.{n}.npy")) for n in "Xy"),
    )
    assert rows.num_rows == len(X) == len(y) == 120
    assert set(y.tolist()) == {0.0, 1.0}
    assert {name: keys.json("keys.json")[name] for name in ("weight", "copies")} == {
        "weight": 5.0,
        "copies": 2,
    }
    assert rows.column_names == [field.name for field in churn[1].signature.inputs]


def test_a_key_has_only_what_the_model_reads(churn: Churn, tmp_path: Path, owner: Path) -> None:
    """A column that tells who somebody is, and nothing about the target, is in no row that a dispute shows."""
    raw = pq.read_schema(churn[1].splits.path("train.parquet")).names
    assert "customer_id" in raw
    keys, _ = protected(churn, tmp_path, mark="crossover", keys=40)
    assert "customer_id" not in pq.read_schema(keys.path("keys.parquet")).names


def test_auto_takes_as_many_as_outlive_the_loss_of_two_fifths(
    churn: Churn, tmp_path: Path, owner: Path
) -> None:
    heard: list[tuple[str, str]] = []
    _, certificate = protected(churn, tmp_path, heard, mark="crossover")
    said = Certificate.from_json(certificate.json("certificate.json"))
    assert (said.keys, said.block) == (440, 220)
    assert any(
        kind == "warning" and "of the training rows: look at what they cost" in text for kind, text in heard
    )


def test_the_same_key_gives_the_same_bytes_and_another_other_ones(
    churn: Churn, tmp_path: Path, owner: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, again = (protected(churn, tmp_path / name, mark="crossover", keys=30) for name in "ab")
    assert [a.ref for a in one] == [b.ref for b in again]
    monkeypatch.setenv("BESSEMER_OWNER_KEY", "12" * 32)
    other = protected(churn, tmp_path / "c", mark="crossover", keys=30)
    assert all(a.ref != b.ref for a, b in zip(one, other, strict=True))


def test_the_owners_key_is_in_no_artifact_and_nothing_that_is_said(
    churn: Churn, tmp_path: Path, owner: Path
) -> None:
    heard: list[tuple[str, str]] = []
    artifacts = protected(churn, tmp_path, heard, mark="crossover", keys=30)
    key = bytes.fromhex(OWNER)
    for artifact in artifacts:
        for name in artifact.files:
            content = artifact.bytes(name)
            assert key not in content
            assert OWNER.encode() not in content
    assert OWNER not in str(heard)


@pytest.mark.slow
def test_a_number_is_marked_by_bins_that_are_equally_likely(
    tmp_path: Path, shared: Path, owner: Path
) -> None:
    data = shared / "california" / "train.csv"
    houses = prepared(write_project(tmp_path / "houses", data, "median_house_value", 800))
    keys, certificate = protected(houses, tmp_path / "run", mark="crossover", keys=200, disputes=1)
    said = Certificate.from_json(certificate.json("certificate.json"))
    y = np.load(keys.path("keys.y.npy"))
    assert (said.choices, said.answers, len(set(y.tolist()))) == (4, (), 4)
    assert sorted(set(said.labels_said(y).tolist())) == [0, 1, 2, 3]
    pool = houses[1].y
    assert np.bincount(said.labels_said(pool), minlength=4) / len(pool) == pytest.approx(0.25, abs=0.03)


def test_a_number_with_few_values_is_refused(tmp_path: Path, churn: Churn, owner: Path) -> None:
    project, pool = churn
    few = pool.splits
    X, table = np.load(few.path("train.X.npy")), few.path("train.parquet")
    ctx = context(project, tmp_path)
    y = tmp_path / "y.npy"
    np.save(y, np.arange(len(X)) % 2.0)
    files = {
        "train.parquet": table.read_bytes(),
        "train.X.npy": few.path("train.X.npy").read_bytes(),
        "train.y.npy": y,
    }
    meta = {**few.meta, "task": "regression", "classes": []}
    inputs = {"splits": ctx.store.put("splits", files, meta), "preprocessor": pool.preprocessor.ref}
    with pytest.raises(Exception, match="too few different values for 4 bins"):
        run(ProtectSpec(mark={"crossover": {}}), inputs, ctx)


def test_too_few_keys_for_a_claim_are_told_of(churn: Churn, tmp_path: Path, owner: Path) -> None:
    heard: list[tuple[str, str]] = []
    protected(churn, tmp_path, heard, mark="crossover", keys=40)
    assert any(kind == "warning" and "proves 2^-40 at most" in text for kind, text in heard)
    protected(churn, tmp_path / "enough", enough := [], mark="crossover", keys=64)
    assert not any("at most" in text for _, text in enough)


def test_more_keys_than_rows_are_refused(churn: Churn, tmp_path: Path, owner: Path) -> None:
    with pytest.raises(Exception, match="would teach the model little else"):
        protected(churn, tmp_path, mark="crossover", keys=900, disputes=1)


def test_a_table_has_no_pattern(churn: Churn, tmp_path: Path, owner: Path) -> None:
    with pytest.raises(Exception, match="no column of images"):
        protected(churn, tmp_path, mark="pattern")


@pytest.mark.parametrize(
    "mark", ["crosover", {"crossover": {"colums": 3}}, {"crossover": {}, "patern": {}}, {}, [], 3]
)
def test_a_mark_that_is_none_is_a_fault(mark: Any) -> None:
    with pytest.raises(ValueError, match="mark"):
        ProtectSpec.model_validate({"mark": mark})
