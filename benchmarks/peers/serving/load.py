"""The load: `wrk` for a closed loop over HTTP; `load.c` for gRPC, for a constant rate, and where there is no wrk."""

from __future__ import annotations

import hashlib
import json
import shutil
import struct
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peers.environment import CACHE
from peers.serving import grpc_v2
from peers.serving.calls import Call
from peers.serving.server import Place

SOURCE = Path(__file__).with_name("load.c")
#: Seconds that requests in flight may still take when the time is over.
GRACE = 5.0

_LUA = """
local requests, n, at = {}, 0, 0
local file = assert(io.open("%s", "rb"))
while true do
  local size = file:read(4)
  if not size then break end
  local a, b, c, d = size:byte(1, 4)
  n = n + 1
  requests[n] = file:read(a + 256 * (b + 256 * (c + 256 * d)))
end
file:close()
request = function() at = at %% n + 1; return requests[at] end
done = function(summary, latency)
  local e = summary.errors
  local line = '\\n{"count": %%d, "us": %%d, "errors": %%d, "p50": %%d, "p95": %%d, "p99": %%d}\\n'
  io.write(string.format(line, summary.requests, summary.duration, e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50), latency:percentile(95), latency:percentile(99)))
end
"""


def names(own: bool) -> str:
    """What makes the load here."""
    if own:
        return "load.c"
    if shutil.which("wrk"):
        return "wrk over HTTP in a closed loop, else load.c"
    return "load.c, since wrk is not here (apt-get install wrk)"


@dataclass(frozen=True)
class Load:
    """What came of some seconds of requests.

    requests: answered with success. failed: every other: not 2xx, broken, or unanswered at the end. unsent: due at a
    rate, but the end came first. p50, p95, p99: milliseconds of those with success. detail: all that load.c says.
    """

    requests: int
    failed: int
    unsent: int
    seconds: float
    p50: float
    p95: float
    p99: float
    detail: dict[str, Any]


def offer(
    call: Call, place: Place, *, seconds: float, connections: int, rate: float = 0.0, own: bool = False
) -> Load:
    """Send a call's requests in turn: in a closed loop, or `rate` a second whatever the answers take.

    Raises:
        CalledProcessError: the generator failed.
    """
    with tempfile.NamedTemporaryFile(suffix=".messages") as file:
        file.write(_messages(call, place))
        file.flush()
        if call.form.protocol == "grpc" or rate or own or not shutil.which("wrk"):
            return _own(call.form.protocol, place, file.name, seconds, connections, rate)
        return _wrk(place, file.name, seconds, connections)


def _messages(call: Call, place: Place) -> bytes:
    """The requests as they go over the wire, each with its length."""
    if call.form.protocol == "grpc":
        made = [grpc_v2.headers(place.grpc), *(grpc_v2.framed(body.content) for body in call.bodies)]
    else:
        made = []
        for body in call.bodies:
            head = [f"POST {call.form.path} HTTP/1.1", f"Host: 127.0.0.1:{place.port}"]
            head += [f"{name}: {value}" for name, value in body.headers.items()]
            head += [f"Content-Length: {len(body.content)}", "", ""]
            made.append("\r\n".join(head).encode() + body.content)
    return b"".join(struct.pack("<I", len(each)) + each for each in made)


def _wrk(place: Place, messages: str, seconds: float, connections: int) -> Load:
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(_LUA % messages)
        script.flush()
        whole = max(1, round(seconds))
        command = [
            "wrk",
            "-t1",
            f"-c{connections}",
            f"-d{whole}s",
            "--timeout",
            "30s",
            "--latency",
            "-s",
            script.name,
        ]
        done = subprocess.run(
            [*command, f"http://127.0.0.1:{place.port}/"], capture_output=True, text=True, check=True
        )
    found = json.loads(done.stdout.strip().splitlines()[-1])
    times = [found[name] / 1e3 for name in ("p50", "p95", "p99")]
    good = max(0, found["count"] - found["errors"])
    return Load(good, found["errors"], 0, found["us"] / 1e6, *times, detail=found)


def _own(protocol: str, place: Place, messages: str, seconds: float, connections: int, rate: float) -> Load:
    port = place.grpc if protocol == "grpc" else place.port
    told = [str(each) for each in (port, connections, seconds, rate, GRACE, messages)]
    done = subprocess.run([program(), protocol, *told], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    failed = found["failed"] + found["broken"] + found["unanswered"]
    times = [found["ok"].get(name, float("nan")) for name in ("p50", "p95", "p99")]
    return Load(
        found["ok"]["count"], failed, found["due"] - found["sent"], found["seconds"], *times, detail=found
    )


def program() -> Path:
    """The compiled generator, made once for each text of it.

    Raises:
        SystemExit: there is no C compiler.
    """
    made = CACHE / f"load-{hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:12]}"
    if not made.exists():
        compiler = shutil.which("cc") or shutil.which("gcc")
        if not compiler:
            raise SystemExit("the load generator needs a C compiler: apt-get install gcc libc6-dev")
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            fresh = Path(folder) / "load"
            subprocess.run([compiler, "-O2", "-Wall", "-o", fresh, SOURCE], check=True)
            fresh.replace(made)
    return made
