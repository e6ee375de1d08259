"""The same store on a bucket: any fsspec URL, with blobs cached in a local folder."""

from __future__ import annotations

import posixpath
from contextlib import suppress
from pathlib import Path
from typing import Any

from bessemer.core.artifact import FileEntry
from bessemer.core.errors import StoreError
from bessemer.core.filesystem import open_url, write_whole
from bessemer.core.store import DamagedBlob, Store, file_digest, replacing


class RemoteStore(Store):
    """A store at an fsspec URL. Each file appears there whole or not at all, which is all the atomicity needed.

    Args:
        url: such as s3://bucket/prefix.
        cache: the local folder for blobs on their way in and out.
    """

    def __init__(self, url: str, cache: Path) -> None:
        super().__init__(cache)
        self.url = url
        try:
            self.fs, self.base = open_url(url)
        except ValueError as error:
            raise StoreError(f"cannot open the store {url}", why=str(error)) from None

    def _key(self, relative: str) -> str:
        return posixpath.join(self.base, relative)

    def _blob_key(self, digest: str) -> str:
        return self._key(f"blobs/{digest[:2]}/{digest}")

    def _put_file(self, content: Path | bytes) -> FileEntry:
        entry = super()._put_file(content)
        if not self._remote_has(entry):
            write_whole(self.fs, self._blob_key(entry.digest), self._blob_path(entry.digest))
        return entry

    def _remote_has(self, entry: FileEntry) -> bool:
        try:
            return bool(self.fs.size(self._blob_key(entry.digest)) == entry.size)
        except FileNotFoundError:
            return False

    def has_blob(self, entry: FileEntry) -> bool:
        return self._remote_has(entry)

    def blob(self, entry: FileEntry) -> Path:
        path = self._blob_path(entry.digest)
        if not path.exists():
            with replacing(path) as part:
                try:
                    self.fs.get_file(self._blob_key(entry.digest), str(part))
                except FileNotFoundError:
                    raise DamagedBlob(
                        f"blob {entry.digest[:12]} is missing from the store {self.url}"
                    ) from None
                if file_digest(part)[0] != entry.digest:
                    self.fs.rm_file(self._blob_key(entry.digest))
                    raise DamagedBlob(
                        f"blob {entry.digest[:12]} in the store {self.url} was damaged and has been removed"
                    )
            self._verified.add(entry.digest)
        return super().blob(entry)

    def _delete_blob(self, digest: str) -> None:
        super()._delete_blob(digest)
        with suppress(FileNotFoundError):
            self.fs.rm_file(self._blob_key(digest))

    def _write(self, relative: str, data: bytes) -> None:
        write_whole(self.fs, self._key(relative), data)

    def _read(self, relative: str) -> bytes | None:
        try:
            data: bytes = self.fs.cat_file(self._key(relative))
        except FileNotFoundError:
            return None
        return data

    def records(self, folder: str) -> list[str]:
        try:
            found: list[Any] = self.fs.ls(self._key(folder), detail=False)
        except FileNotFoundError:
            return []
        names = (posixpath.basename(str(p)) for p in found)
        return sorted(n[:-5] for n in names if n.endswith(".json") and not n.startswith("."))

    def delete_record(self, folder: str, name: str) -> None:
        self.fs.rm_file(self._key(f"{folder}/{name}.json"))


def open_store(where: str, project_dir: Path) -> Store:
    """The store a project names: a folder (relative to the project) or an fsspec URL."""
    if "://" in where and not where.startswith("file://"):
        return RemoteStore(where, project_dir / ".bessemer" / "cache")
    folder = Path(where.removeprefix("file://")).expanduser()
    return Store(folder if folder.is_absolute() else project_dir / folder)
