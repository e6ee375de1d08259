"""The gRPC transport: a real server process, and grpcio's own client."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from serve_client import Served

import environments
from bessemer.core.errors import EnvironmentFault
from bessemer.serve.app import App
from bessemer.serve.protos import message
from bessemer.serve.transport.grpc import GrpcServer
from bessemer.serve.transport.grpc_call import address_of, code_of, details_of, headers_of
from bessemer.serve.wire import Response
from bessemer.testing.dialects import repository
from patience import PATIENCE

SERVICE = "/inference.GRPCInferenceService"
slow = pytest.mark.slow


def test_statuses_become_codes() -> None:
    codes = grpc.StatusCode
    assert code_of(400) is codes.INVALID_ARGUMENT
    assert code_of(401) is codes.UNAUTHENTICATED
    assert code_of(413) is code_of(429) is code_of(507) is codes.RESOURCE_EXHAUSTED
    assert code_of(418) is code_of(500) is codes.INTERNAL


def test_messages_of_errors_fit_into_a_header() -> None:
    assert details_of(Response(400, b"short")) == "short"
    assert len(details_of(Response(400, "ü".encode() * 5000))) == 800
    assert details_of(Response(400, b"\xff")) == "\ufffd"


def test_metadata_and_peers() -> None:
    assert headers_of((("x-api-key", "a"), ("a-bin", b"\0"))) == {"x-api-key": "a"}
    assert address_of("ipv6:%5B2001:db8::1%5D:443") == "2001:db8::1"
    assert address_of("") == ""


def infer(model: str = "tiny", tenure: float = 8.0, rows: int = 1) -> bytes:
    made = message("inference.ModelInferRequest")(model_name=model)
    made.inputs.add(name="tenure", datatype="FP32", shape=[rows])
    made.raw_input_contents.append(np.full(rows, tenure, dtype=np.float32).tobytes())
    made.outputs.add(name="score")
    body: bytes = made.SerializeToString()
    return body


def score(body: bytes) -> float:
    raw = message("inference.ModelInferResponse").FromString(body).raw_output_contents[0]
    return float(np.frombuffer(raw, dtype=np.float32)[0])


@contextlib.contextmanager
def channel(served: Served) -> Iterator[Any]:
    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(served.grpc, options=options) as found:
        yield found


def call(found: Any, method: str, body: bytes = b"", **options: Any) -> bytes:
    answer: bytes = found.unary_unary(f"{SERVICE}/{method}")(
        body, timeout=options.pop("timeout", PATIENCE), **options
    )
    return answer


def failed(found: Any, method: str, body: bytes = b"", **options: Any) -> Any:
    with pytest.raises(grpc.RpcError) as caught:
        call(found, method, body, **options)
    return caught.value


@pytest.fixture(scope="module")
def rpc(start: Any) -> Served:
    found: Served = start(grpc_port=0, max_body=64 * 1024, connections=64)
    return found


@slow
def test_a_call_is_answered(rpc: Served) -> None:
    with channel(rpc) as found:
        assert score(call(found, "ModelInfer", infer())) == 0.0
        assert message("inference.ServerLiveResponse").FromString(call(found, "ServerLive")).live


@slow
def test_many_calls_on_one_connection(rpc: Served) -> None:
    with channel(rpc) as found, ThreadPoolExecutor(16) as pool:
        made = pool.map(lambda t: score(call(found, "ModelInfer", infer(tenure=t))), range(200))
        assert list(made) == [0.5 - t / 16 for t in range(200)]


@slow
def test_refusals(rpc: Served) -> None:
    with channel(rpc) as found:
        error = failed(found, "ModelInfer", infer("tinny"))
        assert error.code() is grpc.StatusCode.NOT_FOUND
        assert "did you mean 'tiny'?" in error.details()
        assert failed(found, "ModelInfer", b"\xff\xff").code() is grpc.StatusCode.INVALID_ARGUMENT
        assert failed(found, "NoSuchMethod").code() is grpc.StatusCode.UNIMPLEMENTED
        assert failed(found, "SystemSharedMemoryStatus").code() is grpc.StatusCode.UNIMPLEMENTED
        unload = message("inference.RepositoryModelUnloadRequest")(model_name="tiny").SerializeToString()
        assert failed(found, "RepositoryModelUnload", unload).code() is grpc.StatusCode.PERMISSION_DENIED
        assert score(call(found, "ModelInfer", infer())) == 0.0


@slow
def test_a_message_that_is_too_large(rpc: Served) -> None:
    with channel(rpc) as found:
        error = failed(found, "ModelInfer", infer(rows=20_000))
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert score(call(found, "ModelInfer", infer())) == 0.0


@slow
def test_keys_are_metadata(start: Any, tmp_path: Path) -> None:
    file = str(tmp_path / "keys.yaml")
    command = [sys.executable, "-m", "bessemer", "access", "add", "shop", "--file", file, "--json"]
    key = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)["key"]
    with channel(start(grpc_port=0, access={"keys": {"file": file}})) as found:
        error = failed(found, "ModelInfer", infer())
        assert error.code() is grpc.StatusCode.UNAUTHENTICATED
        assert dict(error.trailing_metadata())["www-authenticate"].startswith("Bearer")
        assert score(call(found, "ModelInfer", infer(), metadata=(("x-api-key", key),))) == 0.0
        bearer = (("authorization", f"Bearer {key}"),)
        assert score(call(found, "ModelInfer", infer(), metadata=bearer)) == 0.0
        assert (
            failed(found, "RepositoryModelLoad", b"", metadata=bearer).code()
            is grpc.StatusCode.PERMISSION_DENIED
        )


@slow
def test_deadlines(start: Any) -> None:
    served = start("held", threads=1, grpc_port=0, timeout=0.6)
    with channel(served) as found:
        assert failed(found, "ModelInfer", infer(), timeout=0.2).code() is grpc.StatusCode.DEADLINE_EXCEEDED
        error = failed(found, "ModelInfer", infer())  # the server's own
        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert "no answer within 0.6 s" in error.details()
        assert message("inference.ServerLiveResponse").FromString(call(found, "ServerLive")).live


@slow
def test_calls_in_flight_are_finished_and_streams_are_told(start: Any) -> None:
    served = start("held", grpc_port=0)
    with channel(served) as found, ThreadPoolExecutor(1) as pool:
        over = threading.Event()

        def messages() -> Iterator[bytes]:
            yield infer()
            over.wait(PATIENCE)

        stream = found.stream_stream(f"{SERVICE}/ModelStreamInfer")(messages(), timeout=PATIENCE)
        served.begun()
        answered = pool.submit(call, found, "ModelInfer", infer(tenure=0.0))
        served.begun()
        served.signal(signal.SIGTERM)
        served.closes()
        served.let_go()
        assert score(answered.result(PATIENCE)) == 0.5
        parts = []
        with pytest.raises(grpc.RpcError) as caught:
            parts += stream
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        over.set()
    assert served.wait()[0] == 0


@slow
def test_a_stream_is_answered_in_order(rpc: Served) -> None:
    bodies = [infer("other" if i == 5 else "tiny", tenure=float(i)) for i in range(100)]
    with channel(rpc) as found:
        answers = list(found.stream_stream(f"{SERVICE}/ModelStreamInfer")(iter(bodies), timeout=PATIENCE))
    read = [message("inference.ModelStreamInferResponse").FromString(answer) for answer in answers]
    assert "there is no model 'other'" in read.pop(5).error_message
    found_scores = [score(each.infer_response.SerializeToString()) for each in read]
    assert found_scores == [0.5 - i / 16 for i in range(100) if i != 5]


@slow
def test_a_stream_that_is_cancelled_leaves_the_server_well(rpc: Served) -> None:
    with channel(rpc) as found:
        stream = found.stream_stream(f"{SERVICE}/ModelStreamInfer")(iter([infer()] * 1000), timeout=PATIENCE)
        next(stream)
        stream.cancel()
        assert score(call(found, "ModelInfer", infer())) == 0.0


def test_a_port_that_is_taken_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        models = repository(grpc_port=port)

        async def begin() -> None:
            await GrpcServer(App(models), models.spec).start()

        with pytest.raises(EnvironmentFault, match=f"cannot listen on 127.0.0.1:{port} for gRPC") as caught:
            asyncio.run(begin())
    assert "--grpc-port" in caught.value.fix


HEALTH = """
import json, sys, threading
import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
told = {}
with grpc.insecure_channel(sys.argv[1]) as channel:
    health = health_pb2_grpc.HealthStub(channel)
    for name in ("", "tiny", "inference.GRPCInferenceService"):
        told[name] = health.Check(health_pb2.HealthCheckRequest(service=name), timeout=300).status
    try:
        health.Check(health_pb2.HealthCheckRequest(service="other"), timeout=300)
    except grpc.RpcError as error:
        told["other"] = error.code().name
    print(json.dumps(told), flush=True)
    unknown = health.Watch(health_pb2.HealthCheckRequest(service="other"), timeout=300)
    print(next(unknown).status, flush=True)
    unknown.cancel()
    for answer in health.Watch(health_pb2.HealthCheckRequest(), timeout=300):
        print(answer.status, flush=True)
"""


@slow
def test_health_by_its_own_client(start: Any) -> None:
    served = start(grpc_port=0)
    python = environments.environment("grpc-health", "grpcio-health-checking==1.85.1")
    client = subprocess.Popen([str(python), "-c", HEALTH, served.grpc], stdout=subprocess.PIPE, text=True)
    assert client.stdout
    told = json.loads(client.stdout.readline())
    assert told == {"": 1, "tiny": 1, "inference.GRPCInferenceService": 1, "other": "NOT_FOUND"}
    assert client.stdout.readline() == "3\n"  # SERVICE_UNKNOWN
    assert client.stdout.readline() == "1\n"
    served.signal(signal.SIGTERM)
    assert client.stdout.readline() == "2\n"  # NOT_SERVING, and the stream ends
    assert client.wait(PATIENCE) == 0
    assert served.wait()[0] == 0


def certificates(folder: Path) -> Path:
    """An authority in `ca.pem`, and what it signed: `server` for 127.0.0.1, and `shop` for a client."""
    from datetime import UTC, datetime, timedelta
    from ipaddress import ip_address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    issuer_key, issuer = ec.generate_private_key(ec.SECP256R1()), _name("authority")
    for name in ("authority", "server", "shop"):
        key = issuer_key if name == "authority" else ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder(issuer, _name(name), key.public_key(), x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + timedelta(days=60))
            .add_extension(x509.BasicConstraints(ca=name == "authority", path_length=None), critical=True)
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
            )
            .sign(issuer_key, hashes.SHA256())
        )
        (folder / f"{name}.pem").write_bytes(made.public_bytes(Encoding.PEM))
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (folder / f"{name}.key").write_bytes(private)
    return folder


def _name(text: str) -> Any:
    from cryptography import x509

    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


@slow
def test_tls_and_clients_certificates(start: Any, tmp_path: Path) -> None:
    folder = certificates(tmp_path)
    tls = {name: str(folder / file) for name, file in (("certificate", "server.pem"), ("key", "server.key"))}
    tls["client_ca"] = str(folder / "authority.pem")
    served = start(grpc_port=0, tls=tls, access={"certificates": {"predict": ["shop"]}})
    roots, key, shown = ((folder / name).read_bytes() for name in ("authority.pem", "shop.key", "shop.pem"))
    with grpc.secure_channel(served.grpc, grpc.ssl_channel_credentials(roots, key, shown)) as found:
        assert score(call(found, "ModelInfer", infer())) == 0.0
        assert failed(found, "RepositoryModelLoad").code() is grpc.StatusCode.PERMISSION_DENIED
    with grpc.secure_channel(served.grpc, grpc.ssl_channel_credentials(roots)) as found:
        assert failed(found, "ModelInfer", infer()).code() is grpc.StatusCode.UNAVAILABLE
    with channel(served) as found:
        assert failed(found, "ModelInfer", infer()).code() is grpc.StatusCode.UNAVAILABLE
