"""How an export fails."""

from __future__ import annotations

from bessemer.core.errors import BessemerError


class ExportError(BessemerError):
    """A package cannot be carried to a target, or what was written there answers differently."""

    exit_code = 5
