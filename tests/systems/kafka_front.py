"""An end of TLS and a check of passwords in front of a broker that has neither.

What a client is told of brokers has the port of this end, so that all its connections come here. TLS is that of
Python's `ssl`, so certificates are really checked by the client. SASL is ours: PLAIN (RFC 4616), SCRAM-SHA-256 and -512
(RFC 5802) over the two requests of Kafka's protocol; nothing goes on until a client has shown its password.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import socket
import socketserver
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from systems.threaded import listening

_API_VERSIONS, _HANDSHAKE, _AUTHENTICATE = 18, 17, 36
_UNSUPPORTED, _UNKNOWN_MECHANISM, _REFUSED = 35, 33, 58
_HOST = b"127.0.0.1"
_ROUNDS = 4096
_LARGEST = 100_000_000


@dataclass
class Front:
    """Where it listens. seen: all that clients have sent it, as it came (behind TLS, where there is TLS)."""

    port: int = 0
    users: dict[str, str] = field(default_factory=dict)
    mechanisms: tuple[str, ...] = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
    seen: list[bytes] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"


@contextmanager
def front(
    broker: int, tls: ssl.SSLContext | None = None, users: dict[str, str] | None = None
) -> Iterator[Front]:
    """An end in front of a broker at a port of this machine.

    Args:
        users: passwords by users; by default nobody is asked.
    """
    made = Front(users=users or {})

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", broker)) as server:
                client = self.request if tls is None else tls.wrap_socket(self.request, server_side=True)
                with client:
                    _Connection(made, client, server, broker).run()

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    with listening(Server(("127.0.0.1", 0), Handler)) as made.port:
        yield made


class _Connection:
    def __init__(self, of: Front, client: socket.socket, server: socket.socket, broker: int) -> None:
        self.of, self.client, self.server = of, client, server
        self.theirs, self.ours = (_HOST + struct.pack(">i", port) for port in (broker, of.port))

    def run(self) -> None:
        """Requests, one after the other until the client may enter; then both ways at once."""
        mechanism, login = "", None
        entered = not self.of.users
        while not entered:
            request = self.request()
            key, version, number = struct.unpack_from(">hhi", request)
            body = request[10 + max(0, struct.unpack_from(">h", request, 8)[0]) :]
            if key == _API_VERSIONS:
                self.answer(number, self.versions(request) if version == 0 else _versionless())
            elif key == _HANDSHAKE:
                mechanism = body[2:].decode()
                known = mechanism in self.of.mechanisms
                login = _login(mechanism, self.of.users) if known else None
                self.answer(number, _mechanisms(0 if known else _UNKNOWN_MECHANISM, self.of.mechanisms))
            elif key == _AUTHENTICATE and login is not None:
                try:
                    said = login.send(body[4:])
                except StopIteration as end:
                    said, entered = end.value
                    if not entered:
                        self.answer(number, _authenticated(_REFUSED, b"", version))
                        return
                self.answer(number, _authenticated(0, said, version))
            else:
                return
        back = threading.Thread(target=self.pass_on, daemon=True)
        back.start()
        with suppress(OSError):
            while True:
                self.server.sendall(_framed(self.request()))

    def request(self) -> bytes:
        found = _frame(self.client)
        self.of.seen.append(found)
        return found

    def answer(self, number: int, body: bytes) -> None:
        self.client.sendall(_framed(struct.pack(">i", number) + body))

    def versions(self, request: bytes) -> bytes:
        """What the broker knows of, and the two requests that it does not."""
        self.server.sendall(_framed(request))
        error, count = struct.unpack_from(">hi", found := _frame(self.server)[4:])
        known = [struct.unpack_from(">hhh", found, 6 + 6 * place) for place in range(count)]
        known = [entry for entry in known if entry[0] not in (_HANDSHAKE, _AUTHENTICATE)]
        known += [(_HANDSHAKE, 0, 1), (_AUTHENTICATE, 0, 1)]
        return struct.pack(">hi", error, len(known)) + b"".join(struct.pack(">hhh", *each) for each in known)

    def pass_on(self) -> None:
        with suppress(OSError):
            while True:
                self.client.sendall(_framed(_frame(self.server).replace(self.theirs, self.ours)))


def _frame(connection: socket.socket) -> bytes:
    (length,) = struct.unpack(">i", _exactly(connection, 4))
    if not 0 <= length <= _LARGEST:  # such as the first bytes of TLS
        raise ConnectionError("this is not Kafka's protocol")
    return _exactly(connection, length)


def _exactly(connection: socket.socket, length: int) -> bytes:
    found = bytearray()
    while len(found) < length:
        data = connection.recv(length - len(found))
        if not data:
            raise ConnectionError("the other end is gone")
        found += data
    return bytes(found)


def _framed(message: bytes) -> bytes:
    return struct.pack(">i", len(message)) + message


def _text(value: str) -> bytes:
    return struct.pack(">h", len(value)) + value.encode()


def _versionless() -> bytes:
    """A newer form of the question is not known, as old brokers say: the client asks in the oldest."""
    return struct.pack(">hihhh", _UNSUPPORTED, 1, _API_VERSIONS, 0, 0)


def _mechanisms(error: int, known: tuple[str, ...]) -> bytes:
    return struct.pack(">hi", error, len(known)) + b"".join(map(_text, known))


def _authenticated(error: int, said: bytes, version: int) -> bytes:
    why = _text("Authentication failed") if error else struct.pack(">h", -1)
    lifetime = struct.pack(">q", 0) if version >= 1 else b""
    return struct.pack(">h", error) + why + struct.pack(">i", len(said)) + said + lifetime


Login = Iterator[bytes]


def _login(mechanism: str, users: dict[str, str]):  # type: ignore[no-untyped-def]
    """What a login takes and says, message by message; ends with the last words and whether it was right."""
    made = _plain(users) if mechanism == "PLAIN" else _scram(mechanism.removeprefix("SCRAM-"), users)
    next(made)
    return made


def _plain(users: dict[str, str]):  # type: ignore[no-untyped-def]
    _, user, password = (yield b"").split(b"\0")
    return b"", users.get(user.decode()) == password.decode()


def _scram(name: str, users: dict[str, str]):  # type: ignore[no-untyped-def]
    kind = name.replace("-", "").lower()
    first = (yield b"").decode()
    bare = first.split(",", 2)[2]
    said = dict(part.split("=", 1) for part in bare.split(","))
    nonce, salt = said["r"] + secrets.token_hex(8), secrets.token_bytes(16)
    challenge = f"r={nonce},s={base64.b64encode(salt).decode()},i={_ROUNDS}"
    last = (yield challenge.encode()).decode()
    without, _, proof = last.rpartition(",p=")
    salted = hashlib.pbkdf2_hmac(kind, users.get(said["n"], "").encode(), salt, _ROUNDS)
    whole = f"{bare},{challenge},{without}".encode()
    client = hmac.digest(salted, b"Client Key", kind)
    signature = hmac.digest(hashlib.new(kind, client).digest(), whole, kind)
    wanted = bytes(a ^ b for a, b in zip(client, signature, strict=True))
    right = said["n"] in users and hmac.compare_digest(wanted, base64.b64decode(proof))
    server = hmac.digest(hmac.digest(salted, b"Server Key", kind), whole, kind)
    return b"v=" + base64.b64encode(server), right and f"r={nonce}" in without
