"""A server process whose model breaks where `tenure` is 666: the package, its key, the settings, those of telemetry."""

from __future__ import annotations

import json
import sys
from typing import Any

from bessemer.package import model as package_model
from bessemer.package.keys import read_public
from bessemer.serve.server import serve
from bessemer.serve.spec import ServeSpec


def main(package: str, key: str, settings: str, telling: str) -> None:
    model = package_model.load(package, trust=[read_public(key)])
    run = model.session.run_feeds

    def breaking(feeds: Any, *arguments: Any, **named: Any) -> Any:
        password = "-".join(["a", "local", "secret"])  # noqa: F841 - what must not be told of
        if 666 in feeds["tenure"]:
            raise RuntimeError("the model broke")
        return run(feeds, *arguments, **named)

    model.session.run_feeds = breaking  # type: ignore[method-assign]
    spec = ServeSpec(port=0, telemetry=json.loads(telling), **json.loads(settings))
    serve(model, spec, lambda at: print(at.port, at.grpc_port or 0, flush=True))


if __name__ == "__main__":
    main(*sys.argv[1:5])
