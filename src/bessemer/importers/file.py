"""Reads a tool's project file: YAML or JSON, strict about nothing but what cannot be read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bessemer.core.errors import Fault, ProjectError
from bessemer.core.yaml_lines import Document, parse


def read(path: Path) -> Document:
    """The file's value, a mapping, and the lines of its keys.

    Raises:
        ProjectError: no such file, not text, not YAML or JSON, or not a mapping of keys.
    """
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _refused(path, f"not UTF-8 text: {error.reason}", "save it as UTF-8") from None
    except OSError as error:
        raise _refused(path, f"cannot read {path}: {error.strerror}", "check the path") from None
    if text.lstrip().startswith("{"):
        text = text.expandtabs()  # JSON may be indented with tabs, YAML may not
    document = parse(text)
    if document.faults:
        raise ProjectError(document.faults, path.name)
    if not isinstance(document.value, dict) or not document.value:
        what = "the file is empty" if not document.value else "not a mapping of keys"
        raise _refused(path, what, "give Ludwig's config or igel's file")
    try:
        json.dumps(document.value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise _refused(path, "half of a character: an escape such as \\ud800 stands alone") from None
    document.value = _merged(document.value)
    return document


def _refused(path: Path, what: str, fix: str = "") -> ProjectError:
    return ProjectError([Fault("", None, what, fix)], path.name or str(path))


def _merged(value: Any) -> Any:
    """YAML's merge key `<<` resolved: the mapping's own keys win."""
    if isinstance(value, list):
        return [_merged(item) for item in value]
    if not isinstance(value, dict):
        return value
    own = {key: _merged(item) for key, item in value.items()}
    base = own.get("<<")
    merged = [item for item in (base if isinstance(base, list) else [base]) if isinstance(item, dict)]
    if not merged:
        return own
    below = {key: item for mapping in reversed(merged) for key, item in mapping.items()}
    return {**below, **{key: item for key, item in own.items() if key != "<<"}}
