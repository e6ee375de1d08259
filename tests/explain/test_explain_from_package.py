"""Explaining rows with a package alone, from Python and from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bessemer.api import explain, load
from bessemer.cli import main
from bessemer.core.errors import DataError, UsageError
from bessemer.core.signature import Field
from bessemer.explain.from_package import actual_of, sample_of, typed
from bessemer.explain.profile_rows import drawn_values
from bessemer.package import keys
from bessemer.package.write import write_package
from bessemer.testing.explainers import check_explanation
from bessemer.testing.models import tiny_model

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


class Shipped:
    """A package of `made(task)` with its profile, some test rows with their target, and the training rows."""

    def __init__(self, one: Any, task: str, folder: Path) -> None:
        from bessemer.profile.spec import ProfileSpec
        from bessemer.profile.stage import run as profile

        model, splits = (one.store.get(one.refs[name]) for name in ("model", "splits"))
        spec = ProfileSpec(window=200, replicates=100)
        reference = one.store.get(profile(spec, one.refs, one.context("profile"))["reference"])
        members = {name: model.bytes(name) for name in model.files if not name.startswith("baselines/")}
        members["reference.json"] = reference.bytes("reference.json")
        self.package, self.key = folder / f"{task}.bsm", folder / "key.pub"
        about: dict[str, Any] = {"name": task, "version": "1", "created": "2026-01-01T00:00:00Z"}
        write_package(self.package, members, **about, task=task, target="y", key=KEY)
        self.key.write_bytes(keys.public_pem(keys.public_of(KEY)))
        self.test, self.train = (folder / f"{part}.parquet" for part in ("test", "train"))
        for part in (self.test, self.train):
            part.write_bytes(splits.bytes(part.name))
        self.csv = folder / "rows.csv"
        pa.csv.write_csv(pq.read_table(self.test).slice(0, 12), self.csv)

    @property
    def model(self) -> Any:
        return load(self.package, key=self.key)

    def say(self, *words: str) -> list[str]:
        return ["explain", str(self.package), str(self.csv), "--key", str(self.key), *words]


@pytest.fixture(scope="module")
def shipped(made: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Shipped]:
    known: dict[str, Shipped] = {}

    def get(task: str) -> Shipped:
        if task not in known:
            known[task] = Shipped(made(task), task, tmp_path_factory.mktemp(task))
        return known[task]

    return get


LOCAL = {
    "": {},
    "lime": {"samples": 200},
    "anchors": {"samples": 1000, "check": 100},
    "counterfactuals": {"count": 1},
    "prototypes": {},
}


@pytest.mark.parametrize("name", LOCAL)
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_every_explainer_of_rows_works_from_a_package_alone(
    shipped: Callable[[str], Shipped], task: str, name: str
) -> None:
    one = shipped(task)
    table = pq.read_table(one.test).slice(0, 20)
    found = explain(one.model, table, name, settings=LOCAL[name], asked=[3, 0])
    subject, sample = sample_of(one.model, table, asked=[3, 0])
    check_explanation(found.explanation, subject, sample)
    if name != "prototypes":
        assert [row["row"] for row in found.explanation.content["rows"]] == [3, 0]
    if name not in ("", "prototypes"):
        assert "profile of the training rows" in found.explanation.baseline.text
    assert json.loads(json.dumps(found.to_json(), allow_nan=False)) == found.to_json()
    assert found.rows[0]["actual"] in (
        one.model.classes or [pytest.approx(float(table.column("y")[3].as_py()))]
    )


def test_the_contributions_are_those_that_predict_gives(shipped: Callable[[str], Shipped]) -> None:
    one = shipped("multiclass")
    table = pq.read_table(one.test).slice(0, 5)
    shown = one.model.predict(table, explain=True).to_pylist()
    for found, row in zip(explain(one.model, table).explanation.content["rows"], shown, strict=True):
        assert found["class"] == row["prediction"]
        assert found["score"] == pytest.approx(row["score"], abs=1e-5)
        for group, value in found["contributions"].items():
            assert value == pytest.approx(row[f"contribution_{group}"], abs=1e-6)


def test_influence_needs_the_training_rows_and_takes_them_as_the_background(
    shipped: Callable[[str], Shipped],
) -> None:
    one = shipped("binary")
    rows = pq.read_table(one.test).slice(0, 2)
    with pytest.raises(UsageError, match="--background"):
        explain(one.model, rows, "influence")
    found = explain(one.model, rows, "influence", background=pq.read_table(one.train))
    assert found.explanation.content["rows"][0]["helpful"]
    assert found.explanation.error.value > 0.9  # type: ignore[operator]


def test_rows_without_a_target_are_explained_but_not_judged(shipped: Callable[[str], Shipped]) -> None:
    one = shipped("binary")
    rows = pq.read_table(one.test).slice(0, 3).drop_columns(["y"])
    assert "actual" not in explain(one.model, rows).rows[0]
    with pytest.raises(UsageError, match="add the column 'y'"):
        explain(one.model, rows, "permutation")


@pytest.mark.slow
def test_a_csv_gives_what_the_table_gives(shipped: Callable[[str], Shipped], tmp_path: Path) -> None:
    one = shipped("binary")
    table = pq.read_table(one.test).slice(0, 12)
    asked = {"settings": {"count": 2}, "asked": [1, 2]}
    expected = explain(one.model, table, "counterfactuals", **asked).to_json()
    assert explain(one.model, one.csv, "counterfactuals", **asked).to_json() == expected
    jsons = tmp_path / "rows.json"
    jsons.write_text(json.dumps(table.to_pylist(), default=lambda v: v.isoformat()))
    assert explain(one.model, jsons, "counterfactuals", **asked).to_json() == expected
    assert explain(one.model, table.to_pylist(), "counterfactuals", **asked).to_json() == expected


@pytest.mark.slow
def test_the_same_seed_says_the_same_and_another_may_not(shipped: Callable[[str], Shipped]) -> None:
    one = shipped("regression")
    first, again, other = (
        explain(one.model, one.csv, "lime", settings={"samples": 200}, asked=[0], seed=seed).to_json()
        for seed in (1, 1, 2)
    )
    assert first == again != other


def test_what_cannot_be_is_refused_with_a_way_out(shipped: Callable[[str], Shipped]) -> None:
    one = shipped("binary")
    for words, message in [
        ({"with_": "lyme"}, "did you mean 'lime'"),
        ({"with_": "lime", "settings": {"samplez": 3}}, "it has rows, samples"),
        ({"settings": {"samples": 3}}, "has no settings"),
        ({"asked": [99]}, "counted from 0 to 11"),
    ]:
        with pytest.raises(UsageError, match=message):
            explain(one.model, one.csv, **words)
    with pytest.raises(DataError, match="no rows"):
        explain(one.model, pq.read_table(one.test).slice(0, 0))
    with pytest.raises(DataError, match="no class of the model"):
        explain(one.model, [{**pq.read_table(one.test).slice(0, 1).to_pylist()[0], "y": "perhaps"}])
    with pytest.raises(DataError, match="strong"):
        explain(one.model, pa.table({"strong": ["much"]}))


@pytest.mark.parametrize("told", [[1, 3, None], [1.0, 3.0, None], ["1", "3", ""], ["1.0", "3", None]])
def test_classes_are_read_as_files_write_them(told: list[Any]) -> None:
    """A frame with gaps makes numbers of whole ones; a CSV has texts, empty where there is none."""
    found = actual_of(tiny_model("multiclass"), pa.table({tiny_model("multiclass").signature.target: told}))
    np.testing.assert_array_equal(found, [0.0, 2.0, np.nan])


def test_types_are_made_alike_in_all_tables() -> None:
    inputs = [Field(name, kind, "float32") for name, kind in (("n", "integer"), ("b", "boolean"))]  # type: ignore[arg-type]
    inputs += [Field("s", "string", "string"), Field("t", "timestamp", "int64")]
    whole, broken = typed(
        [
            pa.table({"n": [1, None], "b": ["true", ""], "s": pa.array(["x", "y"]).dictionary_encode()}),
            pa.table({"n": [1.5, float("nan")], "b": [True, None], "s": [1, 2], "t": ["2020-01-01", None]}),
        ],
        inputs,
    )
    assert whole.schema == broken.schema
    assert whole.to_pylist() == [
        {"n": 1.0, "b": True, "s": "x", "t": None},
        {"n": None, "b": None, "s": "y", "t": None},
    ]
    assert broken.column("n").to_pylist() == [1.5, None]
    assert str(broken.column("t")[0]) == "2020-01-01 00:00:00"


def test_values_are_drawn_as_often_as_the_profile_has_them(shipped: Callable[[str], Shipped]) -> None:
    one = shipped("binary")
    columns, rng = one.model.reference["columns"], np.random.default_rng(0)
    train = pq.read_table(one.train)
    cities = drawn_values(columns["city"], 20_000, rng)
    for name in set(cities):
        assert cities.count(name) / 20_000 == pytest.approx(
            train.column("city").to_pylist().count(name) / len(train), abs=0.02
        )
    noise = drawn_values(columns["noise"], 20_000, rng)
    known = [value for value in noise if value is not None]
    assert 1 - len(known) / 20_000 == pytest.approx(train.column("noise").null_count / len(train), abs=0.02)
    real = np.array(train.column("noise").drop_null())
    assert np.quantile(known, [0.1, 0.5, 0.9]) == pytest.approx(np.quantile(real, [0.1, 0.5, 0.9]), abs=0.15)
    assert set(known) <= set(real)
    assert drawn_values({}, 3, rng) == [None] * 3
    assert drawn_values({"edges": [7], "counts": [], "missing": 0, "dtype": "integer"}, 2, rng) == [7, 7]


# The command


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ((), ["base", "score", "strong", "additivity gap", "--with counterfactuals"]),
        (("--with", "lime", "--set", "samples=200"), ["base", "local gap"]),
        (("--with", "anchors", "--set", "samples=1000"), ["holds it in", "of such rows"]),
        (("--with", "counterfactuals", "--set", "immutable=seen,weak col"), [" if ", "→"]),
        (("--with", "prototypes"), ["rows that stand for all"]),
        (("--with", "permutation", "--set", "repeats=2"), ["strong"]),
        (("--with", "ice", "--set", "rows=12"), ["--json"]),
    ],
)
def test_the_command_shows_each_kind(
    shipped: Callable[[str], Shipped], words: tuple[str, ...], shown: list[str], capsys: Any
) -> None:
    one = shipped("binary")
    main(one.say("--first", "2", *words))
    out = capsys.readouterr().out
    assert all(text in out for text in shown), out


def test_the_waterfall_ends_at_the_score(shipped: Callable[[str], Shipped], capsys: Any) -> None:
    one = shipped("regression")
    main(one.say("--row", "4"))
    out = capsys.readouterr().out
    parts = [line.split("█")[0].split("▏")[0].split("│")[0].split() for line in out.splitlines()]
    moved = [float(words[-1]) for words in parts if words and words[-1][0] in "+-" and words[0] != "compared"]
    score = float(next(words[1] for words in parts if words and words[0] == "score"))
    assert sum(moved) == pytest.approx(score, rel=2e-3)


def test_json_has_all_of_it(shipped: Callable[[str], Shipped], capsys: Any) -> None:
    one = shipped("binary")
    main(
        one.say(
            "--row", "2", "--with", "counterfactuals", "--set", "increase=strong", "--json", "--seed", "5"
        )
    )
    found = json.loads(capsys.readouterr().out)
    assert (found["model"], found["explainer"], found["kind"]) == (
        "binary",
        "counterfactuals",
        "counterfactuals",
    )
    assert [row["row"] for row in found["rows"]] == [2]
    assert found["baseline"]["text"]
    assert found["error"]["text"]


def test_influence_from_the_command(shipped: Callable[[str], Shipped], capsys: Any) -> None:
    one = shipped("binary")
    main(one.say("--row", "1", "--with", "influence", "--background", str(one.train)))
    assert "speak for it" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "fix"),
    [
        (("--with", "anchor"), "did you mean 'anchors'"),
        (("--with", "lime", "--set", "rows"), "--set rows=VALUE"),
        (("--row", "50"), "counted from 0"),
        (("--with", "influence"), "--background"),
    ],
)
def test_faults_of_the_command_say_what_to_do(
    shipped: Callable[[str], Shipped], words: tuple[str, ...], fix: str, capsys: Any
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(shipped("binary").say(*words))
    assert stop.value.code == 2
    assert fix in capsys.readouterr().err
