"""What the tests run as a server process: the package's path, its key, the settings as JSON, and what is unusual in it.

held: its model is at work until the test lets it go: it prints a line when a run begins, and waits for the end of its
input. slow: each run takes 11 seconds. lingers: a client whose request was refused may send the rest of it as slowly as
any. buffers: all of an answer that the system does not take is in memory at once.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

from bessemer.package import model as package_model
from bessemer.package.keys import read_public
from bessemer.serve.batching import Lane
from bessemer.serve.server import serve
from bessemer.serve.spec import ServeSpec
from bessemer.serve.transport import connection
from bessemer.serve.transport.address import Listening


def main(package: str, key: str, settings: str, *how: str) -> None:
    model = package_model.load(package, trust=[read_public(key)])
    spec = ServeSpec(port=0, **json.loads(settings))
    lanes: list[Lane] = []
    warm, run, made = Lane.warm, model.session.run_feeds, connection.Connection.connection_made

    def noted(lane: Lane) -> None:
        lanes.append(lane)
        warm(lane)

    def waiting(*arguments: Any) -> Any:
        os.write(1, b"begun\n")
        sys.stdin.read()
        return run(*arguments)

    def slowly(*arguments: Any) -> Any:
        time.sleep(11)
        return run(*arguments)

    def buffering(one: connection.Connection, transport: Any) -> None:
        made(one, transport)
        transport.set_write_buffer_limits(1 << 30)

    def ready(at: Listening) -> None:
        if "held" in how or "slow" in how:
            model.session.run_feeds = waiting if "held" in how else slowly  # type: ignore[method-assign]
            for lane in lanes:
                lane.learn(1, 1.0)  # it is no model for the event loop
                lane.learn(2, 1.0)
        print(at.port, at.grpc_port or 0, flush=True)

    Lane.warm = noted  # type: ignore[method-assign]
    if "lingers" in how:
        connection._LINGER = spec.read_timeout
    if "buffers" in how:
        connection.Connection.connection_made = buffering  # type: ignore[method-assign]
    serve(model, spec, ready)


if __name__ == "__main__":
    main(*sys.argv[1:])
