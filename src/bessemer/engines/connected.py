"""What engines share that have one connection, which is made when it is first needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bessemer.core.stage import Context


class Connected:
    """Made an engine by the rest of the protocol. `_brought` counts what is made for this connection alone."""

    def __init__(self, settings: Any, ctx: Context) -> None:
        self.settings, self.ctx = settings, ctx
        self._connection: Any = None
        self._brought = 0

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
