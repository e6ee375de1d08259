"""TLS: real handshakes with generated certificates, clients' certificates, new files, faults."""

from __future__ import annotations

import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization as s
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bessemer.core.errors import UsageError
from bessemer.serve.guards.guard import Guard
from bessemer.serve.guards.spec import AccessSpec, TlsSpec
from bessemer.serve.guards.tls import ServerTls, peer_name
from patience import PATIENCE, until

Pair = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def certificate(
    name: str | None, issuer: Pair | None = None, *, authority: bool = False, days: int = 90
) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else [])
    now = datetime.now(UTC)
    end = now + timedelta(days=days)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(now, end) - timedelta(days=1))
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(authority, None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return built.sign(issuer[1] if issuer else key, hashes.SHA256()), key


def write(folder: Path, name: str, pair: Pair, password: bytes | None = None) -> None:
    lock = s.BestAvailableEncryption(password) if password else s.NoEncryption()
    private = pair[1].private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, lock)
    (folder / f"{name}.pem").write_bytes(pair[0].public_bytes(s.Encoding.PEM))
    (folder / f"{name}-key.pem").write_bytes(private)


@pytest.fixture
def authority() -> Pair:
    return certificate("Test CA", authority=True)


@pytest.fixture
def folder(tmp_path: Path, authority: Pair) -> Path:
    write(tmp_path, "ca", authority)
    write(tmp_path, "server", certificate("localhost", authority))
    return tmp_path


def tls(folder: Path, **more: Any) -> ServerTls:
    return ServerTls(TlsSpec(certificate="server.pem", key="server-key.pem", **more), folder)


def shake(server: ServerTls, client: ssl.SSLContext) -> tuple[dict[str, Any], str, str]:
    """A handshake over a real connection: the server's certificate, the version, the client's name."""
    seen: list[str] = []

    def serve(at: socket.socket) -> None:
        try:
            with at, server.context.wrap_socket(at, server_side=True) as accepted:
                seen.append(peer_name(accepted.getpeercert()))
                accepted.sendall(accepted.recv(1))
        except OSError:  # the client says in its own words what went wrong
            seen.append("refused")

    near, far = socket.socketpair()
    near.settimeout(PATIENCE)
    far.settimeout(PATIENCE)
    thread = threading.Thread(target=serve, args=(far,))
    thread.start()
    try:
        with near, client.wrap_socket(near, server_hostname="localhost") as connected:
            connected.sendall(b"x")
            if connected.recv(1) != b"x":  # with TLS 1.3 a client learns of a refusal only when it reads
                raise ssl.SSLError("refused after the handshake")
            return connected.getpeercert() or {}, connected.version() or "", seen[0]
    finally:
        thread.join()


def client_of(folder: Path, name: str = "") -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=folder / "ca.pem")
    if name:
        context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}-key.pem")
    return context


def test_a_handshake(folder: Path) -> None:
    shown, version, name = shake(tls(folder), client_of(folder))
    assert peer_name(shown) == "localhost"
    assert (version, name) == ("TLSv1.3", "")


@pytest.mark.parametrize(
    ("minimum", "most", "passes"),
    [
        ("TLS1.2", ssl.TLSVersion.TLSv1_2, True),
        ("TLS1.3", ssl.TLSVersion.TLSv1_2, False),
        ("TLS1.2", ssl.TLSVersion.TLSv1_1, False),
        ("TLS1.3", ssl.TLSVersion.TLSv1_3, True),
    ],
)
def test_old_versions(folder: Path, minimum: str, most: ssl.TLSVersion, passes: bool) -> None:
    client = client_of(folder)
    client.set_ciphers("ALL:@SECLEVEL=0")
    client.minimum_version = ssl.TLSVersion.TLSv1_1
    client.maximum_version = most
    if passes:
        assert (
            shake(tls(folder, minimum=minimum), client)[1]
            == f"TLSv{'1.2' if most == ssl.TLSVersion.TLSv1_2 else '1.3'}"
        )
    else:
        with pytest.raises(ssl.SSLError):
            shake(tls(folder, minimum=minimum), client)


def test_old_ciphers_are_not_spoken(folder: Path) -> None:
    client = client_of(folder)
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    client.set_ciphers("ECDHE+AES+SHA256:!AESGCM:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError):
        shake(tls(folder), client)


def test_a_client_with_a_certificate_has_a_name_and_its_scopes(folder: Path, authority: Pair) -> None:
    write(folder, "shop", certificate("shop.example", authority))
    _, _, name = shake(tls(folder, client_ca="ca.pem"), client_of(folder, "shop"))
    assert name == "shop.example"
    guard = Guard(AccessSpec.model_validate({"certificates": {"predict": ["shop.example"]}}))
    admitted = guard.admit("POST", "/predict", {}, "192.0.2.1", certificate=name)
    assert (admitted.name, admitted.scopes) == ("certificate:shop.example", {"predict"})


def test_clients_without_one_or_with_someone_elses(folder: Path) -> None:
    write(folder, "stranger", certificate("shop.example", certificate("Other CA", authority=True)))
    write(folder, "alone", certificate("shop.example"))
    for how in ("required", "optional"):
        server = tls(folder, client_ca="ca.pem", client_certificate=how)
        for name in ("stranger", "alone"):
            with pytest.raises((ssl.SSLError, ConnectionError)):
                shake(server, client_of(folder, name))
    assert shake(server, client_of(folder))[2] == ""
    with pytest.raises((ssl.SSLError, ConnectionError)):
        shake(tls(folder, client_ca="ca.pem"), client_of(folder))


def test_an_expired_client_is_refused(folder: Path, authority: Pair) -> None:
    write(folder, "old", certificate("shop.example", authority, days=-1))
    with pytest.raises((ssl.SSLError, ConnectionError)):
        shake(tls(folder, client_ca="ca.pem"), client_of(folder, "old"))


def serial(server: ServerTls, folder: Path) -> int:
    return int(shake(server, client_of(folder))[0]["serialNumber"], 16)


def test_a_new_certificate_is_taken_without_a_restart(folder: Path, authority: Pair) -> None:
    server = tls(folder)
    before = serial(server, folder)
    renewed = certificate("localhost", authority)
    server.start()
    try:
        write(folder, "server", renewed)
        until(lambda: serial(server, folder) == renewed[0].serial_number)
        assert before != renewed[0].serial_number
    finally:
        server.stop()


def test_half_a_pair_leaves_the_old_one_until_it_is_whole(
    folder: Path, authority: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    server = tls(folder)
    before, renewed = serial(server, folder), certificate("localhost", authority)
    key = (folder / "server-key.pem").read_bytes()
    write(folder, "server", renewed)
    fresh = (folder / "server-key.pem").read_bytes()
    (folder / "server-key.pem").write_bytes(key)
    for _ in range(3):
        server.refresh()
        assert serial(server, folder) == before
    assert caplog.text.count("stays as it was") == 1
    (folder / "server-key.pem").write_bytes(fresh)
    server.refresh()
    assert serial(server, folder) == renewed[0].serial_number


def test_an_authority_that_is_added_is_taken(folder: Path, authority: Pair) -> None:
    second = certificate("Second CA", authority=True)
    write(folder, "shop", certificate("shop.example", second))
    server = tls(folder, client_ca="ca.pem")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        shake(server, client_of(folder, "shop"))
    with (folder / "ca.pem").open("ab") as file:
        file.write(second[0].public_bytes(s.Encoding.PEM))
    server.refresh()
    assert shake(server, client_of(folder, "shop"))[2] == "shop.example"


def test_an_authority_that_is_taken_away_is_trusted_no_more(folder: Path, authority: Pair) -> None:
    write(folder, "shop", certificate("shop.example", authority))
    server = tls(folder, client_ca="ca.pem")
    assert shake(server, client_of(folder, "shop"))[2] == "shop.example"
    write(folder, "other", certificate("Other CA", authority=True))
    trusting = client_of(
        folder, "shop"
    )  # before the file is another: the client still knows the server's authority
    (folder / "ca.pem").write_bytes((folder / "other.pem").read_bytes())
    server.refresh()
    with pytest.raises((ssl.SSLError, ConnectionError)):
        shake(server, trusting)


@pytest.mark.slow
def test_certificates_change_while_many_connect(folder: Path, authority: Pair) -> None:
    """A context that handshakes use must not be written to: OpenSSL does not lock it."""
    server, client = tls(folder), client_of(folder)
    failed: list[BaseException] = []
    end = threading.Event()

    def connect() -> None:
        try:
            while not end.is_set():
                shake(server, client)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=connect, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    used = server.context.cert_store_stats(), id(server.context)
    for _ in range(20):
        renewed = certificate("localhost", authority)
        write(folder, "server", renewed)
        server.refresh()
        assert serial(server, folder) == renewed[0].serial_number
    end.set()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive(), "a handshake never came back"
    assert not failed
    assert used == (server.context.cert_store_stats(), id(server.context))


def test_what_is_wrong_with_which_file(folder: Path, authority: Pair) -> None:
    def says(*parts: str, **more: Any) -> None:
        with pytest.raises(UsageError) as caught:
            tls(folder, **more)
        assert all(part in str(caught.value) for part in parts), str(caught.value)

    good = {path.name: path.read_bytes() for path in folder.iterdir()}
    says("nowhere.pem", "No such file", client_ca="nowhere.pem")
    (folder / "server-key.pem").write_bytes(good["server.pem"])
    says("server-key.pem", "no private key", "it holds a certificate")
    (folder / "server-key.pem").write_bytes(good["ca-key.pem"])
    says("server-key.pem", "is not the key of the certificate", "server.pem")
    write(folder, "server", certificate("localhost", authority), password=b"secret")
    says("server-key.pem", "has a password", "openssl pkey")
    (folder / "server.pem").write_bytes(good["ca-key.pem"])
    says("server.pem", "no certificate in PEM form", "it holds a private key")
    (folder / "server.pem").write_bytes(b"")
    says("server.pem", "no certificate in PEM form")
    (folder / "server.pem").unlink()
    says("server.pem", "No such file")


def test_a_key_that_cannot_be_read(folder: Path) -> None:
    (folder / "server-key.pem").unlink()
    (folder / "server-key.pem").mkdir()
    with pytest.raises(UsageError, match=r"cannot read .*server-key\.pem"):
        tls(folder)


def test_old_certificates_are_told(folder: Path, authority: Pair, caplog: pytest.LogCaptureFixture) -> None:
    for days, says in ((-1, "has expired"), (5, "expires on")):
        write(folder, "server", certificate("localhost", authority, days=days))
        tls(folder)
        assert says in caplog.text


def test_names_of_certificates_without_a_common_name() -> None:
    assert (
        peer_name({"subject": (), "subjectAltName": (("IP Address", "::1"), ("URI", "spiffe://a/b"))})
        == "spiffe://a/b"
    )
    assert peer_name({"subject": ((("commonName", ""),),)}) == ""
    assert peer_name({}) == ""
