"""Brokers behind TLS and passwords: certificates are checked, and a wrong one, or a wrong password, is told of.

The broker itself speaks neither. TLS is that of Python's `ssl` in front of it; the check of passwords is an emulator of
ours, which the official client takes for a broker's (see `systems.kafka_front`).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bessemer.core.errors import DataError, EnvironmentFault, StoreError
from bessemer.predict.plugins import SINKS
from bessemer.predict.protocol import Progress
from bessemer.predict.target import target_of
from bessemer.testing.sinks import batch, job
from bessemer.testing.sources import read
from noida import running
from systems.certificates import Authority
from systems.kafka import Broker
from systems.kafka_front import Front, front

pytestmark = pytest.mark.slow
#: Seconds to wait for brokers that do not let anybody in: the next where nothing was heard of them in the one before.
PATIENCE = (2.0, 15.0, 120.0)
USER, PASSWORD, WRONG = "reader", "of-secret-hills", "of-wrong-valleys"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with running("kafka", tmp_path_factory.mktemp("kafka")) as server:
        made = Broker(server)
        made.topic("clicks", 2)
        made.topic("scores")
        for partition in range(2):
            made.send("clicks", [b'{"id": %d, "n": 0.5}' % partition], partition)
        yield made


@pytest.fixture(autouse=True)
def _passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_PASSWORD", PASSWORD)
    monkeypatch.setenv("KAFKA_WRONG", WRONG)


def options(at: Front, folder: Path, **more: Any) -> dict[str, Any]:
    return {"kafka": at.address, "topic": "clicks", "land": str(folder / "lake"), "patience": 300, **more}


def login(mechanism: str, variable: str = "KAFKA_PASSWORD") -> dict[str, Any]:
    return {"username": USER, "password_env": variable, "mechanism": mechanism}


def refused(given: dict[str, Any], folder: Path, said: str) -> DataError:
    """The error, with these words in it: it can say no more than what was heard of the connection by then."""
    for patience in PATIENCE:
        with pytest.raises(DataError, match="cannot be read") as caught:
            read({**given, "patience": patience}, folder / "project")
        assert not (folder / "lake").exists(), "a table was made"
        if said.lower() in str(caught.value).lower():
            return caught.value
    raise AssertionError(str(caught.value))


def test_the_right_authority_is_trusted_and_what_goes_over_the_wire_is_not_plain(
    broker: Broker, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    with front(broker.server.port, authority.server()) as at:
        found = read(options(at, tmp_path, ca=str(authority.file)), tmp_path / "project")
        assert sorted(found["id"].to_pylist()) == [0, 1]
        assert at.seen, "the connections went past it"
        assert "TLS" in refused(options(at, tmp_path / "plain"), tmp_path / "plain", "TLS").fix


@pytest.mark.parametrize(
    ("address", "days", "trusted", "why", "fix"),
    [
        ("127.0.0.1", (-1, 1), "stranger", "unable to get local issuer certificate", "check `ca`"),
        ("127.0.0.1", (-2, -1), "authority", "certificate has expired", "renew"),
        ("127.0.0.1", (1, 2), "authority", "not yet valid", "clocks"),
        ("127.0.0.2", (-1, 1), "authority", "mismatch", "as the certificate has it"),
    ],
)
def test_a_certificate_that_is_not_right_is_refused(
    address: str, days: tuple[int, int], trusted: str, why: str, fix: str, broker: Broker, tmp_path: Path
) -> None:
    authority, stranger = Authority(tmp_path), Authority(tmp_path, "stranger")
    ca = {"authority": authority, "stranger": stranger}[trusted].file
    with front(broker.server.port, authority.server(address, days)) as at:
        error = refused(options(at, tmp_path, ca=str(ca)), tmp_path, why)
        assert why in error.why
        assert fix in error.fix
        assert not at.seen, "something was said before the certificate was trusted"


def test_brokers_without_tls_are_told_of(broker: Broker, tmp_path: Path) -> None:
    with front(broker.server.port) as at:
        error = refused(options(at, tmp_path, tls=True), tmp_path, "handshake")
    assert "handshake" in error.why.lower()  # whether its answer or the end of the connection is seen first
    assert "do not speak TLS" in error.fix


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_a_password_lets_in_and_a_wrong_one_does_not(
    mechanism: str, broker: Broker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with front(broker.server.port, users={USER: PASSWORD}) as at:
        found = read(options(at, tmp_path / "in", **login(mechanism)), tmp_path / "in" / "project")
        assert sorted(found["id"].to_pylist()) == [0, 1]
        wrong = options(at, tmp_path / "out", **login(mechanism, "KAFKA_WRONG"))
        error = refused(wrong, tmp_path / "out", "Authentication failed")
        assert "Authentication failed" in error.why
        assert "`password_env`" in error.fix
        shown = any(PASSWORD.encode() in sent or WRONG.encode() in sent for sent in at.seen)
        assert shown == (mechanism == "PLAIN"), "SCRAM never sends the password"
    written = [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()]
    said = "".join([str(error), caplog.text]).encode()
    assert not [text for text in (*written, said) if re.search(rf"{PASSWORD}|{WRONG}".encode(), text)]


def test_a_mechanism_that_the_brokers_do_not_take_is_told_of(broker: Broker, tmp_path: Path) -> None:
    with front(broker.server.port, users={USER: PASSWORD}) as at:
        at.mechanisms = ("SCRAM-SHA-512",)
        error = refused(options(at, tmp_path, **login("PLAIN")), tmp_path, "supported mechanisms")
        assert "supported mechanisms: SCRAM-SHA-512" in error.why
        assert "`mechanism`" in error.fix
        assert "a login" in refused(options(at, tmp_path), tmp_path, "a login").fix


def test_predictions_go_through_tls_and_a_password(broker: Broker, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with front(broker.server.port, authority.server(), {USER: PASSWORD}) as at:
        words = {"kafka": at.address, "topic": "scores", "ca": str(authority.file), "timeout": 300.0}
        sink = SINKS.load("kafka")(target_of({**words, **login("SCRAM-SHA-256")}), job("s"))
        sink.open()
        sink.write(batch(0), Progress(1, 4, 0, 4))
        sink.finish()
        sink.close()
        for timeout in PATIENCE:
            words |= {"timeout": timeout, **login("PLAIN", "KAFKA_WRONG")}
            wrong = SINKS.load("kafka")(target_of(words), job("t"))
            with pytest.raises((DataError, StoreError, EnvironmentFault)) as caught:
                wrong.open()
            wrong.close()
            if "Authentication failed" in str(caught.value):
                break
    assert "Authentication failed" in str(caught.value)
    assert WRONG not in str(caught.value)
    assert len(broker.messages("scores")) == 4
