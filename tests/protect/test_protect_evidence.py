"""Disputes: what is shown convinces without the owner's key, once each, and only as it was committed to."""

from __future__ import annotations

import copy
import json
import stat
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bessemer.core import canonical
from bessemer.core.errors import EnvironmentFault, FormatError, StoreError, UsageError
from bessemer.package.certificate import Certificate
from bessemer.protect.commit import Made, committed
from bessemer.protect.evidence import check_evidence, evidence_of
from bessemer.protect.marks import Mark, next_block, open_mark, shown
from bessemer.protect.owner import owner_key
from bessemer.protect.verify import dispute

KEY = bytes([1] * 32)
MADE = Made("shop", "crossover", {}, "pool", 30, 10, 64)


def taken(certificate: Certificate) -> int:
    with next_block(certificate) as block:
        return block


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
    elif how == "below":
        value["block"] = -1
        for number, key in enumerate(keys):
            key["place"] = number - 10
    elif how == "no object":
        keys[3]["row"] = [1]
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
        "below",
        "no object",
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
    "value",
    [
        [],
        {},
        {"format": 1},
        {"format": 1, "block": 0, "keys": 3, "root": ""},
        {"format": 1, "block": 1e400, "keys": []},
        "x",
        None,
    ],
)
def test_what_is_no_evidence_is_refused(mark: Mark, value: Any) -> None:
    with pytest.raises(FormatError, match="evidence"):
        check_evidence(value, mark.certificate)


def test_each_block_is_shown_once(mark: Mark, owner: Path) -> None:
    said: Certificate = mark.certificate
    assert shown(said) == []
    assert [taken(said) for _ in range(3)] == [0, 1, 2]
    assert shown(said) == [0, 1, 2]
    with pytest.raises(Exception, match="all 3 blocks of keys have been shown"):
        taken(said)


def test_a_block_that_nobody_got_is_not_used_up(mark: Mark, owner: Path) -> None:
    with pytest.raises(OSError, match="no room"), next_block(mark.certificate):
        raise OSError("no room")
    assert shown(mark.certificate) == []


def test_nobody_else_is_given_a_block_meanwhile(
    mark: Mark, owner: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bessemer.protect.marks._WAIT", 0.0)
    with (
        next_block(mark.certificate) as first,
        pytest.raises(EnvironmentFault, match="another dispute"),
    ):
        taken(mark.certificate)
    assert (first, taken(mark.certificate)) == (0, 1)


@pytest.fixture
def kept(owner: Path) -> Certificate:
    """A mark that is kept beside the owner's key, as `embed` does it."""
    rows = [{"a": k, "b": None, "c": 0.5 * k} for k in range(30)]
    said, _ = committed(owner_key(), MADE, rows, "multiclass", list("abc"), ())
    folder = owner / "owner" / "marks" / said.root[:16]
    folder.mkdir(parents=True)
    columns = {"a": pa.int64(), "b": pa.string(), "c": pa.float64()}
    pq.write_table(pa.Table.from_pylist(rows, pa.schema(columns)), folder / "keys.parquet")
    (folder / "mark.json").write_bytes(canonical.dump_bytes({"made": MADE}))
    return said


def test_evidence_is_for_this_user_alone_and_uses_up_its_block(kept: Certificate, tmp_path: Path) -> None:
    file = tmp_path / "evidence.json"
    found = dispute(kept, file)
    assert check_evidence(json.loads(file.read_bytes()), kept).block == found["block"] == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert shown(kept) == [0]
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["evidence.json"]


@pytest.mark.parametrize(
    ("name", "why"),
    [("none/evidence.json", "there is no folder"), ("x" * 300, "cannot write"), (".", "is there")],
)
def test_a_file_that_cannot_be_written_uses_up_no_block(
    kept: Certificate, tmp_path: Path, name: str, why: str
) -> None:
    with pytest.raises(UsageError, match=why):
        dispute(kept, tmp_path / name)
    assert shown(kept) == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("keys.parquet", b"PAR1 no more"),
        ("mark.json", b"{"),
        ("mark.json", b"[]"),
        ("mark.json", b'{"made": {"name": "shop"}}'),
    ],
)
def test_keys_that_are_damaged_are_told_of(kept: Certificate, owner: Path, name: str, content: bytes) -> None:
    assert len(open_mark(kept).rows) == 30
    (path,) = owner.rglob(name)
    path.write_bytes(content)
    with pytest.raises(StoreError, match="are damaged"):
        open_mark(kept)


def test_a_ledger_that_cannot_be_read_is_not_taken_for_an_empty_one(mark: Mark, owner: Path) -> None:
    taken(mark.certificate)
    (path,) = owner.rglob("shown.json")
    path.write_text("[0")
    with pytest.raises(Exception, match="cannot be read"):
        taken(mark.certificate)
