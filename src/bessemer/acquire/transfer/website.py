"""Files of a web server: one address, or those that an index page lists."""

from __future__ import annotations

import email.message
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatchcase
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING
from urllib.parse import quote, unquote

from bessemer.acquire.shorthand import ENDINGS, kind_from_ending
from bessemer.acquire.transfer.encoding import Packed, decode
from bessemer.acquire.transfer.http import Http, cuts_told
from bessemer.acquire.transfer.patience import Pace, Passing, Patience, TooSlow, persist
from bessemer.acquire.transfer.remote import Advance, Remote
from bessemer.acquire.transfer.validators import validator_of
from bessemer.core.errors import DataError
from bessemer.core.store import explained

if TYPE_CHECKING:
    import httpx

_INDEX_BYTES = 16 * 2**20
_NO_HEAD = frozenset({400, 403, 405, 500, 501})


@dataclass(frozen=True)
class _Facts:
    """What the head of an answer says. type: of the content, in lower case without parameters."""

    size: int | None
    version: str
    type: str
    name: str


class Website:
    """A file behind an http(s) address; a folder whose index page lists files; a glob of names in such a page.

    Args:
        url: with the values of ${NAME} in it. shown: without them.
    """

    workers = 4

    def __init__(self, url: str, shown: str, kind: str, patience: Patience = Patience()) -> None:
        self._shown, self._kind, self._patience = shown, kind, patience
        self._http = Http(url, shown, patience)
        self._url = self._http.url

    def listed(self) -> list[Remote]:
        folder, _, last = self._url.path.rpartition("/")
        if "*" in last:
            return self._of_index(self._url.copy_with(path=f"{folder}/"), last)
        facts = self._facts(self._url)
        if not last and facts.type == "text/html":
            return self._of_index(self._url, "")
        name = unquote(last) or "download"
        if not kind_from_ending(name) and not name.lower().endswith(".zip"):
            name = facts.name or name
        return [Remote(str(self._url), name, facts.size, facts.version)]

    def _of_index(self, page: httpx.URL, pattern: str) -> list[Remote]:
        def attempt() -> bytes:
            body, pace = bytearray(), Pace(self._patience)
            with self._http.answer("GET", page) as response:
                for chunk in response.iter_raw():
                    body += chunk
                    pace.came(len(chunk))
                    if len(body) > _INDEX_BYTES:
                        raise DataError(f"the index of '{self._shown}' has more than {_INDEX_BYTES:,} bytes")
            return bytes(body)

        names = _Links(page, persist(attempt, self._shown, self._patience).decode("utf-8", "replace")).names
        endings = ENDINGS.get(self._kind, ("",))
        if pattern:
            names = [name for name in names if fnmatchcase(name, unquote(pattern))]
        else:
            names = [n for n in names if n.lower().endswith(endings) and not n.startswith((".", "_"))]
        if not names:
            raise DataError(
                f"no file '{self._shown}'",
                why=f"the page {page} has no link to one",
                fix="check the address; or give the address of a file itself",
            )
        with ThreadPoolExecutor(self.workers, "bessemer-head") as pool:
            addresses = [page.join(quote(name)).copy_with(query=page.query or None) for name in names]
            facts = pool.map(self._facts, addresses)
            return [
                Remote(str(address), name, known.size, known.version)
                for address, name, known in zip(addresses, names, facts, strict=True)
            ]

    def _facts(self, url: httpx.URL) -> _Facts:
        """Asked for with HEAD; of a server that has none, with a GET whose body is not read."""

        def attempt(method: str) -> _Facts | None:
            allowed = _NO_HEAD if method == "HEAD" else frozenset()
            with self._http.answer(method, url, allowed=allowed) as response:
                return None if response.status_code >= 400 else _facts_of(response)

        found = persist(lambda: attempt("HEAD"), self._shown, self._patience)
        if found is None:
            found = persist(lambda: attempt("GET"), self._shown, self._patience)
        assert found is not None, "a GET that is refused raises"
        return found

    def fetch(self, remote: Remote, part: Path, advance: Advance) -> str:
        packed = Packed(part)
        if packed.encoding:  # of a run that was killed: whether it had unpacked is not known
            part.unlink(missing_ok=True)
            packed.encoding = ""
        version = persist(lambda: self._pull(remote, part, advance), self._shown, self._patience)
        if packed.encoding:
            decode(part, packed.encoding, remote.inside, self._shown)
        _refuse_page(part, self._shown)
        packed.encoding = ""
        return version

    def changed(self, fetched: list[Remote]) -> set[str]:
        """None: each answer says its own version."""
        return set()

    def close(self) -> None:
        self._http.close()

    def _pull(self, remote: Remote, part: Path, advance: Advance) -> str:
        """Bring what is missing; gives the version of the whole."""
        have = part.stat().st_size if part.exists() and remote.version else 0
        headers = {"Range": f"bytes={have}-", "If-Range": remote.version} if have else {}
        with self._http.answer("GET", remote.address, headers, allowed=frozenset({416})) as response:
            start = _start(response, have)
            if response.status_code == 416 and start == have:
                return remote.version  # it says that this is all, whatever length it gave before
            if start is None:
                part.unlink(missing_ok=True)
                raise Passing(f"the server gives nothing from byte {have:,} on", wait=0.0)
            packed = Packed(part)
            with explained("downloading", part), part.open("r+b" if start else "wb") as out:
                if response.status_code != 206:
                    packed.encoding = _encoding_of(response)
                out.truncate(start)
                out.seek(start)
                self._copy(response, out, start, advance)
                size = out.tell()
                out.flush()
                os.fsync(out.fileno())
            version = remote.version if response.status_code == 206 else validator_of(response.headers)
            if version == remote.version and not packed.encoding:
                _refuse_cut(response, size, remote.size, advance)
            return version

    def _copy(self, response: httpx.Response, out: IO[bytes], start: int, advance: Advance) -> None:
        advance(start)
        pace, came = Pace(self._patience), 0
        try:
            with cuts_told():
                for chunk in response.iter_raw():
                    out.write(chunk)
                    came += len(chunk)
                    advance(len(chunk))
                    pace.came(len(chunk))
        except Passing as passing:
            advance(-start - came)
            if not isinstance(passing, TooSlow):
                passing.reached = start + came
            raise


def _encoding_of(response: httpx.Response) -> str:
    encoding: str = response.headers.get("content-encoding", "").strip().lower()
    return "" if encoding == "identity" else encoding


def _refuse_cut(response: httpx.Response, size: int, listed: int | None, advance: Advance) -> None:
    """An answer without a length ends where its connection does: only the listing tells whether that is its end."""
    measured = "content-length" in response.headers or "transfer-encoding" in response.headers
    if not measured and listed is not None and size < listed:
        advance(-size)
        raise Passing(f"{size:,} bytes came of {listed:,}", reached=size)


def _refuse_page(file: Path, shown: str) -> None:
    """A page instead of data: its bytes say it; its type does not, as servers give that to any export."""
    with file.open("rb") as content:
        begins = content.read(512).lstrip().lower()
    if begins.startswith((b"<!doctype html", b"<html")):
        file.unlink()
        raise DataError(
            f"'{shown}' is a web page, not data",
            why=f"it begins with {begins[:60].decode('utf-8', 'replace')!r}",
            fix="check the address: a folder's ends in '/', and a page often is a login that is missing",
        )


def _start(response: httpx.Response, have: int) -> int | None:
    """Where the body of an answer begins in the file; None for one that has nothing to give from there."""
    said = response.headers.get("content-range", "")
    if response.status_code == 416:
        return have if said == f"bytes */{have}" else None
    if response.status_code != 206:
        return 0
    return have if said.startswith(f"bytes {have}-") else None


def _facts_of(response: httpx.Response) -> _Facts:
    packed = "content-encoding" in response.headers  # then the length is not that of the file
    length = "" if packed else response.headers.get("content-length", "")
    said = email.message.Message()
    said["content-disposition"] = response.headers.get("content-disposition", "")
    return _Facts(
        int(length) if length.isdecimal() else None,
        validator_of(response.headers),
        response.headers.get("content-type", "").partition(";")[0].strip().lower(),
        PurePosixPath(said.get_filename("")).name,
    )


class _Links(HTMLParser):
    """The names of the files that an index page links to: of its own folder alone."""

    def __init__(self, page: httpx.URL, html: str) -> None:
        super().__init__()
        self._page = page
        self._found: set[str] = set()
        self.feed(html)

    @property
    def names(self) -> list[str]:
        return sorted(self._found)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        target = dict(attrs).get("href") if tag == "a" else None
        if not target:
            return
        try:
            url = self._page.join(target)
        except ValueError:  # what httpx says of a link that is no address is one
            return
        folder, _, name = url.path.rpartition("/")
        same = (url.scheme, url.netloc, f"{folder}/") == (
            self._page.scheme,
            self._page.netloc,
            self._page.path,
        )
        if same and name and not url.query:
            self._found.add(name)
