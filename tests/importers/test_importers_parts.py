"""The table of tools, the pages that name them, and the writer."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessemer.core.yaml_lines import parse
from bessemer.importers.igel.algorithms import ALGORITHMS
from bessemer.importers.ludwig import features, hyperopt
from bessemer.importers.tools import TOOLS
from bessemer.importers.writer import write
from bessemer.train.plugins import LEARNERS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "import.md"


def test_every_tool_loads_and_has_its_chapter() -> None:
    text = PAGE.read_text("utf-8")
    for name in TOOLS:
        assert f"## {TOOLS.load(name).NAME}" in text
        assert f"`{name}`" in text


def test_the_page_names_every_type_and_searcher_of_ludwig() -> None:
    text = PAGE.read_text("utf-8")
    names = [*features.KINDS, *features.UNSUPPORTED, *set(hyperopt.SEARCHERS.values())]
    assert not [name for name in names if f"`{name}`" not in text]


def test_algorithms_become_learners_that_there_are() -> None:
    known = {"auto", "mlp", *LEARNERS}
    assert {algorithm.learner for algorithm in ALGORITHMS.values()} <= known


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
SCALAR = st.one_of(
    TEXT, st.booleans(), st.integers(-(10**9), 10**9), st.floats(allow_nan=False, allow_infinity=False)
)
VALUE = st.recursive(
    SCALAR,
    lambda inner: st.one_of(
        st.lists(SCALAR, max_size=4), st.dictionaries(TEXT, inner, min_size=1, max_size=4)
    ),
    max_leaves=8,
)


@pytest.mark.slow
@given(st.dictionaries(TEXT.filter(bool), VALUE, min_size=1, max_size=4), st.lists(TEXT, max_size=2))
def test_what_is_written_is_read_back(keys: dict[str, object], comments: list[str]) -> None:
    document = parse(write(keys, comments, {}, comments))
    assert not document.faults
    assert document.value == keys


@pytest.mark.parametrize("text", ["select\n  1\n", "a\n\nb\n", "x\n", "two\nlines"])
def test_sql_is_a_block_people_can_read(text: str) -> None:
    written = write({"acquire": {"sql": text}}, [], {}, [])
    assert parse(written).value["acquire"]["sql"].rstrip("\n") == text.rstrip("\n")


@pytest.mark.parametrize("text", ["a\nb", "a\nb\n", "a\nb\n\n", "\na\nb", "a\n\nb"])
def test_line_ends_at_the_end_are_kept(text: str) -> None:
    assert parse(write({"acquire": {"sql": text}}, [], {}, [])).value == {"acquire": {"sql": text}}
