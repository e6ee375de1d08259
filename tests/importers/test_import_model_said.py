"""What a signature, or an option, says against the model: each contradiction is told, and nothing is read past it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest
import skops.io
from import_model_support import agree, answers, imported
from onnx import TensorProto, helper, numpy_helper
from pmml_support import content
from sklearn.linear_model import LogisticRegression

from bessemer.api import exporting
from bessemer.core.errors import BessemerError, ProjectError, UsageError
from bessemer.importers.models.encoder import asked_beside
from bessemer.importers.models.foreign import Asked, classes_of, number
from bessemer.importers.models.signature import ColumnSaid, Said, signature_of
from bessemer.importers.models.signed import _faults
from bessemer.package.model import Model

FILES = Path(__file__).parent / "onnx"
DRAW = np.random.default_rng(2)
ROWS = pd.DataFrame({"age": DRAW.normal(size=80).round(2), "town": DRAW.choice(["a", "b", "c"], 80)})


def signature(text: str) -> Path:
    Path("signature.yaml").write_text(text)
    return Path("signature.yaml")


def notes(model: Model) -> str:
    return "\n".join(json.loads(model.contents.bytes("provenance.json"))["imported"]["notes"])


def graph(name: str, *nodes: Any, element: int = TensorProto.FLOAT, width: int = 2, **arrays: Any) -> Path:
    """A file with a graph of `x`, (N, width), to `y`, (N, 1)."""
    value = helper.make_tensor_value_info
    made = helper.make_graph(
        list(nodes), "g", [value("x", element, ["N", width])], [value("y", TensorProto.FLOAT, ["N", 1])],
        [numpy_helper.from_array(np.asarray(array), key) for key, array in arrays.items()],
    )  # fmt: skip
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    Path(name).write_bytes(model.SerializeToString())
    return Path(name)


def summed(name: str, element: int) -> Path:
    nodes = [
        helper.make_node("Cast", ["x"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["f", "w"], ["y"]),
    ]
    return graph(name, *nodes, element=element, w=np.ones((2, 1), np.float32))


@pytest.fixture
def words() -> Path:
    """A logistic model that names its classes: low, mid, top."""
    Path("words.onnx").write_bytes((FILES / "logistic_words.onnx").read_bytes())
    return Path("words.onnx")


@pytest.fixture
def net() -> Path:
    """A layer in a Sigmoid, which has no answer where a value is missing."""
    nodes = [helper.make_node("Gemm", ["x", "w", "b"], ["s"]), helper.make_node("Sigmoid", ["s"], ["y"])]
    weight, bias = np.array([[1.5], [-2]], np.float32), np.array([0.25], np.float32)
    return graph("net.onnx", *nodes, w=weight, b=bias)


class TestClasses:
    @pytest.mark.slow
    def test_in_another_order_they_would_swap_labels(self, words: Path) -> None:
        for options in (
            {"classes": ["top", "mid", "low"]},
            {"signature": signature("classes: [top, mid, low]")},
        ):
            with pytest.raises(UsageError, match="the model's own classes in another order") as error:
                imported(words, **options)
            assert "low, mid, top" in error.value.why

    @pytest.mark.slow
    def test_a_signature_gives_no_others_to_a_model_that_names_them(self, words: Path) -> None:
        assert imported(words, classes=["a", "b", "c"]).classes == ("a", "b", "c")
        with pytest.raises(UsageError, match="the signature has other classes than the model"):
            imported(words, signature=signature("classes: [a, b, c]"))

    @pytest.mark.slow
    def test_numbers_get_names(self) -> None:
        Path("m.onnx").write_bytes((FILES / "logistic_zipmap.onnx").read_bytes())
        assert imported(Path("m.onnx"), signature=signature("classes: [no, yes]")).classes == ("no", "yes")
        with pytest.raises(UsageError, match="in another order"):
            imported(Path("m.onnx"), classes=["1", "0"])

    def test_the_rule(self) -> None:
        by_option = Asked(classes=("b", "a"))
        by_signature = Asked(classes=("b", "c"), signature=Said(classes=("b", "c")))
        with pytest.raises(UsageError, match="--classes has the model's own classes in another order"):
            classes_of(by_option, ["a", "b"], 2)
        with pytest.raises(UsageError, match="the signature has other classes than the model"):
            classes_of(by_signature, ["a", "b"], 2)
        assert classes_of(by_option, ["x", "y"], 2) == classes_of(by_option, (), 2) == ("b", "a")
        assert classes_of(by_signature, [0, 1], 2) == classes_of(by_signature, ["b", "c"], 2) == ("b", "c")

    def test_those_of_an_encoder_are_the_models(self) -> None:
        encoder = {"width": 1, "columns": ["x"], "classes": ["no", "yes"]}
        with pytest.raises(UsageError, match="in another order"):
            asked_beside(Asked(classes=("yes", "no")), encoder)


@pytest.mark.slow
class TestWholeNumbers:
    @pytest.mark.parametrize("element", [TensorProto.INT64, TensorProto.DOUBLE])
    def test_a_note_says_that_large_ones_are_rounded(self, element: int) -> None:
        assert "beyond 16,777,216 are rounded" in notes(imported(summed("m.onnx", element)))
        assert "rounded" not in notes(imported(summed("f.onnx", TensorProto.FLOAT)))

    @pytest.mark.parametrize(
        ("column", "said"),
        [
            ("{missing: 16777217}", "`missing` is 16,777,217"),
            ("{domain: {min: 0, max: 1e9}}", "`max` is 1,000,000,000.0"),
            ("{domain: {min: 1.5, max: 3}}", "`min` is 1.5, and its values are whole numbers"),
            ("{missing: 0.5}", "`missing` is 0.5, and its values are whole numbers"),
        ],
    )
    def test_what_would_be_rounded_or_cut_is_refused(self, column: str, said: str) -> None:
        path = signature(f"inputs: {{a: {column}, b: {{domain: {{min: 0, max: 9}}}}}}")
        with pytest.raises(ProjectError, match=said) as error:
            imported(summed("m.onnx", TensorProto.INT64), signature=path)
        assert [fault.path for fault in error.value.faults] == ["inputs.a"]


@pytest.mark.parametrize(
    ("column", "own", "said"),
    [
        ({"domain": {"min": 1.5}}, {"precision": "whole"}, "`min` is 1.5"),
        ({"domain": {"max": 2**24 + 1}}, {"precision": "double"}, "`max` is 16,777,217"),
        ({"dtype": "integer", "domain": {"max": 1.5}}, {}, "`max` is 1.5"),
        ({"nullable": True}, {"nullable": False}, "the model has no answer then"),
        ({"missing": 0.5, "domain": {"max": 2**24 + 1}}, {}, ""),
        ({"missing": 0.5}, {"nullable": False}, ""),
    ],
)
def test_what_is_said_of_a_number_fits_it(column: Any, own: Any, said: str) -> None:
    one = replace(number("a"), **own)
    faults = [what for what, _ in _faults(one, ColumnSaid.model_validate(column))]
    assert len(faults) == bool(said)
    assert said in "".join(faults)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("inputs: {a: {missing: 1.0e+300}}", "too large for 32 bits"),
        ("inputs: {a: {missing: 1, nullable: false}}", "say one of the two"),
        (
            "inputs: {a: {missing: 99, domain: {max: 9}}}",
            "99 stands for a missing value, and is not in its domain",
        ),
        ("inputs: {a: {missing: z, domain: {categories: [x]}}}", "is not in its domain"),
        ("inputs: {a: {domain: {categories: [1, 2], min: 1}}}", "it has categories, and 'min' or 'max'"),
        ('target: "odd\\e[31m"', "the target has a name that nobody can read"),
    ],
)
def test_nonsense_is_a_fault(text: str, said: str) -> None:
    with pytest.raises(ProjectError) as error:
        signature_of(text, "signature.yaml")
    assert said in str(error.value)
    assert len(error.value.faults) == 1


@pytest.fixture
def booster() -> Path:
    table = ROWS.assign(town=pd.Categorical(ROWS["town"]))
    model = lightgbm.LGBMClassifier(n_estimators=3, num_leaves=4, min_child_samples=5, verbose=-1, n_jobs=1)
    model.fit(table, (ROWS["age"] > 0) ^ (ROWS["town"] == "a")).booster_.save_model("model.txt")
    return Path("model.txt")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("inputs: {age: {domain: {categories: [x]}}, town: string}", "its domain has the category 'x'"),
        ("inputs: {age: {}, town: {dtype: string, domain: {categories: [a, b, z]}}}", "does not know the category 'z'"),
        ("inputs: {age: {}, town: {dtype: string, domain: {categories: [a, b]}}}", "its domain lacks the category 'c'"),
        ("inputs: {age: {}, town: {dtype: string, domain: {max: 3}}}", "which have no `min` and no `max`"),
        ("output: probabilities", "the model has one output"),
    ],
)  # fmt: skip
def test_what_a_model_does_not_have_is_a_fault(text: str, said: str, booster: Path) -> None:
    with pytest.raises(ProjectError) as error:
        imported(booster, signature=signature(text))
    assert said in str(error.value)
    assert len(error.value.faults) == 1


def test_columns_in_the_models_own_order_are_taken(booster: Path) -> None:
    path = signature("inputs: {age: {}, town: {dtype: string, domain: {categories: [c, b, a]}}}")
    agree(imported(booster, signature=path), ROWS, answers(imported(booster), ROWS))


@pytest.mark.slow
def test_columns_of_scikit_learn_in_their_own_order_are_taken() -> None:
    table = pd.DataFrame({"age": ROWS["age"], "income": DRAW.normal(size=80)})
    model = LogisticRegression().fit(table, table["age"] > 0)
    skops.io.dump(model, "model.skops")
    made = imported(Path("model.skops"), signature=signature("inputs: {age: {}, income: {domain: {min: 0}}}"))
    assert dict(made.signature.input("income").domain) == {"min": 0}
    agree(made, table, model.predict_proba(table))


@pytest.mark.slow
def test_columns_and_classes_of_a_booster_in_skops_are_its_own() -> None:
    table = pd.DataFrame({"age": ROWS["age"], "income": DRAW.normal(size=80)})
    model = lightgbm.LGBMClassifier(n_estimators=3, num_leaves=4, min_child_samples=5, verbose=-1, n_jobs=1)
    skops.io.dump(model.fit(table, np.where(table["age"] > 0, "yes", "no")), "model.skops")
    text = "classes: [no, yes]\ninputs: [age, income]"
    agree(imported(Path("model.skops"), signature=signature(text)), table, model.predict_proba(table))
    with pytest.raises(UsageError, match="in another order"):
        imported(Path("model.skops"), classes=["yes", "no"])


class TestDocuments:
    """Of PMML, which names its columns and says what stands for missing values."""

    @pytest.fixture
    def document(self) -> Path:
        Path("model.pmml").write_bytes(content("jpmml_lgbm_cat"))
        return Path("model.pmml")

    def test_its_own_columns_are_taken(self, document: Path) -> None:
        first = imported(document)
        path = signature(json.dumps(first.signature.to_json()))
        assert imported(document, signature=path).signature == first.signature
        names = list(reversed([one.name for one in first.signature.inputs]))
        assert (
            imported(document, signature=signature(json.dumps({"inputs": names}))).signature
            == first.signature
        )

    def test_others_are_faults_of_the_signature(self, document: Path) -> None:
        names = [one.name for one in imported(document).signature.inputs]
        with pytest.raises(ProjectError, match="the signature has 2 faults") as error:
            imported(document, signature=signature(json.dumps({"inputs": [*names[1:], "none"]})))
        assert "looks at no such column" in str(error.value)
        assert f"it lacks {names[0]}" in str(error.value)

    def test_it_says_itself_what_stands_for_a_missing_value(self, document: Path) -> None:
        inputs: dict[str, Any] = {one.name: {} for one in imported(document).signature.inputs}
        first = next(iter(inputs))
        inputs[first] = {"missing": 3, "dtype": "boolean"}
        with pytest.raises(ProjectError, match="the document says what stands") as error:
            imported(document, signature=signature(json.dumps({"inputs": inputs})))
        assert "not boolean" in str(error.value)


class TestMissingValues:
    @pytest.mark.slow
    def test_a_net_requires_what_nothing_stands_for(self, net: Path) -> None:
        made = imported(net, columns=["age", "income"])
        assert "no value may be missing" in notes(made)
        assert [one.nullable for one in made.signature.inputs] == [False, False]
        with pytest.raises(BessemerError, match="income"):
            made.predict_rows([{"age": 1.0}])

    @pytest.mark.slow
    def test_a_note_says_only_what_is_left(self, net: Path) -> None:
        made = imported(net, signature=signature("inputs: {age: {missing: 1}, income: {missing: 2}}"))
        assert "missing" not in notes(made)
        assert [one.nullable for one in made.signature.inputs] == [True, True]
        holes = pd.DataFrame({"age": [np.nan, 3.0], "income": [0.5, np.nan]})
        agree(made, holes, answers(made, holes.fillna({"age": 1, "income": 2})))
        half = imported(net, signature=signature("inputs: {age: {missing: 1}, income: {}}"))
        assert "no value of income may be missing" in notes(half)
        assert [one.nullable for one in half.signature.inputs] == [True, False]

    @pytest.mark.slow
    def test_what_has_no_answer_cannot_be_nullable(self, net: Path) -> None:
        with pytest.raises(ProjectError, match="the model has no answer then"):
            imported(net, signature=signature("inputs: {age: {nullable: true}, income: {missing: 2}}"))

    @pytest.mark.slow
    def test_it_is_converted_and_comes_back(self, net: Path) -> None:
        """To a core of ONNX, which knows no missing values either."""
        made = imported(net, columns=["age", "income"], classes=["no", "yes"])
        exporting.export(Path("net.bsm"), "onnx_core", Path("core"))
        back = imported(Path("core/core.onnx"), signature=signature(json.dumps(made.signature.to_json())))
        rows = pd.DataFrame(DRAW.normal(size=(20, 2)), columns=["age", "income"])
        assert back.signature == made.signature
        agree(back, rows, answers(made, rows))
