"""What `--accept` changes in a contract, and that everything else of the file stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from validate_room import Room

from bessemer.core.errors import ContractError
from bessemer.core.yaml_lines import parse
from bessemer.validate.edit import Edits

BLOCK = """\
# ours

columns:   # all of them
  id:
    type: integer   # a key
    unique: true

    # between
    nullable: false
  # below id
  größe: {type: number, min: 0,   max: 10}   # cm
  'a b': { type: string, values: [x,
     "y"] }
rows: {min: 1}
"""


def test_only_what_is_asked_changes() -> None:
    edits = Edits(BLOCK)
    edits.put(("columns", "größe"), "max", 20.5)
    edits.remove(("columns", "id"), "unique")
    edits.put(("columns", "id"), "nullable", True)
    edits.put(("columns", "id"), "max_missing", "5%")
    edits.put(("columns", "a b"), "values", ["x", "y", "no"])
    edits.add(("columns",), "new one", {"type": "string", "nullable": True})
    edits.put(("rows",), "min", 3)
    assert edits.text() == (
        BLOCK.replace("max: 10", "max: 20.5")
        .replace("    unique: true\n", "")
        .replace("nullable: false", 'nullable: true\n    max_missing: "5%"')
        .replace('[x,\n     "y"]', '[x, "y", "no"]')
        .replace('"no"] }\n', '"no"] }\n  "new one": {type: string, nullable: true}\n')
        .replace("min: 1}", "min: 3}")
    )


names = st.sampled_from(["a", "b b", "ü", "no", "c#", "d:"])
rules = st.dictionaries(
    st.sampled_from(["type", "min", "max", "unique"]), st.integers(0, 9), min_size=1, max_size=4
)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(
    value=st.dictionaries(names, rules, min_size=1, max_size=4),
    styles=st.lists(st.booleans(), min_size=6, max_size=6),
    data=st.data(),
)
def test_any_edits_of_any_style_give_what_was_meant(value: Any, styles: list[bool], data: Any) -> None:
    text = _written(value, styles)
    assert parse(text).value == {"top": value, "after": 1}
    edits, meant = Edits(text), {name: dict(found) for name, found in value.items()}
    for name in list(value):
        for key in list(value[name]):
            asked = data.draw(st.sampled_from(["keep", "put", "remove"]))
            if asked == "put":
                edits.put(("top", name), key, 77)
                meant[name][key] = 77
            elif asked == "remove" and len(meant[name]) > 1:
                edits.remove(("top", name), key)
                del meant[name][key]
        if data.draw(st.booleans()):
            edits.put(("top", name), "pattern", "x: y")
            meant[name]["pattern"] = "x: y"
    if data.draw(st.booleans()):
        edits.add(("top",), "added", {"type": "string"})
        meant["added"] = {"type": "string"}
    if len(value) > 1 and data.draw(st.booleans()):
        gone = data.draw(st.sampled_from(sorted(value)))
        edits.remove(("top",), gone)
        del meant[gone]
    made = edits.text()
    assert parse(made).value == {"top": meant, "after": 1}, made
    assert made.splitlines().count("  # note") == text.splitlines().count("  # note")
    assert made.endswith("after: 1\n")


def _written(value: Any, styles: list[bool]) -> str:
    from bessemer.validate.writing import scalar_text

    outer_flow, *inner = styles
    lines = []
    for (name, found), flow in zip(value.items(), inner, strict=False):
        if flow or outer_flow:
            lines.append(f"{scalar_text(name)}: {{{', '.join(f'{k}: {v}' for k, v in found.items())}}}")
        else:
            rows = "".join(f"\n    {k}: {v}  # note" for k, v in found.items())
            lines.append(f"{scalar_text(name)}:{rows}")
    if outer_flow:
        return "top: {" + ", ".join(lines) + "}\nafter: 1\n"
    return "top:\n" + "".join(f"  {line}\n  # note\n" for line in lines) + "after: 1\n"


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def test_a_file_that_cannot_be_edited_is_said(room: Room) -> None:
    from bessemer.validate.accept import Change, edited
    from bessemer.validate.contract import read

    text = "columns:\n  a: &rules {type: integer, min: 3}\n  b: *rules\n"
    contract = read(text, "c.yaml")
    with pytest.raises(ContractError, match=r"c\.yaml cannot be changed line by line"):
        edited(text, "c.yaml", contract, [Change("a", "min", 1)])
