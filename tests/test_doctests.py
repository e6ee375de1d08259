"""The examples in docstrings run."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

import bessemer

#: Scripts that run in other environments, with what is installed there.
ELSEWHERE = ("bessemer.environments.workers.", "bessemer.export.readers.")
MODULES = [
    (m.name, m.module_finder.find_spec(m.name, None))  # type: ignore[call-arg]
    for m in pkgutil.walk_packages(bessemer.__path__, "bessemer.")
    if not m.name.endswith("__main__") and not m.name.startswith(ELSEWHERE)
]


def has_examples(spec: ModuleSpec | None) -> bool:
    """Whether a module is to be searched for examples: what has none in its text has none in a docstring."""
    return spec is None or spec.origin is None or b">>>" in Path(spec.origin).read_bytes()


EXAMPLES = [name for name, spec in MODULES if has_examples(spec)]


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples(name: str, tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(str(tmp_path))
    failed, _ = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert failed == 0


def test_modules_without_examples_load() -> None:
    for name, _ in MODULES:
        importlib.import_module(name)
