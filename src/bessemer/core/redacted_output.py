"""Logs, warnings and tracebacks of this process without the secrets that were read, whoever writes them.

A client library logs what it sends when it is told to; its records pass through here before any handler has them.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
import warnings
from types import TracebackType
from typing import Any

from bessemer.core.redaction import hidden

_installed = False


def install() -> None:
    """Begin, once a process. What was set before stays in force for texts that have no secret."""
    global _installed
    if _installed:
        return
    _installed = True
    _records()
    _warnings()
    _tracebacks()


def _records() -> None:
    before = logging.getLogRecordFactory()

    def made(*args: Any, **given: Any) -> logging.LogRecord:
        record = before(*args, **given)
        try:
            text = record.getMessage()
        except Exception:  # noqa: BLE001 - arguments that do not fit the text: the handler says so, without them
            record.msg, record.args = hidden(f"{record.msg} {record.args}"), ()
            return record
        if (shown := hidden(text)) != text:
            record.msg, record.args = shown, ()
        if record.exc_info and record.exc_info[0] is not None:
            # handlers take this text where it is there, and make it of the exception where it is not
            record.exc_text = hidden("".join(traceback.format_exception(*record.exc_info)).rstrip("\n"))
        return record

    logging.setLogRecordFactory(made)


def _warnings() -> None:
    before = warnings.formatwarning

    def made(*args: Any, **given: Any) -> str:
        return hidden(before(*args, **given))

    warnings.formatwarning = made


def _tracebacks() -> None:
    of_main, of_threads, of_others = sys.excepthook, threading.excepthook, sys.unraisablehook

    def main(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if not _told(error, ""):
            of_main(kind, error, trace)

    def thread(args: threading.ExceptHookArgs) -> None:
        name = args.thread.name if args.thread else "unknown"
        if args.exc_value is None or not _told(args.exc_value, f"Exception in thread {name}:\n"):
            of_threads(args)

    def other(args: sys.UnraisableHookArgs) -> None:
        if args.exc_value is None or not _told(args.exc_value, f"{args.err_msg or 'Exception ignored'}:\n"):
            of_others(args)

    sys.excepthook, threading.excepthook, sys.unraisablehook = main, thread, other


def _told(error: BaseException, head: str) -> bool:
    """Whether the trace had a secret; it has been written without it then."""
    text = "".join(traceback.format_exception(error))
    if (shown := hidden(text)) == text:
        return False
    sys.stderr.write(head + shown)
    return True
