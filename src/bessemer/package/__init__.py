"""The model package: the graph and its session, manifest, read, write, sign, verify."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bessemer.package.model import Model, load
    from bessemer.package.read import read_package, verify_package
    from bessemer.package.write import write_package

_HOME = {
    "Model": "model",
    "load": "model",
    "read_package": "read",
    "verify_package": "read",
    "write_package": "write",
}

__all__ = ["Model", "load", "read_package", "verify_package", "write_package"]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used: the graph libraries take a while to import."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
