"""Signing keys: made once, kept to their owner, and nothing else is taken for one."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization as s
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bessemer.core.errors import SignatureError, UsageError
from bessemer.package import keys

PEM, PKCS8 = s.Encoding.PEM, s.PrivateFormat.PKCS8


def private_pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(PEM, PKCS8, s.NoEncryption())


def test_a_key_is_made_on_first_use_and_kept(own_keys: Path) -> None:
    assert keys.existing_key_id() == "none"
    assert keys.trusted_keys() == ()
    public = keys.public_of(keys.signing_key())
    assert keys.public_of(keys.signing_key()) == public
    assert keys.trusted_keys() == (public,)
    assert keys.existing_key_id() == keys.key_id(public)
    file = own_keys / "keys" / "signing.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert keys.read_public(own_keys / "keys" / "signing.pub") == public
    assert sorted(p.name for p in file.parent.iterdir()) == ["signing.key", "signing.pub"]


def test_runs_that_start_at_once_use_one_key(own_keys: Path) -> None:
    code = "from bessemer.package import keys; print(keys.key_id(keys.public_of(keys.signing_key())))"
    command = [sys.executable, "-c", code]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert {p.communicate(timeout=300)[0] for p in started} == {keys.existing_key_id() + "\n"}


def test_the_environment_names_another_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = keys.public_of(keys.signing_key())
    other = Ed25519PrivateKey.generate()
    (tmp_path / "ci.key").write_bytes(private_pem(other))
    monkeypatch.setenv("BESSEMER_SIGNING_KEY", str(tmp_path / "ci.key"))
    assert keys.public_of(keys.signing_key()) == keys.public_of(other) != own
    assert keys.public_of(other) in keys.trusted_keys()
    monkeypatch.setenv("BESSEMER_SIGNING_KEY", str(tmp_path / "none.key"))
    with pytest.raises(UsageError, match="does not exist"):
        keys.signing_key()


def test_what_is_no_key_is_refused(own_keys: Path, tmp_path: Path) -> None:
    keys.signing_key()
    file = own_keys / "keys" / "signing.key"
    file.write_bytes(b"junk")
    with pytest.raises(UsageError, match="is not a private key"):
        keys.signing_key()
    file.write_bytes(generate_private_key(SECP256R1()).private_bytes(PEM, PKCS8, s.NoEncryption()))
    with pytest.raises(UsageError, match="of another kind"):
        keys.signing_key()
    locked = Ed25519PrivateKey.generate().private_bytes(PEM, PKCS8, s.BestAvailableEncryption(b"secret"))
    file.write_bytes(locked)
    with pytest.raises(UsageError, match="is not a private key"):
        keys.signing_key()
    for content in (b"", locked, b"\x00" * 32):
        (tmp_path / "x.pub").write_bytes(content)
        with pytest.raises(UsageError, match="is not an Ed25519 public key"):
            keys.trust_key(tmp_path / "x.pub")
    with pytest.raises(UsageError, match="cannot read the public key"):
        keys.read_public(tmp_path / "none.pub")


def test_a_signature_is_96_bytes_and_of_these_bytes_only() -> None:
    key = Ed25519PrivateKey.generate()
    signed = keys.sign(key, b"manifest")
    assert len(signed) == 96
    assert keys.check_signature(signed, b"manifest") == keys.public_of(key)
    for wrong, message in (
        (signed, b"manifesT"),
        (signed[:-1], b"manifest"),
        (signed + b"x", b"manifest"),
        (b"", b""),
    ):
        with pytest.raises(SignatureError):
            keys.check_signature(wrong, message)
