"""A list of plug-ins in the project file, each a name or `{name: {setting: value}}`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Protocol

from pydantic import ValidationError

from bessemer.core.errors import Fault, did_you_mean
from bessemer.core.plugins import PluginTable
from bessemer.core.spec import Spec

#: A plug-in's name and what is said of it.
Named = dict[str, dict[str, Any]]


class HasSettings(Protocol):
    """A plug-in with settings: a class `Settings`, made from what the project file says."""

    Settings: type[Spec]


def parse_named(
    value: Any, table: PluginTable[Any], noun: str, example: str, usual: Collection[str] = ()
) -> Named:
    """`[ale, {lime: {rows: 3}}]` as a mapping from the name to its settings, which are checked.

    Args:
        noun: what one is called, with its article: 'an explainer'.
        example: some names.
        usual: those that are right as they are: where nothing is set, nothing of theirs is imported to check it.

    Raises:
        ValueError: it is no such list, a name is unknown, or settings are wrong; the text says how to mend it.
    """
    if not isinstance(value, list | dict):
        raise ValueError(f"{value!r} is not a list of {noun.split(' ', 1)[1]}s: write [{example}]")
    asked: Named = {}
    for entry in [value] if isinstance(value, dict) else value:
        named = {entry: None} if isinstance(entry, str) else entry
        if not isinstance(named, dict):
            raise ValueError(f"{entry!r} is not {noun}: write its name, or {{name: {{setting: value}}}}")
        for name, settings in named.items():
            settings = {} if settings is None else settings
            right = settings == {} and name in usual
            asked[str(name)] = settings if right else checked_settings(str(name), settings, table, noun)
    return asked


def checked_settings(name: str, settings: Any, table: PluginTable[Any], noun: str) -> dict[str, Any]:
    """The settings of a plug-in, as they were given, when they are right.

    Raises:
        ValueError: the name is unknown, or settings are wrong; the text says how to mend it.
    """
    if name not in table:
        raise ValueError(f"no {noun.split(' ', 1)[1]} is called {name!r}; {did_you_mean(name, table)}")
    if not isinstance(settings, dict):
        raise ValueError(f"{settings!r} are not settings of {name}: write {{{name}: {{setting: value}}}}")
    kind: type[HasSettings] = table.load(name)
    try:
        kind.Settings.model_validate(settings)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        known = ", ".join(kind.Settings.model_fields)
        raise ValueError(f"settings of {name}: {faults}; it has {known or 'none'}") from None
    return settings


def opened(asked: Mapping[str, Mapping[str, Any]], table: PluginTable[Any]) -> dict[str, Any]:
    """The plug-ins that are asked for, each made with its settings."""
    kinds = {name: table.load(name) for name in asked}
    return {name: kind(kind.Settings.model_validate(asked[name])) for name, kind in kinds.items()}


def column_faults(
    asked: Named, table: PluginTable[Any], columns: Mapping[str, str], where: str
) -> list[Fault]:
    """A fault for each column that the settings of a plug-in name (their property `named`) and that is not there.

    Args:
        columns: name -> type of the landed data.
        where: in the project file the plug-ins stand: 'explain.explainers'.
    """
    faults = []
    for plugin, given in asked.items():
        settings = table.load(plugin).Settings.model_validate(given)
        for name in dict.fromkeys(getattr(settings, "named", [])):
            if name not in columns:
                what = f"no column '{name}'"
                faults.append(Fault(f"{where}.{plugin}", None, what, did_you_mean(name, columns)))
    return faults
