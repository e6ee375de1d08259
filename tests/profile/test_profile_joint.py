"""What the profile stage keeps of whole rows, and that rows travel only where the project file says so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from judged_support import Heard, case, context
from pydantic import ValidationError

from bessemer.core.errors import UsageError
from bessemer.monitor.joint import JointReference
from bessemer.monitor.reference import Reference
from bessemer.package.kept_rows import read_kept
from bessemer.profile.spec import ProfileSpec
from bessemer.profile.stage import run
from bessemer.stats.packed import unpack, unpack_symmetric

ROWS = 4000


def profiled(folder: Path, **settings: Any) -> Any:
    rng = np.random.default_rng(3)
    a = rng.normal(size=ROWS)
    t = pa.table(
        {
            "a": pa.array(a, mask=rng.random(ROWS) < 0.1),
            "b": a + rng.normal(size=ROWS),
            "kind": rng.choice(["x", "y", "z"], ROWS),
            "words": [f"secret {i} in row {rng.integers(10**9)}" for i in range(ROWS)],
        }
    )
    ctx = context(folder, "profile")
    y = (a > 0).astype(float)
    given = case(ctx, t, y, ("no", "yes"), np.ones((4, 1)), np.zeros(1))
    spec = ProfileSpec.model_validate_json(json.dumps({"replicates": 20, **settings}))
    return ctx.open(run(spec, given.inputs, ctx)["reference"])


@pytest.mark.slow
def test_whole_rows_are_kept_as_sums(tmp_path: Path) -> None:
    artifact = profiled(tmp_path)
    found = artifact.json("reference.json")
    train = found["rows"]
    assert list(artifact.files) == ["reference.json"], "no rows travel unless they are asked for"
    assert sorted(map(tuple, found["row"])) == [("a",), ("b",), ("kind", 3)], "words are never the same twice"
    features = train // 50
    assert found["mmd"]["rows"] == train
    assert len(unpack(found["mmd"]["mean"])) == features
    covariance = unpack_symmetric(found["mmd"]["covariance"])
    assert covariance.shape == (features, features)
    assert np.linalg.eigvalsh(covariance).min() > -1e-6
    assert sum(found["reconstruction"]["counts"]) == train // 2
    assert found["texts"]["words"]["rows"] == train


def test_rows_travel_where_they_are_asked_for(tmp_path: Path) -> None:
    artifact = profiled(tmp_path, rows=300)
    content = artifact.bytes("reference_rows.npy")
    assert b"secret" not in content

    class Contents(dict[str, bytes]):
        bytes = dict.__getitem__

    rows = read_kept(Contents({"reference_rows.npy": content}), 3)  # type: ignore[arg-type]
    assert rows is not None
    assert rows.shape == (300, 3)
    assert 0 < np.isnan(rows).mean() < 0.2
    names = [name for name, *_ in artifact.json("reference.json")["row"]]
    assert set(np.unique(rows[:, names.index("kind")])) == {0.0, 1.0, 2.0}


@pytest.mark.parametrize("rows", [1, 30, 199])
def test_too_few_rows_are_refused(rows: int) -> None:
    with pytest.raises(ValidationError, match=f"{rows} rows are too few .* say 200 or more, or 0"):
        ProfileSpec(rows=rows)
    assert [ProfileSpec(rows=rows).rows for rows in (0, 200)] == [0, 200]


def test_rows_of_no_coded_column_are_told(tmp_path: Path) -> None:
    """Texts that are never the same twice say nothing of a row: rows are asked for, and none can travel."""
    heard = Heard()
    ctx = context(tmp_path, "profile", heard)
    words = pa.table({"words": [f"word {i}" for i in range(ROWS)]})
    y = (np.arange(ROWS) % 2).astype(float)
    given = case(ctx, words, y, ("no", "yes"), np.ones((1, 1)), np.zeros(1))
    artifact = ctx.open(run(ProfileSpec(rows=300, replicates=20), given.inputs, ctx)["reference"])
    assert list(artifact.files) == ["reference.json"]
    assert any("no training rows travel" in text for text in heard.texts("warning"))
    with pytest.raises(UsageError, match="no column of this package says anything of a row"):
        JointReference(Reference(artifact.json("reference.json"))).rows  # noqa: B018


SUMS = """
import hashlib, json, sys
from pathlib import Path
import numpy as np, pyarrow as pa, pyarrow.parquet as pq
from bessemer.core.sql import connect
from bessemer.profile.columns import sketch_columns
from bessemer.profile.joint import joint_facts

folder = Path(sys.argv[1])
rng = np.random.default_rng(0)
x = rng.normal(size=(20_000, 8)) @ rng.normal(size=(8, 8))
data = {f"n{i}": x[:, i] for i in range(8)}
data["kind"] = rng.choice(["x", "y", "z"], 20_000)
data["words"] = [f"word {i} of {rng.integers(10**6)}" for i in range(20_000)]
pq.write_table(pa.table(data), folder / "t.parquet")
dtypes = {name: "number" if name.startswith("n") else "string" for name in data}
connection = connect(threads=1, memory=2**30, temporary=folder)
sketches = sketch_columns(connection, folder / "t.parquet", dtypes, bins=256, categories=100)
facts, _ = joint_facts(connection, f"read_parquet('{folder}/t.parquet')", sketches, 20_000)
print({key: hashlib.sha256(json.dumps(value).encode()).hexdigest() for key, value in facts.items()})
"""


@pytest.mark.slow
def test_kinds_of_processors_make_the_same_bytes(tmp_path: Path) -> None:
    """OpenBLAS adds up otherwise on each; on another BLAS, or another kind of machine, these are all the same."""
    made = set()
    for more in ({}, {"OPENBLAS_CORETYPE": "Prescott", "OPENBLAS_NUM_THREADS": "2"}):
        done = subprocess.run(
            [sys.executable, "-c", SUMS, str(tmp_path)],
            env={**os.environ, **more},
            check=True,
            capture_output=True,
            text=True,
        )
        made.add(done.stdout)
    assert len(made) == 1, made


@pytest.mark.slow
def test_the_same_rows_are_the_same_bytes(tmp_path: Path) -> None:
    digests = {profiled(tmp_path / name, rows=300).ref.digest for name in ("one", "two")}
    assert len(digests) == 1
