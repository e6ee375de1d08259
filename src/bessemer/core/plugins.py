"""Tables of plug-ins: names to classes, loaded when they are used and not before.

A table is a literal in a stage's `plugins.py`; nothing registers itself by being imported. Other
distributions add to a table with an entry point in the group of the table's name.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar

from bessemer.core.errors import MissingExtra, UsageError, did_you_mean

T = TypeVar("T")


@dataclass(frozen=True)
class PluginRef:
    """Where a plug-in lives (`package.module:Name`) and what must be installed for it.

    `extra` is the extra of this distribution that brings the modules in `requires`.
    """

    target: str
    extra: str = ""
    requires: tuple[str, ...] = ()
    summary: str = ""

    @property
    def module(self) -> str:
        return self.target.partition(":")[0]

    def missing(self) -> str:
        """The first required module that is not installed, or ''."""
        return next((m for m in self.requires if importlib.util.find_spec(m) is None), "")


class PluginTable(Generic[T]):
    """A mapping from a plug-in's name to its class.

    >>> table = PluginTable("bessemer.examples", {"json": PluginRef("json:JSONDecoder")})
    >>> table.load("json").__name__
    'JSONDecoder'
    >>> table.load("jsn")
    Traceback (most recent call last):
    bessemer.core.errors.UsageError: no 'jsn' in bessemer.examples
      fix: did you mean 'json'?
    """

    def __init__(self, group: str, own: Mapping[str, PluginRef]) -> None:
        self.group = group
        self._own = dict(own)

    @cached_property
    def _all(self) -> dict[str, PluginRef]:
        found = {ep.name: PluginRef(ep.value) for ep in entry_points(group=self.group)}
        return {**found, **self._own}

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __contains__(self, name: object) -> bool:
        return name in self._own or name in self._all

    def names(self) -> tuple[str, ...]:
        return tuple(self._all)

    def ref(self, name: str) -> PluginRef:
        if name in self._own:  # our own names need no look at the installed distributions
            return self._own[name]
        try:
            return self._all[name]
        except KeyError:
            raise UsageError(f"no '{name}' in {self.group}", fix=did_you_mean(name, self._all)) from None

    def load(self, name: str) -> type[T]:
        """The plug-in's class.

        Raises:
            UsageError: no plug-in has that name.
            MissingExtra: what it needs is not installed.
        """
        ref = self.ref(name)
        if missing := ref.missing():
            raise MissingExtra(name, missing, ref.extra or name)
        module, _, attribute = ref.target.partition(":")
        loaded: Any = getattr(importlib.import_module(module), attribute)
        return loaded  # type: ignore[no-any-return]
