"""The container of a package: a stored zip with exactly one way to write it.

Any zip tool reads it. We read only what we would have written: members stored and not compressed (nothing can
explode), one after the other without gaps, in a fixed order, with fixed times and attributes. So every byte
of a file is either checked against what it must be or covered by a digest in the signed manifest.
The layout is that of PKWARE's APPNOTE 6.3.10, sections 4.3.7, 4.3.12 and 4.3.16.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bessemer.core.errors import FormatError, IntegrityError

#: A package that is larger is not read. It also keeps every offset below 4 GiB, where zip needs no extension.
MAX_BYTES = 2 * 2**30
MAX_MEMBERS = 1000
MAX_NAME = 200

FIRST = ("manifest.json", "manifest.sig")

_NAME = re.compile(r"[a-z0-9_-][a-z0-9_.-]*(/[a-z0-9_-][a-z0-9_.-]*)*")
_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_VERSION, _MADE_BY = 20, (3 << 8) | 20  # stored files need 2.0; made on unix
_TIME, _DATE = 0, (1 << 5) | 1  # 1980-01-01 00:00, the earliest a zip can say
_MODE = 0o100644 << 16


@dataclass(frozen=True)
class Entry:
    """A member's place: its name, CRC-32, size in bytes, and where its local header starts."""

    name: str
    crc: int
    size: int
    offset: int

    def local(self) -> bytes:
        name = self.name.encode("ascii")
        fixed = (b"PK\x03\x04", _VERSION, 0, 0, _TIME, _DATE)
        return _LOCAL.pack(*fixed, self.crc, self.size, self.size, len(name), 0) + name

    def central(self) -> bytes:
        name = self.name.encode("ascii")
        fixed = (b"PK\x01\x02", _MADE_BY, _VERSION, 0, 0, _TIME, _DATE)
        sizes = (self.crc, self.size, self.size, len(name), 0, 0, 0, 0, _MODE, self.offset)
        return _CENTRAL.pack(*fixed, *sizes) + name

    @property
    def start(self) -> int:
        """Where the content starts."""
        return self.offset + _LOCAL.size + len(self.name)


def in_order(names: Iterable[str]) -> list[str]:
    """The order of members: the manifest, its signature, the rest by name.

    >>> in_order(["model.onnx", "manifest.sig", "card.md", "manifest.json"])
    ['manifest.json', 'manifest.sig', 'card.md', 'model.onnx']
    """
    return sorted(names, key=lambda name: (FIRST.index(name) if name in FIRST else len(FIRST), name))


def check_name(name: str) -> None:
    """Refuse a member name that could leave a folder, hide, or differ between systems.

    Raises:
        FormatError: it is absolute, has '..', a drive, a backslash, uppercase or other characters.
    """
    if len(name) > MAX_NAME or not _NAME.fullmatch(name):
        raise FormatError(
            f"the package has a member with an unsafe name: {name[:80]!r}",
            why="names are lowercase letters, digits, '_', '-', '.' and '/', and never leave the package",
            fix="do not open this file; ask whoever made it for the original",
        )


def pack(members: Mapping[str, bytes]) -> Iterator[bytes]:
    """The bytes of a container, piece by piece; the same members give the same bytes.

    Raises:
        FormatError: an unsafe name, or more than MAX_BYTES or MAX_MEMBERS.
    """
    entries: list[Entry] = []
    offset = 0
    for name in in_order(members):
        check_name(name)
        content = members[name]
        entry = Entry(name, zlib.crc32(content), len(content), offset)
        offset = entry.start + entry.size
        if offset > MAX_BYTES or len(entries) >= MAX_MEMBERS:
            raise FormatError(
                f"the package is too large: over {MAX_BYTES // 2**20} MiB or {MAX_MEMBERS} members"
            )
        entries.append(entry)
        yield entry.local()
        yield content
    yield _tail(entries, offset)


def _tail(entries: Sequence[Entry], offset: int) -> bytes:
    directory = b"".join(entry.central() for entry in entries)
    count = len(entries)
    return directory + _END.pack(b"PK\x05\x06", 0, 0, count, count, len(directory), offset, 0)


def unpack(data: bytes) -> dict[str, memoryview]:
    """The members of a container, after checking every byte that is not content.

    Raises:
        FormatError: not a package: truncated, something before or after it, compressed, encrypted, unsafe names.
        IntegrityError: a member's content differs from its checksum.
    """
    entries = _directory(data)
    view = memoryview(data)
    members: dict[str, memoryview] = {}
    offset = 0
    for entry in entries:
        end = entry.start + entry.size
        if entry.offset != offset or end > len(data) or data[entry.offset : entry.start] != entry.local():
            raise _altered(f"member '{entry.name}' does not stand where a package has it")
        if zlib.crc32(view[entry.start : end]) != entry.crc:
            raise IntegrityError(
                f"member '{entry.name}' is damaged", why="its checksum differs", fix="copy the file again"
            )
        members[entry.name] = view[entry.start : end]
        offset = end
    if list(members) != in_order(members) or data[offset:] != _tail(entries, offset):
        raise _altered("its directory is not what a package has")
    return members


def _directory(data: bytes) -> list[Entry]:
    """The entries of the central directory, each checked for what would make it dangerous to go on."""
    if not data.startswith(b"PK\x03\x04"):
        raise FormatError("this is not a model package", why="it does not start as one", fix="check the path")
    if len(data) < _END.size or data[-_END.size :][:4] != b"PK\x05\x06":
        raise FormatError(
            "the package is truncated, or something was added to its end",
            why="the end record of a package is not where the file ends",
            fix="copy the file again",
        )
    _, _, _, count, total, size, offset, _ = _END.unpack(data[-_END.size :])
    if count != total or count > MAX_MEMBERS or offset + size + _END.size != len(data):
        raise _altered("its end record does not fit the file")
    entries: list[Entry] = []
    position = offset
    seen: set[str] = set()
    for _ in range(count):
        entry, position = _entry(data, position)
        if entry.name in seen:
            raise _altered(f"it has two members named '{entry.name}'")
        seen.add(entry.name)
        entries.append(entry)
    return entries


def _entry(data: bytes, position: int) -> tuple[Entry, int]:
    end = position + _CENTRAL.size
    if end > len(data) or data[position : position + 4] != b"PK\x01\x02":
        raise _altered("its directory is damaged")
    fields = _CENTRAL.unpack(data[position:end])
    flags, method, crc, stored, size, length, offset = (fields[i] for i in (3, 4, 7, 8, 9, 10, 16))
    raw = data[end : end + length]
    name = raw.decode("ascii", "backslashreplace")
    check_name(name)
    if flags & 1:
        raise _altered(f"member '{name}' is encrypted")
    if method != 0 or stored != size:
        raise _altered(f"member '{name}' is compressed ({stored} bytes declared to become {size})")
    entry = Entry(name, crc, size, offset)
    if data[position : end + length] != entry.central():
        raise _altered(f"the directory entry of '{name}' is not what a package has")
    return entry, end + length


def _altered(why: str) -> FormatError:
    return FormatError(
        "the file is not a package as Bessemer writes it",
        why=why,
        fix="use the file that `bessemer run` made; packing it again with a zip tool breaks it",
    )
