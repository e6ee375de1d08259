"""Disputes: what is shown convinces without the owner's key, once each, and only as it was committed to."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from bessemer.core.errors import FormatError
from bessemer.package.certificate import Certificate
from bessemer.protect.commit import Made, committed
from bessemer.protect.evidence import check_evidence, evidence_of
from bessemer.protect.marks import Mark, shown, take_block

KEY = bytes([1] * 32)
MADE = Made("shop", "crossover", {}, "pool", 30, 10, 64)


@pytest.fixture
def mark() -> Mark:
    rows: list[dict[str, Any]] = [{"a": k, "b": None, "c": 0.5 * k} for k in range(30)]
    said, labels = committed(KEY, MADE, rows, "multiclass", list("abc"), ())
    return Mark(said, rows, labels, MADE.secret(KEY))


def test_evidence_says_what_the_owner_knows_and_nothing_of_other_blocks(mark: Mark) -> None:
    text = json.dumps(evidence_of(mark, 1))
    found = check_evidence(json.loads(text), mark.certificate)
    assert (found.block, found.rows, found.labels.tolist()) == (
        1,
        mark.rows[10:20],
        mark.labels[10:20].tolist(),
    )
    hidden = [evidence_of(mark, block)["keys"] for block in (0, 2)]
    assert not [key["salt"] for keys in hidden for key in keys if key["salt"] in text]
    assert mark.secret.hex() not in text
    assert KEY.hex() not in text


def spoil(value: dict[str, Any], how: str) -> None:
    keys = value["keys"]
    if how == "row":
        keys[3]["row"]["a"] = 99
    elif how == "salt":
        keys[3]["salt"] = "00" * 32
    elif how == "path":
        keys[3]["path"][0] = "00" * 32
    elif how == "left out":
        del keys[3]
    elif how == "another in its place":
        keys[3] = keys[4]
    elif how == "another block":
        value["block"] = 2
    elif how == "root":
        value["root"] = "00" * 32
    elif how == "no place":
        del keys[3]["place"]
    else:
        value["format"] = 2


@pytest.mark.parametrize(
    "how",
    [
        "row",
        "salt",
        "path",
        "left out",
        "another in its place",
        "another block",
        "root",
        "no place",
        "format",
    ],
)
def test_evidence_that_was_touched_is_refused(mark: Mark, how: str) -> None:
    value = copy.deepcopy(evidence_of(mark, 0))
    check_evidence(value, mark.certificate)
    spoil(value, how)
    with pytest.raises(FormatError, match="evidence"):
        check_evidence(value, mark.certificate)


@pytest.mark.parametrize(
    "value", [[], {}, {"format": 1}, {"format": 1, "block": 0, "keys": 3, "root": ""}, "x", None]
)
def test_what_is_no_evidence_is_refused(mark: Mark, value: Any) -> None:
    with pytest.raises(FormatError, match="evidence"):
        check_evidence(value, mark.certificate)


def test_each_block_is_shown_once(mark: Mark, owner: Path) -> None:
    said: Certificate = mark.certificate
    assert shown(said) == []
    assert [take_block(said) for _ in range(3)] == [0, 1, 2]
    assert shown(said) == [0, 1, 2]
    with pytest.raises(Exception, match="all 3 blocks of keys have been shown"):
        take_block(said)


def test_a_ledger_that_cannot_be_read_is_not_taken_for_an_empty_one(mark: Mark, owner: Path) -> None:
    take_block(mark.certificate)
    (path,) = owner.rglob("shown.json")
    path.write_text("[0")
    with pytest.raises(Exception, match="cannot be read"):
        take_block(mark.certificate)
