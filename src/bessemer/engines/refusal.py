"""What cannot be carried over, said so that the place is found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bessemer.core.errors import DataError

if TYPE_CHECKING:
    from sqlglot import exp

_SHOWN = 80


class NotCarriedOver(DataError):
    """A query that does not mean the same at the engine; it has not been asked there."""


class Refused(Exception):
    """An expression that does not mean the same elsewhere. why: what of it. fix: what to write."""

    def __init__(self, node: exp.Expr, why: str, fix: str = "") -> None:
        super().__init__(why)
        self.node, self.why, self.fix = node, why, fix

    def told(self, engine: str) -> NotCarriedOver:
        """The error for the user, with the expression and where it stands."""
        text = self.node.sql("duckdb")
        shown = text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
        otherwise = "compute it another way, or take the engine duckdb"
        return NotCarriedOver(
            f"`{shown}`{_position(self.node)} cannot be carried over to {engine}",
            why=self.why,
            fix=f"{self.fix}; or take the engine duckdb" if self.fix else otherwise,
        )


def _position(node: exp.Expr) -> str:
    """Line and column, both from 1, of the first name in the expression."""
    for each in node.walk():
        meta = each.meta
        if "line" in meta:
            return f" at line {meta['line']}, column {meta['col'] - (meta['end'] - meta['start'])}"
    return ""
