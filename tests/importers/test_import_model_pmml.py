"""PMML: what the package says is what JPMML-Evaluator says, of values that are missing or unseen too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from import_model_support import imported
from pmml_support import DOCUMENTS, FOLDER, content, rows_of, target_of

from bessemer.api import explain, import_model, load
from bessemer.core.errors import BessemerError, FormatError, UsageError
from bessemer.importers.models.assemble import members_of
from bessemer.importers.models.foreign import Asked
from bessemer.importers.models.pmml.form import Pmml
from bessemer.package.model import Model

ANSWERS = json.loads((FOLDER / "answers.json").read_text("utf-8"))
#: Documents whose answers are neither trees nor weights.
GRAPHS = {
    "clipped", "jpmml_mlp3", "jpmml_poisson", "jpmml_vote", "network", "network_of_classes", "rectified_network",
    "regression_exp", "regression_logit",
}  # fmt: skip
#: Documents that call a function of a missing value: that is missing, says the standard; the evaluator stops at it.
STRICTER = {"jpmml_binned"}


def package(name: str, folder: Path) -> Model:
    (folder / "model").write_bytes(content(name))
    return imported(folder / "model")


def said(model: Model, columns: list[str], rows: list[list[Any]]) -> list[list[float]]:
    """The probabilities by class, sorted, or the number, of each row."""
    found = model.predict_rows([dict(zip(columns, row, strict=True)) for row in rows])
    if model.task == "regression":
        return [[row["prediction"]] for row in found]
    if model.task == "binary":
        first, second = map(str, model.classes)
        shares = [{first: 1 - row["probability"], second: row["probability"]} for row in found]
    else:
        shares = [{str(name): row[f"probability_{name}"] for name in model.classes} for row in found]
    return [[row[name] for name in sorted(row)] for row in shares]


def test_every_document_has_answers() -> None:
    assert sorted(ANSWERS) == DOCUMENTS
    assert all(sum(one is not None for one in each["answers"]) > 10 for each in ANSWERS.values())


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_package_says_what_the_evaluator_says(name: str, tmp_path: Path) -> None:
    model, asked = package(name, tmp_path), ANSWERS[name]
    found = said(model, asked["columns"], asked["rows"])
    for ours, theirs in zip(found, asked["answers"], strict=True):
        if theirs is not None:
            size = max(1.0, *map(abs, theirs))
            assert np.abs(np.array(ours) - theirs).max() <= 1e-6 * size
    if "labels" in asked:
        assert_classes(model, name, found)
    notes = json.loads(model.contents.bytes("provenance.json"))["imported"]["notes"]
    if None in asked["answers"] and name not in STRICTER:
        assert any("has no answer" in note for note in notes)
    kind = model.info["native"]["kind"]
    assert (kind == "head") == (name in GRAPHS)


def assert_classes(model: Model, name: str, shares: list[list[float]]) -> None:
    """The classes stand in the order of the target's values, and a row is of the class that the evaluator says."""
    asked, target = ANSWERS[name], target_of(content(name))
    assert target is not None
    assert [target.plain(str(one)) for one in model.classes] == list(target.values)
    rows = [dict(zip(asked["columns"], row, strict=True)) for row in asked["rows"]]
    for row, own, label in zip(model.predict_rows(rows), shares, asked["labels"], strict=True):
        first, second = sorted(own)[-1:-3:-1]
        if label is not None and first - second > 1e-6:
            assert row["prediction"] == label


@pytest.mark.parametrize("name", ["many_ways_none", "jpmml_lgbm_cat", "jpmml_logistic", "mapped", "network"])
def test_contributions_sum_to_the_score(name: str, tmp_path: Path) -> None:
    model, asked = package(name, tmp_path), ANSWERS[name]
    rows = [dict(zip(asked["columns"], row, strict=True)) for row in asked["rows"] if None not in row][:4]
    for row in explain(model, rows).explanation.content["rows"]:
        assert set(row["contributions"]) <= set(asked["columns"])
        assert row["base"] + sum(row["contributions"].values()) == pytest.approx(row["score"], abs=1e-5)


TREE = content("tree_none").decode()
SUM = content("regression").decode()
CHAIN = content("chain_logit").decode()


@pytest.mark.parametrize(
    ("text", "old", "new", "words"),
    [
        (TREE, "<PMML ", "<!DOCTYPE PMML [<!ENTITY a 'b'>]><PMML ", "has a DOCTYPE"),
        (TREE, "<PMML ", '<!DOCTYPE PMML SYSTEM "file:///etc/passwd"><PMML ', "has a DOCTYPE"),
        (TREE, 'PMML-4_4" version="4.4', 'PMML-3_2" version="3.2', "version '3.2'"),
        (
            TREE,
            '"none"',
            '"weightedConfidence"',
            r"TreeModel\[1\] has missingValueStrategy='weightedConfidence'",
        ),
        (
            TREE.replace("LastP", "NullP"),
            '"x" operator="greaterOrEqual" value="0.1"',
            '"x" operator="greaterOrEqual" value="0.2"',
            "no answer to some rows",
        ),
        (TREE, 'value="0.1"', 'value="1e999"', r"SimplePredicate\[1\] has '1e999'"),
        (TREE, 'value="0.1"', 'value="much"', "no finite number"),
        (TREE, 'field="z"', 'field="zz"', "asks for the field 'zz'"),
        (TREE, 'operator="lessThan"', 'operator="near"', "operator='near'"),
        (TREE, 'name="x" invalid', 'name="x" usageType="cluster" invalid', "usageType='cluster'"),
        (TREE, 'dataType="double"', 'dataType="dateTime"', "dataType='dateTime'"),
        (
            TREE,
            "TreeModel",
            "SupportVectorMachineModel",
            r"SupportVectorMachineModel\[1\] has no model of a kind",
        ),
        (SUM, "NumericPredictor", "SplinePredictor", "SplinePredictor"),
        (SUM, 'coefficient="0.5"', 'coefficient="NaN"', "no finite number"),
        (SUM, 'intercept="0.25"', "", "has no 'intercept'"),
        (SUM, 'normalizationMethod="none"', 'normalizationMethod="probit"', "'probit'"),
        (CHAIN, "modelChain", "median", "multipleModelMethod='median'"),
        (
            CHAIN,
            "<True/>",
            '<SimplePredicate field="x" operator="lessThan" value="0"/>',
            "counts for some rows alone",
        ),
    ],
)
def test_what_cannot_be_kept_is_refused_by_its_place(
    text: str, old: str, new: str, words: str, tmp_path: Path
) -> None:
    assert old in text
    (tmp_path / "model").write_text(text.replace(old, new), "utf-8")
    with pytest.raises(FormatError, match=words):
        imported(tmp_path / "model")


def fields(*names_and_expressions: str) -> bytes:
    """A regression with derived fields."""
    made = "".join(
        f'<DerivedField name="d{i}" dataType="double" optype="continuous">{one}</DerivedField>'
        for i, one in enumerate(names_and_expressions)
    )
    local = f"<LocalTransformations>{made}</LocalTransformations><RegressionTable"
    text = SUM.replace("<RegressionTable", local, 1).replace('name="x" coefficient', 'name="d0" coefficient')
    return text.encode()


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (['<FieldRef field="d1"/>', '<FieldRef field="d0"/>'], "derived of itself"),
        (['<Apply function="system"><Constant>ls</Constant></Apply>'], "the function 'system'"),
        (['<Apply function="uppercase"><FieldRef field="color"/></Apply>'], "the function 'uppercase'"),
        (['<Apply function="concat"><FieldRef field="color"/><Constant>a</Constant></Apply>'], "joins texts"),
        (['<Apply function="exp"/>'], "gives 0 arguments to 'exp'"),
        (
            ['<Apply function="+"><FieldRef field="color"/><Constant>1</Constant></Apply>'],
            "a text where a number",
        ),
        (['<Lag field="x" n="1"/>'], "DerivedField.*has no Apply"),
        (['<NormContinuous field="x"><LinearNorm orig="0" norm="0"/></NormContinuous>'], "two points"),
        (
            ['<MapValues outputColumn="o"><FieldColumnPair field="x" column="i"/></MapValues>'],
            "no InlineTable",
        ),
    ],
)
def test_expressions_that_cannot_be_kept_are_refused(made: list[str], words: str) -> None:
    with pytest.raises(FormatError, match=words):
        Pmml().read(fields(*made), Asked())


def test_a_function_of_the_document_is_one_of_its_expressions(tmp_path: Path) -> None:
    own = (
        '<TransformationDictionary><DefineFunction name="twice" optype="continuous" dataType="double">'
        '<ParameterField name="p"/><Apply function="*"><Constant>2</Constant><FieldRef field="p"/></Apply>'
        "</DefineFunction></TransformationDictionary>"
    )
    call = '<Apply function="twice"><FieldRef field="x"/></Apply>'
    (tmp_path / "a").write_bytes(
        fields(call).replace(b"<RegressionModel", own.encode() + b"<RegressionModel")
    )
    (tmp_path / "b").write_text(SUM.replace('coefficient="0.5"', 'coefficient="1"'), "utf-8")
    columns, rows = rows_of(SUM.encode())
    rows = [row for row in rows if None not in row]
    one, two = (said(imported(tmp_path / name), columns, rows) for name in "ab")
    assert np.allclose(one, two, atol=1e-5)


def test_its_size_and_depth_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    deep = b"<PMML>" + b"<a>" * 600
    with pytest.raises(FormatError, match="500 deep"):
        Pmml().read(deep, Asked())
    monkeypatch.setattr("bessemer.importers.models.pmml.xml.MOST_ELEMENTS", 20)
    with pytest.raises(FormatError, match="more than 20 elements"):
        Pmml().read(SUM.encode(), Asked())


def test_a_tree_that_asks_without_end_is_refused() -> None:
    """Each part of an `xor` is asked on both ways of all before it."""
    parts = "".join(f'<SimplePredicate field="x{i}" operator="lessThan" value="0"/>' for i in range(14))
    test = f'<CompoundPredicate booleanOperator="xor">{parts}</CompoundPredicate>'
    columns = "".join(f'<DataField name="x{i}" optype="continuous" dataType="double"/>' for i in range(14))
    schema = "".join(f'<MiningField name="x{i}"/>' for i in range(14))
    text = (
        f'<PMML version="4.4"><DataDictionary>{columns}</DataDictionary><TreeModel functionName="regression">'
        f'<MiningSchema>{schema}</MiningSchema><Node score="0"><True/><Node score="1">{test}</Node>'
        '<Node score="2"><True/></Node></Node></TreeModel></PMML>'
    )
    with pytest.raises(FormatError, match="grows without end"):
        Pmml().read(text.encode(), Asked())


def test_columns_are_named_by_the_document(tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(content("shares"))
    with pytest.raises(UsageError, match="--columns"):
        imported(tmp_path / "model", columns=["a"])
    assert imported(tmp_path / "model", classes=["stays", "goes"]).classes == ("stays", "goes")


DECIDES = """<OutputField name="prediction" optype="categorical" dataType="string" feature="transformedValue">
  <Apply function="if">
    <Apply function="greaterOrEqual"><FieldRef field="probability(yes)"/><Constant>0.75</Constant></Apply>
    <Constant>yes</Constant><Constant>no</Constant>
  </Apply></OutputField></Output>"""


def test_the_threshold_of_an_output_decides(tmp_path: Path) -> None:
    (tmp_path / "model").write_text(CHAIN.replace("</Output>", DECIDES, 1), "utf-8")
    found = imported(tmp_path / "model").predict_rows([{"x": 1.0}, {"x": 0.0}])
    assert [row["prediction"] for row in found] == ["yes", "no"]
    (tmp_path / "model").write_text(CHAIN.replace("</Output>", DECIDES.replace("0.75", "0.99"), 1), "utf-8")
    model = imported(tmp_path / "model")
    assert model.predict_rows([{"x": 1.0}])[0]["prediction"] == "no"
    assert model.info["decision"]["threshold"] == 0.99


@pytest.mark.slow
@pytest.mark.parametrize("name", ["regression", "chain_logit"])
def test_with_data_it_is_judged_and_explained_as_any_other(name: str, tmp_path: Path) -> None:
    """Features of several columns, and a threshold of its own, are those of the given model."""
    text = content(name).decode().replace("</Output>", DECIDES, 1)
    (tmp_path / "model.pmml").write_text(text, "utf-8")
    alone = imported(tmp_path / "model.pmml")
    rng, n = np.random.default_rng(0), 500
    table = pd.DataFrame(
        {"x": rng.normal(size=n), "z": rng.normal(size=n), "color": rng.choice(["red", "green"], n)}
    )
    answers = alone.predict_rows(table.to_dict("records"))
    if alone.task == "regression":
        table["target"] = [row["prediction"] for row in answers] + rng.normal(size=n) * 0.05
    else:
        sure = np.array([row["probability"] > 0.5 for row in answers])
        table["target"] = np.where(sure ^ (rng.random(n) < 0.05), "yes", "no")
    table.to_parquet(tmp_path / "rows.parquet")
    made = import_model(
        tmp_path / "model.pmml", data=str(tmp_path / "rows.parquet"), target="target", output=tmp_path / "judged.bsm",
        force=True,
    )  # fmt: skip
    judged = load(made.path)
    assert judged.info["features"] == alone.info["features"]
    assert judged.info["decision"] == alone.info["decision"]
    assert "reference.json" in judged.contents
    for one, two in zip(judged.predict_rows(table.to_dict("records")), answers, strict=True):
        assert one == two


ODDITIES = [
    "",
    "9" * 30,
    "-1",
    "nan",
    "1e999",
    "x",
    "y",
    "true",
    "\x01",
    '"',
    "<",
    "none",
    "double",
    "categorical",
]


@settings(
    max_examples=120, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
@given(data=st.data())
def test_damaged_documents_are_models_or_are_refused(data: st.DataObject) -> None:
    """Bytes that are cut out or put in, attributes with other values, elements that are somewhere else."""
    text = content(data.draw(st.sampled_from(DOCUMENTS))).decode()
    for _ in range(data.draw(st.integers(1, 3))):
        mark, until = data.draw(st.sampled_from('"<')), data.draw(st.sampled_from('">'))
        at = text.find(mark, data.draw(st.integers(0, len(text)))) + 1
        end = at + max(0, text[at:].find(until))
        new = data.draw(st.sampled_from(ODDITIES) | st.text(max_size=3))
        text = text[:at] + data.draw(st.sampled_from([new, new, text[at:end] * 2, ""])) + text[end:]
    try:
        found = Pmml().read(text.encode("utf-8", "replace"), Asked())
        members_of(found, title="PMML", data=b"", name="m", version="1", target="target")
    except BessemerError:
        return
    assert found.inputs
