"""What two project files say differently, setting by setting."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

#: Stages whose settings change how a run is shown and not what comes of it.
_SHOWN_ONLY = ("report",)


def settings_differences(settings: Sequence[Mapping[str, Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Settings that are not the same in all runs: {setting: "train.rounds", values: one a run, None where unset}.

    >>> settings_differences([{"train": {"rounds": 3, "seed": 1}}, {"train": {"rounds": 5, "seed": 1}}])
    [{'setting': 'train.rounds', 'values': [3, 5]}]
    """
    flat = [dict(_leaves({k: v for k, v in own.items() if k not in _SHOWN_ONLY}, "")) for own in settings]
    names = dict.fromkeys(name for own in flat for name in own)
    rows = [{"setting": name, "values": [own.get(name) for own in flat]} for name in names]
    return [row for row in rows if any(value != row["values"][0] for value in row["values"])]


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Dotted paths of everything that is not a mapping; an empty one says nothing."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    else:
        yield path, value
