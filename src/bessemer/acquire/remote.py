"""Files that are elsewhere: web servers, FTP, and whatever fsspec knows (s3, gs, hdfs, sftp...)."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bessemer.acquire.transfer.bucket import Bucket
from bessemer.acquire.transfer.download import brought
from bessemer.acquire.transfer.ftp import Ftp
from bessemer.acquire.transfer.kept import Kept
from bessemer.acquire.transfer.remote import Origin
from bessemer.acquire.transfer.website import Website
from bessemer.core.errors import BessemerError, DataError
from bessemer.core.secrets import expanded
from bessemer.core.store import file_digest

if TYPE_CHECKING:
    from bessemer.core.stage import Context


def is_remote(path: str) -> bool:
    """Whether the path is a URL of another place than this disk or an installed package, or a variable that has one.

    >>> is_remote("s3://bucket/a.csv"), is_remote("${DATA_URL}"), is_remote("a.csv")
    (True, True, False)
    """
    return path.startswith("${") or ("://" in path and not path.startswith(("python://", "file://")))


def always() -> str:
    """The fingerprint of what cannot be asked whether it changed: a new one each time."""
    return f"always:{uuid.uuid4().hex}"


def remote_fingerprint(path: str, kind: str, sha256: str | None) -> str:
    """The checksum where there is one; what the place says of its files (etag, time, size); or a new text each time."""
    if sha256:
        return _plain(sha256)
    with _explained(path), closing(_origin(path, kind)) as origin:
        remotes = origin.listed()
    if not all(remote.version for remote in remotes):
        return always()
    lines = [f"{remote.inside} {remote.size} {remote.version}" for remote in remotes]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def download(path: str, ctx: Context, kind: str, sha256: str | None) -> list[Path]:
    """The remote files on this disk, in order. What came in an earlier run and has not changed comes from there."""
    kept = Kept(ctx.cache, ctx.workdir, f"{kind} {path} {sha256 or ''}")
    with _explained(path), closing(_origin(path, kind)) as origin:
        files = brought(origin, kept, path, ctx)
    if sha256:
        _check(files, path, _plain(sha256))
    return files


def _plain(sha256: str) -> str:
    return sha256.removeprefix("sha256:").lower()


def _check(files: list[Path], path: str, sha256: str) -> None:
    if len(files) != 1:
        raise DataError(f"'{path}' is {len(files)} files; `sha256` is for one", fix="leave `sha256` out")
    found = file_digest(files[0])[0]
    if found != sha256:
        files[0].unlink()
        raise DataError(
            f"'{path}' is not the file that was meant: sha256 {found}",
            why=f"the project file says {sha256}",
            fix="find out why the file changed; then correct `sha256`",
        )


def _origin(path: str, kind: str) -> Origin:
    url = expanded(path)
    scheme = url.partition("://")[0].lower()
    if scheme in ("http", "https"):
        return Website(url, path, kind)
    return Ftp(url, path, kind) if scheme == "ftp" else Bucket(url, path, kind)


@contextmanager
def _explained(path: str) -> Iterator[None]:
    """Whatever a network or a cloud library raises becomes one error that says what to do."""
    try:
        yield
    except BessemerError:
        raise
    except OSError as error:  # timeouts and fsspec's refusals are OSErrors
        raise DataError(
            f"'{path}' cannot be read",
            why=f"{type(error).__name__}: {error}",
            fix="check the address and the rights",
        ) from error
    except Exception as error:
        ours = isinstance(error, AssertionError | AttributeError | LookupError | NameError | TypeError)
        fix = "this is a fault of Bessemer or of a client, not of your data: report it"
        raise DataError(
            f"'{path}' cannot be read",
            why=f"{type(error).__name__}: {error}",
            fix=fix if ours else "check the address, the credentials and the rights",
        ) from error
