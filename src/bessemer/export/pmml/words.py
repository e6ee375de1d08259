"""PMML's expressions: constants, references, and what each operator on one element is.

A number that is NaN is missing. PMML's functions say missing where an argument is; `mapMissingTo` says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np

from bessemer.export.numeric.refusal import UncarriedError
from bessemer.export.rowwise.program import Type

DATA_TYPES: Mapping[Type, str] = {
    "f32": "float",
    "f64": "double",
    "i64": "integer",
    "i32": "integer",
    "bool": "boolean",
    "str": "string",
}
#: PMML's integers have no stated size; engines keep 32 bits.
_WHOLE = 2**31


def element(tag: str, attributes: Mapping[str, str] | None = None, *children: Element) -> Element:
    made = Element(tag, dict(attributes or {}))
    made.extend(children)
    return made


def told(value: Any, kind: Type) -> str:
    """A value as PMML writes it; a float32 in full, so that its nearest double is the same number.

    Raises:
        UncarriedError: it cannot be written.
    """
    if kind == "bool":
        return "true" if value else "false"
    if kind == "str":
        return text(str(value))
    if kind in ("i64", "i32"):
        if not -_WHOLE <= int(value) < _WHOLE:
            raise UncarriedError(f"the whole number {int(value)} does not fit into PMML's integers")
        return str(int(value))
    if not np.isfinite(value):
        raise UncarriedError(f"the number {value} has no form in PMML")
    return repr(float(value))


def text(value: str) -> str:
    """A text, as it is.

    Raises:
        UncarriedError: XML knows one of its characters not, or not as itself.
    """
    for character in value:
        code = ord(character)
        if (code < 0x20 and character not in "\t\n") or 0xD800 <= code < 0xE000 or code in (0xFFFE, 0xFFFF):
            raise UncarriedError(f"XML has no way to write the character {character!r} of {value!r}")
    return value


def reference(name: str, missing: str | None = None) -> Element:
    """A field. missing: what stands for it where it is missing."""
    return element("FieldRef", {"field": name, **({} if missing is None else {"mapMissingTo": missing})})


def constant(value: Any, kind: Type) -> Element:
    if kind in ("f32", "f64") and np.isnan(value):
        return element("Constant", {"dataType": DATA_TYPES[kind], "missing": "true"})
    made = element("Constant", {"dataType": DATA_TYPES[kind]})
    made.text = told(value, kind)
    return made


def apply(function: str, *arguments: Element, missing: str | None = None) -> Element:
    """A function. missing: what it says where an argument is missing."""
    return element(
        "Apply", {"function": function, **({} if missing is None else {"mapMissingTo": missing})}, *arguments
    )


def when(condition: Element, yes: Element, *no: Element) -> Element:
    """Missing where the condition, which never is, is not met and nothing stands for that."""
    return apply("if", condition, yes, *no)


def test(function: str, *arguments: Element) -> Element:
    """A comparison: what is missing compares with nothing."""
    return apply(function, *arguments, missing="false")


def looked_up(name: str, rows: Mapping[Any, str], kind: Type, default: str, missing: str | None) -> Element:
    """A table of one column. rows: key -> value. missing: what is said where the field is missing."""
    table = element("InlineTable")
    for key, value in rows.items():
        cells = [element("key"), element("value")]
        cells[0].text, cells[1].text = str(key), value
        table.append(element("row", None, *cells))
    attributes = {"outputColumn": "value", "defaultValue": default, "dataType": DATA_TYPES[kind]}
    if missing is not None:
        attributes["mapMissingTo"] = missing
    return element(
        "MapValues", attributes, element("FieldColumnPair", {"field": name, "column": "key"}), table
    )


_Word = Callable[..., Element]


def _plain(function: str) -> _Word:
    return lambda *arguments: apply(function, *arguments)


def _compared(function: str) -> _Word:
    return lambda a, b: test(function, a, b)


def there(x: Element) -> Element:
    return apply("isNotMissing", x)


def known(function: str) -> _Word:
    """A function of one number: engines differ in what such a one says where that is missing."""
    return lambda x: when(there(x), apply(function, x))


def _chosen(function: str) -> _Word:
    """The greater or the smaller one: PMML's own pass over what is missing."""
    return lambda a, b: when(apply("and", there(a), there(b)), apply(function, a, b))


def _sigmoid(x: Element) -> Element:
    grown = apply("exp", apply("*", x, _float(-1)))
    return when(there(x), apply("/", _float(1), apply("+", _float(1), grown)))


def _power(a: Element, b: Element) -> Element:
    real = apply("or", test("greaterOrEqual", a, _float(0)), test("equal", b, known("floor")(b)))
    return when(apply("and", real, there(a), there(b)), apply("pow", a, b))


def _float(value: float) -> Element:
    return constant(value, "f64")


#: Of floats, which may be missing.
FLOATS: Mapping[str, _Word] = {
    "Abs": known("abs"),
    "Add": _plain("+"),
    "Atan": known("atan"),
    "Ceil": known("ceil"),
    "Cos": known("cos"),
    "Div": lambda a, b: when(test("notEqual", b, _float(0)), apply("/", a, b)),
    "Equal": _compared("equal"),
    "Erf": known("erf"),
    "Exp": known("exp"),
    "Floor": known("floor"),
    "Gelu": lambda x: apply("*", x, known("stdNormalCDF")(x)),
    "Greater": _compared("greaterThan"),
    "GreaterOrEqual": _compared("greaterOrEqual"),
    "IsNaN": _plain("isMissing"),
    "Less": _compared("lessThan"),
    "LessOrEqual": _compared("lessOrEqual"),
    "Log": lambda x: when(test("greaterThan", x, _float(0)), apply("ln", x)),
    "Max": _chosen("max"),
    "Min": _chosen("min"),
    "Mul": _plain("*"),
    "Neg": lambda x: apply("*", x, _float(-1)),
    "Pow": _power,
    "Relu": lambda x: when(test("lessThan", x, _float(0)), _float(0), x),
    "Round": known("rint"),
    "Sigmoid": _sigmoid,
    "Sin": known("sin"),
    "Sqrt": lambda x: when(test("greaterOrEqual", x, _float(0)), apply("sqrt", x)),
    "Sub": _plain("-"),
    "Tanh": known("tanh"),
}
#: Of whole numbers, which are never missing.
WHOLES: Mapping[str, _Word] = {
    name: FLOATS[name]
    for name in ("Abs", "Add", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Mul", "Sub")
}
TRUTHS: Mapping[str, _Word] = {
    "And": _plain("and"),
    "Equal": _plain("equal"),
    "Not": _plain("not"),
    "Or": _plain("or"),
}
TEXTS: Mapping[str, _Word] = {"Equal": _plain("equal"), "StringConcat": _plain("concat")}
