"""What the profile stage keeps of whole rows, and that rows travel only where the project file says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from judged_support import case, context

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


def test_the_same_rows_are_the_same_bytes(tmp_path: Path) -> None:
    digests = {profiled(tmp_path / name, rows=300).ref.digest for name in ("one", "two")}
    assert len(digests) == 1
