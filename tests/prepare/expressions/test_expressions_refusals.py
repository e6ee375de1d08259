"""What is refused, and what is said about it."""

from __future__ import annotations

from typing import Any

import pytest

from bessemer.core.errors import ProjectError
from bessemer.prepare.expressions import parse, parse_all

REFUSED = {
    "distnce + 1": ("no column 'distnce'", "did you mean 'distance'?"),
    "flor(x)": ("no function 'flor'", "did you mean 'floor'?"),
    "random() + x": ("same for the same row", "column of the data"),
    "x + date_diff('day', t, now())": ("now gives another value", "column of the data"),
    "t > current_date": ("another value each time", "column of the data"),
    "avg(x)": ("looks at many rows", "acquire.sql"),
    "sum(x) OVER ()": ("not accepted", "many rows"),
    "(SELECT 1)": ("not accepted", "one row"),
    "SELECT x": ("not accepted", "acquire.sql"),
    "length(s)": ("no counterpart", "acquire.sql"),
    "s < 'b'": ("cannot be ordered", "IN"),
    "s BETWEEN 'a' AND 'b'": ("cannot be ordered", "IN"),
    "s = 1": ("cannot compare an integer and a string", "single quotes"),
    "s = ''": ("'' is NULL", "IS NULL"),
    "x = NULL": ("always NULL", "IS NULL"),
    "p + 1": ("needs a number, not a boolean", "cast(... as integer)"),
    "x AND p": ("needs a condition, not a number", "<> 0"),
    "CASE WHEN p THEN 1 ELSE 'a' END": ("mixes an integer and a string", "single quotes"),
    "t - t": ("difference of timestamps", "date_diff"),
    "t + 1": ("needs a number, not a timestamp", "epoch"),
    "t + INTERVAL '1 month'": ("no fixed length", "date_trunc"),
    "t + INTERVAL '1 dya'": ("not a unit", "did you mean 'day'?"),
    "t + INTERVAL (x) DAY": ("not a constant interval", "INTERVAL '90 minutes'"),
    "INTERVAL '1 day'": ("not accepted", "timestamp"),
    "t > 'yesterday'": ("not a timestamp", "2013-01-31"),
    "t > '2013-02-30'": ("not a timestamp", ""),
    "t AT TIME ZONE 'CET' > '2013-01-01'": ("not accepted", "UTC"),
    "extract(century FROM t)": ("no unit 'CENTURY'", "known: year"),
    "date_diff(s, t, t)": ("constant text", "date_diff('day', start, end)"),
    "round(x, i)": ("constant", "round(x, 2)"),
    "pow(x)": ("pow has 1 argument", "pow(x, y)"),
    "x // 2.5": ("needs integers", "floor(a / b)"),
    "cast(x AS varchar)": ("write a number as text", "bigint"),
    "cast(x AS decimal(10, 2))": ("not accepted", "round"),
    "cast(s AS double)": ("needs a number, not a string", ""),
    "cast(x AS float)": ("not accepted", "double"),
    "s LIKE u": ("not accepted", "constant pattern"),
    "s ILIKE 'a%'": ("not accepted", "(?i)"),
    "s ~ 'a'": ("not accepted", "regexp_full_match"),
    "s LIKE 'a!' ESCAPE '!'": ("escape character", ""),
    "regexp_matches(s, '(')": ("not a regular expression", ""),
    "regexp_matches(s, '\\Qa')": ("\\Q", "escape"),
    "contains(s, u)": ("constant text", "contains(column, 'text')"),
    "greatest(s, u)": ("not a string", ""),
    "t.x": ("names a table", "write x alone"),
    "1 < x < 3": ("chains comparisons", "AND"),
    "x IN (NULL)": ("always NULL", "IS NULL"),
    "x IN (SELECT 1)": ("needs a list", "IN ('a', 'b')"),
    "1 + 1": ("no column", "leave the feature out"),
    "NULL": ("no column", "leave the feature out"),
    "9007199254740993 + x": ("cannot be held exactly", "9007199254740992"),
    "1e999 + x": ("cannot be held exactly", ""),
    "x; y": ("not one expression", "';'"),
    "x y": ("not accepted", "leave out"),
    "x +": ("an operand is missing near 'x +'", "single quotes"),
    "(x": ("not a valid SQL expression", "double quotes"),
    "'x": ("not a valid SQL expression", ""),
    "": ("empty", ""),
    "*": ("not accepted", ""),
    "x[1]": ("not accepted", ""),
    "x & 1": ("not accepted", ""),
}


def test_names_are_found_in_any_case(columns: dict[str, Any]) -> None:
    expr = parse("f", 'X + "I"', columns)
    assert expr.columns == ("x", "i")


@pytest.mark.parametrize("text", REFUSED)
def test_refusals_say_why_and_what_instead(columns: dict[str, Any], text: str) -> None:
    with pytest.raises(ProjectError) as error:
        parse("f", text, {"distance": "number", **columns})
    (fault,) = error.value.faults
    what, fix = REFUSED[text]
    assert fault.path == "prepare.derive.f"
    assert what in fault.what
    assert fix in fault.fix


@pytest.mark.parametrize(
    "text",
    [
        "x" * 10_001,
        "(" * 60 + "x" + ")" * 60,
        "(" * 4_000,
        "- " * 3_000 + "x",
        "NOT " * 2_000 + "p",
        "x" + " - 1" * 200,
        " + ".join(["x"] * 501),
        "CASE WHEN p THEN " * 300,
        "nullif(" * 45 + "x" + ", 1)" * 45,
    ],
    ids=["long", "brackets", "open", "minus", "not", "chain", "terms", "case", "calls"],
)
def test_what_is_too_big_is_refused(columns: dict[str, Any], text: str) -> None:
    with pytest.raises(ProjectError) as error:
        parse("f", text, columns)
    assert error.value.faults[0].path == "prepare.derive.f"


def test_a_feature_may_use_another_in_any_order() -> None:
    derive = {"far": "km > 1000 AND Fast", "km": "miles * 1.6", "fast": "km / h > 800"}
    found = parse_all(derive, {"miles": "number", "h": "number"})
    assert list(found) == ["far", "km", "fast"]
    assert found["far"].columns == ("miles", "h")
    assert found["far"].dtype == "boolean"


def test_all_faults_come_at_once_in_order() -> None:
    derive = {
        "a": "b + 1", "b": "c * 2", "c": "a",
        "miles": "1 + h", "H2": "h * 2", "h2": "h * 3", "uses_a": "a + 1", "wrong": "mile + 1",
        "syntax": "h +", " ": "h",
    }  # fmt: skip
    with pytest.raises(ProjectError) as error:
        parse_all(derive, {"miles": "number", "h": "number"})
    faults = {fault.path.removeprefix("prepare.derive."): fault for fault in error.value.faults}
    assert list(faults) == ["a", "b", "c", "miles", "h2", "wrong", "syntax", " "]
    assert "made from itself" in faults["a"].what
    assert "column 'miles'" in faults["miles"].what
    assert "derived feature 'H2'" in faults["h2"].what
    assert faults["wrong"].fix == "did you mean 'miles'?"


def test_a_feature_cannot_be_made_from_itself() -> None:
    with pytest.raises(ProjectError, match="1 fault") as error:
        parse_all({"a": "a + x"}, {"x": "number"})
    assert "a -> a" in error.value.faults[0].what


def test_features_inside_features_cannot_explode() -> None:
    derive = {"f0": "x + x", **{f"f{n}": f"f{n - 1} * f{n - 1}" for n in range(1, 40)}}
    with pytest.raises(ProjectError) as error:
        parse_all(derive, {"x": "number"})
    assert "written out" in error.value.faults[0].what
