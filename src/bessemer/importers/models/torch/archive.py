"""The archive that both forms of torch come in: a zip whose files stand in one folder, read within bounds."""

from __future__ import annotations

import io
import lzma
import zipfile
import zlib
from collections.abc import Mapping

from bessemer.importers.models.foreign import LARGEST, refused

#: Most files of an archive.
_FILES = 20_000
#: Files that say what was where in somebody's source, and others that nothing here reads.
_LEFT = (".debug_pkl", "/traced_inputs.pkl")


def members(data: bytes) -> dict[str, bytes]:
    """The files of an archive by name, without the folder that all of them stand in.

    Raises:
        FormatError: it is damaged, unfolds to too much, or has a file twice or beside the folder.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            found = _read(archive)
    except (
        zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError, lzma.LZMAError,
        UnicodeDecodeError, ValueError,
    ) as error:  # fmt: skip
        raise refused("the archive of PyTorch is damaged", str(error)[:200]) from None
    top = {name.partition("/")[0] for name in found}
    if len(top) != 1 or any("/" not in name for name in found):
        raise refused("the archive of PyTorch has files beside its one folder")
    return {name.partition("/")[2]: content for name, content in found.items()}


def _read(archive: zipfile.ZipFile) -> dict[str, bytes]:
    infos = archive.infolist()
    total = sum(info.file_size for info in infos)
    if len(infos) > _FILES or total > LARGEST:
        raise refused(
            f"the archive of PyTorch unfolds to {total:,} bytes in {len(infos):,} files",
            f"up to {LARGEST:,} bytes are read",
        )
    found: dict[str, bytes] = {}
    for info in infos:
        if info.filename in found:
            raise refused(f"the archive of PyTorch has '{info.filename[:80]}' twice")
        if info.filename.endswith(_LEFT):
            continue
        with archive.open(info) as file:
            content = file.read(info.file_size + 1)
        if len(content) != info.file_size:
            raise refused(f"'{info.filename[:80]}' of the archive has another size than it says")
        found[info.filename] = content
    return found


def packed(files: Mapping[str, bytes]) -> bytes:
    """An archive of just these files, so that whoever reads it next sees what was looked at, and nothing else."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(f"model/{name}"), content)
    return made.getvalue()


def is_archive(head: bytes, *names: bytes) -> bool:
    """Whether a file may be an archive with files that are called so; `head` has the end of an archive as well."""
    return head.startswith(b"PK\x03\x04") and all(name in head for name in names)
