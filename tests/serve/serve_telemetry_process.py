"""A server process with telemetry: the package's path, its key, the settings of the server and of telemetry as JSON."""

from __future__ import annotations

import json
import sys

from bessemer.package import model as package_model
from bessemer.package.keys import read_public
from bessemer.serve.server import serve
from bessemer.serve.spec import ServeSpec


def main(package: str, key: str, settings: str, telling: str) -> None:
    model = package_model.load(package, trust=[read_public(key)])
    spec = ServeSpec(port=0, telemetry=json.loads(telling), **json.loads(settings))
    serve(model, spec, lambda at: print(at.port, at.grpc_port or 0, flush=True))


if __name__ == "__main__":
    main(*sys.argv[1:5])
