"""The examples in docstrings run."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import bessemer

#: Scripts that run in other environments, with what is installed there.
ELSEWHERE = ("bessemer.export.workers.", "bessemer.export.readers.")
MODULES = [
    m.name
    for m in pkgutil.walk_packages(bessemer.__path__, "bessemer.")
    if not m.name.endswith("__main__") and not m.name.startswith(ELSEWHERE)
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str, tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(str(tmp_path))
    failed, _ = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert failed == 0
