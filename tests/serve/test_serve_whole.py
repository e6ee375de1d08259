"""A whole server: keys, TLS, limits, the prediction log and labels together, over real sockets."""

from __future__ import annotations

import datetime as dt
import os
import signal
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from serve_command import Server

import patience
from bessemer.package.prediction_log.read import read_log
from bessemer.serve.guards.keyfile import add_key
from patience import until

pytestmark = pytest.mark.slow
Start = Callable[..., Server]


def certificate(folder: Path) -> Path:
    """A self-signed certificate for 127.0.0.1, with its key beside it."""
    import ipaddress

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=90))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(secret)
    return folder / "cert.pem"


def test_keys_tls_and_limits(server: Start, versions: Any, tmp_path: Path) -> None:
    trusted = certificate(tmp_path)
    shop = add_key(tmp_path / "keys.yaml", "shop", scopes=["predict"])
    settings = """
serve:
  access:
    keys: {file: keys.yaml}
    limits: {requests_per_second: 0.01, burst: 10, headers: true}
  tls: {certificate: cert.pem, key: key.pem}
"""
    one = server(versions("1.0.0"), "--workers", "1", "--grpc-port", "0", settings=settings)
    assert one.url.startswith("https://")
    with patience.Client(verify=ssl.create_default_context(cafile=trusted), base_url=one.url) as client:
        assert client.get("/v2/health/ready").status_code == 200
        refused = client.post("/predict", json={"tenure": 8})
        assert refused.status_code == 401
        assert "www-authenticate" in refused.headers
        assert client.get("/there/is/no/such/path").status_code == 401, "who may not ask is told nothing"
        headers = {"authorization": f"Bearer {shop}"}
        good = client.post("/predict", json={"tenure": 8}, headers=headers)
        assert good.status_code == 200
        assert "ratelimit" in good.headers
        assert client.get("/deployments", headers=headers).status_code == 403
        found = [client.post("/predict", json={"tenure": 8}, headers=headers) for _ in range(20)]
        limited = [answer for answer in found if answer.status_code == 429]
        assert limited
        assert int(limited[0].headers["retry-after"]) >= 1
    assert shop not in one.told


LOG = """
serve:
  access: {anonymous: [predict, admin]}
  log: {folder: predictions}
"""


def test_predictions_are_logged_with_their_labels(server: Start, versions: Any, tmp_path: Path) -> None:
    one = server(versions("1.0.0"), "--workers", "2", settings=LOG)
    rows = [{"tenure": 8}, {"tenure": 2008}]
    answer = patience.post(f"{one.url}/predict", json={"rows": rows}, headers={"x-request-id": "order-7"})
    assert answer.headers["x-request-id"] == "order-7"
    named = patience.post(f"{one.url}/predict", json={"tenure": 9}).headers["x-request-id"]
    labels = [{"prediction_id": "order-7-1", "label": "yes"}, {"prediction_id": named, "label": "no"}]
    told = patience.post(f"{one.url}/feedback", json={"labels": labels})
    assert (told.status_code, told.json()) == (200, {"accepted": 2})
    wrong = patience.post(f"{one.url}/feedback", json={"labels": [{"prediction_id": "x", "label": "maybe"}]})
    assert wrong.status_code == 400
    found = read_log(tmp_path / "predictions", "tiny").read_all().to_pylist()
    by_id = {row["prediction_id"]: row for row in found}
    assert {name: row["label"] for name, row in by_id.items()} == {
        "order-7-0": None, "order-7-1": "yes", named: "no",
    }  # fmt: skip
    assert by_id["order-7-1"]["in.tenure"] == 2008
    assert by_id["order-7-1"]["dialect"] == "plain"


def test_nothing_acknowledged_is_lost_when_workers_are_killed(
    server: Start,
    versions: Any,
    tmp_path: Path,
) -> None:
    one = server(versions("1.0.0"), "--workers", "2", settings=LOG)
    acknowledged: set[str] = set()
    stop = threading.Event()

    def ask(client: int) -> None:
        for number in range(100_000):
            if stop.is_set():
                return
            name = f"{client}-x{number}"
            try:
                answer = patience.post(
                    f"{one.url}/predict", json={"tenure": 8}, headers={"x-request-id": name}
                )
            except httpx.TransportError:
                continue
            if answer.status_code == 200:
                acknowledged.add(name)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(5):
            before = len(acknowledged)
            until(lambda before=before: len(acknowledged) > before + 30)  # type: ignore[misc]
            killed = one.workers()[0]
            os.kill(killed, signal.SIGKILL)
            until(lambda killed=killed: f"(process {killed}) was killed" in one.told)  # type: ignore[misc]
            until(lambda: len(one.workers()) == 2)
    finally:
        stop.set()
    for thread in threads:
        thread.join()
    found = read_log(tmp_path / "predictions", "tiny").read_all().column("prediction_id").to_pylist()
    assert len(found) == len(set(found))
    assert acknowledged <= set(found)


def test_a_canary_is_judged_by_its_labels(server: Start, versions: Any, tmp_path: Path) -> None:
    one = server(versions("1.0.0"), "--workers", "1", settings=LOG)
    gates = {"requests": 20, "seconds": "1s", "metric": "accuracy", "labels": 10, "latency": 1e9}
    body = {"package": versions("1.1.0"), "mode": "canary", "steps": ["50%"], "gates": gates}
    assert patience.post(f"{one.url}/deployments", json=body).status_code == 200
    until(lambda: _trial(one)["canary"] is not None)
    for _ in range(120):
        answer = patience.post(f"{one.url}/predict", json={"tenure": 8})
        right = answer.json()["model"]["version"] == "1.0.0"
        label = {"prediction_id": answer.headers["x-request-id"], "label": "no" if right else "yes"}
        if _trial(one)["canary"] is None:
            break
        patience.post(f"{one.url}/feedback", json={"labels": [label]})
    until(lambda: _trial(one)["canary"] is None)
    assert "its accuracy is" in _trial(one)["verdict"]
    assert list(_trial(one)["versions"]) == ["1.0.0"]


def _trial(one: Server) -> Any:
    return patience.get(f"{one.url}/deployments").json()["models"]["tiny"]
