"""What two project files say differently, setting by setting."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bessemer.core.redaction import CREDENTIAL_NAME, SHOWN, without_password

#: Stages whose settings change how a run is shown and not what comes of it.
_SHOWN_ONLY = ("report",)

#: What must not be shown: a parameter of a URL or a connection string, and a setting, of these names.
_PARAMETER = re.compile(rf"(?i)((?:^|[?&;\s]){CREDENTIAL_NAME}\s*=\s*)[^&;\s]+")
_SETTING = re.compile(rf"(?i){CREDENTIAL_NAME}")
#: A name in the place of a secret is no secret.
_REFERENCE = re.compile(r"\$\{\w+\}")


def settings_differences(settings: Sequence[Mapping[str, Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Settings that are not the same in all runs: {setting: "train.rounds", values: one a run, None where unset}.

    >>> settings_differences([{"train": {"rounds": 3, "seed": 1}}, {"train": {"rounds": 5, "seed": 1}}])
    [{'setting': 'train.rounds', 'values': [3, 5]}]
    >>> settings_differences([{"acquire": {"sql": "postgres://me:pw@host/a"}}, {"acquire": {}}])[0]["values"]
    ['postgres://me:***@host/a', None]
    """
    flat = [dict(_leaves({k: v for k, v in own.items() if k not in _SHOWN_ONLY}, "")) for own in settings]
    names = dict.fromkeys(name for own in flat for name in own)
    found = []
    for name in names:
        values = [own.get(name) for own in flat]
        if any(value != values[0] for value in values):
            last = name.rpartition(".")[2]
            found.append({"setting": name, "values": [redacted(value, last) for value in values]})
    return found


def redacted(value: Any, name: str = "") -> Any:
    """A setting of that name without passwords and keys; `${NAME}`, which names one, stays.

    >>> redacted("https://host/a.csv?sig=abc&x=1"), redacted("abc", "api_key"), redacted("${KEY}", "api_key")
    ('https://host/a.csv?sig=***&x=1', '***', '${KEY}')
    """
    if isinstance(value, Mapping):
        return {key: redacted(inner, str(key)) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [redacted(inner, name) for inner in value]
    if not isinstance(value, str) or _REFERENCE.fullmatch(value):
        return value
    if _SETTING.fullmatch(name):
        return SHOWN
    return _PARAMETER.sub(rf"\1{SHOWN}", without_password(value))


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Dotted paths of everything that is not a mapping; an empty one says nothing."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    else:
        yield path, value
