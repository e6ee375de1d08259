"""What `bessemer export` says beside a numeric core of the columns that it takes: `encoder.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bessemer.importers.models.foreign import MOST_COLUMNS, Asked, Foreign, agreed_classes, refused

_FILE = "encoder.json"


def encoder_of(files: Mapping[str, bytes]) -> dict[str, Any]:
    """What the encoder in a folder says; {} where there is none.

    Raises:
        FormatError: it is no encoder of ours.
    """
    found = [name for name in files if name.rpartition("/")[2] == _FILE]
    if not found:
        return {}
    try:
        told = {name: json.loads(files[name].decode("utf-8")) for name in found}
    except (ValueError, RecursionError) as error:
        raise refused(f"{_FILE} cannot be read", str(error)[:200]) from None
    first: dict[str, Any] = told[found[0]]
    if not _is_encoder(first):
        raise refused(
            f"{_FILE} is no encoder that `bessemer export` writes", fix="leave it out of the folder"
        )
    if any(one != first for one in told.values()):
        raise refused(f"the folder has {len(found)} different encoders", fix="name the folder of one model")
    return first


def asked_beside(asked: Asked, encoder: Mapping[str, Any]) -> Asked:
    """What is asked, with the names of encoded columns and of classes that an encoder says.

    Raises:
        UsageError: other classes were asked for.
    """
    if not encoder:
        return asked
    columns = encoder.get("columns") or [f"encoded_{i}" for i in range(min(encoder["width"], MOST_COLUMNS))]
    return replace(asked, beside=tuple(columns), classes=agreed_classes(asked, encoder["classes"]))


def _is_encoder(told: Any) -> bool:
    return (
        isinstance(told, dict)
        and told.get("format") == 1
        and isinstance(told.get("width"), int)
        and _are(told.get("classes"), (str, bool, int, float))
        and _is_share(told.get("threshold"))
        and _are(told.get("columns", []), str)
    )


def _is_share(value: Any) -> bool:
    return value is None or (isinstance(value, float) and 0 < value < 1)


def _are(values: Any, kinds: type | tuple[type, ...]) -> bool:
    return isinstance(values, list) and all(isinstance(one, kinds) for one in values)


def noted(foreign: Foreign, encoder: Mapping[str, Any]) -> Foreign:
    """The model with the threshold of its decision, and a note of what its columns are."""
    if not encoder:
        return foreign
    note = f"its columns are what {_FILE} beside it makes of raw ones: rows are encoded before they are asked"
    threshold = encoder.get("threshold") if foreign.task == "binary" else None
    return replace(
        foreign,
        notes=(note, *foreign.notes),
        threshold=foreign.threshold if threshold is None else float(threshold),
    )
