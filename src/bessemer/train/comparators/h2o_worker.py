"""The process that talks to H2O: `python -m bessemer.train.comparators.h2o_worker FOLDER`.

It starts an H2O server for itself, gives it the rows, lets its AutoML run, and writes what its best model says of the
judged rows. Everything, temporary files of Java and H2O's home among it, is in the folder.
"""

from __future__ import annotations

import importlib.util
import json
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bessemer.core.store import write_atomic
from bessemer.train.comparators.child import die_with_parent, killed_with_its_maker

ROWS, REQUEST = "rows.parquet", "request.json"
RESULT, PREDICTIONS, FAILED = "result.json", "predictions.csv", "failed"
FOLDERS = ("ice", "log", "tmp", "home", "flow")

#: Kept of the time for what H2O overruns and for predicting: seconds, and a share of it.
_END, _END_SHARE = 3.0, 0.1
#: Seconds before the end that AutoML is cancelled where it overruns.
_CANCEL = 2.5
#: Rows that the time of predicting is measured on.
_TIMED_ROWS = 10_000
_USER = "bessemer"
#: Java's exit code where it was told to exit on an OutOfMemoryError.
_OUT_OF_MEMORY = 3


class Failed(Exception):
    """There will be no answer; the text says why."""


@dataclass(frozen=True)
class Time:
    """When it has to be over, by `time.monotonic()`."""

    end: float

    def left(self) -> float:
        return self.end - time.monotonic()


def main() -> None:
    folder = Path(sys.argv[1])
    request = json.loads((folder / REQUEST).read_text("utf-8"))
    clock = Time(time.monotonic() + request["seconds"])
    os.environ["HOME"] = str(folder / "home")
    password = secrets.token_hex(16)
    server = start(request, folder, password)
    die_with_parent()
    threading.Thread(target=_die_with, args=(server, request, folder), name="server", daemon=True).start()
    try:
        connect(folder, password)
        compare(request, folder, clock)
    except Exception as error:  # noqa: BLE001 - the border to H2O: whatever it is, the run goes on without it
        first = str(error).strip().partition("\n")[0]
        text = first if isinstance(error, Failed) else f"{type(error).__name__}: {first}"
        write_atomic(folder / FAILED, text.encode())
    os._exit(
        0
    )  # our parent kills the server with our group; at its own exit h2o would talk to it for a while


# the server -----------------------------------------------------------------------------------------
def start(request: Mapping[str, Any], folder: Path, password: str) -> subprocess.Popen[bytes]:
    """A server that listens on 127.0.0.1 alone, to one who knows the password, and reports nothing to anybody."""
    login = folder / "login"
    login.touch(mode=0o600)
    login.write_text(f"{_USER}: {password}\n", "utf-8")
    port = _port()
    cloud = folder / "cloud"
    cloud.write_text(f"127.0.0.1:{port}\n", "utf-8")  # it alone: else it looks for others on the network
    command = [
        request["java"],
        f"-Xmx{request['heap_mb']}m",
        "-XX:+ExitOnOutOfMemoryError",
        "-XX:-UsePerfData",  # a file in /tmp
        f"-XX:ErrorFile={folder / 'java-error.log'}",
        f"-Djava.io.tmpdir={folder / 'tmp'}",
        f"-Duser.home={folder / 'home'}",
        "-Dsys.ai.h2o.telemetry.disabled=true",
        *("-jar", _jar()),
        *("-ip", "127.0.0.1", "-web_ip", "127.0.0.1", "-port", str(port), "-flatfile", str(cloud)),
        *("-hash_login", "-login_conf", str(login)),
        *("-name", f"bessemer-{secrets.token_hex(8)}"),
        *("-ice_root", str(folder / "ice"), "-log_dir", str(folder / "log")),
        *("-flow_dir", str(folder / "flow"), "-notify_local", str(folder / "up")),
        # it may not read below hidden folders else, and ours is in one; only we can ask it for a file
        *("-file_deny_glob", "/dev/null"),
        *("-nthreads", str(request["threads"]), "-allow_unsupported_java"),
    ]
    return subprocess.Popen(  # noqa: S603 - no shell
        command, cwd=folder, stdin=subprocess.DEVNULL, preexec_fn=killed_with_its_maker()
    )


def _port() -> int:
    """A free port with another one after it, which H2O takes too."""
    while True:
        with socket.socket() as one, socket.socket() as other, suppress(OSError, OverflowError):
            one.bind(("127.0.0.1", 0))
            port: int = one.getsockname()[1]
            other.bind(("127.0.0.1", port + 1))
            return port


def _jar() -> str:
    """H2O's server; found without importing h2o, which takes as long as half of its start."""
    if given := os.environ.get("H2O_JAR_PATH"):
        return given
    spec = importlib.util.find_spec("h2o")
    assert spec is not None
    assert spec.origin is not None  # the table of comparators has looked
    return str(Path(spec.origin).parent / "backend" / "bin" / "h2o.jar")


def _die_with(server: subprocess.Popen[bytes], request: Mapping[str, Any], folder: Path) -> None:
    """Say so when the server ends by itself: h2o would ask it again and again for minutes."""
    code = server.wait()
    if code == _OUT_OF_MEMORY:
        had = f"{request['heap_mb']} MB"
        text = f"its server ran out of memory: it had {had}, half of `resources: {{memory: ...}}`"
    else:
        text = f"its server ended with code {code}: {_last_line(folder / 'worker.log')}"
    write_atomic(folder / FAILED, text.encode())
    os._exit(1)


def connect(folder: Path, password: str) -> None:
    import h2o

    up = folder / "up"
    while not (up.exists() and (address := up.read_text("utf-8").strip())):
        time.sleep(0.05)
    ip, _, port = address.rpartition(":")
    h2o.connect(ip=ip, port=int(port), auth=(_USER, password), verbose=False, telemetry=False)
    h2o.no_progress()


def _last_line(file: Path) -> str:
    lines = file.read_text("utf-8", errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else "no message"


# the comparison -------------------------------------------------------------------------------------
def compare(request: Mapping[str, Any], folder: Path, clock: Time) -> None:
    """Train, predict, and write both results."""
    import h2o

    frame = _frame(request, folder)
    out_of_fold = request["out_of_fold"]
    learn = frame if out_of_fold else frame[frame["learn"] == 1, :]
    models, fit_seconds = _train(request, learn, clock)
    if not models:
        raise Failed("it had finished no model when its time was over")
    leader = h2o.get_model(models[0])
    rows = frame if out_of_fold else frame[frame["judge"] == 1, :]
    timed = rows[:_TIMED_ROWS, :] if out_of_fold and rows.nrow > _TIMED_ROWS else rows
    begin = time.monotonic()
    said = leader.predict(timed)
    seconds = time.monotonic() - begin
    if out_of_fold:
        said = _holdout(models)
    wanted = said.names[1:] if request["classes"] else said.names[:1]
    h2o.download_csv(rows[["row"]].cbind(said[wanted]), str(folder / PREDICTIONS))
    result = {
        "classes": [int(name.removeprefix("p")) for name in wanted] if request["classes"] else [],
        "fit_seconds": fit_seconds,
        "predict_microseconds": 1e6 * seconds / max(1, timed.nrow),
        "leader": leader.algo,
        "models": len(models),
        "version": h2o.__version__,
    }
    write_atomic(folder / RESULT, json.dumps(result).encode())


def _frame(request: Mapping[str, Any], folder: Path) -> Any:
    import h2o

    frame = h2o.import_file(str(folder / ROWS))
    categories = [name for name, kind in request["kinds"].items() if kind == "category"]
    for name in [*categories, "target"] if request["classes"] else categories:
        frame[name] = frame[name].asfactor()
    return frame


def _train(request: Mapping[str, Any], learn: Any, clock: Time) -> tuple[list[str], float]:
    """AutoML with H2O's own defaults: the names of its models, the best first, and the seconds.

    The client's own H2OAutoML uploads its leaderboard and its log back to the server as tables, which takes longer than
    small models do; so the server is asked directly. Where it does not keep its time it is cancelled, and what it has
    by then counts.
    """
    import h2o

    left = clock.left()
    most = int(left - _END - _END_SHARE * request["seconds"])
    if most < 1:
        taken = request["seconds"] - left
        what = f"starting its server and reading the rows took {taken:.0f} s"
        raise Failed(f"its {request['seconds']:.0f} s are too few: {what}, and some are kept for the end")
    control = {
        "project_name": "compare",
        "nfolds": -1,
        "keep_cross_validation_predictions": request["out_of_fold"],
        "stopping_criteria": {
            "max_runtime_secs": most,
            "max_models": request["models"] or 0,
            "seed": request["seed"],
        },
    }
    rows = {
        "training_frame": learn.frame_id,
        "response_column": "target",
        "ignored_columns": [name for name in ("row", "learn", "judge") if name in learn.names],
        "sort_metric": request["sort_metric"],
        **({"fold_column": "fold"} if request["fold"] else {}),
        **({"weights_column": "weight"} if request["weight"] else {}),
    }
    begin = time.monotonic()
    answer = h2o.api("POST /99/AutoMLBuilder", json={"build_control": control, "input_spec": rows})
    _wait(answer["job"]["key"]["name"], clock)
    took = time.monotonic() - begin
    found = h2o.api(f"GET /99/AutoML/{answer['job']['dest']['name']}")
    return [model["name"] for model in found["leaderboard"]["models"]], took


def _wait(job: str, clock: Time) -> None:
    """Until a job has ended; one that is late is cancelled."""
    import h2o

    cancelled = False
    while (state := h2o.api(f"GET /3/Jobs/{job}")["jobs"][0])["status"] in ("CREATED", "RUNNING"):
        if not cancelled and clock.left() < _CANCEL:
            h2o.api(f"POST /3/Jobs/{job}/cancel")
            cancelled = True
        time.sleep(0.1)
    if state["status"] == "FAILED":
        raise Failed(str(state["exception"]).strip().partition("\n")[0])


def _holdout(models: Sequence[str]) -> Any:
    """What the best model says of each row, from fits that did not learn from the row's fold.

    A stacked ensemble has no such predictions itself: those of the model that weighs its members are its own.
    """
    import h2o

    for name in models:
        model = h2o.get_model(name)
        judged = model.metalearner() if model.algo == "stackedensemble" else model
        if (said := judged.cross_validation_holdout_predictions()) is not None:
            return said
    raise Failed("none of its models was finished in every fold")


if __name__ == "__main__":
    main()
