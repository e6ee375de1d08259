"""The user's own Python in the stage, and as part of the fingerprint."""

from __future__ import annotations

import json
import os
import py_compile
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from bessemer.acquire.spec import AcquireSpec
from bessemer.acquire.stage import fingerprint, run
from bessemer.acquire.usercode import user_function
from bessemer.core.errors import DataError, ProjectError
from bessemer.core.stage import Context
from bessemer.core.store import Store


def spec_of(**section: Any) -> AcquireSpec:
    return AcquireSpec.model_validate_json(json.dumps(section))


def acquire(place: Path, **section: Any) -> dict[str, list[Any]]:
    work = place / "work"
    work.mkdir(exist_ok=True)
    store = Store(place / "store")
    ctx = Context(store=store, stage="acquire", shared={}, seed=7, project_dir=place, workdir=work)
    raw = store.get(run(spec_of(**section), {}, ctx)["raw"])
    return dict(pq.read_table(raw.path("data.parquet").open("rb")).to_pydict())


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "d.csv").write_text("a,b\n" + "".join(f"{i},x{i % 3}\n" for i in range(10)))
    return tmp_path


def cleaned(project: Path, code: str) -> dict[str, list[Any]]:
    (project / "mine.py").write_text(code)
    return acquire(project, sources={"d": {"csv": "d.csv"}}, python="mine:clean")


def test_batch_in_batch_out(project: Path) -> None:
    path, modules = list(sys.path), set(sys.modules)
    (project / "helpers.py").write_text(
        "import pyarrow.compute as pc\ndef half(c): return pc.divide(c, 2.0)\n"
    )
    code = "from helpers import half\ndef clean(b): return b.append_column('h', half(b['a']))\n"
    assert cleaned(project, code)["h"][:3] == [0.0, 0.5, 1.0]
    assert sys.path == path
    assert not {"mine", "helpers"} & (set(sys.modules) - modules)


@pytest.mark.parametrize(
    "body",
    [
        "import pyarrow as pa\n    return pa.table(b)",
        "for i in range(b.num_rows): yield b.slice(i, 1)",
        "return None if b.num_rows == 0 else [b]",
        "return b.to_pandas().set_index('a').reset_index()",
    ],
)
def test_whatever_arrow_it_gives(project: Path, body: str) -> None:
    assert cleaned(project, f"def clean(b):\n    {body}\n")["a"] == list(range(10))


def test_schemas_that_change_on_the_way_are_joined(project: Path) -> None:
    """All null at first, then whole numbers, then decimals; a column that comes late; one that never has a value."""
    code = """
import pyarrow as pa
def clean(b):
    yield pa.record_batch([pa.nulls(2), pa.array(["x", "y"]), pa.nulls(2)], names=["v", "k", "never"])
    yield pa.record_batch([pa.array([1]), pa.array(["z"])], names=["v", "k"])
    yield pa.record_batch([pa.array(["w"]), pa.array([2.5]), pa.array([True])], names=["k", "v", "late"])
"""
    assert cleaned(project, code) == {
        "v": [None, None, 1.0, 2.5], "k": ["x", "y", "z", "w"], "never": [None] * 4, "late": [None, None, None, True],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("def clean(b): return 1 / 0", "'mine:clean' failed on batch 0 (rows from 0): ZeroDivisionError"),
        ("def clean(b):\n    yield b\n    raise KeyError('x')", "KeyError: 'x'"),
        ("def clean(b): return {'a': 1}", "'mine:clean' gave a dict"),
        ("def clean(b): return None", "gave no rows"),
        ("raise RuntimeError('at import')", "fails when it is imported: RuntimeError: at import"),
        ("def clean(b): return b.select(['a'])", "only 1 column: 'a'"),
        ("def clean(b): return b.rename_columns(['a', 'A'])", "duplicate column names: A, a"),
    ],
)
def test_failing_functions_are_explained(project: Path, code: str, says: str) -> None:
    path = list(sys.path)
    with pytest.raises(DataError) as caught:
        cleaned(project, code)
    assert sys.path == path
    assert "mine" not in sys.modules
    assert says in str(caught.value)
    if "ZeroDivisionError" in says:
        assert "mine.py" in caught.value.why


def test_missing_modules_and_functions_are_faults(project: Path) -> None:
    (project / "mine.py").write_text("def clean(b): return b\n")
    for function, says in [("mine:claen", "did you mean 'clean'"), ("mien:clean", "did you mean 'mine'")]:
        with pytest.raises(ProjectError) as caught:
            acquire(project, sources={"d": {"csv": "d.csv"}}, python=function)
        assert says in str(caught.value)


def test_a_function_as_source(project: Path) -> None:
    (project / "mine.py").write_text(
        "import pyarrow as pa\ndef rows():\n    for i in range(3): yield pa.table({'a': [i], 'b': ['x']})\n"
    )
    sources = {"d": {"python": "mine:rows"}}
    assert acquire(project, sources=sources) == {"a": [0, 1, 2], "b": ["x"] * 3}
    first, second = (fingerprint(spec_of(sources=sources), project) for _ in range(2))
    assert first != second


def test_fingerprint_follows_imports(project: Path) -> None:
    (project / "pkg").mkdir()
    (project / "pkg/__init__.py").write_text("")
    (project / "pkg/deep.py").write_text("from . import deeper\n")
    (project / "pkg/deeper.py").write_text("X = 1\n")
    (project / "other.py").write_text("unused = 1\n")
    (project / "mine.py").write_text(
        "import json\ndef clean(b):\n    from pkg.deep import deeper\n    return b\n"
    )
    spec = spec_of(sources={"d": {"csv": "d.csv"}}, python="mine:clean")
    memo: dict[str, str] = {}
    before = fingerprint(spec, project, memo)
    (project / "other.py").write_text("unused = 2\n")
    assert fingerprint(spec, project, memo) == before
    for file in ("pkg/deeper.py", "pkg/__init__.py", "mine.py"):
        with (project / file).open("a") as out:
            out.write("# changed\n")
        after = fingerprint(spec, project, memo)
        assert after["code"] != before["code"]
        before = after


def test_fingerprint_of_files(project: Path) -> None:
    spec = spec_of(sources={"d": {"csv": "d.csv"}})
    memo: dict[str, str] = {}
    before = fingerprint(spec, project, memo)
    assert fingerprint(spec, project, {}) == before
    key = next(iter(memo))
    assert fingerprint(spec, project, {key: "memoised"})["source d"] == "memoised"
    (project / "d.csv").write_text("a,b\n1,2\n")
    assert fingerprint(spec, project, memo) != before
    with pytest.raises(DataError, match=r"no file 'e.csv'"):
        fingerprint(spec_of(sources={"d": {"csv": "e.csv"}}), project)


def test_fingerprint_of_a_folder_sees_names_and_number(project: Path) -> None:
    (project / "in").mkdir()
    for name in ("1.csv", "2.csv"):
        (project / "in" / name).write_text("a,b\n1,2\n")
    spec = spec_of(sources={"d": {"csv": "in"}})
    seen = {fingerprint(spec, project)["source d"]}
    (project / "in/3.csv").write_text("a,b\n1,2\n")
    seen.add(fingerprint(spec, project)["source d"])
    (project / "in/3.csv").rename(project / "in/4.csv")
    seen.add(fingerprint(spec, project)["source d"])
    assert len(seen) == 3


def test_a_change_that_keeps_size_and_second_is_seen(tmp_path: Path) -> None:
    """Python tells what it has compiled by the second and the size of a file, and keeps the texts of the file in it."""
    file = tmp_path / "digits.py"
    file.write_text("def kept(batch):\n    return 500\n")
    os.utime(file, (1, 1))
    with user_function(tmp_path, "digits:kept") as function:
        assert function(None) == 500
    assert not (tmp_path / "__pycache__").exists()
    py_compile.compile(str(file))
    file.write_text("def kept(batch):\n    return 400\n")
    os.utime(file, (1, 1))
    with user_function(tmp_path, "digits:kept") as function:
        assert function(None) == 400
