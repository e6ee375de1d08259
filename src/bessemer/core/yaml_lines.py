"""YAML as people mean it, with the line of every value.

The YAML 1.2 core schema: only true/false are booleans (`on`, `yes` and `no` stay words). Nothing but plain
data is constructed; duplicate keys are faults; size, depth and aliases are bounded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from bessemer.core.errors import Fault

MAX_BYTES = 1_000_000
MAX_NODES = 100_000
MAX_DEPTH = 40
#: Longer numbers stay texts: Python refuses to read some, and nobody writes one.
MAX_DIGITS = 400

_BOOL = re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$")
_INT = re.compile(r"^[-+]?[0-9][0-9_]*$")
_FLOAT = re.compile(r"^[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9]+|[0-9]+)(?:[eE][-+]?[0-9]+)?$")
_NULL = re.compile(r"^(?:null|Null|NULL|~|)$")


#: libyaml's parser is some eight times as fast; PyYAML has it in its wheels.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass
class Document:
    """A parsed YAML document: its value, the line of each dotted path, and what was wrong with it."""

    value: Any = None
    lines: dict[str, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    _nodes: int = 0

    def line(self, path: str) -> int | None:
        """The line of a path, or of the nearest thing above it that has one."""
        while path:
            if path in self.lines:
                return self.lines[path]
            path = path.rpartition(".")[0]
        return None


def parse(text: str) -> Document:
    """Parse YAML text.

    >>> d = parse("train:\\n  on: yes\\n")
    >>> d.value, d.lines["train.on"]
    ({'train': {'on': 'yes'}}, 2)
    """
    document = Document()
    if len(text.encode()) > MAX_BYTES:
        document.faults.append(Fault("", None, f"the file is larger than {MAX_BYTES:,} bytes"))
        return document
    try:
        if (line := _too_deep(text)) is not None:
            document.faults.append(Fault("", line, "too deep for a project file"))
            return document
        node = yaml.compose(text, Loader=_LOADER)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        document.faults.append(
            Fault("", mark.line + 1 if mark else None, f"not YAML: {problem}", _yaml_fix(str(problem)))
        )
        return document
    except RecursionError:
        document.faults.append(Fault("", None, "the file is nested too deeply"))
        return document
    if node is not None:
        document.value = _construct(document, node, "", 0)
    return document


def _too_deep(text: str) -> int | None:
    """The line where the nesting gets too deep. libyaml composes recursively, and 10,000 brackets end its stack."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH + 1:
                return event.start_mark.line + 1 if event.start_mark else 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
    return None


def _yaml_fix(problem: str) -> str:
    if "\\t" in problem or "tab" in problem:
        return "indent with spaces, not tabs"
    if "mapping values are not allowed" in problem:
        return 'put a text that contains ": " in quotes'
    return ""


def _construct(document: Document, node: Any, path: str, depth: int) -> Any:
    document._nodes += 1
    if document._nodes > MAX_NODES or depth > MAX_DEPTH:
        if not any("too large" in fault.what for fault in document.faults):
            document.faults.append(
                Fault(path, node.start_mark.line + 1, "too large or too deep for a project file")
            )
        return None
    if path:
        document.lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        return _mapping(document, node, path, depth)
    if isinstance(node, yaml.SequenceNode):
        return [
            _construct(document, item, f"{path}.{i}" if path else str(i), depth + 1)
            for i, item in enumerate(node.value)
        ]
    return _scalar(node)


def _mapping(document: Document, node: Any, path: str, depth: int) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            document.faults.append(Fault(path, line, "a key must be a plain word"))
            continue
        key = str(key_node.value)
        here = f"{path}.{key}" if path else key
        if key in result:
            document.faults.append(
                Fault(
                    here,
                    line,
                    "this key stands twice",
                    f"the first is on line {document.lines[here]}: keep one",
                )
            )
            continue
        document.lines[here] = line
        result[key] = _construct(document, value_node, here, depth + 1)
    return result


def _scalar(node: Any) -> Any:
    text: str = node.value
    if node.style in ("'", '"', "|", ">") or node.tag not in _PLAIN_TAGS:
        return text
    if _NULL.match(text):
        return None
    if _BOOL.match(text):
        return text.lower() == "true"
    if len(text) > MAX_DIGITS:
        return text
    if _INT.match(text):
        return int(text.replace("_", ""))
    if _FLOAT.match(text):
        return float(text.replace("_", ""))
    return text


# What the YAML 1.1 resolver of PyYAML may have guessed for a plain scalar; each is decided anew by _scalar.
_PLAIN_TAGS = {
    f"tag:yaml.org,2002:{name}" for name in ("str", "bool", "int", "float", "null", "timestamp", "value")
}
