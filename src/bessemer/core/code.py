"""The code a stage depends on, as digests: part of its cache key.

Static and by whole files: starting from the stage's module, every import at any depth (also inside functions
and classes) and every plug-in reference written as a text ("bessemer.acquire.sources.csv:Csv") is followed
through this package. A change of any file reached changes the key, so helpers in comprehensions, methods,
closures and `module.function` calls cannot be missed. Other distributions count by their version.
Data files (templates, scripts) in the folder of a reached package count too.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import os
import re
import sys
from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

PACKAGE = "bessemer"
ROOT = Path(__file__).resolve().parents[1]

_REFERENCE = re.compile(rf"^{PACKAGE}(\.\w+)+:\w+$")


@dataclass(frozen=True)
class Code:
    """What a piece of code depends on: file (relative) -> digest, distribution -> version."""

    files: dict[str, str]
    packages: dict[str, str]


@dataclass(frozen=True)
class _Scan:
    """A file's digest, the modules of this package it names, and the foreign top-level modules it imports."""

    digest: str
    own: tuple[str, ...]
    foreign: tuple[str, ...]


@functools.cache
def _scan(file: Path) -> _Scan:
    data = file.read_bytes()
    own: set[str] = set()
    foreign: set[str] = set()
    for node in ast.walk(ast.parse(data)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _REFERENCE.match(node.value):
            names = [node.value.partition(":")[0]]
        else:
            continue
        for name in names:
            (own if name.split(".")[0] == PACKAGE else foreign).add(name)
    tops = {name.split(".")[0] for name in foreign} - sys.stdlib_module_names
    return _Scan(hashlib.sha256(data).hexdigest(), tuple(sorted(own)), tuple(sorted(tops)))


def _scanned(file: str, memo: MutableMapping[str, str]) -> _Scan:
    """The scan of a file; parsed again only when its size or a time has changed: of its content, which a copy may set
    back, or of its inode, which nobody can."""
    facts = os.stat(os.path.join(ROOT, file))  # noqa: PTH116, PTH118 - of hundreds of files at every stage
    key = f"{file}|{facts.st_size}|{facts.st_mtime_ns}|{facts.st_ctime_ns}|{facts.st_ino}"
    if key in memo:
        return _read(memo[key])
    scan = _scan(ROOT / file)
    memo[key] = "|".join([scan.digest, " ".join(scan.own), " ".join(scan.foreign)])
    return scan


@functools.cache
def _read(scan: str) -> _Scan:
    digest, own, foreign = scan.split("|")
    return _Scan(digest, tuple(own.split()), tuple(foreign.split()))


class _Folders:
    """What is in the folders of this package, each listed once: of the thousands of names that imports have, most are
    no modules, and to look for each of them takes longer than all the rest."""

    def __init__(self) -> None:
        self._listed: dict[str, frozenset[str]] = {}

    def file_of(self, module: str) -> str | None:
        """The file of a module, below ROOT; None for a name that is not a module (a class, a function)."""
        if not module.startswith(f"{PACKAGE}."):
            return None
        path = module.partition(".")[2].replace(".", os.sep)
        folder, _, leaf = path.rpartition(os.sep)
        there = self._names(folder)
        if leaf in there and "__init__.py" in self._names(path):
            return f"{path}{os.sep}__init__.py"
        return f"{path}.py" if f"{leaf}.py" in there else None

    def _names(self, folder: str) -> frozenset[str]:
        if folder not in self._listed:
            try:
                self._listed[folder] = frozenset(os.listdir(ROOT / folder))  # noqa: PTH208 - names, not paths
            except OSError:  # it is a module, which has no files in it
                self._listed[folder] = frozenset()
        return self._listed[folder]


def _with_parents(module: str) -> Iterable[str]:
    parts = module.split(".")
    return (".".join(parts[: n + 1]) for n in range(len(parts)))


@functools.cache
def _data_files(folder: Path) -> tuple[tuple[str, str], ...]:
    """(relative path, digest) of the files beside a package's modules that are not Python."""
    found = []
    for file in sorted(folder.rglob("*")):
        if file.suffix in (".py", ".pyc") or not file.is_file() or file.name == "py.typed":
            continue
        found.append((str(file.relative_to(ROOT)), hashlib.sha256(file.read_bytes()).hexdigest()))
    return tuple(found)


@functools.cache
def _version(module: str) -> str | None:
    name = _DISTRIBUTIONS.get(module, module)
    try:
        return f"{name} {metadata.version(name)}"
    except metadata.PackageNotFoundError:
        return None


#: Modules whose distribution has another name.
_DISTRIBUTIONS = {"sklearn": "scikit-learn", "yaml": "PyYAML", "ibis": "ibis-framework"}


def code_of(module: str, memo: MutableMapping[str, str] | None = None) -> Code:
    """Everything a module of this package depends on.

    Args:
        module: its dotted name.
        memo: what earlier scans found, kept between runs by whoever calls; it is added to.
    """
    memo = {} if memo is None else memo
    files: dict[str, str] = {}
    tops: set[str] = set()
    todo, seen, folders = list(_with_parents(module)), set[str](), _Folders()
    while todo:
        name = todo.pop()
        if name in seen or name == PACKAGE:
            continue
        seen.add(name)
        file = folders.file_of(name)
        if file is None:
            continue
        scan = _scanned(file, memo)
        files[file] = scan.digest
        tops.update(scan.foreign)
        for found in scan.own:
            if found not in seen:
                todo.extend(_with_parents(found))
        if file.endswith("__init__.py"):
            files.update(_data_files((ROOT / file).parent))
    versions = (_version(top) for top in tops)
    packages = dict(v.rsplit(" ", 1) for v in versions if v)
    return Code(dict(sorted(files.items())), dict(sorted(packages.items())))
