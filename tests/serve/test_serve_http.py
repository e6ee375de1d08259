"""A real server process over real sockets."""

from __future__ import annotations

import re
import signal
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
import pytest
from serve_client import HEALTH, read_all, statuses

from bessemer.core.errors import EnvironmentFault, MissingExtra
from bessemer.serve.server import serve
from bessemer.serve.spec import ServeSpec
from patience import Client, until

pytestmark = pytest.mark.slow

ROW = b'{"tenure": 8}'


def post(body: bytes = ROW, *, path: str = "/predict", more: bytes = b"", version: bytes = b"1.1") -> bytes:
    head = b"POST %s HTTP/%s\r\nHost: here\r\nContent-Type: application/json\r\n" % (path.encode(), version)
    return head + b"Content-Length: %d\r\n" % len(body) + more + b"\r\n" + body


def test_many_clients_at_once_each_get_their_own_answer(served: Any) -> None:
    def ask(tenure: int) -> tuple[int, float]:
        with Client(base_url=served.url, verify=False) as client:
            answers = [client.post("/predict", json={"tenure": tenure, "explain": True}) for _ in range(5)]
        scores = {a.json()["predictions"][0]["explanation"]["score"] for a in answers}
        assert all(a.status_code == 200 for a in answers)
        assert len(scores) == 1
        return tenure, scores.pop()

    with ThreadPoolExecutor(8) as pool:
        for tenure, score in pool.map(ask, range(12)):
            assert score == 0.5 - tenure / 16


def test_a_connection_is_kept_and_pipelined_requests_are_answered_in_order(served: Any) -> None:
    bodies = [b'{"tenure": %d, "explain": true}' % n for n in range(12)]
    requests = b"".join(post(body) for body in bodies) + HEALTH
    answers = served.exchange(requests)
    assert statuses(answers) == [200] * 13
    scores = [float(score) for score in re.findall(rb'"score":([-.0-9]+)', answers)]
    assert scores == [0.5 - n / 16 for n in range(12)]


def test_chunks_and_single_bytes(served: Any) -> None:
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    data = head + b"5\r\n" + ROW[:5] + b"\r\n8;x=1\r\n" + ROW[5:] + b"\r\n0\r\nTrailer: 1\r\n\r\n"
    with served.connect() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in data:
            client.sendall(bytes([byte]))
        assert b'"prediction":"no"' in client.recv(4096)


def test_old_clients_and_head(served: Any) -> None:
    assert b"connection: close" in served.exchange(post(version=b"1.0"))
    kept = post(version=b"1.0", more=b"Connection: keep-alive\r\n")
    with served.connect() as client:
        client.sendall(kept)
        assert b"connection: keep-alive" in client.recv(4096)
    answer = served.exchange(b"HEAD /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert b"content-length: 15\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")


def test_a_large_body_is_refused_before_and_while_it_comes(served: Any) -> None:
    large = b"[" + b" " * 70_000 + b"]"
    assert statuses(served.exchange(post(large))) == [413]
    chunk = b"%x\r\n%s\r\n" % (len(large), large)
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert statuses(served.exchange(head + chunk)) == [413]
    with Client(base_url=served.url) as client:
        answer = client.post("/predict", content=large, headers={"content-type": "application/json"})
        assert answer.status_code == 413
        assert "max_body" in answer.json()["error"]["fix"]
        assert client.post("/predict", content=ROW).status_code == 200


def test_a_client_that_asks_first_is_told_to_go_on_or_not(served: Any) -> None:
    with served.connect() as client:
        head, _, body = post(more=b"Expect: 100-continue\r\n").partition(b"\r\n\r\n")
        client.sendall(head + b"\r\n\r\n")
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(body)
        assert client.recv(4096).startswith(b"HTTP/1.1 200 OK")
    refused = b"POST /predict HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 99999999\r\n\r\n"
    assert statuses(served.exchange(refused)) == [413]


MALFORMED = {
    "not http": (b"hello\r\n\r\n", 400),
    "tls": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "http 2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "no host": (b"GET /healthz HTTP/1.1\r\n\r\n", 400),
    "two lengths": (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
    "both lengths": (
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        400,
    ),
    "bad length": (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
    "bad chunk": (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    "bad escape": (b"GET /%ff HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "gzip": (
        b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\n",
        415,
    ),
    "long header": (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 70_000 + b"\r\n\r\n", 431),
    "endless header": (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 400_000, 431),
    "many headers": (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: aaaaaaaaaa\r\n" * 7000 + b"\r\n", 431),
    "upgrade is answered as it is": (
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x05hello",
        200,
    ),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed(name: str, served: Any) -> None:
    data, status = MALFORMED[name]
    assert statuses(served.exchange(data)) == [status]
    assert served.healthy()


def test_errors_use_the_words_of_the_protocol_spoken(served: Any) -> None:
    large = b"[" + b" " * 70_000 + b"]"
    answer = served.exchange(post(large, path="/v2/models/tiny/infer"))
    assert orjson.loads(answer.partition(b"\r\n\r\n")[2]).keys() == {"error"}
    assert isinstance(orjson.loads(answer.partition(b"\r\n\r\n")[2])["error"], str)


def test_a_slow_client_holds_nobody_up(served: Any) -> None:
    slow = [served.connect() for _ in range(5)]
    for client in slow:
        client.sendall(post()[:-3])
    assert statuses(served.exchange(post(more=b"Connection: close\r\n"))) == [200]
    for client in slow:
        client.sendall(post()[-3:])
        assert statuses(client.recv(4096)) == [200], "its request was not over"
        client.close()


def test_a_slow_client_is_cut(start: Any) -> None:
    served = start(read_timeout=0.5)
    with served.connect() as client:
        client.sendall(post()[:-3])
        assert statuses(read_all(client)) == [408]
    served.signal(signal.SIGTERM)
    assert served.wait() == (0, "")


def test_too_many_connections_are_refused(served: Any) -> None:
    clients = [served.connect() for _ in range(70)]
    try:
        refused = served.exchange(b"")  # before it has said a word
        assert statuses(refused) == [503]
        assert b"retry-after: 1" in refused
    finally:
        for client in clients:
            client.close()
    until(lambda: has_room(served), "room for a connection")


def has_room(served: Any) -> bool:
    try:
        return bool(served.healthy())
    except ConnectionError:  # refused before it had read what was asked
        return False


CLOSE = b"Connection: close\r\n"


def test_a_full_queue_refuses_at_once_while_health_is_answered(start: Any) -> None:
    served = start("held", threads=1, queue=2)
    clients = [served.connect() for _ in range(3)]
    for client in clients:
        client.sendall(post(more=CLOSE))
    served.begun()
    until(lambda: served.waiting() == 3, "one that is predicted, and two that wait")
    assert [statuses(served.exchange(post(more=CLOSE))) for _ in range(4)] == [[503]] * 4
    assert served.healthy(), "it does not wait for the predictions"
    served.let_go()
    assert [statuses(read_all(client)) for client in clients] == [[200]] * 3
    for client in clients:
        client.close()


def test_what_is_late_is_told_so(start: Any) -> None:
    """Whether it is predicted or waits."""
    served = start("held", threads=1, timeout=0.5)
    clients = [served.connect() for _ in range(3)]
    for client in clients:
        client.sendall(post())
    answers = [read_all(client) for client in clients]
    assert [statuses(answer) for answer in answers] == [[504]] * 3
    assert b"no answer within 0.5 s" in answers[0]
    for client in clients:
        client.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_after_what_is_in_flight(number: int, start: Any) -> None:
    served = start("held")
    with served.connect() as idle, served.connect() as busy, served.connect() as half:
        idle.sendall(HEALTH.replace(CLOSE, b""))
        assert statuses(idle.recv(4096)) == [200]
        head, end, body = post(more=b"Expect: 100-continue\r\n").partition(b"\r\n\r\n")
        half.sendall(head + end)
        assert half.recv(100).startswith(b"HTTP/1.1 100"), "it has begun to read"
        busy.sendall(post())
        served.begun()
        served.signal(number)
        served.closes()
        assert idle.recv(10) == b"", "an idle connection is closed"
        half.sendall(body)
        served.begun()
        served.let_go()
        for client in (busy, half):
            answer = read_all(client)
            assert statuses(answer) == [200], "what had begun is finished"
            assert b"connection: close\r\n" in answer
    assert served.wait() == (0, "")


def test_a_second_signal_cuts(start: Any) -> None:
    served = start("held", drain=3600)
    with served.connect() as client:
        client.sendall(post())
        served.begun()
        served.signal(signal.SIGTERM)
        served.closes()
        served.signal(signal.SIGTERM)
        assert read_all(client) == b"", "the answer is not waited for"
    assert served.wait()[0] == 0


def test_a_taken_port_is_explained(served: Any, models: Any) -> None:
    with pytest.raises(EnvironmentFault, match=f"127.0.0.1:{served.port}") as caught:
        serve(models["binary"], ServeSpec(port=served.port))
    assert "--port" in caught.value.fix


def test_a_missing_parser_is_explained(models: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httptools", None)
    with pytest.raises(MissingExtra) as caught:
        serve(models["binary"], ServeSpec(port=0))
    assert caught.value.fix == "pip install 'bessemer[serve]'"
