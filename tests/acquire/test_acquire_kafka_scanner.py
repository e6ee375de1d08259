"""The scanner of JSON in C: it gives what Python's parser gives, or says that it does not, whatever the bytes are."""

from __future__ import annotations

import gc
import json
import math
from contextlib import suppress
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessemer.acquire.streams.bodies import Bodies, packed
from bessemer.acquire.streams.decoders import json as decoder
from bessemer.acquire.streams.decoders._scanner import scan
from bessemer.acquire.streams.decoders.json import JsonDecoder
from bessemer.acquire.streams.decoders.scanned import scanned
from bessemer.acquire.streams.reader import uncollected

FIELDS = {"b": pa.bool_(), "i": pa.int64(), "f": pa.float64(), "s": pa.string(), "ü~/ x": pa.string()}
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
FLOATS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**30), 10**30)
KNOWN: dict[str, st.SearchStrategy[Any]] = {
    "b": st.none() | st.booleans(), "i": st.none() | st.integers(-(2**63), 2**63 - 1),
    "f": st.none() | FLOATS, "s": st.none() | TEXTS, "ü~/ x": TEXTS,
}  # fmt: skip
ANY = st.recursive(
    st.none() | st.booleans() | FLOATS | TEXTS,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(TEXTS, below, max_size=3),
    max_leaves=6,
)
ODD = st.binary(max_size=3) | st.sampled_from(
    [
        b'"', b"\\", b"\\u", b"\\ud800", b"{", b"}", b"[", b"]", b",", b":", b"0", b"-", b".", b"e", b"E+", b"null",
        b'"s":"x",', b'"i":1,', b"\xc3", b"\xed\xa0\x80", b"\x00", b"\n", b" ", b"NaN", b"Infinity", b"1e999",
        b"9" * 20,
    ]
)  # fmt: skip
MESSAGES = st.fixed_dictionaries({}, optional=KNOWN)
WITH_MORE = st.fixed_dictionaries({}, optional={**KNOWN, "more": ANY, "s2": ANY})


def written(message: dict[str, Any], way: int) -> bytes:
    """A message as JSON, in one of several ways of writing the same."""
    ways: list[dict[str, Any]] = [
        {"separators": (",", ":"), "ensure_ascii": False}, {"ensure_ascii": False}, {"indent": 1},
    ]  # fmt: skip
    if way < len(ways) - 1 or all(map(str.isascii, message)):  # escapes in names are another matter
        return json.dumps(message, **ways[way]).encode()
    return json.dumps(message, **ways[0]).encode()


def row(message: dict[str, Any]) -> dict[str, Any]:
    """What a row of the columns is by Python."""
    return {
        name: float(message[name]) if name == "f" and message.get(name) is not None else message.get(name)
        for name in FIELDS
    }


@pytest.mark.slow
@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(WITH_MORE, st.integers(0, 2)), min_size=1, max_size=20), st.booleans())
def test_the_columns_are_what_pythons_parser_gives(
    messages: list[tuple[dict[str, Any], int]], only: bool
) -> None:
    values = packed([written(message, way) for message, way in messages])
    found = scanned(values, FIELDS, only=only)
    if not only and any(set(message) - set(FIELDS) for message, _ in messages):
        assert found is None, "a field that nobody knows"
        return
    assert found is not None
    assert found.to_pylist() == [row(message) for message, _ in messages]
    assert found.schema.names == list(FIELDS)


def judged(value: bytes) -> dict[str, Any] | None:
    """What a message is by the rules that hold for one by one; None where it is no row."""
    found = JsonDecoder()._one_by_one([value], FIELDS, FIELDS)
    rows = found.table.to_pylist()
    return None if found.faults else dict(rows[0])


@pytest.mark.slow
@settings(deadline=None, max_examples=300)
@given(WITH_MORE, st.integers(0, 2), st.floats(0, 1), st.integers(0, 3), ODD)
def test_odd_bytes_are_judged_as_one_by_one_or_left_to_others(
    message: dict[str, Any], way: int, place: float, lost: int, odd: bytes
) -> None:
    value = written(message, way)
    at = int(place * len(value))
    value = value[:at] + odd + value[at + lost :]
    found = JsonDecoder()._scanned([b"{}", value, b"{}"], FIELDS, FIELDS)
    if found is not None:
        assert judged(value) == {name: column[1].as_py() for name, column in found.items()}


@pytest.mark.parametrize(
    "value",
    [
        b"", b" ", b"{", b"[]", b"{}{}", b'{"i":01}', b'{"i":+1}', b'{"i":.5}', b'{"f":1.}', b'{"f":1e}', b'{"i":1,}',
        b"{,}",
        b'{"i":1.0}', b'{"i":9223372036854775808}', b'{"i":"1"}', b'{"s":1}', b'{"b":0}', b'{"b":tru', b'{"s":"\x1f"}',
        b'{"s":"\\x"}', b'{"s":"\\ud800"}', b'{"s":"\\udc00"}', b'{"s":"\\ud800\\u0041"}', b'{"s":"\xc0\xaf"}',
        b'{"s":"\xed\xa0\x80"}', b'{"s":"\xf4\x90\x80\x80"}', b'{"s":"\xe2\x82"}', b'{"s":"', b'{"s":"\\',
        b'{"s":"\\u00"}',
        b'{"i":1,"i":1}', b'{"\\u0069":1}', b'{"f":NaN}', b"\xef\xbb\xbf{}", b'{"x":' + b"[" * 500 + b"]" * 500 + b"}",
        b'{"x":[1,]}', b'{"x":{"a"}}', b'{"x":"\xff"}', b'{"x":-}',
    ],
    ids=range(39),
)  # fmt: skip
def test_what_is_odd_is_left_to_others(value: bytes) -> None:
    assert scanned(packed([b'{"i":1}', value]), FIELDS, only=True) is None


def test_escapes_and_numbers_at_their_limits() -> None:
    values = [
        rb' { "s" : "\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00\u0000" , "i" : -9223372036854775808 } ',
        b'{"f":5e-324,"x":' + b"[" * 499 + b"]" * 499 + b"}",
        b'{"f":1.7976931348623157e308,"i":-0,"b":false}',
    ]
    found = scanned(packed(values), FIELDS, only=True)
    assert found is not None
    assert found["s"][0].as_py() == '"\\/\b\f\n\r\té😀\0'
    assert found["f"].to_pylist() == [None, math.ulp(0.0), np.finfo(float).max]
    assert found["i"].to_pylist() == [-(2**63), None, 0]


@pytest.mark.slow
@settings(deadline=None, max_examples=100)
@given(
    st.lists(
        MESSAGES | st.fixed_dictionaries({"i": FLOATS, "new": KNOWN["s"] | FLOATS}), min_size=3, max_size=12
    ),
    st.sampled_from([{}, {"i": pa.int64()}, {"f": pa.float64(), "s": pa.string()}]),
)
def test_types_guessed_from_the_first_messages_are_those_of_all(
    messages: list[dict[str, Any]], known: dict[str, pa.DataType]
) -> None:
    values = [written(message, 0) for message in messages]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoder, "_FIRST", 2)
        found = JsonDecoder().decode(values, known)
        patch.setattr(decoder, "scanned", lambda *_, **__: None)
        wanted = JsonDecoder().decode(values, known)
    assert found.table.equals(wanted.table)
    assert (list(found.rows), found.faults) == (list(wanted.rows), wanted.faults)


def test_only_messages_within_the_data_are_scanned() -> None:
    data, kinds = b'{"i":1}', (b"i",)
    for ends in ([0, 8], [1, 0], [-1, 7], [0]):
        with pytest.raises(ValueError, match="within the data"):
            scan(data, np.array(ends, np.int32), 1, kinds, b"n", False)
    with pytest.raises(ValueError, match="a kind"):
        scan(data, np.array([0, 7], np.int32), 1, kinds, b"x", False)


def test_pieces_of_arrow_are_scanned_from_where_they_begin() -> None:
    values = packed([b'{"i":1}', b'{"i":2}', b"", b'{"i":3}'])
    for part, wanted in ((values.slice(1, 1), [2]), (values.slice(3), [3]), (values.slice(4), [])):
        found = scanned(pa.chunked_array([*part.chunks, *part.chunks], pa.binary()), FIELDS, only=False)
        assert found is not None
        assert found["i"].to_pylist() == 2 * wanted


def test_messages_in_pieces_are_a_sequence() -> None:
    values = [b"a", b"", b"ccc", b"dd"]
    found = Bodies(pa.chunked_array([packed(values[:1]).chunk(0), packed(values[1:]).chunk(0)]))
    assert list(found) == values
    assert [found[place] for place in (0, 3, -1)] == [b"a", b"dd", b"dd"]
    assert list(found[1:3]) == [b"", b"ccc"]
    assert packed([b"a", None]).to_pylist() == [b"a", None]


def test_the_collector_of_cycles_is_as_it_was() -> None:
    for before in (gc.disable, gc.enable):
        before()
        was = gc.isenabled()
        with suppress(KeyError), uncollected():
            assert not gc.isenabled()
            raise KeyError
        assert gc.isenabled() == was
