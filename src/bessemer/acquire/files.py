"""From a path in the project file to files on this disk: globs, folders, packages, remote files, zips."""

from __future__ import annotations

import glob
import hashlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from bessemer.acquire.protocol import Place
from bessemer.acquire.remote import download, is_remote, remote_fingerprint
from bessemer.acquire.shorthand import ENDINGS
from bessemer.acquire.unpack import unzip
from bessemer.core.errors import DataError, did_you_mean
from bessemer.core.store import file_digest

if TYPE_CHECKING:
    from bessemer.core.stage import Context

_GLOB = set("*?[")


def find(path: str, project_dir: Path, kind: str) -> list[Path]:
    """The local files that `path` names, sorted by path.

    Args:
        path: a file, a folder (all files of `kind` in it), a glob, or `python://package/file`.

    Raises:
        DataError: nothing is there; the message has the nearest name in that folder.
    """
    if path.startswith("python://"):
        return [_in_package(path)]
    full = Path(project_dir) / Path(path.removeprefix("file://")).expanduser()
    if full.is_dir():
        found = [f for f in sorted(full.rglob("*")) if _is_data(f, full, kind)]
        if not found:
            raise DataError(
                f"folder '{path}' has no {kind} files",
                why="files whose name begins with '.' or '_' are left out",
                fix=f"known endings: {', '.join(ENDINGS.get(kind, ()))}; a glob such as {path}/* takes any",
            )
        return found
    if full.exists():
        return [full]
    if _GLOB & set(path):
        found = sorted(Path(f) for f in glob.glob(str(full), recursive=True) if Path(f).is_file())  # noqa: PTH207
        if found:
            return found
        raise DataError(f"no file matches '{path}'", why=f"looked in {full.parent}", fix=_near(full))
    raise DataError(f"no file '{path}'", why=f"looked for {full}", fix=_near(full))


def _is_data(file: Path, root: Path, kind: str) -> bool:
    hidden = any(part.startswith((".", "_")) for part in file.relative_to(root).parts)
    return not hidden and file.is_file() and file.name.lower().endswith(ENDINGS.get(kind, ("",)))


def _near(missing: Path) -> str:
    folder = missing.parent
    if not folder.is_dir():
        return f"the folder {folder} does not exist"
    return did_you_mean(missing.name, sorted(f.name for f in folder.iterdir() if not f.name.startswith(".")))


def _in_package(path: str) -> Path:
    package, _, inside = path.removeprefix("python://").partition("/")
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise DataError(
            f"'{path}': no Python package '{package}' is installed here",
            fix=f"pip install {package}" if package else "write python://package/path/of/the/file",
        )
    full = Path(next(iter(spec.submodule_search_locations))) / inside
    if not full.is_file():
        raise DataError(f"'{path}': package '{package}' has no file '{inside}'", fix=_near(full))
    return full


def fingerprint_files(path: str, place: Place, kind: str, sha256: str | None = None) -> str:
    """A text that changes when the content, the names or the number of the files behind `path` changes."""
    if is_remote(path):
        return remote_fingerprint(path, kind, sha256)
    root = place.project_dir
    rows = [f"{_relative(f, root)} {digest_of(f, place)}" for f in find(path, root, kind)]
    if len(rows) == 1:  # a single file keeps its fingerprint when it is renamed
        return rows[0].rpartition(" ")[2]
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()


def _relative(file: Path, root: Path) -> str:
    return file.relative_to(root).as_posix() if file.is_relative_to(root) else file.name


def digest_of(file: Path, place: Place) -> str:
    """A file's sha256, taken from the memo where path, size, time and inode are as they were."""
    facts = file.stat()
    key = f"{file.absolute()}|{facts.st_size}|{facts.st_mtime_ns}|{facts.st_ino}"
    if key not in place.memo:
        place.memo[key] = file_digest(file)[0]
    return place.memo[key]


def fetch(path: str, ctx: Context, kind: str, sha256: str | None = None) -> list[Path]:
    """The files behind `path` as local, unzipped files, in order.

    Raises:
        DataError: nothing is there, a checksum differs, a zip is damaged or explodes.
    """
    if is_remote(path):
        found = download(path, ctx, kind, sha256)
    else:
        found = find(path, ctx.project_dir, kind)
        if sha256:
            _verify(found, sha256, path)
    return list(_unpacked(found, ctx))


def _verify(files: list[Path], sha256: str, path: str) -> None:
    expected = sha256.removeprefix("sha256:").lower()
    if len(files) != 1:
        raise DataError(f"'{path}' is {len(files)} files; `sha256` is for one", fix="leave `sha256` out")
    found = file_digest(files[0])[0]
    if found != expected:
        raise DataError(
            f"'{path}' is not the file that was meant: sha256 {found}",
            why=f"the project file says {expected}",
            fix="get the right file, or correct `sha256`",
        )


def _unpacked(files: list[Path], ctx: Context) -> Iterator[Path]:
    for number, file in enumerate(files):
        if file.stat().st_size == 0:
            raise DataError(f"file '{file.name}' is empty", why="it has 0 bytes", fix="check what wrote it")
        if file.suffix.lower() == ".zip":
            yield unzip(file, ctx.workdir / "unzipped" / str(number), ctx)
        else:
            yield file


def shown(path: str) -> str:
    """A path as a record may show it: relative paths and URLs as written, an absolute one by its name alone.

    >>> shown("data/a.csv"), shown("/home/me/a.csv")
    ('data/a.csv', 'a.csv')
    """
    local = path.removeprefix("file://")
    return Path(local).name if local.startswith(("/", "~")) else path
