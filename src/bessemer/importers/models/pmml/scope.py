"""What names of fields stand for in a model: its columns, its derived fields, and what earlier models said."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from bessemer.core.errors import did_you_mean
from bessemer.importers.models.pmml.columns import Columns, replaced
from bessemer.importers.models.pmml.expressions import derived
from bessemer.importers.models.pmml.literals import references
from bessemer.importers.models.pmml.terms import Term
from bessemer.importers.models.pmml.xml import Element

_IGNORED = ("target", "predicted", "supplementary", "group", "order", "frequencyWeight", "analysisWeight")


@dataclass
class Scope:
    """The fields of one model; a name that is not its own is looked for in the model around it.

    outer: None for the whole document's. functions: those that the document defines.
    """

    columns: Columns
    outer: Scope | None = None
    functions: Mapping[str, Element] = field(default_factory=dict)
    target: str = ""
    _terms: dict[str, Term] = field(default_factory=dict)
    _derived: dict[str, Element] = field(default_factory=dict)
    _fields: dict[str, Element] = field(default_factory=dict)
    _asked: set[str] = field(default_factory=set)

    def inside(self, model: Element, common: Sequence[Element] = ()) -> Scope:
        """The scope of a model. common: derived fields that the whole document has.

        Raises:
            FormatError: fields that are used in a way that is not taken over.
        """
        found = Scope(self.columns, self, self.functions)
        for one in model.one("MiningSchema").all("MiningField"):
            usage = one.choose("usageType", ("active", *_IGNORED), "active")
            if usage in ("target", "predicted"):
                found.target = found.target or one.need("name")
            elif usage == "active":
                found._fields[one.need("name")] = one
        local = model.first("LocalTransformations")
        found._define([*common, *([] if local is None else local.all("DerivedField"))], model)
        return found

    def _define(self, fields: Sequence[Element], model: Element) -> None:
        """Take derived fields, and look at those that are needed in their order: a chain of them may be long."""
        self._derived = {one.need("name"): one for one in fields}
        waiting = list(_asked(model))
        needed: set[str] = set()
        while waiting:
            name = waiting.pop()
            if name in self._derived and name not in needed:
                needed.add(name)
                waiting += references(self._derived[name])
        for one in fields:
            if one.need("name") in needed:
                self.term(one.need("name"), one)

    def add(self, name: str, term: Term) -> None:
        """Take what a model said."""
        self._terms[name] = term

    def function(self, name: str) -> Element | None:
        """A function that the document defines; None for one of PMML."""
        return self.functions.get(name)

    def has(self, name: str) -> bool:
        """Whether a model of it said what a name stands for."""
        return name in self._terms

    def term(self, name: str, asker: Element) -> Term:
        """What a name stands for.

        Raises:
            FormatError: nothing, or itself.
        """
        if name in self._terms:
            return self._terms[name]
        if name in self._asked:
            asker.refuse(f"asks for '{name}', which is derived of itself")
        self._asked.add(name)
        found = self._found(name, asker)
        self._asked.discard(name)
        self._terms[name] = found
        return found

    def _found(self, name: str, asker: Element) -> Term:
        if name in self._derived:
            return derived(self._derived[name], self)
        if name in self._fields:
            one = self._fields[name]
            if name in self.columns.known and (self.outer is None or self.outer.outer is None):
                return self.columns.treated(name, one)
            if self.outer is not None:
                return replaced(self.outer.term(name, one), one)
        if self.outer is None:
            known = [*self._derived, *self._terms, *self.columns.known]
            asker.refuse(
                f"asks for the field '{name[:60]}', which no schema of it names",
                fix=did_you_mean(name, known, limit=30),
            )
        return self.outer.term(name, asker)


def _asked(model: Element) -> Iterator[str]:
    """The names that a model asks for itself, and not for what it derives."""
    schema, local = model.first("MiningSchema"), model.first("LocalTransformations")
    for child in model.children:
        if child is schema or child is local:
            continue
        for below in child.walk():
            yield from (below.attributes[key] for key in ("field", "name") if key in below.attributes)
