"""Slack's incoming webhooks, and those that speak like them (Mattermost, Rocket.Chat, Zulip)."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

from pydantic import Field

from bessemer.monitor.alerts.notice import Notice, Severity
from bessemer.monitor.sinks.http import HttpSettings, address_of, headers_of, post
from bessemer.monitor.sinks.settings import SinkFault

_TOGETHER = 12  # four blocks each; a message has at most fifty
_TITLE, _TEXT, _TODO = 150, 2000, 900  # characters; Slack takes 150 in a header and 3,000 in a section
_PART_OF_ONE = re.compile(r"&[a-z]{0,3}$")
_SIGNS: dict[Severity, str] = {"info": "ℹ️", "warning": "⚠️", "error": "🔴", "critical": "🚨"}
_COLOURS: dict[Severity, str] = {
    "info": "#5b7083", "warning": "#d9a400", "error": "#c62828", "critical": "#7b1fa2"
}  # fmt: skip


class SlackSettings(HttpSettings):
    flavour: Literal["slack", "mattermost"] = Field(
        "slack", description="`slack`: blocks; `mattermost`: attachments in Markdown, which Mattermost shows."
    )


class Slack:
    """One message for what is told at once. A message that was posted and not acknowledged is posted twice."""

    Settings = SlackSettings

    def __init__(self, settings: SlackSettings) -> None:
        self._settings = settings
        self._url, self._headers = address_of(settings), headers_of(settings.headers_env)

    def send(self, notices: Sequence[Notice]) -> None:
        made = blocks_message if self._settings.flavour == "slack" else attachments_message
        until = time.monotonic() + self._settings.timeout
        for done in range(0, len(notices), _TOGETHER):
            left = max(0.001, until - time.monotonic())
            try:
                post(self._url, made(notices[done : done + _TOGETHER]), timeout=left, headers=self._headers)
            except SinkFault as fault:
                fault.delivered = done
                raise


def blocks_message(notices: Sequence[Notice]) -> dict[str, Any]:
    """A message in blocks; `text` is what a notification shows."""
    return {
        "text": _summary(notices, _safe),
        "blocks": [block for each in notices for block in _blocks(each)],
    }


def _blocks(notice: Notice) -> Iterator[dict[str, Any]]:
    title = _cut(f"{_sign(notice)} {notice.title}", _TITLE)
    yield {"type": "header", "text": {"type": "plain_text", "text": title, "emoji": True}}
    parts = [_safe(notice.text, _TEXT), _quoted(_safe(notice.todo, _TODO))]
    if text := "\n".join(part for part in parts if part):
        yield {"type": "section", "text": {"type": "mrkdwn", "text": text}}
    yield {"type": "context", "elements": [{"type": "mrkdwn", "text": _safe(_where(notice), _TEXT)}]}
    yield {"type": "divider"}


def attachments_message(notices: Sequence[Notice]) -> dict[str, Any]:
    """A message in attachments, whose text is Markdown."""
    return {
        "text": _summary(notices, _markdown),
        "attachments": [
            {
                "fallback": _markdown(notice.title, _TITLE),
                "color": _COLOURS["info" if notice.kind == "resolved" else notice.severity],
                "title": _markdown(f"{_sign(notice)} {notice.title}", _TITLE),
                "text": "\n\n".join(_markdown(each, _TEXT) for each in (notice.text, notice.todo) if each),
                "footer": _markdown(_where(notice), _TEXT),
            }
            for notice in notices
        ],
    }


def _summary(notices: Sequence[Notice], shown: Callable[[str, int], str]) -> str:
    more = f" (and {len(notices) - 1} more)" if len(notices) > 1 else ""
    return shown(f"{_sign(notices[0])} {notices[0].title}", _TITLE) + more


def _sign(notice: Notice) -> str:
    return "✅" if notice.kind == "resolved" else _SIGNS[notice.severity]


def _where(notice: Notice) -> str:
    window = f" · window {notice.start[:16]} to {notice.end[:16]} UTC" if notice.start else ""
    return f"{notice.severity} · {notice.subject}{window}"


def _escaped(text: str) -> str:
    """As Slack wants it: a column's name must neither mention a channel nor be a link."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _safe(text: str, most: int) -> str:
    """Escaped, then cut: what is counted is what is sent. No entity is cut in two.

    >>> _safe("<!channel>", 50), _safe("a & b", 6)
    ('&lt;!channel&gt;', 'a …')
    """
    escaped = _escaped(text)
    return escaped if len(escaped) <= most else _PART_OF_ONE.sub("", escaped[: most - 1]) + "…"


def _markdown(text: str, most: int) -> str:
    """For Mattermost: nobody is mentioned, and nothing is an image or a link under another name.

    >>> _markdown("![x](http://a) <!channel>", 80)
    '!\\\\[x](http://a) &lt;!channel&gt;'
    """
    return _safe(text, most).replace("@", "@\u200b").replace("[", "\\[")


def _quoted(text: str) -> str:
    """What to look at, and the command in a line of its own."""
    cause, newline, command = text.rpartition("\n")
    return f"_{cause}_\n`{command}`" if newline else text


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
