"""Spark for tests: settings that make small queries quick, a Spark Connect server, and a standalone cluster."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pyspark

from ports import free_ports
from systems.process import Process, wait_for

#: No code is generated and nothing is spread out: each of hundreds of small queries then takes a tenth of a second.
QUICK = {
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.shuffle.partitions": "1",
    "spark.sql.adaptive.enabled": "false",
}

#: Java that begins quickly: nothing here runs long enough to be worth compiling well.
JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"


@contextmanager
def connect_server(folder: Path) -> Iterator[str]:
    """The URL of a Spark Connect server on this machine."""
    (port,) = free_ports(1)
    options = {
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": str(port),
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.driver.memory": "1g",
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
    }
    home = Path(pyspark.__file__).parent
    command = [str(home / "bin" / "spark-submit"), "--master", "local[1]"]
    for key, value in options.items():
        command += ["--conf", f"{key}={value}"]
    command += ["--class", "org.apache.spark.sql.connect.service.SparkConnectServer", "spark-internal"]
    server = Process(command, port, folder / "connect.log", {"SPARK_HOME": str(home), "TZ": "UTC"})
    server.start()
    try:
        yield f"sc://127.0.0.1:{port}"
    finally:
        server.kill()


class Cluster:
    """A standalone cluster on this machine: a master, and workers of one core that can be killed.

    url: what clients connect to. folder: of its logs and the workers' files.
    """

    def __init__(self, folder: Path, workers: int = 2) -> None:
        self.folder = folder
        ports = free_ports(workers + 1)
        self.url = f"spark://127.0.0.1:{ports[0]}"
        self._home = Path(pyspark.__file__).parent
        self._running: list[subprocess.Popen[bytes]] = []
        self._begun: list[tuple[str, list[str], int]] = []
        self._ports = ports

    def begin(self) -> None:
        ports = self._ports
        master = ["master.Master", "--host", "127.0.0.1", "--port", str(ports[0]), "--webui-port", "0"]
        self._add("master", master, ports[0])
        for number, port in enumerate(ports[1:], 1):
            named = ["worker.Worker", "--host", "127.0.0.1", "--port", str(port), "--webui-port", "0"]
            room = ["--cores", "1", "--memory", "700M", "--work-dir", str(self.folder / f"worker-{number}")]
            self._add(f"worker-{number}", [*named, *room, self.url], port)

    def _add(self, name: str, command: list[str], port: int) -> None:
        self._begun.append((name, command, port))
        self._running.append(self._start(name, command, port))

    def revive(self, number: int) -> None:
        """Begin one that was killed."""
        self._running[number] = self._start(*self._begun[number])

    def _start(self, name: str, command: list[str], port: int) -> subprocess.Popen[bytes]:
        """Begin one, in a group of its own with what it starts itself, and wait until it listens."""
        environment = {
            **os.environ,
            "SPARK_HOME": str(self._home),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "TZ": "UTC",
        }
        environment |= {"SPARK_DAEMON_MEMORY": "256m", "SPARK_DAEMON_JAVA_OPTS": JAVA}
        start = [
            str(self._home / "bin" / "spark-class"),
            f"org.apache.spark.deploy.{command[0]}",
            *command[1:],
        ]
        with (self.folder / f"{name}.log").open("wb") as log:
            made = subprocess.Popen(
                start, stdout=log, stderr=log, env=environment, cwd=self.folder, start_new_session=True
            )
        try:
            wait_for(port, made, self.folder / f"{name}.log", 300)
        except BaseException:
            made.kill()
            raise
        return made

    def kill(self, number: int) -> None:
        """End a worker, counted from 1, and its executors at once, as a machine that fails does; 0 is the master."""
        with suppress(ProcessLookupError):
            os.killpg(self._running[number].pid, signal.SIGKILL)
        self._running[number].wait()

    def end(self) -> None:
        for number in reversed(range(len(self._running))):
            self.kill(number)


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """A cluster of two workers, until the end."""
    made = Cluster(folder)
    try:
        made.begin()
        yield made
    finally:
        made.end()
