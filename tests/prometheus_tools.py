"""Prometheus' and Alertmanager's own programs, and what starts them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from ports import free_port

_CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "bessemer-tests"
_PACKAGES = {"prometheus-alertmanager": "prometheus-alertmanager", "amtool": "prometheus-alertmanager"}


def prometheus(program: str) -> Path:
    """`promtool`, `prometheus`, `amtool` or `prometheus-alertmanager`: the installed one, or Debian's, unpacked without
    installing it."""
    if installed := shutil.which(program):
        return Path(installed)
    package = _PACKAGES.get(program, "prometheus")
    folder = _CACHE / package
    if not (folder / ".complete").exists():
        folder.mkdir(parents=True, exist_ok=True)
        get = ["apt-get", "download", package]
        if subprocess.run(get, cwd=folder, capture_output=True).returncode:
            subprocess.run(["apt-get", "update", "-qq"], check=True, capture_output=True)
            subprocess.run(get, cwd=folder, check=True, capture_output=True)
        file = next(folder.glob(f"{package}_*.deb"))
        subprocess.run(["dpkg-deb", "-x", str(file), str(folder)], check=True)
        file.unlink()
        (folder / ".complete").touch()
    return folder / "usr" / "bin" / program


@contextlib.contextmanager
def running(*command: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A program that is stopped at the end."""
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=120)


@contextlib.contextmanager
def alertmanager(folder: Path, config: dict[str, Any]) -> Iterator[str]:
    """A real Alertmanager; gives its address."""
    folder.mkdir()
    (folder / "config.yml").write_text(json.dumps(config))
    address = f"127.0.0.1:{free_port()}"
    with running(
        prometheus("prometheus-alertmanager"),
        f"--config.file={folder / 'config.yml'}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",
    ):
        yield address


@contextlib.contextmanager
def scraping(folder: Path, config: dict[str, Any]) -> Iterator[str]:
    """A real Prometheus; gives its URL."""
    folder.mkdir()
    (folder / "prometheus.yml").write_text(json.dumps(config))
    address = f"127.0.0.1:{free_port()}"
    with running(
        prometheus("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
    ):
        yield f"http://{address}"


def asked(url: str, query: str) -> list[Any]:
    """What a query says; nothing while Prometheus does not answer yet."""
    try:
        answer = httpx.get(f"{url}/api/v1/query", params={"query": query})
    except httpx.TransportError:
        return []
    return list(answer.json()["data"]["result"]) if answer.status_code == 200 else []
