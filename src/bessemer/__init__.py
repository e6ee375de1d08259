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
    from bessemer.api import Project, schema
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
    from bessemer.monitor.monitor import Monitor
    from bessemer.package.model import Model, load
    from bessemer.package.read import verify_package as verify

#: Where each public name lives; it is imported when it is first used. What loads and checks packages needs no extra.
_HOMES = {
    "bessemer.api": ("Project", "schema"),
    "bessemer.core.run": ("Run",),
    "bessemer.monitor.monitor": ("Monitor",),
    "bessemer.package.model": ("Model", "load"),
    "bessemer.package.read": ("verify",),
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
    "Monitor",
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


#: Public name -> its name at home, where that is another.
_NAMES = {"verify": "verify_package"}


def _imported(module: str, name: str) -> Any:
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        from bessemer.core.extras import missing_extra

        raise missing_extra(f"bessemer.{name}", error) or error from None


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            value = getattr(_imported(module, name), _NAMES.get(name, name))
            globals()[name] = value
            return value
    raise AttributeError(f"module 'bessemer' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
