"""How an export fails."""

from __future__ import annotations

from bessemer.core.errors import BessemerError, EnvironmentFault


class ExportError(BessemerError):
    """A package cannot be carried to a target, or what was written there answers differently."""

    exit_code = 5


class ToolError(EnvironmentFault):
    """A tool of a target failed, or cannot be installed; the end of what it said is in the reason."""
