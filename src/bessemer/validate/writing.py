"""A contract as YAML that people like to read and edit: one line a column."""

from __future__ import annotations

import json
import re

from bessemer.validate.contract import ColumnRules, Contract, Scalar

_HEADER = """\
# Data contract, inferred by Bessemer. Review it, edit it, commit it: it is enforced from now on.
# A row that breaks a rule goes to the quarantine; with too many of them the run stops.
#
# type           boolean, integer, number, string or timestamp
# nullable       false: every row has a value            max_missing    the largest share without one, as 5%
# min, max       the smallest and largest value          values         the only values there are
# unique         true: no value stands twice             finite         true: no infinity
# pattern        what the whole text matches (RE2)       newest_within  how old the newest time may be, as 7d
"""
_PLAIN = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")
_WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}


def write(contract: Contract) -> str:
    """The YAML text of a contract; `contract.read` gives the same contract back."""
    lines = [_HEADER, f"rows: {{{_items(contract.rows.model_dump(exclude_none=True))}}}", "", "columns:"]
    lines += [f"  {scalar_text(name)}: {_rules(rules)}" for name, rules in contract.columns.items()]
    return "\n".join(lines) + "\n"


def _rules(rules: ColumnRules) -> str:
    given = rules.model_dump(exclude_none=True, exclude_defaults=True)
    shown = {"type": rules.type, "nullable": rules.nullable, **given}
    return f"{{{_items(shown)}}}" + ("  # newest_within: 7d" if rules.type == "timestamp" else "")


def _items(items: dict[str, object]) -> str:
    return ", ".join(f"{key}: {value_text(value)}" for key, value in items.items())


def value_text(value: object) -> str:
    """A YAML value on one line: a scalar, or a list of them."""
    if isinstance(value, list | tuple):
        return "[" + ", ".join(scalar_text(item) for item in value) + "]"
    assert isinstance(value, bool | int | float | str)
    return scalar_text(value)


def scalar_text(value: Scalar) -> str:
    """A YAML scalar; texts are quoted unless they are one plain word.

    >>> scalar_text("State-gov"), scalar_text("no"), scalar_text(1e300), scalar_text(True)
    ('"State-gov"', '"no"', '1.0e+300', 'true')
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        text = repr(value)
        return text.replace("e", ".0e") if "e" in text and "." not in text else text
    if isinstance(value, int):
        return str(value)
    if _PLAIN.match(value) and value.lower() not in _WORDS:
        return value
    return '"' + "".join(_character(c) for c in json.dumps(value, ensure_ascii=False)[1:-1]) + '"'


def _character(character: str) -> str:
    """Characters that YAML does not allow in a file, or nobody can see, as escapes."""
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
