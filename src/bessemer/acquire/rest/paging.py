"""How one page of an answer leads to the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, model_validator

from bessemer.acquire.rest.records import inside
from bessemer.core.errors import DataError
from bessemer.core.spec import Spec

if TYPE_CHECKING:
    import httpx

_STYLES = ("next", "cursor", "link", "number", "offset")


class RestPage(Spec):
    """Exactly one of `next`, `cursor`, `link`, `number`, `offset` says how the pages follow."""

    next: str | None = Field(
        default=None, min_length=1, description="Where the answer has the next page's address, as links.next."
    )
    cursor: str | None = Field(
        default=None,
        min_length=1,
        description="Where the answer has what `param` of the next request takes, as meta.next_cursor.",
    )
    link: bool = Field(default=False, description="The next page's address is in the header Link (rel=next).")
    number: str | None = Field(
        default=None, min_length=1, description="The parameter that takes the number of the page."
    )
    offset: str | None = Field(
        default=None, min_length=1, description="The parameter that takes how many records to leave out."
    )
    param: str | None = Field(default=None, min_length=1, description="The parameter that takes the cursor.")
    first: int = Field(default=1, ge=0, description="The number of the first page.")
    size: int | None = Field(
        default=None, ge=1, description="How many records a page has: one shorter than the first is the last."
    )
    size_param: str | None = Field(default=None, min_length=1, description="The parameter that takes `size`.")

    @model_validator(mode="after")
    def _one_style(self) -> Self:
        given = [style for style in _STYLES if getattr(self, style)]
        if len(given) != 1:
            said = " and ".join(f"`{style}`" for style in given) or "none"
            raise ValueError(f"give one of {', '.join(_STYLES)}, not {said}")
        if bool(self.cursor) != bool(self.param):
            raise ValueError("`cursor` and `param` go together: where the value is, and what takes it")
        if self.size_param and self.size is None:
            raise ValueError("`size_param` needs `size`")
        return self


@dataclass(frozen=True)
class Ask:
    """One request: an address, and the parameters that are not in it yet.

    full: how many records the first page had, where pages are counted; None before it. beyond: whether there may be no
    such page, as the one before had fewer records than were asked for: it was the last, or the server gives no more.
    """

    url: httpx.URL
    params: Mapping[str, str] = field(default_factory=dict)
    full: int | None = None
    beyond: bool = False

    def key(self) -> str:
        return str(self.url.copy_merge_params(dict(self.params)))


def first(page: RestPage | None, url: httpx.URL, params: Mapping[str, str]) -> Ask:
    """The request for the first page.

    >>> import httpx
    >>> first(RestPage(offset="skip", size=50, size_param="top"), httpx.URL("http://a/b"), {"q": "x"}).key()
    'http://a/b?q=x&top=50&skip=0'
    """
    found = dict(params)
    if page is not None:
        if page.size_param:
            found[page.size_param] = str(page.size)
        if page.number:
            found[page.number] = str(page.first)
        if page.offset:
            found[page.offset] = "0"
    return Ask(url, found)


def following(
    page: RestPage | None, asked: Ask, answer: httpx.Response, content: Any, count: int
) -> Ask | None:
    """The request for the page after this one; None where it was the last.

    Args:
        content: the answer's JSON. count: how many records it had.

    Raises:
        DataError: what leads to the next page is of a kind that cannot lead anywhere.
    """
    if page is None:
        return None
    if page.number or page.offset:
        name = page.number or page.offset or ""
        step = 1 if page.number else count
        full = count if asked.full is None else asked.full  # a server may give less than it is asked for
        if count == 0 or (page.size is not None and count < full):
            return None
        params = {**asked.params, name: str(int(asked.params[name]) + step)}
        return Ask(asked.url, params, full, beyond=count < (page.size or 0))
    if page.cursor and page.param:
        value = inside(content, page.cursor)
        if value in (None, "", False):
            return None
        if not isinstance(value, str | int | float):
            raise DataError(
                f"the cursor at '{page.cursor}' is {type(value).__name__}, not a text or a number",
                fix="correct `page: {cursor: ...}`",
            )
        return Ask(asked.url, {**asked.params, page.param: str(value)})
    link = answer.links.get("next", {}).get("url") if page.link else inside(content, page.next or "")
    if not link:
        return None
    if not isinstance(link, str):
        raise DataError(
            f"the next page's address at '{page.next}' is {type(link).__name__}, not a text",
            fix="correct `page: {next: ...}`",
        )
    return Ask(_same_scheme(asked.url, answer.request.url.join(link)))


def _same_scheme(before: httpx.URL, after: httpx.URL) -> httpx.URL:
    """Behind a proxy a server may believe that it is asked without encryption, and say so in its links."""
    if before.scheme == "https" and after.scheme == "http" and before.host == after.host:
        return after.copy_with(scheme="https", port=before.port)
    return after
