"""Real signing keys, tokens and a real server of key sets, for the tests of the guards."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from bessemer.serve.guards.guard import Guard
from bessemer.serve.guards.principal import Principal
from bessemer.serve.guards.spec import JwtSpec

ISSUER, AUDIENCE = "https://id.example", "models"
PRIVATE: dict[str, Any] = {
    "RS256": rsa.generate_private_key(65537, 2048),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}
_ALGORITHMS: dict[str, Any] = {"RS": RSAAlgorithm, "PS": RSAAlgorithm, "ES": ECAlgorithm, "Ed": OKPAlgorithm}


def public_jwk(key: Any, kid: str | None, algorithm: str, **more: Any) -> dict[str, Any]:
    found = json.loads(_ALGORITHMS[algorithm[:2]].to_jwk(key.public_key()))
    found.pop("key_ops", None)
    return {**found, **({"kid": kid} if kid is not None else {}), **more}


def key_set(**more: Any) -> bytes:
    """The three keys, each named as its algorithm in lowercase."""
    keys = [public_jwk(key, name.lower(), name, **more) for name, key in PRIVATE.items()]
    return json.dumps({"keys": keys}).encode()


def claims(**more: Any) -> dict[str, Any]:
    now = int(time.time())
    found = {"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "exp": now + 300, "iat": now, "scope": "predict"}
    return {name: value for name, value in {**found, **more}.items() if value is not None}


def token(
    algorithm: str = "RS256", *, key: Any = None, header: dict[str, Any] | None = None, **more: Any
) -> str:
    head = {"kid": algorithm.lower()} if header is None else header
    return jwt.encode(claims(**more), key or PRIVATE[algorithm], algorithm=algorithm, headers=head)


def jwt_spec(jwks: str, **more: Any) -> JwtSpec:
    return JwtSpec.model_validate({"jwks": jwks, "issuer": ISSUER, "audience": [AUDIENCE], **more})


def ask(guard: Guard, bearer: str, **more: Any) -> Principal:
    return guard.admit("POST", "/predict", {"authorization": f"Bearer {bearer}"}, "192.0.2.1", **more)


class KeyServer:
    """Serves a key set over HTTP. `answer(handler)` may be replaced, to answer badly."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.asked = 0
        self.answer: Callable[[BaseHTTPRequestHandler], None] = self.well
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked += 1
                try:
                    outer.answer(self)
                except OSError:  # the client has cut the connection, as some tests want
                    self.close_connection = True

            def log_message(self, *arguments: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/jwks.json"

    def well(self, handler: BaseHTTPRequestHandler) -> None:
        send(handler, 200, self.data)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def send(handler: BaseHTTPRequestHandler, status: int, data: bytes = b"", **headers: str) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("content-length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data)
