"""YAML with lines: what is read, what is refused, what is bounded."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bessemer.core.yaml_lines import MAX_BYTES, parse


def test_only_true_and_false_are_booleans() -> None:
    value = parse("on: yes\noff: no\nyes: on\nt: true\nf: False\n").value
    assert value == {"on": "yes", "off": "no", "yes": "on", "t": True, "f": False}


def test_numbers_dates_and_nulls() -> None:
    text = "a: 1\nb: 1.5\nc: 1e3\nd: 2013-01-01\ne: '1'\nf:\ng: ~\nh: 0x10\ni: 1_000\nj: 12:30\nk: 3.\n"
    assert parse(text).value == {
        "a": 1, "b": 1.5, "c": 1000.0, "d": "2013-01-01", "e": "1", "f": None, "g": None, "h": "0x10",
        "i": 1000, "j": "12:30", "k": 3.0,
    }  # fmt: skip


def test_numbers_longer_than_python_reads_stay_texts() -> None:
    assert parse("a: " + "9" * 5000).value == {"a": "9" * 5000}


@pytest.mark.parametrize("text", ["[" * 200_000, "- " * 200_000, "{a: " * 100_000, "? " * 200_000])
def test_what_is_nested_too_deeply_is_a_fault_before_it_ends_the_stack(text: str) -> None:
    (fault,) = parse(text).faults
    assert "too deep" in fault.what
    assert fault.line == 1


def test_every_path_has_its_line() -> None:
    document = parse("a:\n  b:\n    - x\n    - {c: 1}\n")
    assert document.lines["a.b.1.c"] == 4
    assert document.line("a.b.1.c.no.such") == 4
    assert document.line("nowhere") is None


def test_a_key_that_stands_twice_is_a_fault_with_both_lines() -> None:
    (fault,) = parse("a: 1\nb: 2\na: 3\n").faults
    assert (fault.line, fault.path) == (3, "a")
    assert "line 1" in fault.fix


@pytest.mark.parametrize("text", ["a: [1, 2", "a: 'x", "a:\n\t- b", "a: b: c", "? [x]\n: y"])
def test_broken_yaml_is_a_fault_with_a_line(text: str) -> None:
    (fault, *_) = parse(text).faults
    assert fault.line is not None


def test_aliases_cannot_explode() -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    assert any("too large" in fault.what for fault in parse("\n".join(levels)).faults)


def test_depth_and_size_are_bounded() -> None:
    assert parse("[" * 200 + "]" * 200).faults
    assert parse("[" * 20000 + "]" * 20000).faults
    assert parse("a: " + "x" * MAX_BYTES).faults


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(min_size=1, max_size=8), inner, max_size=4)
    ),
    max_leaves=20,
)


@pytest.mark.slow
@given(st.dictionaries(st.text(min_size=1, max_size=8), plain, max_size=5))
def test_what_yaml_wrote_is_read_back(value: dict[str, object]) -> None:
    document = parse(yaml.safe_dump(value, allow_unicode=True, default_style='"'))
    assert not document.faults
    assert set(document.value or {}) == set(value)


@given(st.text(max_size=300))
def test_any_text_gives_a_value_or_faults(text: str) -> None:
    document = parse(text)
    assert all(fault.what for fault in document.faults), "and above all: no exception"
