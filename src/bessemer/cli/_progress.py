"""What is being done, as one line that changes, on standard error of a terminal; elsewhere nothing."""

from __future__ import annotations


class Lines:
    """Called with a line, it shows it in the place of the last."""

    def __enter__(self) -> Lines:
        from bessemer.cli._console import err

        self._status = err.status("") if err.is_terminal else None
        if self._status is not None:
            self._status.start()
        return self

    def __call__(self, line: str) -> None:
        from rich.markup import escape

        if self._status is not None:
            self._status.update(escape(line[:200]))

    def __exit__(self, *_: object) -> None:
        if self._status is not None:
            self._status.stop()
