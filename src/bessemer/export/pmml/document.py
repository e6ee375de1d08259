"""The document: columns, derived fields, a chain of models, and what it says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element, tostring

import numpy as np

from bessemer.core.signature import Field
from bessemer.export.pmml.fields import Fields
from bessemer.export.pmml.terms import Term
from bessemer.export.pmml.trees import schema, segments
from bessemer.export.pmml.words import apply, constant, element, reference, text, told, when
from bessemer.export.rowwise.program import Program
from bessemer.package.model import Model

_LARGEST = float(np.finfo(np.float32).max)
FEATURES = "features"


@dataclass(frozen=True)
class Document:
    """content: UTF-8. columns: what it takes. probabilities: the fields that say them, in the order of the classes."""

    content: bytes
    columns: tuple[str, ...]
    probabilities: tuple[str, ...]
    prediction: str


def of_rows(model: Model, program: Program, threshold: float) -> Document:
    """A document that takes raw columns.

    Raises:
        UncarriedError: something has no form in PMML.
    """
    taken = [column.name for column, _ in program.inputs]
    fields = Fields(program, _prefix(taken))
    columns = [_column(column) for column, _ in program.inputs if column.name in fields.used]
    return _document(model, fields, columns, threshold)


def of_features(model: Model, program: Program, threshold: float) -> Document:
    """A document that takes features, whose names it has.

    Raises:
        UncarriedError: likewise.
    """
    names = [text(str(feature["name"])) for feature in model.info["features"]]
    start = program.outputs[FEATURES].number
    behind = program.behind(FEATURES, *_outputs(model))
    fields = Fields(behind, _prefix(names), {start: names})
    columns = [_number(name) for name in names if name in fields.used]
    return _document(model, fields, columns, threshold)


def _outputs(model: Model) -> list[str]:
    return ["score"] if model.task == "regression" else ["probability"]


def _prefix(taken: Iterable[str]) -> str:
    """What our fields' names begin with and none of those taken does."""
    found = "f"
    while any(name.startswith(found) and name[len(found) : len(found) + 1].isdigit() for name in taken):
        found += "_"
    return found


def _free(name: str, taken: Iterable[str]) -> str:
    taken = set(taken)
    while name in taken:
        name += "_"
    return name


def _column(column: Field) -> Element:
    if column.tensor == "string":
        empty = element("Value", {"value": "", "property": "missing"})
        said = {"name": text(column.name), "optype": "categorical", "dataType": "string"}
        return element("DataField", said, empty)
    if column.dtype == "boolean":
        return element(
            "DataField", {"name": text(column.name), "optype": "categorical", "dataType": "boolean"}
        )
    return _number(column.name, "double" if column.tensor == "float64" else "float")


def _number(name: str, kind: str = "float") -> Element:
    """What is infinite is missing."""
    most = repr(_LARGEST if kind == "float" else float(np.finfo(np.float64).max))
    span = element("Interval", {"closure": "closedClosed", "leftMargin": f"-{most}", "rightMargin": most})
    return element("DataField", {"name": text(name), "optype": "continuous", "dataType": kind}, span)


def _document(model: Model, fields: Fields, columns: list[Element], threshold: float) -> Document:
    answers = fields.output(_outputs(model)[0])
    names = [str(column.get("name")) for column in columns]
    target = _free(model.signature.target, names)
    prediction = _free("prediction", [*names, target])
    probabilities = [text(f"probability({label})") for label in model.classes]
    said = element("Output", None, *_said(model, prediction, probabilities, threshold))
    whole = element("PMML", {"xmlns": "http://www.dmg.org/PMML-4_4", "version": "4.4"})
    whole.append(element("Header", None, element("Application", {"name": "Bessemer"})))
    whole.append(element("DataDictionary", None, *columns, _target(model, target)))
    whole.append(_model(model, fields, answers, names, target, said))
    content = b'<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(whole, "utf-8") + b"\n"
    return Document(content, tuple(names), tuple(probabilities), prediction)


def _target(model: Model, name: str) -> Element:
    if model.task == "regression":
        return element("DataField", {"name": text(name), "optype": "continuous", "dataType": "double"})
    values = [element("Value", {"value": told(label, "str")}) for label in model.classes]
    return element("DataField", {"name": text(name), "optype": "categorical", "dataType": "string"}, *values)


def _model(
    model: Model, fields: Fields, answers: Sequence[Term], names: list[str], target: str, said: Element
) -> Element:
    """The last model alone, or behind those of the trees."""
    goal = element("MiningField", {"name": target, "usageType": "target"})
    inputs = [element("MiningField", {"name": name, "invalidValueTreatment": "asMissing"}) for name in names]
    whole = element("MiningSchema", None, goal, *inputs)
    if not fields.sums:
        return _last(model, fields.early, answers, [whole, said])
    behind = _needed(fields, answers)
    own = element("MiningSchema", None, goal, *schema(behind))
    chain = [*segments(fields.sums), element("Segment", {"id": "last"}, element("True"))]
    chain[-1].append(_last(model, fields.late, answers, [own]))
    segmentation = element("Segmentation", {"multipleModelMethod": "modelChain"}, *chain)
    kind = {"functionName": "regression" if model.task == "regression" else "classification"}
    return element("MiningModel", kind, whole, said, *_local(fields.early), segmentation)


def _needed(fields: Fields, answers: Sequence[Term]) -> list[str]:
    """The fields that the last model takes from outside."""
    own = {str(field.get("name")) for field in fields.late}
    asked = [ref.get("field") for field in fields.late for ref in field.iter() if ref.get("field")]
    return [name for name in dict.fromkeys([*map(str, asked), *(a.name for a in answers)]) if name not in own]


def _local(derived: Sequence[Element]) -> list[Element]:
    return [element("LocalTransformations", None, *derived)] if derived else []


def _last(
    model: Model, derived: Sequence[Element], answers: Sequence[Term], start: Sequence[Element]
) -> Element:
    """A regression that hands on the answers, which are computed already."""
    parts = [*start, *_local(derived)]
    taken = [element("NumericPredictor", {"name": a.name, "coefficient": "1"}) for a in answers]
    if model.task == "regression":
        table = element("RegressionTable", {"intercept": "0"}, *taken)
        return element("RegressionModel", {"functionName": "regression"}, *parts, table)
    labelled = list(zip(map(str, model.classes), taken, strict=True))
    if model.task == "binary":
        labelled.reverse()  # the first of two is the one that is computed
    tables = [
        element("RegressionTable", {"intercept": "0", "targetCategory": label}, term)
        for label, term in labelled
    ]
    kind = {"functionName": "classification", "normalizationMethod": "none"}
    return element("RegressionModel", kind, *parts, *tables)


def _said(model: Model, prediction: str, probabilities: Sequence[str], threshold: float) -> Iterable[Element]:
    """The output fields."""
    for label, name in zip(model.classes, probabilities, strict=True):
        yield _output(name, "double", {"feature": "probability", "value": str(label)})
    if model.task != "binary":
        kind = "double" if model.task == "regression" else "string"
        yield _output(prediction, kind, {"feature": "predictedValue"})
        return
    asked = apply("greaterOrEqual", reference(probabilities[1]), constant(threshold, "f64"))
    no, yes = (constant(label, "str") for label in model.classes)
    yield _output(prediction, "string", {"feature": "transformedValue"}, when(asked, yes, no))


def _output(name: str, kind: str, said: dict[str, Any], *expression: Element) -> Element:
    numbers = "continuous" if kind == "double" else "categorical"
    return element("OutputField", {"name": name, "optype": numbers, "dataType": kind, **said}, *expression)
