"""A document as elements: no DOCTYPE, no entities, nothing from outside; bounded in size and depth."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn
from xml.parsers import expat

from bessemer.core.errors import FormatError, did_you_mean
from bessemer.importers.models.foreign import refused

#: Most elements of a document, and levels of them: engines of PMML hold a document in memory too.
MOST_ELEMENTS, DEEPEST = 3_000_000, 500
_LONG = 60


@dataclass(eq=False)
class Element:
    """tag: without its namespace. place: among its parent's children of the same tag, from 1."""

    tag: str
    attributes: dict[str, str]
    parent: Element | None = None
    place: int = 1
    children: list[Element] = field(default_factory=list)
    text: str = ""

    @property
    def path(self) -> str:
        """Where it stands in the document, as XPath says it."""
        parts, at = [], self
        while True:
            name = at.attributes.get("name") or at.attributes.get("id")
            parts.append(f"{at.tag}[{at.place}]" + (f" '{name[:_LONG]}'" if name else ""))
            if at.parent is None:
                return "/".join(reversed(parts))
            at = at.parent

    def get(self, name: str, default: str = "") -> str:
        return self.attributes.get(name, default)

    def need(self, name: str) -> str:
        """An attribute that has to be there.

        Raises:
            FormatError: it is not.
        """
        if name not in self.attributes:
            self.refuse(f"has no '{name}'")
        return self.attributes[name]

    def number(self, name: str, default: float | None = None) -> float:
        """An attribute that is a number.

        Raises:
            FormatError: it is none, or not there and has no default.
        """
        if default is not None and name not in self.attributes:
            return default
        return self.as_number(self.need(name), name)

    def as_number(self, text: str, what: str = "its text") -> float:
        """A finite number.

        Raises:
            FormatError: it is none.
        """
        try:
            found = float(text)
        except ValueError:
            found = float("nan")
        if not abs(found) < float("inf"):
            self.refuse(f"has '{text[:_LONG]}' as {what}, which is no finite number")
        return found

    def all(self, *tags: str) -> list[Element]:
        return [child for child in self.children if child.tag in tags]

    def first(self, *tags: str) -> Element | None:
        return next((child for child in self.children if child.tag in tags), None)

    def one(self, *tags: str) -> Element:
        """The child of one of these tags.

        Raises:
            FormatError: there is none.
        """
        found = self.first(*tags)
        if found is None:
            self.refuse(f"has no {' or '.join(tags[:4])}")
        return found

    def walk(self) -> Iterator[Element]:
        """It and all below it, in the document's order."""
        waiting = [self]
        while waiting:
            at = waiting.pop()
            yield at
            waiting += reversed(at.children)

    def refuse(self, what: str, why: str = "", fix: str = "") -> NoReturn:
        """Stop at what is not taken over, by its path.

        Raises:
            FormatError: always.
        """
        raise refused(
            f"{self.path} {what}", why, fix or "write the document again without it, or export ONNX"
        )

    def choose(self, name: str, known: tuple[str, ...], default: str) -> str:
        """An attribute that is one of several words.

        Raises:
            FormatError: it is another one.
        """
        found = self.get(name, default)
        if found not in known:
            self.refuse(
                f"has {name}='{found[:_LONG]}'",
                "which cannot be kept exactly",
                did_you_mean(found, known, limit=40),
            )
        return found


def parse(data: bytes) -> Element:
    """The root of a document.

    Raises:
        FormatError: it is no XML, has a DOCTYPE, or is too large or too deep.
    """
    reader = _Reader()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = reader.start, reader.end
    parser.CharacterDataHandler = reader.said
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = parser.ExternalEntityRefHandler = _no_doctype
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, LookupError) as error:  # or of an encoding that nobody knows
        raise refused(f"the document is no XML: {error}", fix="write it again") from None
    assert reader.root is not None
    return reader.root


def _no_doctype(*_: Any) -> NoReturn:
    raise FormatError(
        "the document has a DOCTYPE",
        why="that defines entities, which may unfold to anything or name other files",
        fix="remove it: PMML has none",
    )


class _Reader:
    """What a parser tells of. Extensions are left out: they mean nothing to others than who wrote them."""

    def __init__(self) -> None:
        self.root: Element | None = None
        self._open: list[Element] = []
        self._texts: list[list[str]] = []
        self._counts: list[dict[str, int]] = [{}]
        self._elements = self._left_out = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        tag = name.rpartition(" ")[2]
        self._elements += 1
        if self._elements > MOST_ELEMENTS or len(self._open) >= DEEPEST:
            raise refused(
                f"the document has more than {MOST_ELEMENTS:,} elements, or they are more than {DEEPEST} deep"
            )
        if self._left_out or tag == "Extension":
            self._left_out += 1
            return
        counts = self._counts[-1]
        counts[tag] = counts.get(tag, 0) + 1
        parent = self._open[-1] if self._open else None
        made = Element(
            tag, {key.rpartition(" ")[2]: value for key, value in attributes.items()}, parent, counts[tag]
        )
        if parent is None:
            self.root = made
        else:
            parent.children.append(made)
        self._open.append(made)
        self._texts.append([])
        self._counts.append({})

    def end(self, _: str) -> None:
        if self._left_out:
            self._left_out -= 1
            return
        self._open.pop().text = "".join(self._texts.pop())
        self._counts.pop()

    def said(self, text: str) -> None:
        if self._open and not self._left_out:
            self._texts[-1].append(text)


_TOKEN = re.compile(r'"((?:[^"\\]|\\.)*)"|(\S+)')


def array(element: Element) -> tuple[str, ...]:
    """The values of an Array: apart by white space, those with white space between quotes.

    >>> array(Element("Array", {}, text='1 "New York" "a \\\\"b\\\\""'))
    ('1', 'New York', 'a "b"')
    """
    found = []
    for quoted, plain in _TOKEN.findall(element.text):
        found.append(plain or re.sub(r"\\(.)", r"\1", quoted))
    return tuple(found)
