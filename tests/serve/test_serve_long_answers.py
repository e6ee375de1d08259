"""An answer that takes long to read is sent whole, also to a client that wants no other one."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest

from patience import PATIENCE

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("version", "how"), [(b"1.0", ()), (b"1.1", ()), (b"1.1", ("buffers",))])
def test_a_client_that_reads_slowly_gets_all_of_an_answer_after_which_it_is_let_go(
    version: bytes, how: tuple[str, ...], start: Any
) -> None:
    one = start(*how, max_rows=200_000)
    body = b'{"rows":[' + b",".join([b'{"tenure":8}'] * 100_000) + b"]}"
    head = b"POST /predict HTTP/%b\r\nhost: x\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
    host, port = one.url.removeprefix("http://").split(":")
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(PATIENCE)
        client.connect((host, int(port)))
        client.sendall(head % (version, len(body)) + body)
        first = client.recv(4096)
        time.sleep(3.0)  # more than one waits for a client that has all
        size = int(first.partition(b"content-length: ")[2].split(b"\r\n")[0])
        got = len(first) - first.index(b"\r\n\r\n") - 4
        while data := client.recv(1 << 16):
            got += len(data)
    assert size > 5_000_000
    assert got == size
