"""The error stream of `bessemer monitor`: what is told is in the log of whoever runs it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from bessemer.monitor.alerts.notice import Notice
from bessemer.monitor.sinks.settings import SinkFault, SinkSettings


class ConsoleSettings(SinkSettings):
    format: Literal["text", "json"] = Field(
        "text", description="`text` for people, `json`: an object a line."
    )


class Console:
    """Written to the error stream, as standard output has what was looked at."""

    Settings = ConsoleSettings

    def __init__(self, settings: ConsoleSettings) -> None:
        self._json = settings.format == "json"

    def send(self, notices: Sequence[Notice]) -> None:
        lines = [json.dumps(each.to_json()) if self._json else text_of(each) for each in notices]
        try:
            sys.stderr.write("".join(line + "\n" for line in lines))
            sys.stderr.flush()
        except (OSError, ValueError) as error:  # ValueError: it is closed
            raise SinkFault(f"the error stream cannot be written: {error}") from None


def text_of(notice: Notice) -> str:
    """A few lines for people, without control characters: a column's name must not paint the terminal.

    >>> print(text_of(Notice("action", "info", "churn", "1", "churn", "1.0.0", "trained again", "on 3,000 rows")))
    info: trained again
      on 3,000 rows
    """
    lines = [f"{notice.severity}: {notice.title}", *notice.text.splitlines(), *notice.todo.splitlines()]
    return "\n  ".join("".join(c for c in line if c.isprintable()) for line in lines)
