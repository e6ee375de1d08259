"""The tools whose project files can be imported, and how a file shows which one it is from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

from bessemer.core.errors import UsageError
from bessemer.core.plugins import PluginRef, PluginTable
from bessemer.importers.draft import Draft
from bessemer.importers.section import Section


class Tool(Protocol):
    """A tool whose files can be imported."""

    #: As its makers write it.
    NAME: ClassVar[str]

    def recognises(self, value: Mapping[str, Any]) -> bool:
        """Whether a file with these keys is this tool's."""
        ...

    def translate(self, file: Section, draft: Draft) -> None:
        """Put what the file says into the draft, and what has no counterpart into its findings."""
        ...


TOOLS: PluginTable[Tool] = PluginTable(
    "bessemer.importers",
    {
        "ludwig": PluginRef("bessemer.importers.ludwig.tool:Ludwig", summary="ludwig-ai's config"),
        "igel": PluginRef("bessemer.importers.igel.tool:Igel", summary="igel.yaml or igel.json"),
    },
)

_OURS = frozenset({"data", "target", "acquire", "prepare", "train", "evaluate", "serve"})


def detect(value: Mapping[str, Any], file: str) -> str:
    """The tool that a file is from, by its keys.

    Raises:
        UsageError: none, or more than one.

    >>> detect({"input_features": [], "output_features": []}, "a.yaml")
    'ludwig'
    """
    found = [name for name in TOOLS if TOOLS.load(name)().recognises(value)]
    if len(found) == 1:
        return found[0]
    keys = ", ".join(list(map(str, value))[:8])
    if not found and "target" in value and len(_OURS & set(value)) >= 2:
        raise UsageError(f"{file} is a project file of Bessemer already", fix="bessemer run")
    raise UsageError(
        f"cannot tell which tool {file} is from",
        why=f"its keys are: {keys}" if not found else f"it has keys of {' and '.join(found)}",
        fix=f"say it: --from {' or --from '.join(TOOLS)}",
    )
