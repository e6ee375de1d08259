"""A wire that can be cut: what goes through it ends in the middle."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from systems.threaded import listening

_BLOCK = 16_384
_IMPATIENT = 8


@dataclass
class Wire:
    """The port of a wire to a server on this machine. left: how many bytes its answers may still have, or no limit."""

    port: int = 0
    left: int | None = None

    @contextmanager
    def cut(self, after: int) -> Iterator[None]:
        """Within it connections end after so many bytes of the answers."""
        self.left = after
        try:
            yield
        finally:
            self.left = None

    @contextmanager
    def cut_for(self, options: dict[str, Any], after: int = 100_000) -> Iterator[None]:
        """Within it connections are cut, and who reads with these options asks again for some seconds alone."""
        patient, options["timeout"] = options["timeout"], _IMPATIENT
        with self.cut(after):
            yield
        options["timeout"] = patient


@contextmanager
def wire(port: int) -> Iterator[Wire]:
    """A wire to a port of this machine, open to both sides until the end."""
    made = Wire()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port)) as server:
                asked = threading.Thread(target=_pass, args=(self.request, server, None), daemon=True)
                asked.start()
                _pass(server, self.request, made)
                for end in (server, self.request):
                    with suppress(OSError):
                        end.shutdown(socket.SHUT_RDWR)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    with listening(Server(("127.0.0.1", 0), Handler)) as made.port:
        yield made


def _pass(source: socket.socket, target: socket.socket, limit: Wire | None) -> None:
    """Bytes from one end to the other, until one of them ends or there is no more to let through."""
    with suppress(OSError):
        while data := source.recv(_BLOCK):
            if limit is not None and limit.left is not None:
                limit.left -= len(data)
                if limit.left < 0:
                    return
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
