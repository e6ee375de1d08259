"""What every sink may be told, and how a sink says that it could not deliver."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from bessemer.core.errors import BessemerError
from bessemer.core.spec import Duration, Spec
from bessemer.monitor.alerts.notice import NoticeKind, Severity

#: The name of an environment variable with a secret: secrets stand in no file.
Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class SinkSettings(Spec):
    """The settings that all sinks have."""

    name: str = Field(
        "", description="What it is called, where there are two of a kind; its kind by default."
    )
    send: list[NoticeKind] = Field(
        ["finding", "resolved", "action"],
        description="What it gets: `finding`, `resolved`, `window` (every window, whatever came out), `action`.",
    )
    severity: Severity = Field(
        "info", description="The least that it gets: `info`, `warning`, `error` or `critical`."
    )
    timeout: Duration = Field(10.0, gt=0, le=300, description="How long one delivery may take.")


class SinkFault(BessemerError):
    """Notices were not delivered, or nobody knows: they will be sent again.

    delivered: how many of them, from the first on, the receiver has all the same.
    permanent: the receiver has understood and refuses the next one; to send the very same again is of no use.
    after: the fewest seconds until it is tried again.
    """

    exit_code = 6

    def __init__(
        self,
        what: str,
        *,
        why: str = "",
        fix: str = "",
        permanent: bool = False,
        delivered: int = 0,
        after: float = 0.0,
    ) -> None:
        super().__init__(what, why=why, fix=fix)
        self.permanent, self.delivered, self.after = permanent, delivered, after
