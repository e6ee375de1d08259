"""Files that are elsewhere: http(s) with a checksum, and whatever fsspec knows (s3, gs, memory...)."""

from __future__ import annotations

import hashlib
import http.client
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any

from bessemer.acquire.shorthand import ENDINGS
from bessemer.core.errors import BessemerError, DataError
from bessemer.core.filesystem import open_url
from bessemer.core.store import explained

if TYPE_CHECKING:
    from bessemer.core.stage import Context, Progress

_BLOCK = 2**20
_TIMEOUT = 60.0


def is_remote(path: str) -> bool:
    """Whether the path is a URL of another place than this disk or an installed package."""
    return "://" in path and not path.startswith(("python://", "file://"))


def _is_http(path: str) -> bool:
    return path.lower().startswith(("http://", "https://"))


def always() -> str:
    """The fingerprint of what cannot be asked whether it changed: a new one each time."""
    return f"always:{uuid.uuid4().hex}"


def remote_fingerprint(path: str, kind: str, sha256: str | None) -> str:
    """The checksum where there is one; the file system's own tags (etag, time, size); or a new text each time."""
    if sha256:
        return sha256.removeprefix("sha256:").lower()
    if _is_http(path):
        return always()
    with _explained(path):
        fs, inside = _filesystem(path)
        tags = [f"{name} {fs.ukey(name)}" for name in _expand(fs, inside, path, kind)]
    return hashlib.sha256("\n".join(tags).encode()).hexdigest()


def download(path: str, ctx: Context, kind: str, sha256: str | None) -> list[Path]:
    """Stream the remote files into the work folder; a file is there whole or not at all."""
    folder = ctx.workdir / "fetched" / hashlib.sha256(path.encode()).hexdigest()[:16]
    with explained("downloading into", folder):
        folder.mkdir(parents=True, exist_ok=True)
    if _is_http(path):
        name = PurePosixPath(urllib.parse.urlparse(path).path).name or "download"
        with _explained(path):
            return [_stream(path, _open_http(path), folder / name, ctx, sha256)]
    with _explained(path):
        fs, inside = _filesystem(path)
        return [
            _stream(
                name, (fs.open(name, "rb"), fs.size(name)), folder / f"{i:05d}-{Path(name).name}", ctx, sha256
            )
            for i, name in enumerate(_expand(fs, inside, path, kind))
        ]


def _open_http(url: str) -> tuple[IO[bytes], float | None]:
    request = urllib.request.Request(url, headers={"User-Agent": "bessemer"})  # noqa: S310 - http(s) only, see _is_http
    response: IO[bytes] = urllib.request.urlopen(request, timeout=_TIMEOUT)  # noqa: S310
    length = getattr(response, "headers", {}).get("Content-Length")
    return response, float(length) if length else None


def _stream(
    name: str, opened: tuple[IO[bytes], float | None], target: Path, ctx: Context, sha256: str | None
) -> Path:
    source, total = opened
    part = target.with_name(target.name + ".part")
    with (
        closing(source),
        ctx.progress(f"downloading {target.name}", total) as bar,
        explained("writing", target),
    ):
        found = _copy(source, part, bar)
    if sha256 and found != sha256.removeprefix("sha256:").lower():
        part.unlink()
        raise DataError(
            f"'{name}' is not the file that was meant: sha256 {found}",
            why=f"the project file says {sha256.removeprefix('sha256:').lower()}",
            fix="find out why the file changed; then correct `sha256`",
        )
    if total is not None and part.stat().st_size != total:
        part.unlink()
        raise DataError(f"'{name}' came down incomplete", why="the connection was cut", fix="run again")
    part.replace(target)
    return target


def _copy(source: IO[bytes], part: Path, bar: Progress) -> str:
    digest = hashlib.sha256()
    with part.open("wb") as out:
        while block := source.read(_BLOCK):
            out.write(block)
            digest.update(block)
            bar.advance(len(block))
    return digest.hexdigest()


def _filesystem(path: str) -> tuple[Any, str]:
    try:
        return open_url(path)
    except ValueError as error:
        raise DataError(
            f"'{path}': nothing here reads '{path.partition('://')[0]}://'",
            why=str(error),
            fix="use a local path, s3:// or gs://",
        ) from error


def _expand(fs: Any, inside: str, path: str, kind: str) -> list[str]:
    """A file's own name; the files of the kind in a folder; all that a glob matches."""
    if "*" in inside:
        names = fs.glob(inside)
    elif fs.isfile(inside):
        names = [inside]
    else:
        names = [name for name in fs.find(inside) if str(name).lower().endswith(ENDINGS.get(kind, ("",)))]
    if not names:
        raise DataError(
            f"no file '{path}'", why="nothing is there", fix="check the bucket, the path and the rights"
        )
    return sorted(str(name) for name in names)


@contextmanager
def _explained(path: str) -> Iterator[None]:
    """Whatever a network or a cloud library raises becomes one error that says what to do."""
    try:
        yield
    except BessemerError:
        raise
    except urllib.error.HTTPError as error:
        fix = (
            "check the address"
            if error.code in (404, 410)
            else "check the address and the rights, or try later"
        )
        raise DataError(f"'{path}' cannot be read: HTTP {error.code} {error.reason}", fix=fix) from error
    except (
        OSError,
        http.client.HTTPException,
    ) as error:  # URLError, timeouts and fsspec's refusals are OSErrors
        raise DataError(
            f"'{path}' cannot be read",
            why=f"{type(error).__name__}: {error}",
            fix="check the address and the rights",
        ) from error
    except Exception as error:
        raise DataError(
            f"'{path}' cannot be read", why=f"{type(error).__name__}: {error}", fix="check the credentials"
        ) from error
