"""PMML, of version 4: trees, regressions, networks, and what combines them.

https://dmg.org/pmml/v4-4-1/GeneralStructure.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from bessemer.core.errors import Fault, ProjectError, UsageError, did_you_mean
from bessemer.core.signature import Task
from bessemer.importers.models.foreign import Asked, Foreign, classes_of, refused
from bessemer.importers.models.pmml.answer import Answer
from bessemer.importers.models.pmml.budget import budget
from bessemer.importers.models.pmml.columns import Columns, Raw, dictionary
from bessemer.importers.models.pmml.decision import USED, check_scores, threshold_of
from bessemer.importers.models.pmml.literals import literals
from bessemer.importers.models.pmml.models import READERS, Reader
from bessemer.importers.models.pmml.scope import Scope
from bessemer.importers.models.pmml.terms import Node
from bessemer.importers.models.pmml.xml import Element, parse
from bessemer.importers.models.trees import reading
from bessemer.package.remote.text import harmless

_SPACE = b"\xef\xbb\xbf \t\r\n"
_LEARNERS = {
    "TreeModel": "tree",
    "RegressionModel": "linear",
    "NeuralNetwork": "mlp",
    "MiningModel": "ensemble",
}


class Pmml:
    """A document of PMML."""

    TITLE: ClassVar[str] = "PMML"

    def recognises(self, head: bytes) -> bool:
        text = head.replace(b"\0", b"").lstrip(_SPACE + b"\xff\xfe")
        return text.startswith(b"<PMML") or (text.startswith((b"<?xml", b"<!--")) and b"<PMML" in text)

    def read(self, data: bytes, asked: Asked) -> Foreign:
        with reading("PMML document"), budget():
            return _read(parse(data), asked)


def _read(root: Element, asked: Asked) -> Foreign:
    if root.tag != "PMML" or not root.get("version", "4").startswith("4"):
        raise refused(
            f"the document is a {root.tag} of version '{root.get('version')[:20]}'", "PMML 4.0 to 4.4 is read"
        )
    signed = asked.signature is not None and bool(asked.signature.inputs)
    if asked.columns and not signed:
        raise UsageError(
            "--columns is for models that do not name their columns, and PMML does", fix="leave it out"
        )
    model = _model(root)
    if model.get("isScorable") == "false":
        model.refuse("is not meant to be asked", "isScorable='false'")
    reader = Reader()
    known = dictionary(root)
    columns = Columns(known, literals(root), reader.note)
    common = root.first("TransformationDictionary")
    shared = [] if common is None else common.children
    functions = {one.need("name"): one for one in shared if one.tag == "DefineFunction"}
    whole = Scope(columns, functions=functions)
    scope = whole.inside(model, [one for one in shared if one.tag == "DerivedField"])
    answer = reader.read(model, scope)
    classes, nodes = _classes(answer, known.get(scope.target), asked)
    named = [name for node in nodes for name, one in answer.classes.items() if one is node]
    threshold = threshold_of(model, named, reader.note)
    if threshold == USED:
        check_scores(named, nodes, reader.note)
    foreign = _foreign(model, reader, columns, (answer.value, nodes), classes)
    _check_named(asked.columns, list(foreign.columns))
    return replace(foreign, threshold=threshold)


def _check_named(said: Sequence[str], own: Sequence[str]) -> None:
    """Hold the columns of a signature, if it has any, against those that the model looks at, in whatever order.

    Raises:
        ProjectError: they are not the same.
    """
    faults = [
        Fault(f"inputs.{name}", None, "the document's model looks at no such column", did_you_mean(name, own))
        for name in said
        if name not in own
    ]
    if said and (lost := [name for name in own if name not in said]):
        what = f"it lacks {', '.join(map(harmless, lost[:10]))}, which the document's model looks at"
        faults.append(Fault("inputs", None, what, "name all columns of the model, or none"))
    if faults:
        raise ProjectError(faults, "the signature")


def _model(root: Element) -> Element:
    """The document's model.

    Raises:
        FormatError: none, or one of a kind that is not taken over.
    """
    found = root.first(*READERS)
    if found is not None:
        return found
    other = next((child for child in root.children if child.first("MiningSchema") is not None), root)
    return other.refuse("has no model of a kind that is taken over", f"known: {', '.join(READERS)}")


def _classes(answer: Answer, target: Raw | None, asked: Asked) -> tuple[tuple[Any, ...], list[Node]]:
    """The classes, in the order of the target's values where it has them, and their probabilities."""
    if answer.value is not None:
        return (), []
    names = list(answer.classes)
    if len(names) < 2:
        raise refused(f"the document knows {len(names)} class")
    if target is not None:
        places = {value: i for i, value in enumerate(target.values)}
        values = {name: target.plain(name) for name in names}
        if all(value in places for value in values.values()):
            names.sort(key=lambda name: places[values[name]])
    labels = tuple(_plain(name, target) for name in names)
    return classes_of(asked, labels, len(labels)), [answer.classes[name] for name in names]


def _plain(name: str, target: Raw | None) -> Any:
    """A class as the target has it: a whole number, a truth, or a text."""
    if target is None or target.kind == "string":
        return name
    value = target.plain(name)
    if target.kind == "boolean":
        return bool(value)
    return int(value) if float(value).is_integer() else name


def _foreign(
    model: Element,
    reader: Reader,
    columns: Columns,
    said: tuple[Node | None, list[Node]],
    classes: tuple[Any, ...],
) -> Foreign:
    from bessemer.importers.models.pmml import native
    from bessemer.importers.models.pmml.features import Taken, taken

    value, nodes = said
    registry = reader.registry
    shape = native.shape_of_number(value) if value is not None else native.shape_of_classes(nodes)
    found: list[Taken] = []

    def order() -> np.ndarray:
        """The features are known: no more are asked for."""
        if not registry.nodes or not columns.used:
            raise refused("the document's model looks at no column")
        found.append(taken(registry.nodes, columns.used))
        return found[-1].order

    if shape is not None and shape.kind == "trees":
        made = native.tree_native(shape, order())
    elif shape is not None and shape.kind == "linear":
        made = native.weights(shape, registry, order)
        if any(one.needs for one in shape.sums):
            reader.note(
                "the document has no answer where a number that it weighs is missing; here that one counts as 0"
            )
    else:
        head = native.Head(registry)
        margins = head.number(value) if value is not None else head.classes(nodes)
        head.collect(margins)
        made = head.native(margins, order())
        reader.note("its contributions are told against a row of zeros; --data finds a better one")
        reader.note("a row has no answer but NaN where the document computes with a missing value")
    task: Task = "regression" if value is not None else "binary" if len(classes) == 2 else "multiclass"
    return Foreign(
        _LEARNERS[model.tag],
        task,
        classes,
        found[-1].inputs,
        made,
        {"model": model.tag},
        0,
        tuple(reader.notes),
        columns=found[-1].columns,
    )
