"""How a tool fails."""

from __future__ import annotations

from bessemer.core.errors import EnvironmentFault


class ToolError(EnvironmentFault):
    """A tool failed, or cannot be installed; the end of what it said is in the reason."""


class ToolEnded(ToolError):
    """It did not fail by itself: a signal ended it, its time was over, or it got no memory."""
