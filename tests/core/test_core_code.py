"""Stage code in the cache key: every way one piece of code reaches another changes the key."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from bessemer.core import code


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small package of the name 'bessemer' in a folder of its own, seen by the scanner in place of the real one."""
    root = tmp_path / "bessemer"
    files = {
        "__init__.py": "",
        "stage/__init__.py": "",
        "stage/stage.py": """
            from __future__ import annotations
            from bessemer.core import plain
            from bessemer.core.direct import function
            import bessemer.core.dotted
            TABLE = {"x": "bessemer.stage.plugins.late:Late"}
            def run():
                def inner():
                    from bessemer.core.closure import helper
                    return helper
                return [comprehended(x) for x in inner()]
            class Thing:
                def method(self):
                    import bessemer.core.in_method as m
                    return m.f()
            from bessemer.core.comprehension import comprehended
            import numpy
            """,
        "stage/plugins/__init__.py": "",
        "stage/plugins/late.py": "class Late: pass\n",
        "stage/page.html": "<p>",
        "core/__init__.py": "",
        "core/unrelated.py": "x = 1\n",
        "core/deep.py": "x = 1\n",
        "core/direct.py": "from bessemer.core.deep import x\ndef function(): return x\n",
        **{f"core/{n}.py": "x = 1\n" for n in ("plain", "dotted", "closure", "in_method", "comprehension")},
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    monkeypatch.setattr(code, "ROOT", root)
    clear()
    yield root
    clear()


def clear() -> None:
    for cached in (code._scan, code._data_files, code._version):
        cached.cache_clear()


REACHED = [
    "core/plain.py", "core/direct.py", "core/deep.py", "core/dotted.py", "core/closure.py", "core/in_method.py",
    "core/comprehension.py", "stage/plugins/late.py", "stage/stage.py", "stage/page.html", "stage/plugins/__init__.py",
]  # fmt: skip


@pytest.mark.parametrize("name", REACHED)
def test_a_change_of_anything_reached_changes_the_key(package: Path, name: str) -> None:
    before = code.code_of("bessemer.stage.stage")
    path = package / name
    path.write_text(path.read_text() + "\n# changed\n")
    clear()
    after = code.code_of("bessemer.stage.stage")
    assert before.files[name] != after.files[name]


def test_a_change_elsewhere_does_not(package: Path) -> None:
    before = code.code_of("bessemer.stage.stage")
    (package / "core/unrelated.py").write_text("x = 2\n")
    clear()
    assert code.code_of("bessemer.stage.stage") == before


def test_foreign_packages_count_by_version_and_the_standard_library_does_not(package: Path) -> None:
    import numpy

    assert code.code_of("bessemer.stage.stage").packages == {"numpy": numpy.__version__}


@pytest.mark.slow
def test_the_real_stages_reach_their_helpers() -> None:
    clear()
    found = code.code_of("bessemer.train.stage")
    assert "train/learners/lightgbm.py" in found.files
    assert "core/store.py" in found.files
    assert "lightgbm" in found.packages
