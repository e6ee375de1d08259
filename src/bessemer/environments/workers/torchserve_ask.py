"""Starts TorchServe with a model archive on free ports of this machine, asks it over HTTP, and stops it.

question: `archive` (a path), `name` (of the model), `bodies` (JSON bodies of requests). answer: `answers`, what it said
to each, and `version`.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from importlib.metadata import version
from pathlib import Path

#: Seconds until it has to answer: it starts a Java machine, which starts Python, which imports torch.
START = 240
#: Another process may take a port between the moment it was found and the moment it is used.
TRIES = 3


class NotStarted(Exception):
    """It ended before it answered."""


def ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    found = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return found


def configure(folder):
    inference, management, metrics, grpc, grpc_management = ports(5)
    lines = [
        f"inference_address=http://127.0.0.1:{inference}",
        f"management_address=http://127.0.0.1:{management}",
        f"metrics_address=http://127.0.0.1:{metrics}",
        f"grpc_inference_port={grpc}",
        f"grpc_management_port={grpc_management}",
        "default_workers_per_model=1",
        "number_of_netty_threads=2",
        "job_queue_size=10",
        "disable_token_authorization=true",
        "vmargs=-Xmx512m",
    ]
    (folder / "config.properties").write_text("\n".join(lines) + "\n")
    return f"http://127.0.0.1:{inference}"


def start(folder, archive, name, log):
    bin_folder = Path(sys.executable).parent
    store = folder / "store"
    store.mkdir(exist_ok=True)
    shutil.copy(archive, store / "model.mar")
    environ = {**os.environ, "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}"}
    # Its pid file, its temporary files and its logs stay in the folder.
    environ |= {"TMPDIR": str(folder), "TEMP": str(folder), "LOG_LOCATION": str(folder / "logs")}
    environ |= {"METRICS_LOCATION": str(folder / "logs"), "OMP_NUM_THREADS": "1"}
    command = [
        sys.executable,
        "-m",
        "ts.model_server",
        "--start",
        "--foreground",
        "--model-store",
        str(store),
    ]
    command += ["--models", f"{name}=model.mar", "--ts-config", "config.properties", "--no-config-snapshots"]
    command += ["--disable-token-auth"]
    return subprocess.Popen(
        command, cwd=folder, env=environ, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
    )


def stop(process):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def ask(address, name, body):
    request = urllib.request.Request(
        f"{address}/predictions/{name}", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.load(answer)


def check_worker(folder):
    """Python dies when the handler or a library cannot be imported; TorchServe would start it again without end."""
    log = (folder / "server.log").read_text(errors="replace")
    if "Traceback" in log:
        raise SystemExit(f"{log[log.index('Traceback') :][:3000]}\nTorchServe's worker ended")


def ready(folder, address, name, body, process):
    """Its answer to the first question, as soon as it gives one."""
    end = time.monotonic() + START
    while time.monotonic() < end:
        if process.poll() is not None:
            raise NotStarted("it ended at once")
        check_worker(folder)
        try:
            return ask(address, name, body)
        except urllib.error.HTTPError as error:
            said = error.read().decode(errors="replace")
            if error.code not in (404, 429, 500, 503):
                raise SystemExit(f"TorchServe answered {error.code}: {said}") from None
        except (urllib.error.URLError, OSError):
            pass
        time.sleep(0.3)
    raise NotStarted(f"it did not answer within {START} seconds")


def served(folder, question):
    folder.mkdir()
    address = configure(folder)
    with open(folder / "server.log", "wb") as log:
        process = start(folder, question["archive"], question["name"], log)
        try:
            print("progress: waiting for TorchServe", flush=True)
            first = ready(folder, address, question["name"], question["bodies"][0], process)
            return [first, *(ask(address, question["name"], body) for body in question["bodies"][1:])]
        finally:
            stop(process)


def main(folder):
    question = json.loads((folder / "question.json").read_text(encoding="utf-8"))
    for left in reversed(range(TRIES)):
        try:
            answers = served(folder / f"try_{left}", question)
            break
        except NotStarted as error:
            if not left:
                end = (folder / f"try_{left}" / "server.log").read_text(errors="replace")[-3000:]
                raise SystemExit(f"{end}\nTorchServe did not start: {error}") from None
    told = {"answers": answers, "version": version("torchserve")}
    (folder / "answer.json").write_text(json.dumps(told), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
