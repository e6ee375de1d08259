"""Places that are not this disk: fsspec URLs, and the extras that bring their clients."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from bessemer.core.errors import MissingExtra

_HDFS = ("hdfs", "webhdfs", "swebhdfs")
#: Scheme -> the Python package that speaks it, and the extra that brings it.
_EXTRAS = {
    **dict.fromkeys(("s3", "s3a"), ("s3fs", "s3")),
    **dict.fromkeys(("gs", "gcs"), ("gcsfs", "gcs")),
    **dict.fromkeys(("http", "https"), ("aiohttp", "http")),
    **dict.fromkeys(_HDFS, ("requests", "hdfs")),
}
#: Services where an object is there whole or not at all; elsewhere a file is written beside its place and moved.
_WHOLE_OBJECTS = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss", "memory"}
#: What shows an object's content, the best first; then what shows when it was written.
_CONTENT = ("ETag", "md5Hash", "generation", "etag", "sha")
_WRITTEN = (
    "LastModified",
    "Last-Modified",
    "last_modified",
    "mtime",
    "modificationTime",
    "modify",
    "created",
    "fileId",
)


def extra_of(scheme: str) -> str:
    """The extra that brings the client of a scheme.

    >>> extra_of("s3"), extra_of("file")
    ('s3', 'flow')
    """
    return _EXTRAS[scheme][1] if scheme in _EXTRAS else "flow"


def open_url(url: str) -> tuple[Any, str]:
    """The fsspec filesystem of a URL, and the path inside it. It lists anew: what it listed before is forgotten.

    hdfs:// is spoken over WebHDFS (see `core.hdfs`).

    Raises:
        MissingExtra: the scheme's client is not installed.
        ValueError: fsspec knows no such scheme.

    >>> open_url("memory://a/b")[1]
    '/a/b'
    """
    import fsspec

    scheme = urlsplit(url).scheme
    try:
        if scheme in _HDFS:
            from bessemer.core.hdfs import connect

            return connect(url)
        fs, inside = _ftp(url) if scheme == "ftp" else fsspec.core.url_to_fs(url)
    except ImportError as error:
        module, extra = _EXTRAS.get(scheme, (scheme, scheme))
        raise MissingExtra(scheme, error.name or module, extra) from error
    fs.invalidate_cache()
    return fs, str(inside)


def _ftp(url: str) -> tuple[Any, str]:
    """fsspec would take the user and the password as they are encoded in the URL."""
    from fsspec.implementations.ftp import FTPFileSystem

    parts = urlsplit(url)
    if not parts.hostname:
        raise ValueError("which server? write ftp://HOST/path")
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    fs = FTPFileSystem(parts.hostname, parts.port or 21, username=user, password=password)
    return fs, str(FTPFileSystem._strip_protocol(url))


def version_of(facts: Mapping[str, Any]) -> str:
    """A text that differs when the file was changed, from what its file system says of it; '' where it tells nothing.

    Times of a coarse kind count for nothing: a minute, as old FTP servers have it, hides changes.

    >>> version_of({"ETag": '"ab"', "size": 3, "LastModified": 1}), version_of({"size": 3})
    ('3 ETag "ab"', '')
    """
    size = facts.get("size")
    for mark in _CONTENT:
        if facts.get(mark):
            return f"{size} {mark} {facts[mark]}"
    found = [f"{mark} {facts[mark]}" for mark in _WRITTEN if facts.get(mark)]
    if " " in str(facts.get("modify", "")):
        return ""
    return f"{size} {' '.join(found)}" if found else ""


def has_whole_objects(fs: Any) -> bool:
    """Whether a file of this file system appears whole or not at all, however its writer ends."""
    spoken = fs.protocol
    return not _WHOLE_OBJECTS.isdisjoint([spoken] if isinstance(spoken, str) else spoken)


def write_whole(fs: Any, path: str, content: Path | bytes) -> None:
    """Write a file so that others see the old content or the new, never a part, and the writer may be killed.

    Where objects do not appear whole, it is written beside its place, under a name of its own that begins with
    `.part-`, and moved. A writer that fails removes it; what a killed one leaves is never read.
    """
    folder, target = path.rpartition("/")[0], path
    if not has_whole_objects(fs):
        if not getattr(fs, "makes_folders", False):
            fs.makedirs(folder, exist_ok=True)
        target = f"{folder}/.part-{secrets.token_hex(8)}"
    try:
        if isinstance(content, bytes):
            fs.pipe_file(target, content)
        else:
            fs.put_file(str(content), target)
        if target != path:
            fs.mv(target, path)
    except BaseException:
        if target != path:
            with suppress(Exception):  # the first failure is the one to tell
                fs.rm_file(target)
        raise
