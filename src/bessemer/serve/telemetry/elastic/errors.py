"""What the server logs as an error goes to the agent too, as often as it can be looked at."""

from __future__ import annotations

import logging
import time

from elasticapm.utils.encoding import keyword_field

from bessemer.serve.telemetry.elastic.agent import Agent

#: Errors that are told of at once, and how many more each second: reading a stack takes a millisecond.
_AT_ONCE = 10.0
_EACH_SECOND = 1.0


class Errors(logging.Handler):
    """A handler of the server's logger, for errors.

    dropped: errors that were not told of, because there were too many.
    """

    def __init__(self, agent: Agent) -> None:
        super().__init__()
        self.dropped = 0
        self._agent = agent
        self._left, self._at = _AT_ONCE, time.monotonic()

    def emit(self, record: logging.LogRecord) -> None:
        last = logging.lastResort
        if last is not None and record.levelno >= last.level and not self._heard(record.name):
            last.handle(
                record
            )  # a logger with a handler has no last resort: this one must not silence the others
        if record.levelno < logging.ERROR:
            return
        if not self._may():
            self.dropped += 1
            return
        try:
            self._tell(record)
        except Exception:  # noqa: BLE001 - the border: what cannot be told of must not stop what it is about
            self.handleError(record)

    def _heard(self, name: str) -> bool:
        """Whether another handler gets what this logger says."""
        logger: logging.Logger | None = logging.getLogger(name)
        while logger is not None:
            if any(handler is not self for handler in logger.handlers):
                return True
            logger = logger.parent if logger.propagate else None
        return False

    def _may(self) -> bool:
        now = time.monotonic()
        self._left = min(_AT_ONCE, self._left + (now - self._at) * _EACH_SECOND)
        self._at = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True

    def _tell(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        context = {"tags": {"logged": keyword_field(text)}}
        if record.exc_info and record.exc_info[0] is not None:
            self._agent.capture_exception(exc_info=record.exc_info, context=context)
        else:
            self._agent.capture_message(
                text, level=record.levelname.lower(), logger_name=record.name, stack=False, context=context
            )
