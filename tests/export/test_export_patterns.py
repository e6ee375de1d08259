"""Patterns mean the same texts in the graph, in Python and in JavaScript, or are refused."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import numpy as np
import pytest

from bessemer.core.signature import Field
from bessemer.export.numeric.patterns import common_pattern
from bessemer.export.numeric.program import program_of
from bessemer.export.numeric.refusal import UncarriedError
from bessemer.export.readers import plain
from bessemer.export.readers.encoder import OPERATORS
from bessemer.package.graph import GraphBuilder, serialize
from bessemer.package.runtime import open_session

SAME = (
    r"(?:\d+)",
    r"(?:[[:digit:]]{2})",
    r"(?:[[:alpha:]_]+[[:space:]]?)",
    r"(?:\w+)",
    r"(?:\W)",
    r"(?:a\s+b)",
    r"(?:[\s,]+)",
    r"(?:\S+)",
    r"(?:a.b)",
    r"(?s)a.b",
    r"(?s:.*)(?:^a)(?s:.*)",
    r"(?s:.*)(?:b$)(?s:.*)",
    r"(?:\Aa.*\z)",
    r"(?:a|^b|c$)",
    r"(?:[]a-c\-&.]+)",
    r"(?:[^]a]+)",
    r"(?:(a)(?:b)?){1,2}",
    r"(?:a\-b\&c\/\.)",
    r"(?:a{2,}?b*?)",
    r"(?:é+|☃)",
)
TEXTS = (
    "", "1", "12", "٣٤", "a", "ab", "abab", "a b", "a\u00a0b", "a\vb", "a\nb", "a\r", "a\rb", "b\n", "xab", "b",
    "c", "c\n", "]-&.", "xyz", "a-b&c/.", "aaab", "ééé", "é", "☃", "_x ", "_x\v", " ", ",", "\u2028", "a\u2028b",
    "a😀b", "😀", "::d",
)  # fmt: skip
OTHERWISE = (
    r"(?:\pL+)",
    r"(?:\p{Greek})",
    r"(?i)a",
    r"(?:a(?i)b)",
    r"(?:a\bb)",
    r"(?P<x>a)",
    r"(?:[[:punct:]])",
    r"(?:[[:^alpha:]])",
    r"(?:[a&&b])",
    r"(?:[\S])",
    r"(?:\x{263a})",
    r"(?:a{,3})",
)


def graph(pattern: str) -> GraphBuilder:
    g = GraphBuilder("patterns")
    x = g.input("x", "string", ("N", 1))
    flag = g.op("RegexFullMatch", [x], pattern=pattern)
    g.output(g.op("Cast", [flag], name="features", to=1), "float32", ("N", 1))
    return g


def test_all_match_alike() -> None:
    column = np.array(TEXTS, dtype=object)[:, None]
    expected = {}
    for pattern in SAME:
        (found,) = open_session(serialize(graph(pattern).model()), 1).run(["features"], {"x": column})
        expected[pattern] = found.ravel().astype(bool).tolist()
        said = {"pattern": common_pattern(pattern)}
        assert OPERATORS["RegexFullMatch"](said, column).ravel().tolist() == expected[pattern], pattern
        assert [plain.OPERATORS["RegexFullMatch"](said, text) for text in TEXTS] == expected[pattern]
    assert all(any(found) and not all(found) for found in expected.values())
    assert _in_node([common_pattern(pattern) for pattern in SAME]) == list(expected.values())


def _in_node(patterns: list[str]) -> list[list[bool]]:
    node = shutil.which("node")
    assert node, "`make node` installs it"
    script = (
        "const [patterns, texts] = JSON.parse(process.argv[1]);"
        "console.log(JSON.stringify(patterns.map((p) => {"
        "const r = new RegExp(`^(?:${p})$`, 'u'); return texts.map((t) => r.test(t)); })));"
    )
    done = subprocess.run(
        [node, "-e", script, json.dumps([patterns, TEXTS])], capture_output=True, text=True, check=True
    )
    return [list(row) for row in json.loads(done.stdout)]


@pytest.mark.parametrize("pattern", OTHERWISE)
def test_what_they_read_otherwise_is_refused(pattern: str) -> None:
    with pytest.raises(UncarriedError, match=re.escape(pattern)):
        program_of(graph(pattern).model(), [Field("x", "string", "string")])


def test_a_program_has_the_common_form() -> None:
    told = program_of(graph(r"(?:[[:digit:]]+)").model(), [Field("x", "string", "string")])
    assert told["steps"][0][3]["pattern"] == "(?:[0-9]+)"


def test_numbers_that_become_texts_are_refused() -> None:
    g = GraphBuilder("texts")
    x = g.input("x", "float32", ("N", 1))
    text = g.op("Cast", [g.op("Cast", [x], to=7)], to=8)
    table = {"keys_strings": ["1"], "values_floats": [1.0], "default_float": 0.0}
    g.output(g.op("LabelEncoder", [text], name="features", domain="ai.onnx.ml", **table), "float32", ("N", 1))
    with pytest.raises(UncarriedError, match="cast to texts"):
        program_of(g.model(), [Field("x", "integer", "float32")])
