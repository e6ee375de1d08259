"""Tokens: real keys and signatures, a real server of keys that rotates, fails, drips and lies; and attacks."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization as s
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from guard_tokens import (
    ISSUER,
    PRIVATE,
    KeyServer,
    ask,
    claims,
    jwt_spec,
    key_set,
    public_jwk,
    send,
    token,
)

from bessemer.core.errors import UsageError
from bessemer.serve.errors import RequestError
from bessemer.serve.guards.fetch import FetchError, fetch
from bessemer.serve.guards.guard import Guard
from bessemer.serve.guards.keyset import KeySetError, parse_keys
from bessemer.serve.guards.spec import AccessSpec
from bessemer.serve.guards.tokens import Tokens
from patience import PATIENCE, until

ALL = ["RS256", "ES256", "EdDSA"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "jwks.json"
    path.write_bytes(key_set())
    return path


@pytest.fixture
def guard(file: Path) -> Guard:
    return Guard(AccessSpec(jwt=jwt_spec(str(file))))


@pytest.fixture
def server() -> Iterator[KeyServer]:
    served = KeyServer(key_set())
    yield served
    served.close()


def refusal(guard: Guard, bearer: str, **more: Any) -> RequestError:
    with pytest.raises(RequestError) as caught:
        ask(guard, bearer, **more)
    return caught.value


def segment(value: Any) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


# good tokens -------------------------------------------------------------------------------------
@pytest.mark.parametrize("algorithm", ALL)
def test_a_token_of_each_kind(guard: Guard, algorithm: str) -> None:
    for _ in range(2):  # judged, then remembered
        principal = ask(guard, token(algorithm, scope="predict admin"))
        assert (principal.name, principal.scopes) == ("jwt:alice", {"predict", "admin"})


@pytest.mark.parametrize(
    ("more", "scopes"),
    [
        ({"scope": "read predict"}, {"predict"}),
        ({"scope": None, "scp": ["predict", "admin", 7]}, {"predict", "admin"}),
        ({"scope": None, "scp": "admin"}, {"admin"}),
        ({"scope": "predict", "scp": ["admin"]}, {"predict", "admin"}),
        ({"scope": "Predict predicted"}, set()),
        ({"scope": None}, set()),
        ({"scope": {"predict": 1}}, set()),
    ],
)
def test_scopes_in_a_token(file: Path, more: dict[str, Any], scopes: set[str]) -> None:
    tokens = Tokens(jwt_spec(str(file)), Path())
    assert tokens.verify(token(**more), b"x").scopes == scopes


def test_scopes_are_called_as_the_issuer_calls_them(file: Path) -> None:
    spec = jwt_spec(str(file), scopes={"predict": "*", "admin": "models.write"}, claims=["roles"], name="azp")
    tokens = Tokens(spec, Path())
    assert tokens.verify(token(azp="shop"), b"a").scopes == {"predict"}
    found = tokens.verify(token(azp="shop", roles=["models.write"]), b"b")
    assert (found.name, found.scopes) == ("jwt:shop", {"predict", "admin"})
    with pytest.raises(RequestError, match="no claim azp"):
        tokens.verify(token(), b"c")


def test_a_name_cannot_break_a_line_or_pass_for_a_key(guard: Guard) -> None:
    name = ask(guard, token(sub="shop\nadmin: yes")).name
    assert re.fullmatch(r"jwt:shop\?admin:\?yes~[0-9a-f]{8}", name)
    assert len(ask(guard, token(sub="x" * 4000)).name) <= 140


def test_a_token_without_a_key_id_is_taken_where_one_key_fits(file: Path) -> None:
    guard = Guard(AccessSpec(jwt=jwt_spec(str(file))))
    assert ask(guard, token(header={})).name == "jwt:alice"
    two = [public_jwk(PRIVATE["RS256"], "a", "RS256"), public_jwk(PRIVATE["RS256"], "b", "RS256")]
    file.write_text(json.dumps({"keys": two}))
    assert (
        "does not name its key" in refusal(Guard(AccessSpec(jwt=jwt_spec(str(file)))), token(header={})).what
    )


def test_keys_and_tokens_side_by_side(file: Path, tmp_path: Path) -> None:
    from bessemer.serve.guards.keyfile import add_key

    key = add_key(tmp_path / "keys.yaml", "shop")
    access = AccessSpec.model_validate({"jwt": jwt_spec(str(file)), "keys": {"file": "keys.yaml"}})
    guard = Guard(access, folder=tmp_path)
    assert [ask(guard, key).name, ask(guard, token()).name] == ["shop", "jwt:alice"]


# attacks -----------------------------------------------------------------------------------------
def test_no_signature(guard: Guard) -> None:
    for name in ("none", "None", "NONE", "nOnE", ""):
        for end in ("", "AAAA"):
            forged = f"{segment({'alg': name, 'kid': 'rs256'})}.{segment(claims())}.{end}"
            assert "algorithm" in refusal(guard, forged).what
    assert refusal(guard, f"{segment({'kid': 'rs256'})}.{segment(claims())}.").status == 401
    assert refusal(guard, f"{segment({'alg': ['RS256']})}.{segment(claims())}.AAAA").status == 401


@pytest.mark.parametrize("form", ["pem", "der", "jwk", "n"])
@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_the_public_key_is_no_secret_of_an_hmac(guard: Guard, form: str, algorithm: str) -> None:
    public = PRIVATE["RS256"].public_key()
    pem = public.public_bytes(s.Encoding.PEM, s.PublicFormat.SubjectPublicKeyInfo)
    der = public.public_bytes(s.Encoding.DER, s.PublicFormat.SubjectPublicKeyInfo)
    jwk = json.dumps(public_jwk(PRIVATE["RS256"], "rs256", "RS256")).encode()
    secret = {"pem": pem, "der": der, "jwk": jwk, "n": str(public.public_numbers().n).encode()}[form]
    signed = f"{segment({'alg': algorithm, 'typ': 'JWT', 'kid': 'rs256'})}.{segment(claims())}"
    digest = getattr(hashlib, f"sha{algorithm[2:]}")
    mac = hmac.new(secret, signed.encode(), digest).digest()
    assert "algorithm" in refusal(guard, f"{signed}.{segment(mac)}").what


def test_a_key_is_only_for_its_own_algorithm(guard: Guard) -> None:
    for algorithm, kid in (("RS256", "es256"), ("ES256", "rs256"), ("EdDSA", "es256")):
        assert "not for its algorithm" in refusal(guard, token(algorithm, header={"kid": kid})).what
    assert (
        "algorithm" in refusal(guard, token("RS256", key=None, header={"kid": "rs256", "alg": "PS256"})).what
    )


@pytest.mark.parametrize("algorithm", ALL)
def test_a_key_of_someone_else(guard: Guard, algorithm: str) -> None:
    makers = {
        "RS256": lambda: rsa.generate_private_key(65537, 2048),
        "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "EdDSA": ed25519.Ed25519PrivateKey.generate,
    }
    assert "signature" in refusal(guard, token(algorithm, key=makers[algorithm]())).what


def test_a_key_in_the_token_is_not_looked_at(guard: Guard, server: KeyServer) -> None:
    mine = rsa.generate_private_key(65537, 2048)
    own = public_jwk(mine, "rs256", "RS256")
    server.data = json.dumps({"keys": [own]}).encode()
    for more in ({"jwk": own}, {"jku": server.url}, {"x5u": server.url}, {"x5c": ["AAAA"]}):
        forged = token(key=mine, header={"kid": "rs256", **more})
        assert "signature" in refusal(guard, forged).what
    assert server.asked == 0


@pytest.mark.parametrize(
    "kid",
    [
        "../../../../dev/null",
        "/dev/null",
        "file:///etc/passwd",
        "rs256\x00",
        "rs256' or '1'='1",
        "",
        "k" * 5000,
    ],
)
def test_a_key_id_is_only_looked_up(guard: Guard, kid: str) -> None:
    assert "not known" in refusal(guard, token(header={"kid": kid})).what


def test_a_key_id_that_is_no_text(guard: Guard) -> None:
    for kid in (7, ["rs256"], {"a": 1}, None):
        head = segment({"alg": "RS256", "kid": kid})
        assert refusal(guard, f"{head}.{segment(claims())}.AAAA").status == 401


def test_claims_that_are_not_as_they_must_be(guard: Guard) -> None:
    now = int(time.time())
    for more, says in (
        ({"exp": now - 31}, "expired"),
        ({"nbf": now + 86_400}, "not valid yet"),
        ({"iat": now + 86_400}, "not valid yet"),
        ({"aud": "others"}, "another audience"),
        ({"aud": ["others", "more"]}, "another audience"),
        ({"aud": None}, "no claim aud"),
        ({"exp": None}, "no claim exp"),
        ({"iss": None}, "no claim iss"),
        ({"iss": ISSUER + "/"}, "another issuer"),
        ({"iss": "https://evil.example"}, "another issuer"),
        ({"exp": "soon"}, "claims"),
        ({"exp": 1e400}, "claims"),
        ({"sub": None}, "no claim sub"),
        ({"sub": 7}, "claims"),
        ({"sub": ""}, "no claim sub"),
    ):
        error = refusal(guard, token(**more))
        assert (error.status, says in error.what) == (401, True), (more, error.what)
        assert dict(error.headers)["www-authenticate"].count('"') % 2 == 0
    assert ask(guard, token(aud=["others", "models"])).name == "jwt:alice"


def test_clocks_may_differ(file: Path) -> None:
    guard, now = Guard(AccessSpec(jwt=jwt_spec(str(file), leeway=300))), int(time.time())
    assert ask(guard, token(exp=now - 5, nbf=now + 200)).name == "jwt:alice"
    assert "expired" in refusal(guard, token(exp=now - 301)).what


def test_tokens_that_are_changed_or_are_none(guard: Guard) -> None:
    head, body, signature = token().split(".")
    other = segment(claims(sub="root", scope="admin"))
    for bad in (
        f"{head}.{other}.{signature}", f"{head}.{body}.{signature[:-4]}", f"{head}.{body}.", "..", "a.b.c",
        f"{head}.{body}.{signature}.x", f"{segment([1])}.{body}.{signature}", f"{segment(b'{')}.{body}.{signature}",
        f"{head}. {body}.{signature}", f"{head}.{body}.{signature}=", f"{segment(b'[' * 3000)}.{body}.{signature}",
        f"{segment({'alg': 'RS256', 'kid': 'rs256', 'crit': ['b64'], 'b64': False})}..{signature}",
        f"ä.{body}.{signature}",
    ):  # fmt: skip
        assert refusal(guard, bad).status == 401, bad


def test_a_long_token_costs_nothing(guard: Guard) -> None:
    assert "too long" in refusal(guard, token(more="x" * 9000)).what
    assert refusal(guard, f"{'A' * 70_000}.B.C").status == 401


def test_who_sends_many_wrong_tokens_is_not_checked_any_more(file: Path) -> None:
    now = [0.0]
    guard = Guard(AccessSpec(jwt=jwt_spec(str(file), failures_per_second=2)), None, 1, lambda: now[0])
    known = token()
    ask(guard, known)
    stranger = rsa.generate_private_key(65537, 2048)
    statuses = [refusal(guard, token(key=stranger, sub=str(n))).status for n in range(14)]
    assert statuses == [401] * 10 + [429] * 4
    assert refusal(guard, token(sub="new")).status == 429
    assert ask(guard, known).name == "jwt:alice"
    now[0] += 1
    assert ask(guard, token(sub="new")).name == "jwt:new"


# remembering -------------------------------------------------------------------------------------
def test_a_remembered_token_ends_when_it_expires(file: Path) -> None:
    now, end = [0.0], int(time.time()) + 86_400
    tokens = Tokens(jwt_spec(str(file), leeway=10), Path(), lambda: now[0])
    tokens.verify(token(exp=end), b"digest")
    now[0] = end + 9.0
    assert tokens.recall(b"digest") is not None
    now[0] = end + 10.0
    assert tokens.recall(b"digest") is None


def test_memory_of_tokens_is_bounded(file: Path) -> None:
    tokens = Tokens(jwt_spec(str(file), remember=10), Path())
    made = [token("EdDSA", sub=str(n)) for n in range(30)]
    digests = [hashlib.sha256(one.encode()).digest() for one in made]
    for one, digest in zip(made, digests, strict=True):
        tokens.verify(one, digest)
    assert [n for n, digest in enumerate(digests) if tokens.recall(digest)] == list(range(20, 30))


def test_a_key_that_is_withdrawn_ends_its_tokens_at_once(file: Path) -> None:
    guard = Guard(AccessSpec(jwt=jwt_spec(str(file))))
    mine = token()
    assert ask(guard, mine).name == "jwt:alice"
    file.write_text(json.dumps({"keys": [public_jwk(PRIVATE["ES256"], "es256", "ES256")]}))
    guard.start()
    try:
        until(lambda: _status(guard, mine) == 401)
        assert ask(guard, token("ES256")).name == "jwt:alice"
    finally:
        guard.stop()
    file.write_text("{")
    guard._identity.tokens.issuer.refresh()  # type: ignore[union-attr]
    assert ask(guard, token("ES256", sub="bob")).name == "jwt:bob"


def _status(guard: Guard, bearer: str) -> int:
    try:
        ask(guard, bearer)
    except RequestError as error:
        return error.status
    return 200


# key sets ----------------------------------------------------------------------------------------
def test_keys_that_are_not_for_this_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    good = public_jwk(PRIVATE["RS256"], "good", "RS256")
    private = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(PRIVATE["RS256"]))
    private.pop("key_ops")
    keys = [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "secret", "alg": "HS256"},
        {"kty": "oct", "k": "c2VjcmV0", "kid": "as-rsa", "alg": "RS256"},
        {**good, "kid": "encrypts", "use": "enc"},
        {**good, "kid": "signs", "key_ops": ["sign"]},
        {**good, "kid": "odd", "key_ops": 7},
        {**good, "kid": "other", "alg": "RS512"},
        {**good, "kid": "broken", "n": "!"},
        {**private, "kid": "private"},
        json.loads(WEAK),
        public_jwk(ec.generate_private_key(ec.SECP384R1()), "p384", "ES384"),
        7,
        good,
    ]
    found = parse_keys(json.dumps({"keys": keys}).encode(), ALL)
    assert found.ids == {"good"}
    assert "should not be there" in caplog.text


#: A public RSA key of 1024 bits.
WEAK = json.dumps(
    {"kty": "RSA", "kid": "weak", "e": "AQAB", "n": segment((2**1024 - 159).to_bytes(128, "big"))}
)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not JSON"), (b"<html>", "not JSON"), (b"[]", "no key set"), (b'{"keys": 7}', "no key set"),
        (b'{"keys": []}', "no key for any"), (b'{"keys": [' + b"{}," * 300 + b"{}]}", "more than 256"),
        (b"[" * 100_000, "not JSON"),
    ],
)  # fmt: skip
def test_what_is_no_key_set(data: bytes, says: str, tmp_path: Path) -> None:
    with pytest.raises(KeySetError, match=says):
        parse_keys(data, ALL)
    (tmp_path / "jwks.json").write_bytes(data)
    with pytest.raises(UsageError, match="cannot take keys from"):
        Guard(AccessSpec(jwt=jwt_spec("jwks.json")), folder=tmp_path)


# fetching ----------------------------------------------------------------------------------------
def started(server: KeyServer, **more: Any) -> Guard:
    guard = Guard(AccessSpec(jwt=jwt_spec(server.url, **{"timeout": 60, **more})))
    guard.start()
    return guard


def test_keys_are_fetched_and_a_request_never_waits_for_them(server: KeyServer) -> None:
    gate = threading.Event()

    def late(handler: Any) -> None:
        gate.wait(PATIENCE)
        server.well(handler)

    server.answer = late
    guard = started(server)
    try:
        error = refusal(guard, token())
        assert (error.status, dict(error.headers)["retry-after"]) == (503, "1")
        gate.set()
        until(lambda: _status(guard, token()) == 200)
        assert server.asked == 1
    finally:
        gate.set()
        guard.stop()


@pytest.mark.slow
def test_a_new_key_is_fetched_when_a_token_names_it(server: KeyServer) -> None:
    guard = started(server, cooldown=1)
    try:
        until(lambda: _status(guard, token()) == 200)
        fresh = ec.generate_private_key(ec.SECP256R1())
        server.data = json.dumps({"keys": [public_jwk(fresh, "fresh", "ES256")]}).encode()
        mine = token("ES256", key=fresh, header={"kid": "fresh"})
        old = token()
        until(lambda: _status(guard, mine) == 200)
        assert server.asked >= 2
        assert _status(guard, old) in (401, 503)
    finally:
        guard.stop()


def test_unknown_key_ids_cause_few_fetches(server: KeyServer) -> None:
    guard = started(server, cooldown=86_400, failures_per_second=1e5)
    try:
        until(lambda: _status(guard, token()) == 200)
        statuses = {refusal(guard, token(header={"kid": f"k{n}"})).status for n in range(200)}
        assert statuses == {401}
        assert server.asked == 1
    finally:
        guard.stop()


def test_a_server_that_is_down_or_wrong_leaves_the_keys(server: KeyServer) -> None:
    guard = started(server)
    issuer = guard._identity.tokens.issuer  # type: ignore[union-attr]
    until(lambda: _status(guard, token()) == 200)
    guard.stop()
    for bad in (
        lambda handler: send(handler, 500, b"no"),
        lambda handler: send(handler, 200, b"<html>"),
        lambda handler: send(handler, 200, b'{"keys": []}'),
        lambda handler: send(handler, 302, location="http://127.0.0.1:1/"),
        lambda handler: send(handler, 200, b"x" * 400_000),
    ):
        server.answer = bad
        issuer._asked = True
        issuer.refresh()
        assert ask(guard, token(sub="bob")).name == "jwt:bob"
    server.close()
    issuer._asked = True
    issuer.refresh()
    assert ask(guard, token(sub="carol")).name == "jwt:carol"


BODY = b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\nx-slow: "


@pytest.mark.parametrize(("begins", "drip"), [(BODY, b" "), (HEAD, b"x"), (b"", b"")])
def test_a_slow_server_is_cut(server: KeyServer, begins: bytes, drip: bytes) -> None:
    """While it is at its answer, which would take for ever."""
    over, ended = threading.Event(), []

    def slow(handler: Any) -> None:
        handler.wfile.write(begins)
        for _ in range(round(PATIENCE / 0.05)):
            if over.wait(0.05):
                return
            handler.wfile.write(drip)
        ended.append(True)

    server.answer = slow
    with pytest.raises(FetchError, match=r"no complete answer in 0.5 s"):
        fetch(server.url, 0.5)
    assert not ended
    over.set()


def test_answers_that_are_not_taken(server: KeyServer) -> None:
    def endless(handler: Any) -> None:
        handler.send_response(200)
        handler.end_headers()
        while True:
            handler.wfile.write(b"x" * 65536)

    def cut(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("content-length", "1000")
        handler.end_headers()
        handler.wfile.write(b"{}")

    for bad, says in (
        (lambda handler: send(handler, 404), "status 404"),
        (lambda handler: send(handler, 204), "status 204"),
        (lambda handler: send(handler, 301, location=server.url), "status 301"),
        (endless, "more than 256 KB"),
        (cut, "complete|IncompleteRead"),
    ):
        server.answer = bad
        with pytest.raises(FetchError, match=says):
            fetch(server.url, PATIENCE)
    server.answer = server.well
    assert fetch(server.url, PATIENCE) == server.data


@pytest.mark.parametrize(
    "url", ["http://id.example/keys", "ftp://id.example/keys", "https://u:p@id.example/", "https:///x"]
)
def test_addresses_of_keys_that_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"https|password"):
        jwt_spec(url)
    for algorithm in ("none", "HS256", "RS1"):
        with pytest.raises(ValueError, match="algorithms"):
            jwt_spec("https://id.example/keys", algorithms=[algorithm])
