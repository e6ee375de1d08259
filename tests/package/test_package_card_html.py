"""The card as HTML says what the Markdown says, and nothing in it is taken for markup."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessemer.package.card import _table, _text
from bessemer.package.card_html import card_html, card_page


class Cells(HTMLParser):
    """The texts of the cells of a document's tables."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)
        if tag in ("td", "th"):
            self.found.append("")

    def handle_data(self, data: str) -> None:
        if self.found:
            self.found[-1] += data


@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"])), min_size=4, max_size=4))
def test_any_text_comes_through_a_table(texts: list[str]) -> None:
    plain = [" ".join(text.split()) for text in texts]
    table = _table([_text(plain[0]), _text(plain[1])], [[_text(plain[2]), _text(plain[3])]])
    cells = Cells()
    cells.feed(card_html(table))
    assert [cell.strip() for cell in cells.found] == [text.strip() for text in plain]
    assert cells.tags == {"div", "table", "thead", "tbody", "tr", "th", "td"}


@pytest.mark.parametrize(
    "hostile", ["</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>", "a&b"]
)
def test_descriptions_are_text(hostile: str) -> None:
    page = card_page(f"# name 1\n\n{hostile}\n\n## Model\n\n- {hostile}")
    assert hostile not in page
    assert "<script" not in page
    assert "<h2>Model</h2>" in page


def test_the_page_has_the_heading_as_title() -> None:
    assert "<title>a_b 1.0</title>" in card_page("# a\\_b 1.0\n\ntext")
