"""Environments of tools are made once on a machine, and kept."""

from __future__ import annotations

from environments import kept_environments

__all__ = ["kept_environments"]
