"""Files of an FTP server: one connection, each file as one stream, which goes on where it was cut."""

from __future__ import annotations

import errno
import ftplib
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, TypeVar

from bessemer.acquire.transfer.bucket import Bucket
from bessemer.acquire.transfer.patience import Pace, Passing, Patience, persist
from bessemer.acquire.transfer.remote import Advance, Changed, Remote
from bessemer.core.errors import DataError
from bessemer.core.store import explained

T = TypeVar("T")
_CHUNK = 2**16
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Ftp(Bucket):
    """As a bucket, listed by fsspec; but FTP has one connection, and asking for ranges would break it each time."""

    def __init__(self, url: str, shown: str, kind: str, patience: Patience = Patience()) -> None:
        def opened() -> None:
            super(Ftp, self).__init__(url, shown, kind, patience)

        self._lost = False
        persist(lambda: self._told(opened, shown), shown, patience)

    def listed(self) -> list[Remote]:
        return persist(lambda: self._told(super(Ftp, self).listed, self._shown), self._shown, self._patience)

    def fetch(self, remote: Remote, part: Path, advance: Advance) -> str:
        with explained("downloading", part), part.open("ab") as out:
            advance(out.tell())

            def pull() -> None:
                self._told(lambda: self._pull(remote, out, advance), self._shown)

            persist(pull, self._shown, self._patience)
            out.flush()
            os.fsync(out.fileno())
        if remote.size is not None and part.stat().st_size > remote.size:
            part.unlink()
            raise Changed(remote.address)
        return remote.version

    def close(self) -> None:
        self.fs.ftp.close()

    def _pull(self, remote: Remote, out: IO[bytes], advance: Advance) -> None:
        start, pace = out.tell(), Pace(self._patience)
        if remote.size is not None and start >= remote.size:
            return

        def take(data: bytes) -> None:
            out.write(data)
            advance(len(data))
            pace.came(len(data))

        try:
            self.fs.ftp.retrbinary(f"RETR {remote.address}", take, _CHUNK, rest=start or None)
        except Passing:
            self._lost = True  # the rest of the file is still on the way
            raise
        except (ftplib.error_temp, OSError, EOFError) as error:
            if getattr(error, "errno", None) in _DISK:
                raise
            self._lost = True
            raise Passing(_words(error), reached=out.tell()) from error
        if remote.size is not None and out.tell() < remote.size:
            raise Passing(f"{out.tell():,} bytes came of {remote.size:,}", reached=out.tell())

    def _told(self, action: Callable[[], T], shown: str) -> T:
        """What `action` gives, over a connection that stands."""
        try:
            if self._lost:
                self.fs._connect()
                self._lost = False
            return action()
        except ftplib.error_perm as error:
            if str(error).startswith("550"):
                raise DataError(
                    f"'{shown}' cannot be read", why=str(error), fix="check the path and the rights"
                ) from error
            raise DataError(
                f"'{shown}' cannot be read",
                why=str(error),
                fix="give the credentials by the environment, as in ftp://me:${PASSWORD}@host/path",
            ) from error
        except (ftplib.Error, ConnectionError, TimeoutError, EOFError) as error:
            self._lost = hasattr(self, "fs")
            raise Passing(_words(error)) from error


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
