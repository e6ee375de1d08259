"""The flights example from raw data to a served prediction. `make demo` runs it."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
BESSEMER = [sys.executable, "-m", "bessemer"]

#: Three flights as a client would send them. What is null is missing; the last one is little known.
FLIGHTS: list[dict[str, Any]] = [
    {
        "sched_departure": "2013-12-05T06:10:00", "sched_arrival_minute": 535, "carrier": "DL", "flight": 1919,
        "tailnum": "N339NW", "origin": "LGA", "dest": "MSP", "distance": 1020, "plane_built": 1992,
        "manufacturer": "AIRBUS INDUSTRIE", "model": "A320-212", "engines": 2, "seats": 182, "dest_lat": 44.88,
        "dest_lon": -93.22, "dest_alt": 841, "dest_tz": -6, "temp": 53.1, "dewp": 46.0, "humid": 76.8,
        "wind_dir": 230, "wind_speed": 6.9, "precip": 0.0, "pressure": 1013.2, "visib": 10.0,
    },
    {
        "sched_departure": "2013-12-08T19:45:00", "sched_arrival_minute": 1330, "carrier": "EV", "flight": 4322,
        "tailnum": "N14168", "origin": "EWR", "dest": "ORD", "distance": 719, "plane_built": 2004,
        "manufacturer": "EMBRAER", "model": "EMB-145XR", "engines": 2, "seats": 55, "dest_lat": 41.98,
        "dest_lon": -87.90, "dest_alt": 668, "dest_tz": -6, "temp": 30.9, "dewp": 27.0, "humid": 85.1,
        "wind_dir": 40, "wind_speed": 12.7, "precip": 0.06, "pressure": 1027.4, "visib": 1.5,
    },
    {
        "sched_departure": "2013-12-20T17:30:00", "sched_arrival_minute": 1265, "carrier": "ZZ", "flight": None,
        "tailnum": None, "origin": "JFK", "dest": "SFO", "distance": 2586, "plane_built": None,
    },
]  # fmt: skip


def main() -> None:
    console = Console(highlight=False)
    console.rule("[bold]1. one command: from raw data to a signed package")
    started = time.perf_counter()
    subprocess.run([*BESSEMER, "run", str(HERE)], check=True)
    seconds = time.perf_counter() - started
    shown = subprocess.run(
        [*BESSEMER, "show", "--project", str(HERE), "--json"], check=True, capture_output=True
    )
    run = json.loads(shown.stdout)[0]

    console.rule("[bold]2. verify what came out")
    subprocess.run([*BESSEMER, "verify", run["package"]], check=True)

    console.rule("[bold]3. serve it and ask")
    port = free_port()
    command = [*BESSEMER, "serve", run["package"], "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        wait_until_ready(port, server)
        ask(console, port)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=300)
    console.rule("[bold]done")
    console.print(f"run      {seconds:.1f} s from raw data to the signed package")
    console.print(f"report   {run['report']}", soft_wrap=True)
    console.print(f"package  {run['package']}", soft_wrap=True)
    console.print(f"\nserve it yourself: [bold].venv/bin/bessemer serve {run['package']}[/]", soft_wrap=True)


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


def post(port: int, path: str, body: Any) -> Any:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=300) as answer:
        return json.load(answer)


def ask(console: Console, port: int) -> None:
    answer = post(port, "/predict", {"rows": FLIGHTS, "explain": True})
    table = Table(box=None, header_style="bold", padding=(0, 3, 0, 0))
    for name in ("flight", "late?", "probability", "mostly because of"):
        table.add_column(name)
    for row, prediction in zip(FLIGHTS, answer["predictions"], strict=True):
        contributions = prediction["explanation"]["contributions"]
        strongest = sorted(contributions.items(), key=lambda item: -abs(item[1]))[:4]
        table.add_row(
            f"{row['carrier']} {row['origin']}-{row['dest']} {row['sched_departure'].replace('T', ' ')}",
            "yes" if prediction["prediction"] else "no",
            f"{late(prediction['probability']):.3f}",
            ", ".join(f"{name} {value:+.2f}" for name, value in strongest),
        )
    console.print("POST /predict", style="bold")
    console.print(table)
    v1 = post(port, "/v1/models/flights:predict", {"instances": FLIGHTS[:1]})
    console.print(f"\n[bold]POST /v1/models/flights:predict[/]  {json.dumps(v1)}", soft_wrap=True)


def late(probability: Any) -> float:
    """The probability of the class "late", whichever way the server writes it."""
    return float(probability["true"] if isinstance(probability, dict) else probability)


if __name__ == "__main__":
    main()
