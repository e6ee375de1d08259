"""A server process: started, ready when its first answer is right, ended with all that came of it."""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np

from peers.serving import environment, grpc_v2, tree
from peers.serving.calls import FORMS, Array, Body, Call, Form
from peers.serving.catalog import PEERS
from peers.serving.project import Subject

READY_WITHIN = 180.0


class Failed(Exception):
    """A server did not start, or answered wrongly; the text says what it printed."""


@dataclass(frozen=True)
class Place:
    """Where a server listens, and where it writes."""

    port: int
    grpc: int
    folder: Path


class Server:
    """`with Server(name, subject, folder) as server:` -> a server that answers. extra: of Bessemer's command line."""

    def __init__(self, name: str, subject: Subject, folder: Path, extra: Sequence[str] = ()) -> None:
        folder.mkdir(parents=True)
        self.name, self.subject, self.extra = name, subject, extra
        self.place = Place(free_port(), free_port(), folder)
        self.log = folder / "server.log"
        self.started = 0.0

    def __enter__(self) -> Server:
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [str(part) for part in self._command()], env=environment.variables(self.name),
                cwd=self.place.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        begin = time.monotonic()
        try:
            self._wait()
        except BaseException:
            tree.end()
            raise
        self.started = time.monotonic() - begin
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tree.end()
        self._process.poll()

    def _command(self) -> list[str | Path | int]:
        python, place = environment.python(self.name), self.place
        if self.name == "bessemer":
            grpc = ["--grpc-port", place.grpc] if speaks_grpc() else []
            package = self.subject.package
            return [
                python,
                "-m",
                "bessemer",
                "serve",
                package,
                "--port",
                place.port,
                "--json",
                *grpc,
                *self.extra,
            ]
        module = f"peers.serving.servers.{self.name}"
        # -P: the folder it starts in, and so the servers' programs, do not stand before the libraries
        return [python, "-P", "-m", module, self.subject.onnx, place.port, place.grpc, place.folder]

    def _wait(self) -> None:
        """Until the first form is answered as it should be."""
        call = self.call(PEERS[self.name].json[0], 1)
        until, last = time.monotonic() + READY_WITHIN, ""
        while time.monotonic() < until:
            if self._process.poll() is not None and not tree.descendants():
                break
            try:
                self.check(call)
                return
            except (OSError, http.client.HTTPException, Failed) as error:
                last = str(error)
            time.sleep(0.2)
        raise Failed(f"not ready: {last}\n{self.said()}")

    def said(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-2000:]

    def call(self, form: str, size: int) -> Call:
        return Call.make(FORMS[form], self.subject.rows, size)

    def check(self, call: Call) -> float:
        """The largest difference of an answer to onnxruntime's own.

        Raises:
            Failed: an error, or numbers that are not the model's.
        """
        body = call.bodies[0]
        found = (
            self._ask_grpc(call.form, body) if call.form.protocol == "grpc" else self._ask(call.form, body)
        )
        expected = self.subject.expected[body.rows]
        if found.shape != expected.shape:
            raise Failed(f"{len(expected)} rows asked, {found.shape} answered")
        difference = float(np.abs(found - expected).max())
        if not difference < 1e-4:
            raise Failed(f"the answers differ by {difference}")
        return difference

    def _ask(self, form: Form, body: Body) -> Array:
        connection = http.client.HTTPConnection("127.0.0.1", self.place.port, timeout=20)
        try:
            connection.request("POST", form.path, body.content, dict(body.headers))
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            raise Failed(f"{answer.status} {content[:500].decode(errors='replace')}")
        try:
            return form.decode({name.lower(): value for name, value in answer.getheaders()}, content)
        except (KeyError, ValueError, TypeError, IndexError) as error:
            raise Failed(f"{error!r} in {content[:500].decode(errors='replace')}") from None

    def _ask_grpc(self, form: Form, body: Body) -> Array:
        import grpc

        with grpc.insecure_channel(f"127.0.0.1:{self.place.grpc}") as channel:
            call = channel.unary_unary(grpc_v2.METHOD)  # without serializers: bytes both ways
            try:
                return form.decode({}, call(body.content, timeout=20))
            except grpc.RpcError as error:
                raise Failed(str(error)) from None


def speaks_grpc() -> bool:
    """Whether this Bessemer has a port for gRPC."""
    command = [sys.executable, "-m", "bessemer", "serve", "--help"]
    return "--grpc-port" in subprocess.run(command, capture_output=True, text=True, check=True).stdout


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
