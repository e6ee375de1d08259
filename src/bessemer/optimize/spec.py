"""What a way to optimise can be told."""

from __future__ import annotations

from bessemer.core.spec import Spec


class NoSettings(Spec):
    """Nothing can be set."""
