"""Splits carry further targets, which are never inputs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bessemer.core.artifact import ArtifactRef
from bessemer.core.errors import DataError, ProjectError
from bessemer.prepare.check import check_columns
from bessemer.prepare.spec import PrepareSpec
from bessemer.prepare.stage import run

FURTHER: list[dict[str, Any]] = [
    {"name": "n", "task": "regression", "classes": []},
    {"name": "c", "task": "multiclass", "classes": ["a", "b", "c"]},
    {"name": "t", "task": "binary", "classes": [False, True]},
]
QUERY = """
SELECT i % 2 = 0 AS y, CASE WHEN i % 7 > 0 THEN i / 4 END AS n, CASE i % 4 WHEN 0 THEN 'a' WHEN 1 THEN 'b'
WHEN 2 THEN 'c' END AS c, i % 3 = 0 AS t, i AS x, hash(i) % 1000 / 1000.0 AS z FROM range(4000) r(i)
"""


def prepared(bench: Any, query: str = QUERY, further: list[dict[str, Any]] = FURTHER, **spec: Any) -> Any:
    ctx = bench.context()
    labelled = ctx.open(bench.labelled(ctx, query, "y", "binary"))
    meta = {**labelled.meta, "further": further}
    given: ArtifactRef = ctx.store.put("labelled", {"data.parquet": labelled.path("data.parquet")}, meta)
    made = run(PrepareSpec.model_validate(spec), {"labelled": given}, ctx)
    return {name: ctx.open(ref) for name, ref in made.items()}


def test_each_part_has_them_beside_its_rows(bench: Any) -> None:
    import pyarrow.parquet as pq

    made = prepared(bench)
    assert made["splits"].meta["further"] == FURTHER
    names = [field["name"] for field in made["preprocessor"].json("signature.json")["inputs"]]
    assert names == ["x", "z"]
    for part in ("train", "valid", "test"):
        rows = pq.ParquetFile(made["splits"].path(f"{part}.parquet")).read()
        further = np.load(made["splits"].path(f"{part}.further.npy"))
        assert (further.dtype, further.shape) == (np.float64, (rows.num_rows, 3))
        codes = {"a": 0.0, "b": 1.0, "c": 2.0, None: np.nan}
        np.testing.assert_array_equal(further[:, 0], np.array(rows["n"].to_pylist(), dtype=np.float64))
        np.testing.assert_array_equal(further[:, 1], [codes[value] for value in rows["c"].to_pylist()])
        np.testing.assert_array_equal(further[:, 2], rows["t"].to_numpy().astype(float))
        assert np.isnan(further[:, :2]).any(axis=0).all()


def test_without_any_there_is_no_array(bench: Any) -> None:
    made = prepared(bench, further=[])
    assert not [name for name in made["splits"].files if "further" in name]


def test_what_alone_tells_one_of_them_is_warned_of(bench: Any) -> None:
    """x orders n, which a seventh of the rows lack, and says nothing of y, c and t."""
    prepared(bench)
    told = [text for kind, text in bench.said if kind == "warning" and "alone tells" in text]
    assert len(told) == 1
    assert "x alone tells 'n' (nearly) perfectly" in told[0]


def test_no_setting_makes_an_input_of_them() -> None:
    columns = {"y": "BOOLEAN", "n": "DOUBLE", "c": "VARCHAR", "x": "BIGINT"}
    shared = {"target": "y", "task": "binary", "further": [["n", None], ["c", None], ["far", None]]}
    spec = PrepareSpec.model_validate(
        {
            "split": {"group": "c"},
            "weight": "n",
            "exclude": ["n"],
            "derive": {"twice": "n * 2", "far": "x > 10"},
            "columns": {"c": {"as": "categorical"}},
        }
    )
    told = {fault.path: fault.what for fault in check_columns(spec, columns, shared)}
    assert told == {
        "prepare.split.group": "'c' is a target",
        "prepare.weight": "'n' is a target",
        "prepare.exclude.0": "'n' is a target, which is never a feature",
        "prepare.derive.twice": "uses the target 'n', which is not known when the model predicts",
        "prepare.derive.far": "'far' is a target, and what is derived here is an input",
        "prepare.columns.c": "'c' is a target, which is never a feature",
    }
    single = {"target": "y", "task": "binary", "further": []}
    alone = PrepareSpec.model_validate({"exclude": ["y"]})
    assert check_columns(alone, columns, single)[0].what == "'y' is the target, which is never a feature"


@pytest.mark.parametrize("name", ["prediction_n", "probability_c", "score_t"])
def test_an_input_with_the_name_of_an_answer_is_refused(bench: Any, name: str) -> None:
    with pytest.raises(DataError, match=f"a column is named '{name}'"):
        prepared(bench, QUERY.replace("i AS x", f"i AS {name}"))


def test_a_given_package_is_not_fed_with_them(tmp_path: Path) -> None:
    from bessemer.core.further import Further
    from bessemer.core.signature import Field, Signature
    from bessemer.package.given import Given
    from bessemer.prepare.given import _check
    from bessemer.prepare.labelled import Labelled

    given = Given("m.bsm", Signature((Field("n", "number", "float32"),), ()), {}, b"", b"")
    given.__dict__["inputs"] = given.signature.inputs
    data = Labelled(tmp_path, 9, {"y": "boolean", "n": "number"}, "y", "binary", (False, True))
    _check(given, data)
    with pytest.raises(ProjectError, match="takes a column 'n', which the data does not have"):
        _check(given, replace(data, further=(Further("n", "regression"),)))
