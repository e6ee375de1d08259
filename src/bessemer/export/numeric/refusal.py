"""How the parts of an export say that they cannot carry a model."""

from __future__ import annotations


class UncarriedError(Exception):
    """This model cannot be carried so: why, as a clause without a full stop."""
