"""What the tests run as a server process: the package's path, then the settings as JSON."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from bessemer.package import model as package_model
from bessemer.package.keys import read_public
from bessemer.serve.batching import Lane
from bessemer.serve.server import serve
from bessemer.serve.spec import ServeSpec
from bessemer.serve.transport.http import Listening


def main(package: str, key: str, settings: str, slow: float) -> None:
    model = package_model.load(package, trust=[read_public(key)])
    run = model.session.run_feeds

    def slowly(*arguments: Any) -> Any:
        time.sleep(
            slow
        )  # a model that takes its time, so that requests are in flight when they are looked at
        return run(*arguments)

    def ready(at: Listening) -> None:
        if slow:
            model.session.run_feeds = slowly  # type: ignore[method-assign]
            for lane in found:
                lane.learn(1, slow)
                lane.learn(2, slow)
        print(at.port, at.grpc_port or 0, flush=True)

    found: list[Lane] = []
    warm = Lane.warm

    def noted(lane: Lane) -> None:
        found.append(lane)
        warm(lane)

    Lane.warm = noted  # type: ignore[method-assign]
    serve(model, ServeSpec(port=0, **json.loads(settings)), ready)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4]))
