"""PMML: what a document may cost, the class that it names, and rows to which it has no answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from import_model_support import imported
from pmml_support import content

from bessemer.core.errors import FormatError
from bessemer.importers.models.assemble import members_of
from bessemer.importers.models.foreign import Asked, Foreign
from bessemer.importers.models.pmml.form import Pmml
from bessemer.importers.models.pmml.literals import literals
from bessemer.importers.models.pmml.xml import _Reader, parse
from bessemer.package.model import Model

X, TWO = '<FieldRef field="x"/>', '<Constant dataType="integer">2</Constant>'
PMML = "bessemer.importers.models.pmml"
CLASSES = '<DataField name="y" optype="categorical" dataType="string"><Value value="a"/><Value value="b"/></DataField>'


def column(name: str, kind: str = "double") -> str:
    return f'<DataField name="{name}" optype="continuous" dataType="{kind}"/>'


def categories(*values: str, name: str = "c", kind: str = "string") -> str:
    listed = "".join(f'<Value value="{value}"/>' for value in values)
    return f'<DataField name="{name}" optype="categorical" dataType="{kind}">{listed}</DataField>'


def schema(*names: str) -> str:
    """Of these columns and the target y."""
    active = "".join(f'<MiningField name="{name}"/>' for name in names)
    return f'<MiningSchema><MiningField name="y" usageType="target"/>{active}</MiningSchema>'


def document(columns: str, model: str, common: str = "") -> bytes:
    inside = f"<DataDictionary>{columns}</DataDictionary>"
    if common:
        inside += f"<TransformationDictionary>{common}</TransformationDictionary>"
    return f'<PMML version="4.4" xmlns="http://www.dmg.org/PMML-4_4">{inside}{model}</PMML>'.encode()


def weighed(common: str, kind: str = "double") -> bytes:
    """The derived field d, of x."""
    table = '<RegressionTable intercept="0"><NumericPredictor name="d" coefficient="1"/></RegressionTable>'
    model = f'<RegressionModel functionName="regression">{schema("x")}{table}</RegressionModel>'
    return document(column("x", kind) + column("y"), model, common)


def derived(expression: str, kind: str = "double", name: str = "d") -> str:
    return f'<DerivedField name="{name}" optype="continuous" dataType="{kind}">{expression}</DerivedField>'


def node(score: str, test: str = "<True/>", inside: str = "") -> str:
    return f'<Node score="{score}">{test}{inside}</Node>'


def passes(operator: str, value: str, field: str = "x") -> str:
    return f'<SimplePredicate field="{field}" operator="{operator}" value="{value}"/>'


def shares(**counts: int) -> str:
    return "".join(f'<ScoreDistribution value="{name}" recordCount="{n}"/>' for name, n in counts.items())


def tree(nodes: str, columns: str = "x", kind: str = "classification", strategy: str = "none") -> str:
    return (
        f'<TreeModel functionName="{kind}" missingValueStrategy="{strategy}">{schema(*columns)}'
        f"<Node><True/>{nodes}</Node></TreeModel>"
    )


def read(data: bytes) -> Foreign:
    return Pmml().read(data, Asked())


def model_of(data: bytes, folder: Path) -> Model:
    (folder / "model").write_bytes(data)
    return imported(folder / "model")


def predictions(model: Model, *rows: dict[str, Any]) -> list[Any]:
    return [row["prediction"] for row in model.predict_rows(list(rows))]


def doubling(times: int) -> str:
    """Functions that call the one before them twice."""
    body, made = '<FieldRef field="p"/>', ""
    for i in range(times):
        sides = f'<Apply function="f{i - 1}"><FieldRef field="p"/></Apply>' * 2 if i else body * 2
        made += (
            f'<DefineFunction name="f{i}" optype="continuous" dataType="double"><ParameterField name="p"/>'
            f'<Apply function="+">{sides}</Apply></DefineFunction>'
        )
    return made + derived(f'<Apply function="f{times - 1}"><FieldRef field="x"/></Apply>')


def test_functions_that_call_functions_are_counted_over_the_whole_document(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(f"{PMML}.budget.MOST_STEPS", 1_000)
    assert read(weighed(doubling(4))).inputs
    with pytest.raises(FormatError, match="unfold to more than 1,000 elements"):
        read(weighed(doubling(19)))


def test_texts_in_many_parts_are_one() -> None:
    parts = "<!-- -->".join("ab" * 50)
    root = parse(f"<PMML>{parts}<a>c</a>{parts}<Extension>d</Extension></PMML>".encode())
    assert (root.text, root.children[0].text) == ("ab" * 100, "c")
    reader = _Reader()
    reader.start("a", {})
    reader.said("b")
    assert reader.root is not None
    assert reader.root.text == ""  # it is joined once, at the end
    reader.end("a")
    assert reader.root.text == "b"


def test_a_table_of_several_fields_is_not_walked() -> None:
    rows = "<InlineTable><row><c>red</c><o>1</o></row></InlineTable>"
    pair = '<FieldColumnPair field="c" column="c"/>'
    for count, found in ((1, {"red": None}), (2, None)):
        made = f'<MapValues outputColumn="o">{pair * count}{rows}</MapValues>'
        assert literals(parse(weighed(derived(made)))).get("c") == found


def test_texts_of_a_chain_of_derived_fields_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    chain = "".join(
        derived(f'<NormDiscrete field="{f"d{i - 1}" if i else "x"}" value="v{i}"/>', name=f"d{i}")
        for i in range(60)
    )
    assert len(literals(parse(weighed(chain)))["x"]) == 60
    monkeypatch.setattr(f"{PMML}.literals._MOST_TEXTS", 1_000)
    with pytest.raises(FormatError, match="more than 1,000 texts"):
        literals(parse(weighed(chain)))


def test_expressions_in_expressions_are_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    inside = X + '<Constant dataType="string">v</Constant>'
    for _ in range(20):
        inside = f'<Apply function="abs"><MapValues>{inside}</MapValues></Apply>'
    monkeypatch.setattr(f"{PMML}.literals._MOST", 1)
    assert literals(parse(weighed(derived(inside)))) == {"x": {"v": None}}


def one_hot(count: int) -> bytes:
    names = [f"v{i}" for i in range(count)]
    weights = "".join(f'<CategoricalPredictor name="c" value="{name}" coefficient="2"/>' for name in names)
    model = f'{schema("c")}<RegressionTable intercept="0">{weights}</RegressionTable>'
    return document(
        categories(*names) + column("y"),
        f'<RegressionModel functionName="regression">{model}</RegressionModel>',
    )


def size(count: int) -> int:
    """Of all that the package has."""
    _, made = members_of(read(one_hot(count)), title="PMML", data=b"", name="m", version="1", target="target")
    return sum(map(len, made.values()))


def test_a_category_more_is_a_comparison_more_and_no_table() -> None:
    assert size(160) - size(80) < 2.2 * (size(80) - size(40))


def test_tables_are_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{PMML}.budget.MOST_CELLS", 30)
    assert read(one_hot(10)).inputs
    with pytest.raises(FormatError, match="more than 30 values together"):
        read(one_hot(30))


def halves(first: str, second: str) -> bytes:
    """A tree whose second leaf has as many rows of each class."""
    nodes = node(first, passes("lessOrEqual", "1"), shares(a=60, b=40))
    nodes += node(second, passes("greaterThan", "1"), shares(a=5, b=5))
    return document(column("x") + CLASSES, tree(nodes, strategy="lastPrediction"))


def test_a_leaf_that_names_another_class_than_its_shares_is_refused(tmp_path: Path) -> None:
    words = r"TreeModel\[1\]/Node\[1\]/Node\[1\] names the class 'b', and 'a' has the greater share"
    with pytest.raises(FormatError, match=words):
        read(halves("b", "a"))
    assert not any("same share" in note for note in read(halves("a", "a")).notes)
    assert any("same share" in note for note in read(halves("a", "b")).notes)
    assert predictions(model_of(halves("a", "b"), tmp_path), {"x": 0.0}, {"x": 2.0}) == ["a", "a"]


@pytest.mark.parametrize(
    ("kind", "values", "classes"),
    [
        ("integer", ("0", "1"), (0, 1)),
        ("integer", ("1", "0"), (1, 0)),
        ("boolean", ("false", "true"), (False, True)),
        ("boolean", ("true", "false"), (True, False)),
        ("string", ("1", "0"), ("1", "0")),
    ],
)
def test_classes_stand_in_the_order_of_the_targets_values(
    kind: str, values: tuple[str, str], classes: tuple[Any, Any]
) -> None:
    for first, second in (values, values[::-1]):
        nodes = node(first, passes("lessOrEqual", "1")) + node(second, passes("greaterThan", "1"))
        data = document(column("x") + categories(*values, name="y", kind=kind), tree(nodes))
        assert read(data).classes == classes


@pytest.mark.parametrize(
    ("operators", "answer"),
    [
        (("lessOrEqual", "greaterThan"), 2.0),
        (("greaterThan", "lessOrEqual"), 2.0),
        (("lessThan", "greaterOrEqual"), 2.0),
        (("equal", "notEqual"), 2.0),
        (("notEqual", "equal"), 2.0),
    ],
)
def test_a_missing_number_fails_the_test_that_the_document_asks(
    operators: tuple[str, str], answer: float, tmp_path: Path
) -> None:
    nodes = "".join(node(str(i), passes(name, "1")) for i, name in enumerate(operators, 1))
    model = model_of(document(column("x") + column("y"), tree(nodes, kind="regression")), tmp_path)
    assert predictions(model, {"x": None}) == [answer]
    notes = json.loads(model.contents.bytes("provenance.json"))["imported"]["notes"]
    assert any("counts as one that fails the test" in note for note in notes)


@pytest.mark.parametrize("operators", [("isIn", "isNotIn"), ("isNotIn", "isIn")])
def test_a_missing_category_fails_the_test_that_the_document_asks(
    operators: tuple[str, str], tmp_path: Path
) -> None:
    inside = '<Array n="2" type="string">u v</Array>'
    nodes = "".join(
        node(str(i), f'<SimpleSetPredicate field="c" booleanOperator="{name}">{inside}</SimpleSetPredicate>')
        for i, name in enumerate(operators, 1)
    )
    data = document(categories("u", "v", "w") + column("y"), tree(nodes, "c", "regression"))
    assert predictions(model_of(data, tmp_path), {"c": None}) == [2.0]


@pytest.mark.parametrize("said", ['defaultValue="7"', 'value="a" priorProbability="0.5"'])
def test_answers_of_a_target_of_its_own_are_refused(said: str) -> None:
    targets = f'<Targets><Target field="y"><TargetValue {said}/></Target></Targets><RegressionTable'
    data = content("regression").decode()
    with pytest.raises(FormatError, match=r"Target\[1\]/TargetValue\[1\] says what is answered"):
        read(data.replace("<RegressionTable", targets, 1).encode())
    shown = targets.replace(said, 'value="7" displayValue="seven"')
    assert read(data.replace("<RegressionTable", shown, 1).encode()).inputs


def votes(*trees: str, said: str = "") -> bytes:
    segments = "".join(f"<Segment><True/>{one}</Segment>" for one in trees)
    together = f'<Segmentation multipleModelMethod="majorityVote" {said}>{segments}</Segmentation>'
    model = f'<MiningModel functionName="classification">{schema("x")}{together}</MiningModel>'
    return document(column("x") + categories("a", "b", "c", name="y"), model)


def stump(first: str, second: str, strategy: str = "lastPrediction") -> str:
    inside = node(first, passes("lessOrEqual", "1")) + node(second, passes("greaterThan", "1"))
    return tree(node(first, inside=inside), strategy=strategy)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ('missingPredictionTreatment="skipSegment"', "missingPredictionTreatment='skipSegment'"),
        ('missingThreshold="0.5"', "how many models may have no answer"),
    ],
)
def test_models_left_out_where_they_have_no_answer_are_refused(said: str, words: str) -> None:
    with pytest.raises(FormatError, match=words):
        read(votes(stump("a", "b"), stump("a", "b"), said=said))
    assert read(votes(stump("a", "b"), stump("a", "b"), said='missingThreshold="1"')).classes == ("a", "b")


def test_votes_without_one_that_has_no_answer_are_refused() -> None:
    silent = stump("a", "b", strategy="nullPrediction")
    with pytest.raises(FormatError, match=r"Segment\[2\] has no answer to some rows"):
        read(votes(stump("a", "b"), silent))
    assert read(votes(stump("a", "b"), silent, said='missingPredictionTreatment="returnMissing"')).classes


def test_trees_that_never_name_a_class_vote_nothing_for_it(tmp_path: Path) -> None:
    model = model_of(votes(stump("a", "b"), stump("b", "c"), stump("b", "c")), tmp_path)
    assert model.classes == ("a", "b", "c")
    low, high = model.predict_rows([{"x": 0.0}, {"x": 2.0}])
    assert [low[f"probability_{name}"] for name in "abc"] == pytest.approx([1 / 3, 2 / 3, 0], abs=1e-5)
    assert (low["prediction"], high["prediction"]) == ("b", "c")


def quotient(above: str, below: str) -> str:
    return f'<Apply function="/">{above}{below}</Apply>'


@pytest.mark.parametrize(
    "above",
    [
        X,
        f'<Apply function="-">{X}</Apply>',
        f'<Apply function="+">{X}{TWO}</Apply>',
        f'<Apply function="sum">{X}{X}</Apply>',
        f'<Apply function="floor"><Apply function="*">{X}<Constant>0.5</Constant></Apply></Apply>',
    ],
)
def test_quotients_of_whole_numbers_are_refused(above: str) -> None:
    """Evaluators say that 7 / 2 is 3."""
    for two in (TWO, "<Constant>2</Constant>"):
        with pytest.raises(FormatError, match="divides a whole number by a whole number"):
            read(weighed(derived(quotient(above, two)), "integer"))


@pytest.mark.parametrize(
    "common",
    [
        derived(quotient(X, "<Constant>2.0</Constant>")),
        derived(quotient(f'<Apply function="*">{X}<Constant>1.0</Constant></Apply>', TWO)),
        derived(X, name="e") + derived(quotient('<FieldRef field="e"/>', TWO)),
    ],
)
def test_other_quotients_are_exact(common: str, tmp_path: Path) -> None:
    assert predictions(model_of(weighed(common, "integer"), tmp_path), {"x": 7}) == [3.5]


@pytest.mark.parametrize("count", [100, pytest.param(700, marks=pytest.mark.slow)])
def test_a_long_list_of_decisions_over_many_columns_is_a_tree(count: int, tmp_path: Path) -> None:
    names = [f"x{i}" for i in range(count)]
    nodes = "".join(node(str(i), passes("greaterThan", "0", name)) for i, name in enumerate(names))
    root = f'<Node score="-1"><True/>{nodes}</Node>'
    data = document(
        "".join(map(column, names)) + column("y"),
        f'<TreeModel functionName="regression" noTrueChildStrategy="returnLastPrediction">{schema(*names)}{root}'
        "</TreeModel>",
    )
    rest: dict[str, Any] = dict.fromkeys(names, 0.0)
    model = model_of(data, tmp_path)
    rows: list[dict[str, Any]] = [{}, {"x3": 1.0}, {"x3": None, "x99": 1.0}, dict.fromkeys(names)]
    assert predictions(model, *({**rest, **row} for row in rows)) == [-1.0, 3.0, 99.0, -1.0]
