"""Bad input: a clear error with its exit code, no traceback, nothing lost."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests_support import write_project

pytestmark = pytest.mark.slow

rng = np.random.default_rng(0)
N = 400
X = rng.normal(size=N)
Y = (X + rng.normal(size=N) > 0).astype(int)


def rows(header: str, line: Callable[[int], str], n: int = N) -> bytes:
    return "\n".join([header, *(line(i) for i in range(n))]).encode() + b"\n"


GOOD = rows("a,b,y", lambda i: f"{X[i]:.4f},{i % 7},{Y[i]}")

#: name -> (file name, content, target, exit code, words that must stand in the error)
REFUSED: dict[str, tuple[str, bytes, str, int, tuple[str, ...]]] = {
    "empty file": ("d.csv", b"", "y", 3, ("empty",)),
    "header only": ("d.csv", b"a,b,y\n", "y", 3, ("no rows",)),
    "one column": ("d.csv", rows("y", lambda i: str(Y[i])), "y", 3, ("one column",)),
    "constant target": ("d.csv", rows("a,y", lambda i: f"{X[i]:.4f},1"), "y", 3, ("y", "1")),
    "no target value at all": ("d.csv", rows("a,y", lambda i: f"{X[i]:.4f},"), "y", 3, ("y",)),
    "wrong target": ("d.csv", GOOD, "Y2", 2, ("Y2", "did you mean 'y'")),
    "duplicate columns": ("d.csv", rows("a,A,y", lambda i: f"{X[i]:.4f},2,{Y[i]}"), "y", 3, ("a", "A")),
    "wrong delimiter": ("d.csv", GOOD.replace(b",", b"|"), "y", 3, ("|",)),
    "truncated parquet": ("d.parquet", b"PAR1" + bytes(500), "y", 3, ("d.parquet",)),
    "not parquet": ("d.parquet", GOOD, "y", 3, ("d.parquet",)),
    "broken JSON line": ("d.jsonl", b'{"a": 1, "y": 0}\n{"a": 2, "y"\n{"a": 3, "y": 1}\n', "y", 3, ("2",)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_clearly(name: str, tmp_path: Path, bessemer: Any) -> None:
    file, content, target, code, words = REFUSED[name]
    (tmp_path / file).write_bytes(content)
    # a delimiter that was set wrongly by the user, too
    extra = (
        {"acquire": {"sources": {"d": {"csv": file, "delimiter": ","}}}} if name == "wrong delimiter" else {}
    )
    write_project(tmp_path, target=target, **(extra or {"data": file}))
    done = bessemer("run", cwd=tmp_path)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert "internal error" not in done.stderr
    assert done.stderr.count("fix:") >= 1, done.stderr
    for word in words:
        assert word in done.stderr
    assert (tmp_path / file).read_bytes() == content
    assert not (tmp_path / "build").exists() or not list((tmp_path / "build").glob("*.bsm"))


#: name -> (content, words that must stand in what is said, or nothing)
ACCEPTED: dict[str, tuple[bytes, tuple[str, ...]]] = {
    "all-null column": (rows("a,empty,y", lambda i: f"{X[i]:.4f},,{Y[i]}"), ("empty",)),
    "target with missing values": (rows("a,b,y", lambda i: f"{X[i]:.4f},1,{Y[i] if i % 5 else ''}"), ("80",)),
    "NaN and infinity": (
        rows("a,b,y", lambda i: f"{'inf' if i % 50 == 0 else 'nan' if i % 51 == 0 else X[i]},{i % 3},{Y[i]}"),
        (),
    ),
    "non-ASCII names": (rows("Größe,名前 x,y", lambda i: f"{X[i]:.4f},{'äöü'[i % 3]},{Y[i]}"), ()),
    "quotes in names": (rows('"a ""b""","c,d",y', lambda i: f"{X[i]:.4f},{i % 3},{Y[i]}"), ()),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_handled_and_said(name: str, tmp_path: Path, bessemer: Any) -> None:
    content, words = ACCEPTED[name]
    (tmp_path / "d.csv").write_bytes(content)
    write_project(tmp_path, data="d.csv", target="y", evaluate={"gates": {"beats": []}})
    done = bessemer("run", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    for word in words:
        assert word in done.stderr + done.stdout
    assert list((tmp_path / "build").glob("*.bsm"))


def test_all_faults_of_a_project_file_at_once(tmp_path: Path, bessemer: Any) -> None:
    (tmp_path / "d.csv").write_bytes(GOOD)
    write_project(
        tmp_path,
        data="d.csv",
        target="y",
        prepare={"exclude": ["bb"], "derive": {"c": "a + nosuch", "d": "frobnicate(a)"}},
        evaluate={"slices": ["B2"]},
    )
    done = bessemer("run", cwd=tmp_path)
    assert done.returncode == 2
    for word in ("bb", "nosuch", "frobnicate", "B2", "did you mean 'b'", "line "):
        assert word in done.stderr, done.stderr


def test_ten_thousand_columns(tmp_path: Path, bessemer: Any) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    n = 300
    noise = rng.normal(size=(10_000, n)).astype(np.float32)
    table = pa.table({**{f"c{i}": noise[i] for i in range(10_000)}, "y": (noise[0] > 0).astype(np.int64)})
    pq.write_table(table, tmp_path / "d.parquet")
    write_project(tmp_path, data="d.parquet", target="y", train={"learner": "linear"})
    done = bessemer("run", "--upto", "train", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "10,001 columns" in done.stdout


def test_disk_full(tmp_path: Path, bessemer: Any) -> None:
    """A real full disk: the store is on a tmpfs of 400 kB, mounted in a namespace of the run's own."""
    place = tmp_path / "small"
    place.mkdir()
    (tmp_path / "d.csv").write_bytes(rows("a,b,y", lambda i: f"{X[i % N]:.9f},{i},{Y[i % N]}", 60_000))
    write_project(tmp_path, data="d.csv", target="y", store=str(place))
    script = f"mount -t tmpfs -o size=400k none {place} && exec {os.sys.executable} -m bessemer run"
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", script],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 6, done.stdout + done.stderr
    assert "disk full" in done.stderr
    assert "Traceback" not in done.stderr
    write_project(tmp_path, data="d.csv", target="y", evaluate={"gates": {"beats": []}})
    assert bessemer("run", "--upto", "prepare", cwd=tmp_path).returncode == 0, "with space it goes on"


def test_read_only_folder(tmp_path: Path) -> None:
    """A real read-only mount, because root may write everywhere else."""
    (tmp_path / "d.csv").write_bytes(GOOD)
    write_project(tmp_path, data="d.csv", target="y")
    script = f"mount --bind {tmp_path} {tmp_path} && mount -o remount,ro,bind {tmp_path} && cd {tmp_path} && "
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", script + f"exec {os.sys.executable} -m bessemer run"],
        cwd="/", capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 6, done.stdout + done.stderr
    assert "not allowed to write" in done.stderr
    assert "Traceback" not in done.stderr
