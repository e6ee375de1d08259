"""What most targets have in common."""

from __future__ import annotations

from typing import Any, ClassVar

from bessemer.core.spec import Spec
from bessemer.export.protocol import NoSettings, Source


class Base:
    """No tools of others, nothing to set, sums of float32 as the limit: whatever differs says so."""

    environment: ClassVar[str] = ""
    limit: float = 1e-5
    Settings: ClassVar[type[Spec]] = NoSettings

    def __init__(self, settings: Any) -> None:
        self.settings = settings

    def refuses(self, source: Source) -> str:
        """Nothing is refused before it is tried."""
        return ""
