"""The owner's key: made once, the owner's alone, and never in what others see."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from protect_support import OTHER, OWNER

from bessemer.core.redaction import hidden
from bessemer.protect.owner import existing_owner_id, key_path, make_key, owner_id, owner_key


def test_a_key_is_made_once_and_only_its_owner_may_read_it(
    owner: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BESSEMER_OWNER_KEY")
    assert existing_owner_id() == "none"
    name = make_key()
    assert key_path().is_relative_to(owner)
    assert stat.S_IMODE(key_path().stat().st_mode) == 0o600
    assert name == existing_owner_id() == owner_id(owner_key())
    before = key_path().read_bytes()
    with pytest.raises(Exception, match="there is an owner key"):
        make_key()
    assert key_path().read_bytes() == before


def test_the_environment_comes_first_and_its_key_is_hidden(owner: Path) -> None:
    assert owner_key() == bytes.fromhex(OWNER)
    assert OWNER not in hidden(f"the key is {OWNER}")
    assert owner_id(bytes.fromhex(OWNER)) != owner_id(bytes.fromhex(OTHER))


@pytest.mark.parametrize("text", ["ab" * 31, "zz" * 32, "a key"])
def test_what_is_no_key_is_said_without_showing_it(
    owner: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("BESSEMER_OWNER_KEY", text)
    with pytest.raises(Exception, match="is not an owner key") as refused:
        owner_key()
    assert text not in str(refused.value)


def test_no_key_is_made_that_the_environment_would_hide(owner: Path) -> None:
    with pytest.raises(Exception, match="unset BESSEMER_OWNER_KEY"):
        make_key()
    assert not key_path().exists()


def test_no_key_says_how_to_make_one(owner: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BESSEMER_OWNER_KEY")
    with pytest.raises(Exception, match="bessemer watermark keygen"):
        owner_key()
