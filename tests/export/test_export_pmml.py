"""PMML, as JPMML-Evaluator reads it in Java."""

from __future__ import annotations

import json
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from derived_support import model as derived
from packages_support import model
from readme_support import run_readme

from bessemer.api import Project
from bessemer.environments.plugins import ENVIRONMENTS
from bessemer.export.plugins import TARGETS
from bessemer.export.pmml.words import text
from bessemer.export.proof import Proof
from bessemer.export.protocol import Source, UncarriedError
from bessemer.package.model import Model, load
from bessemer.testing.targets import check_target

pytestmark = pytest.mark.slow

_PMML = "{http://www.dmg.org/PMML-4_4}"
#: Categories that XML, or a reader of it, could spoil.
_CITIES = ("", "Oslo", " padded ", '<a & "b">', "tab\there", "line\nbreak", "\u00fc \u2603", "0", "1.0")


@cache
def odd() -> Model:
    """A model of odd categories, booleans, derived columns and missing values."""
    import pyarrow as pa
    import pyarrow.parquet

    rng, n = np.random.default_rng(3), 500
    city, amount, visits = rng.choice(_CITIES, n), rng.gamma(2, 20, n), rng.integers(0, 9, n)
    member = rng.random(n) < 0.4
    odds = amount / 40 + np.isin(city, ["", "0", " padded "]) + member - 2
    columns = {
        "city": city.tolist(),
        "f1": [None if i % 11 == 0 else float(a) for i, a in enumerate(amount)],
        "visits": visits,
        "member": [None if i % 7 == 0 else bool(m) for i, m in enumerate(member)],
        "pays": (rng.random(n) < 1 / (1 + np.exp(-odds))).tolist(),
    }
    folder = Path(tempfile.mkdtemp(prefix="bessemer-odd-"))
    pa.parquet.write_table(pa.table(columns), folder / "rows.parquet")
    derive = {
        "rate": "f1 / nullif(visits, 0)",
        "north": "case when city = 'Oslo' or city = '0' then 1 else 0 end",
        "grown": "ln(1 + abs(f1))",
    }
    text = f"name: odd\ndata: rows.parquet\ntarget: pays\nprepare:\n  derive: {derive}\n"
    text += "train: {learner: lightgbm, rounds: 20}\npackage: {ignore_gates: true}\n"
    (folder / "bessemer.yaml").write_text(text, encoding="utf-8")
    run = Project(folder / "bessemer.yaml").run()
    assert run.package is not None
    return load(Path(run.package))


def proven(package: Model, folder: Path) -> Proof:
    proof = check_target("pmml", TARGETS.load("pmml"), package, folder)
    assert isinstance(proof, Proof), proof
    assert not proof.not_run
    assert proof.flips == 0
    return proof


@pytest.mark.parametrize(
    ("kind", "most"),
    [
        ("lightgbm", 2e-7),
        ("logistic", 2e-7),
        ("forest", 2e-7),
        ("regression", 4e-7),
        ("ensemble", 5e-7),
        ("table_net", 4e-7),
    ],
)
def test_raw_rows_are_scored_as_by_the_package(kind: str, most: float, tmp_path: Path) -> None:
    proof = proven(model(kind), tmp_path)
    assert "JPMML-Evaluator" in proof.runtime
    assert proof.difference < most
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["model.pmml"]


def test_odd_texts_booleans_and_derived_columns(tmp_path: Path) -> None:
    assert proven(odd(), tmp_path).difference < 2e-7
    assert not (tmp_path / "one" / "encoder.json").exists()


def test_empty_texts_and_infinite_numbers_are_missing(tmp_path: Path) -> None:
    """In the package, so in the document."""
    target: Any = TARGETS.load("pmml")
    package = odd()
    target(target.Settings()).export(Source(package), tmp_path)
    rows = [
        {"city": city, "f1": f1, "visits": 3, "member": member}
        for city in _CITIES
        for f1, member in ((12.5, True), (float("inf"), False), (float("nan"), None), (-1e39, None))
    ]
    rows[0]["city"] = None
    code = (
        "import json, sys\nimport pandas as pd\nfrom jpmml_evaluator import make_evaluator\n"
        "rows = pd.DataFrame(json.loads(sys.argv[1]), dtype=object)\n"
        "made = make_evaluator('model.pmml').evaluateAll(rows)\n"
        "print(json.dumps([float(p) for p in made['probability(True)']]))"
    )
    ENVIRONMENTS["pmml"].ensure(print)
    done = subprocess.run(
        [str(ENVIRONMENTS["pmml"].program), "-c", code, json.dumps(rows)],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    expected = [row["probability"] for row in package.predict_rows(rows)]
    assert json.loads(done.stdout) == pytest.approx(expected, abs=2e-7)


def test_what_has_no_form_takes_features(tmp_path: Path) -> None:
    """Moments: the encoder goes beside it, and the fields have the features' names."""
    assert proven(derived(), tmp_path).difference < 2e-7
    assert (tmp_path / "one" / "encoder.json").is_file()
    document = ElementTree.parse(tmp_path / "one" / "model.pmml")
    names = {field.get("name") for field in document.iter(f"{_PMML}DataField")}
    assert names - {"Pays €"} <= {feature["name"] for feature in derived().info["features"]}


@pytest.mark.parametrize(("package", "why"), [("convnet", "Loop"), ("words", "StringSplit")])
def test_what_cannot_be_said_is_refused_by_name(package: str, why: str, tmp_path: Path) -> None:
    source = derived(package) if package == "words" else model(package)
    told = check_target("pmml", TARGETS.load("pmml"), source, tmp_path)
    assert isinstance(told, str)
    assert why in told


@pytest.mark.parametrize(
    ("module", "name", "why"),
    [
        ("trees", "MOST_BRANCHES", "branches"),
        ("trees", "DEEPEST", "deeper"),
        ("fields", "MOST_FIELDS", "derived fields"),
    ],
)
def test_what_an_engine_could_not_hold_is_refused(
    module: str, name: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"bessemer.export.pmml.{module}.{name}", 1)
    target: Any = TARGETS.load("pmml")
    with pytest.raises(UncarriedError, match=why):
        target(target.Settings()).refuses(Source(model("lightgbm")))


@pytest.mark.parametrize("bad", ["a\x00b", "a\rb", "\ud800", "\uffff"])
def test_characters_that_xml_lacks_are_refused(bad: str) -> None:
    with pytest.raises(UncarriedError, match="XML"):
        text(bad)


def test_without_java_it_is_not_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", "")
    proof = check_target("pmml", TARGETS.load("pmml"), model("lightgbm"), tmp_path)
    assert isinstance(proof, Proof)
    assert "Java 11" in proof.not_run


@pytest.mark.parametrize("package", ["lightgbm", "derived"])
def test_its_readme_runs_as_it_stands(package: str, tmp_path: Path) -> None:
    source = derived() if package == "derived" else model(package)
    ENVIRONMENTS["pmml"].ensure(print)
    said = run_readme(TARGETS.load("pmml"), source, tmp_path / "out", ENVIRONMENTS["pmml"].program)
    assert "'prediction': " in said
    assert "_sum" not in said  # what segments hand on is no answer
