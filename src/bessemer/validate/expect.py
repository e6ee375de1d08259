"""The list `expect:` of a contract: each entry a name, `{name: value}` or `{name: {setting: value}}`."""

from __future__ import annotations

from typing import Any

from bessemer.core.plugin_settings import checked_settings
from bessemer.validate.plugins import EXPECTATIONS
from bessemer.validate.protocol import Expectation

#: An expectation's name and its settings.
Asked = tuple[str, dict[str, Any]]


def parse_one(value: Any) -> Asked:
    """One entry of the list.

    Raises:
        ValueError: it is none, the name is unknown, or the settings are wrong; the text says how to mend it.

    >>> parse_one({"unique": ["day", "shop"]})
    ('unique', {'columns': ['day', 'shop']})
    """
    if isinstance(value, tuple) and len(value) == 2:
        return value
    entry = {value: None} if isinstance(value, str) else value
    if not isinstance(entry, dict) or len(entry) != 1:
        raise ValueError(
            f"{value!r} is not an expectation: write its name, {{name: value}} or {{name: {{setting: value}}}}"
        )
    ((name, settings),) = entry.items()
    if not isinstance(settings, dict):
        short = EXPECTATIONS.load(name).short if name in EXPECTATIONS else ""
        settings = {} if settings is None else {short: settings} if short else settings
    return name, checked_settings(name, settings, EXPECTATIONS, "an expectation")


def made(asked: tuple[Asked, ...]) -> list[Expectation]:
    """The expectations, each made with its settings."""
    kinds = [(EXPECTATIONS.load(name), settings) for name, settings in asked]
    return [kind(kind.Settings.model_validate(settings)) for kind, settings in kinds]
