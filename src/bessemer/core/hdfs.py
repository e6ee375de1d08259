"""HDFS over WebHDFS: what fsspec's client leaves to its caller, namely deadlines, refusals and renames."""

from __future__ import annotations

import getpass
import os
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlsplit

import fsspec
import requests
from fsspec.implementations.webhdfs import WebHDFile, WebHDFS

#: Seconds until a connection stands, and between two pieces of an answer.
_TIMEOUT = (10.0, 60.0)
#: Where a name node speaks Hadoop's own protocol, which is what stands in most hdfs:// addresses.
_RPC_PORTS = {8020, 9000, 9820}
_HTTP_PORT, _HTTPS_PORT = 9870, 9871
_REFUSALS: dict[str, type[Exception]] = {
    "AccessControlException": PermissionError,
    "FileNotFoundException": FileNotFoundError,
    "IllegalArgumentException": ValueError,
    "SecurityException": PermissionError,
    "UnsupportedOperationException": ValueError,
}


class Hdfs(WebHDFS):  # type: ignore[misc]
    """A name node and its data nodes."""

    protocol = ("hdfs", "webhdfs", "swebhdfs")
    #: A file's folders come with the file.
    makes_folders = True

    def _connect(self) -> None:
        super()._connect()
        self.session.hooks["response"].append(_refused)
        for scheme in ("http://", "https://"):
            self.session.mount(scheme, _Bounded())

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        """The path of a URL. Of a plain path nothing is taken for anything else: names may have `#` and `?`.

        >>> Hdfs._strip_protocol("webhdfs://host:9870/a/b/"), Hdfs._strip_protocol("/a/b#1")
        ('/a/b', '/a/b#1')
        """
        inside = "/" + path.split("://", 1)[1].partition("/")[2] if "://" in path else path
        return inside.rstrip("/") or "/"

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any) -> bytes:
        """The bytes from start to end; a data node that refuses is an error, and so is an answer that is cut."""
        span: dict[str, int] = {"offset": start or 0}
        if end is not None:
            if end <= span["offset"]:
                return b""
            span["length"] = end - span["offset"]
        answer = self._call("OPEN", path=path, redirect=False, **span)
        if "Location" in answer.headers:
            answer = self.session.get(self._apply_proxy(answer.headers["Location"]))
        content: bytes = answer.content
        return content

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **kwargs: Any) -> None:
        self._create(path, value)

    def put_file(
        self, lpath: str, rpath: str, callback: Any = None, mode: str = "overwrite", **kwargs: Any
    ) -> None:
        with Path(lpath).open("rb") as content:
            self._create(rpath, content)

    def _create(self, path: str, content: bytes | IO[bytes]) -> None:
        """Write a file in one request to a data node; what was there is replaced."""
        answer = self._call("CREATE", method="put", path=path, redirect=False, overwrite="true")
        kind = {"content-type": "application/octet-stream"}
        self.session.put(self._apply_proxy(answer.headers["Location"]), data=content, headers=kind)

    def _open(self, path: str, mode: str = "rb", block_size: int | None = None, **kwargs: Any) -> _File:
        kwargs = {"autocommit": True, **kwargs}
        return _File(
            self, path, mode=mode, block_size=block_size or self.blocksize, tempdir=self.tempdir, **kwargs
        )

    def mv(self, path1: str, path2: str, **kwargs: Any) -> None:
        """Rename; what stands at `path2` is replaced in the same moment."""
        self._call("RENAME", method="put", path=path1, destination=path2, renameoptions="OVERWRITE")


class _File(WebHDFile):  # type: ignore[misc]
    """A file whose ranges are read by `Hdfs.cat_file`."""

    def _fetch_range(self, start: int, end: int) -> bytes:
        data: bytes = self.fs.cat_file(self.path, max(start, 0), min(end, self.size))
        return data


def _refused(answer: requests.Response, **options: Any) -> None:
    """A refusal of a name node or a data node in its own words, which fsspec's client has of a part of them."""
    if answer.status_code < 400:
        return
    try:
        told = answer.json()["RemoteException"]
        kind, words = str(told["exception"]), str(told["message"])
    except (ValueError, KeyError, TypeError):
        kind, words = "", f"HTTP {answer.status_code} {answer.reason}"
    raise _REFUSALS.get(kind, OSError)(words)


class _Bounded(requests.adapters.HTTPAdapter):
    """An adapter whose requests have a deadline, where the caller gives none."""

    def send(
        self,
        request: Any,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> Any:
        return super().send(request, stream, timeout or _TIMEOUT, verify, cert, proxies)


def connect(url: str) -> tuple[Hdfs, str]:
    """The file system of an hdfs://, webhdfs:// or swebhdfs:// (TLS) URL, and the path inside it.

    The user is the URL's, HADOOP_USER_NAME's, or who runs this, as with Hadoop's own client. Kerberos, a delegation
    token and proxies of data nodes are fsspec's settings: FSSPEC_WEBHDFS_KERBEROS, FSSPEC_WEBHDFS_TOKEN...

    Raises:
        ValueError: the URL has no host.
    """
    parts = urlsplit(url)
    if not parts.hostname:
        raise ValueError(f"which name node? write {parts.scheme}://HOST:{_HTTP_PORT}/path")
    secure = parts.scheme == "swebhdfs"
    options = dict(fsspec.config.conf.get("webhdfs", {}))
    if parts.username:
        options["user"] = unquote(parts.username)
    elif not {"user", "token", "kerberos"} & set(options):
        options["user"] = os.environ.get("HADOOP_USER_NAME") or getpass.getuser()
    if parts.password:
        options["password"] = unquote(parts.password)
    port = http_port(parts.port, secure=secure)
    return Hdfs(parts.hostname, port, use_https=secure, **options), Hdfs._strip_protocol(url)


def http_port(port: int | None, *, secure: bool = False) -> int:
    """The port of WebHDFS for that of a URL: another one where none is given, or Hadoop's own protocol's.

    >>> http_port(8020), http_port(50070), http_port(None, secure=True)
    (9870, 50070, 9871)
    """
    usual = _HTTPS_PORT if secure else _HTTP_PORT
    return usual if port is None or port in _RPC_PORTS else port
