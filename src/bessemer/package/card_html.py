"""The model card as HTML: what `card.md` says, with headings, tables and lists as elements."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence

#: A page of its own, for those who open it beside the report.
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 16px/1.55 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere; }}
table {{ border-collapse: collapse; font-size: .9em; }} th, td {{ text-align: left; padding: .3em 1em .3em 0; border-bottom: 1px solid #8884; }}
.scroll {{ overflow-x: auto; }}
</style>
</head>
<body>
<main>
{body}</main>
</body>
</html>
"""  # noqa: E501

_MARKS = re.compile(r"\\(.)|\*\*(.+?)(?<!\\)\*\*|`([^`]*)`", re.DOTALL)


def card_page(markdown: str) -> str:
    """A page of its own that shows a card."""
    title = next((line[2:] for line in markdown.splitlines() if line.startswith("# ")), "Model card")
    return PAGE.format(title=re.sub(r"<[^>]*>", "", _inline(title)), body=card_html(markdown))


def card_html(markdown: str, level: int = 1) -> str:
    r"""The elements of a card. It knows the Markdown that `model_card` writes: headings, paragraphs, lists, tables,
    `**strong**`, code and escaped marks; anything else is text.

    level: of the highest heading.

    >>> card_html("# a\\_b\n\n- **yes**: <i>")
    '<h1>a_b</h1>\n<ul>\n<li><strong>yes</strong>: &lt;i&gt;</li>\n</ul>\n'
    """
    return "".join(f"{line}\n" for line in _elements(_blocks(markdown), level))


def _blocks(markdown: str) -> Iterator[list[str]]:
    """The lines of each paragraph, list or table."""
    block: list[str] = []
    for line in [*markdown.splitlines(), ""]:
        if line.strip():
            block.append(line)
        elif block:
            yield block
            block = []


def _elements(blocks: Iterator[list[str]], level: int) -> Iterator[str]:
    for block in blocks:
        if found := re.fullmatch(r"(#{1,5}) (.*)", block[0]):
            depth = min(6, len(found[1]) + level - 1)
            yield f"<h{depth}>{_inline(found[2])}</h{depth}>"
            block = block[1:]
        if not block:
            continue
        if all(line.startswith("- ") for line in block):
            yield from ("<ul>", *(f"<li>{_inline(line[2:])}</li>" for line in block), "</ul>")
        elif len(block) > 1 and block[0].startswith("|") and set(block[1]) <= set("|- "):
            yield from _table(block)
        else:
            yield f"<p>{_inline(' '.join(block))}</p>"


def _table(lines: Sequence[str]) -> Iterator[str]:
    head, _, *rows = [_cells(line) for line in lines]
    yield '<div class="scroll"><table>'
    yield "<thead><tr>" + "".join(f'<th scope="col">{_inline(cell)}</th>' for cell in head) + "</tr></thead>"
    yield "<tbody>"
    for row in rows:
        yield "<tr>" + "".join(f"<td>{_inline(cell)}</td>" for cell in row) + "</tr>"
    yield "</tbody></table></div>"


def _cells(line: str) -> list[str]:
    """The cells of a row: what stands between bars that are not escaped."""
    return [cell.strip() for cell in re.findall(r"((?:\\.|[^\\|])+)\|", line.strip()[1:])]


def _inline(text: str) -> str:
    def shown(found: re.Match[str]) -> str:
        if found[1]:
            return html.escape(found[1])
        return (
            f"<strong>{_inline(found[2])}</strong>" if found[2] else f"<code>{html.escape(found[3])}</code>"
        )

    parts, end = [], 0
    for found in _MARKS.finditer(text):
        parts += [html.escape(text[end : found.start()]), shown(found)]
        end = found.end()
    return "".join([*parts, html.escape(text[end:])])
