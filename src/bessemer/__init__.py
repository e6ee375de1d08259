"""Bessemer: from raw data to a served, signed model, with one project file and one command.

>>> import bessemer
>>> "Project" in bessemer.__all__
True
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bessemer._version import __version__

if TYPE_CHECKING:
    from bessemer.api import Project, load, schema, verify
    from bessemer.core.errors import (
        BessemerError,
        ContractError,
        DataError,
        EnvironmentFault,
        FormatError,
        GateError,
        IntegrityError,
        MissingExtra,
        PackageError,
        ProjectError,
        SignatureError,
        StoreError,
        UsageError,
    )
    from bessemer.core.run import Run
    from bessemer.package.model import Model

#: Where each public name lives; it is imported when it is first used.
_HOMES = {
    "bessemer.api": ("Project", "load", "schema", "verify"),
    "bessemer.core.run": ("Run",),
    "bessemer.package.model": ("Model",),
    "bessemer.core.errors": (
        "BessemerError",
        "ContractError",
        "DataError",
        "EnvironmentFault",
        "FormatError",
        "GateError",
        "IntegrityError",
        "MissingExtra",
        "PackageError",
        "ProjectError",
        "SignatureError",
        "StoreError",
        "UsageError",
    ),
}

__all__ = [
    "BessemerError",
    "ContractError",
    "DataError",
    "EnvironmentFault",
    "FormatError",
    "GateError",
    "IntegrityError",
    "MissingExtra",
    "Model",
    "PackageError",
    "Project",
    "ProjectError",
    "Run",
    "SignatureError",
    "StoreError",
    "UsageError",
    "__version__",
    "load",
    "schema",
    "verify",
]


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            value = getattr(import_module(module), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module 'bessemer' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
