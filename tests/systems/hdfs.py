"""A real HDFS: a name node and a data node of Hadoop 2.7, which speak WebHDFS, each in a process of its own.

The programs are the jars inside the source distribution of PySpark 2.4.8, which pip brings once into the cache of the
tests; Jersey 1, which these lack, is the system's (apt: libjersey1-core-java libjersey1-server-java
libjersey1-servlet-java).
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import tarfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import environments
from ports import free_ports
from systems.process import Process, running

_DISTRIBUTION = "pyspark==2.4.8"
_JARS = (
    *("hadoop-", "jetty-", "commons-", "guava-", "protobuf", "log4j", "slf4j", "javax.servlet", "netty"),
    *("htrace", "jackson", "leveldb", "httpc", "httpcore", "jaxb-api", "activation", "xml", "xerces"),
    *("jsr305", "zookeeper", "curator", "apacheds", "api-", "avro", "gson", "stax"),
)
_SYSTEM_JARS = ("jersey1-core", "jersey1-server", "jersey1-servlet", "jsr311-api")
_OPENED = ("java.lang", "java.io", "java.nio", "sun.nio.ch", "java.util")
_NODE = "org.apache.hadoop.hdfs.server"


@dataclass
class Hdfs:
    """port: of WebHDFS at the name node. data: the data node, which may be killed and started again."""

    port: int
    data: Process

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def wait_for_data(self) -> None:
        """Until the name node knows of a data node that is alive, so that files can be written and read."""
        end = time.monotonic() + 300
        query = f"http://{self.address}/jmx?qry=Hadoop:service=NameNode,name=FSNamesystemState"
        while True:
            with suppress(OSError), urllib.request.urlopen(query, timeout=60) as answer:
                if b'"NumLiveDataNodes" : 1' in answer.read() and self._safe():
                    return
            assert time.monotonic() < end, self.data.log.read_text("utf-8", "replace")[-4000:]
            time.sleep(0.1)

    def _safe(self) -> bool:
        query = f"http://{self.address}/jmx?qry=Hadoop:service=NameNode,name=NameNodeInfo"
        with urllib.request.urlopen(query, timeout=60) as answer:
            return b'"Safemode" : ""' in answer.read()


@contextmanager
def hdfs(folder: Path) -> Iterator[Hdfs]:
    """A file system that is up and empty; its data are under `folder`."""
    http, rpc, dn_http, dn, dn_ipc = free_ports(5)
    here = "127.0.0.1"
    settings = {
        "fs.defaultFS": f"hdfs://{here}:{rpc}",
        "dfs.replication": "1",
        "dfs.namenode.name.dir": f"file://{folder}/nn",
        "dfs.datanode.data.dir": f"file://{folder}/dn",
        "dfs.namenode.http-address": f"{here}:{http}",
        "dfs.datanode.http.address": f"{here}:{dn_http}",
        "dfs.datanode.address": f"{here}:{dn}",
        "dfs.datanode.ipc.address": f"{here}:{dn_ipc}",
        "dfs.datanode.hostname": here,
        "dfs.webhdfs.enabled": "true",
        "dfs.permissions.enabled": "true",
        "dfs.permissions.superusergroup": "nobody",
        "dfs.datanode.du.reserved": "0",
        "dfs.heartbeat.interval": "1",
        "dfs.namenode.safemode.extension": "0",
    }
    for name in ("conf", "nn", "dn", "web/webapps/hdfs/WEB-INF", "web/webapps/datanode/WEB-INF"):
        (folder / name).mkdir(parents=True)
    for name in ("hdfs", "datanode"):
        (folder / f"web/webapps/{name}/WEB-INF/web.xml").write_text("<web-app/>")
    properties = "".join(
        f"<property><name>{name}</name><value>{value}</value></property>\n"
        for name, value in settings.items()
    )
    for name in ("core-site.xml", "hdfs-site.xml"):
        (folder / "conf" / name).write_text(f"<configuration>\n{properties}</configuration>\n")
    subprocess.run(
        [*_java(folder), f"{_NODE}.namenode.NameNode", "-format", "-nonInteractive"],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    names = Process([*_java(folder), f"{_NODE}.namenode.NameNode"], http, folder / "name.log")
    data = Process([*_java(folder), f"{_NODE}.datanode.DataNode"], dn_http, folder / "data.log")
    with running(names, data):
        made = Hdfs(http, data)
        made.wait_for_data()
        yield made


def _java(folder: Path) -> list[str]:
    java = shutil.which("java")
    assert java, "no Java here: install default-jre-headless with your package manager"
    opened = [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _OPENED]
    opened.append("--add-exports=java.security.jgss/sun.security.krb5=ALL-UNNAMED")
    path = ":".join(str(entry) for entry in (folder / "conf", folder / "web", *_jars()))
    return [java, "-Xmx300m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", *opened, "-cp", path]


def _jars() -> list[Path]:
    system = [Path(f"/usr/share/java/{name}.jar") for name in _SYSTEM_JARS]
    lost = [jar.name for jar in system if not jar.exists()]
    assert not lost, (
        f"no {', '.join(lost)} here: run `make hdfs`, or install Jersey 1 with your package manager"
    )
    return [*(jar for jar in sorted(_distribution().glob("*.jar")) if jar.name.startswith(_JARS)), *system]


def _distribution() -> Path:
    """The folder with the jars, which are brought at the first call on a machine."""
    folder = environments.CACHE / "hadoop-2.7.3"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with Path(f"{folder}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / ".complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            _bring(folder)
            (folder / ".complete").touch()
    return folder


def _bring(folder: Path) -> None:
    python = environments.environment("sdist", "setuptools==69.5.1", "wheel==0.45.1")  # its setup.py is old
    command = [str(python), "-m", "pip", "download", "--quiet", "--no-deps", "--no-build-isolation"]
    command += ["--no-binary", "pyspark", "-d", str(folder), _DISTRIBUTION]
    made = subprocess.run(command, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    (archive,) = folder.glob("pyspark-*.tar.gz")
    with tarfile.open(archive) as packed:
        for member in packed:
            name = Path(member.name)
            if member.isfile() and name.parent.name == "jars" and name.name.startswith(_JARS):
                source = packed.extractfile(member)
                assert source is not None
                with (folder / name.name).open("wb") as out:
                    shutil.copyfileobj(source, out)
    archive.unlink()
