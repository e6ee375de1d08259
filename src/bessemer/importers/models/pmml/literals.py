"""Which texts a document compares each column with: the categories that a package has to tell apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from bessemer.importers.models.foreign import refused
from bessemer.importers.models.pmml.xml import Element, array

#: Most comparisons of a field and a text.
_MOST = 10_000_000
#: Most texts of all fields together: each field has its own, and those of what is derived of it.
_MOST_TEXTS = 1_000_000
_DERIVED = ("DerivedField", "OutputField")


def literals(root: Element) -> dict[str, dict[str, None]]:
    """Field -> the texts that it, or what is derived of it, is compared with, in the document's order.

    Raises:
        FormatError: too many of them.
    """
    own: dict[str, dict[str, None]] = defaultdict(dict)
    sources: dict[str, dict[str, None]] = defaultdict(dict)
    asked = 0
    inside: set[int] = set()  # what is looked at with an element around it
    for element in root.walk():
        if element.tag in (*_DERIVED, "Apply"):
            if id(element) in inside:
                continue
            inside |= {id(below) for below in element.walk() if below.tag == element.tag}
        for name, text in _compared(element):
            own[name][text] = None
            asked += 1
            if asked > _MOST:
                raise refused(f"the document compares its columns with texts more than {_MOST:,} times")
        if element.tag in _DERIVED:
            sources[element.get("name")] |= dict.fromkeys(references(element))
    found: dict[str, dict[str, None]] = defaultdict(dict)
    total = 0
    for name, texts in list(own.items()):
        for reached in _behind(name, sources):
            found[reached] |= texts
            total += len(texts)
            if total > _MOST_TEXTS:
                raise refused(
                    f"the document compares its columns with more than {_MOST_TEXTS:,} texts",
                    "a text counts for each field that what is compared is derived of",
                )
    return found


def references(element: Element) -> Iterator[str]:
    """The fields that an expression asks for."""
    for below in element.walk():
        if below.tag in ("FieldRef", "NormDiscrete", "NormContinuous", "Discretize", "FieldColumnPair"):
            yield below.get("field")


def _behind(name: str, sources: dict[str, dict[str, None]]) -> list[str]:
    """A field and all that it is derived of."""
    found = {name: None}
    waiting = [name]
    while waiting:
        fresh = [one for one in sources.get(waiting.pop(), ()) if one not in found]
        found |= dict.fromkeys(fresh)
        waiting += fresh
    return list(found)


def _compared(element: Element) -> Iterator[tuple[str, str]]:
    """The fields and texts of one element."""
    tag = element.tag
    if tag in ("SimplePredicate", "NormDiscrete"):
        yield element.get("field"), element.get("value")
    elif tag == "CategoricalPredictor":
        yield element.get("name"), element.get("value")
    elif tag == "SimpleSetPredicate":
        for text in (text for one in element.all("Array") for text in array(one)):
            yield element.get("field"), text
    elif tag == "MapValues":
        pairs, table = element.all("FieldColumnPair"), element.first("InlineTable")
        if (
            len(pairs) == 1 and table is not None
        ):  # what looks up several fields is refused where it is asked for
            column = pairs[0].get("column").rpartition(":")[2]
            for cell in (cell for row in table.all("row") for cell in row.all(column)):
                yield pairs[0].get("field"), cell.text
    elif tag == "Apply":
        yield from _of_apply(element)
    elif tag == "MiningField":
        for key in ("missingValueReplacement", "invalidValueReplacement"):
            if key in element.attributes:
                yield element.get("name"), element.get(key)
    elif tag == "DataField":
        for value in element.all("Value"):
            yield element.get("name"), value.get("value")


def _of_apply(element: Element) -> Iterator[tuple[str, str]]:
    """Each constant of an expression, for each field in it."""
    inside = list(element.walk())
    texts = [
        one.text for one in inside if one.tag == "Constant" and one.get("dataType", "string") == "string"
    ]
    texts += [one.get("mapMissingTo") for one in inside if "mapMissingTo" in one.attributes]
    texts += [one.get("defaultValue") for one in inside if "defaultValue" in one.attributes]
    for name in dict.fromkeys(references(element)):
        for text in texts:
            yield name, text
