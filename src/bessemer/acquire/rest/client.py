"""The pages of an address, one after the other, asked for no faster than is allowed."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from bessemer.acquire.rest.paging import Ask, RestPage, following
from bessemer.acquire.rest.records import records_of
from bessemer.acquire.transfer.http import Http, cuts_told
from bessemer.acquire.transfer.patience import Pace, Passing, Patience, persist
from bessemer.core.errors import DataError

if TYPE_CHECKING:
    import httpx

#: Bytes of one page.
_MOST_BYTES = 256 * 2**20
#: What a server may say of a page that it does not have.
_NO_PAGE = frozenset({400, 404, 416, 422})
#: Pages in a row that have no records and yet lead to another one.
_MOST_EMPTY = 1000


class Pages:
    """Asks for page after page.

    Args:
        records: the path of the list in each answer. rate: requests a second, as many as the server answers by default.
    """

    def __init__(
        self,
        http: Http,
        shown: str,
        page: RestPage | None,
        records: str,
        rate: float | None,
        patience: Patience,
    ) -> None:
        self._http, self._shown, self._page, self._records = http, shown, page, records
        self._rate, self._patience = rate, patience
        self._last = -math.inf

    def read(self, ask: Ask) -> Iterator[list[dict[str, Any]]]:
        """The records of each page.

        Raises:
            DataError: an answer is not what was said, or the pages lead in a circle.
        """
        seen: set[int] = set()
        before: list[dict[str, Any]] = []
        empty = 0
        following_ask: Ask | None = ask
        while following_ask is not None:
            ask = following_ask
            if hash(ask.key()) in seen:
                raise DataError(
                    f"the pages of '{self._shown}' lead in a circle",
                    why=f"page {len(seen) + 1:,} is one that was read before",
                    fix="correct `page`: the server may not know the parameter, or give the same next page for ever",
                )
            seen.add(hash(ask.key()))
            records, following_ask = self._page_of(ask)
            if records and records == before:
                raise DataError(
                    f"page {len(seen):,} of '{self._shown}' is the one before it again",
                    why="the server does not look at the parameter of the page",
                    fix="correct `page`, or leave it out where everything comes in one answer",
                )
            empty = 0 if records else empty + 1
            if empty > _MOST_EMPTY:
                raise DataError(
                    f"'{self._shown}' has no end", why=f"{_MOST_EMPTY:,} pages in a row had no records"
                )
            yield records
            before = records

    def _page_of(self, ask: Ask) -> tuple[list[dict[str, Any]], Ask | None]:
        answer, content = persist(lambda: self._answer(ask), self._shown, self._patience)
        if content is None and (answer.status_code in (204, 205) or answer.status_code >= 400):
            return [], None
        records = records_of(content, self._records, self._shown)
        after = following(self._page, ask, answer, content, len(records))
        if after is not None and not self._http.is_own(after.url):
            raise DataError(
                f"the next page of '{self._shown}' is at another place: {after.url.copy_with(query=None)}",
                why="credentials are for the address that you wrote alone",
                fix="write that address, if it is the right one",
            )
        return records, after

    def _answer(self, ask: Ask) -> tuple[httpx.Response, Any]:
        self._wait()
        pace = Pace(self._patience)
        url, allowed = ask.url.copy_merge_params(dict(ask.params)), _NO_PAGE if ask.beyond else frozenset()
        with self._http.answer("GET", url, allowed=allowed) as response:
            if response.status_code >= 400:
                return response, None
            body = bytearray()
            with cuts_told():
                for chunk in response.iter_bytes():
                    body += chunk
                    pace.came(len(chunk))
                    if len(body) > _MOST_BYTES:
                        raise DataError(
                            f"one page of '{self._shown}' has more than {_MOST_BYTES // 2**20} MB",
                            fix="ask for smaller pages, with `page: {size: ..., size_param: ...}`",
                        )
            return response, self._parsed(response, bytes(body))

    def _parsed(self, response: httpx.Response, body: bytes) -> Any:
        if not body.strip() and response.status_code in (204, 205):
            return None
        try:
            return json.loads(body, parse_constant=_constant)
        except (ValueError, RecursionError) as error:
            measured = "content-length" in response.headers or "transfer-encoding" in response.headers
            if not measured:  # it ends where the connection does, be it in the middle
                raise Passing(f"the answer is not whole JSON: {error}") from error
            kind = response.headers.get("content-type", "no type")
            raise DataError(
                f"'{self._shown}' does not answer with JSON",
                why=f"it is {kind}, {error}; it begins with {body[:80].decode('utf-8', 'replace')!r}",
                fix="check the address; a page in HTML often is a login that is missing",
            ) from error

    def _wait(self) -> None:
        if self._rate is not None:
            sleep(max(0.0, self._last + 1 / self._rate - monotonic()))
            self._last = monotonic()


def _constant(text: str) -> None:
    """NaN, which JSON does not have and Python's servers write, is a missing value; infinity is none."""
    if text != "NaN":
        raise ValueError(f"{text} is no JSON")
