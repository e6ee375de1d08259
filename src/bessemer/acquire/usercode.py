"""The user's own Python: loaded from the project's folder, part of the cache's key, run batch by batch."""

from __future__ import annotations

import ast
import hashlib
import importlib
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    SourceFileLoader,
)
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Any

from bessemer.core.errors import DataError, Fault, ProjectError, did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa

    from bessemer.core.stage import Context


def _module_file(project_dir: Path, module: str) -> Path | None:
    base = project_dir.joinpath(*module.split("."))
    return next((f for f in (base.with_suffix(".py"), base / "__init__.py") if f.is_file()), None)


def code_digest(project_dir: Path, function: str) -> str:
    """sha256 over the function's module and every module of the project's folder that it imports, transitively.

    Imports are found in the source text, also inside functions; what is imported by a computed name is not seen.

    Raises:
        ProjectError: no such module, or it is not Python.
    """
    module = function.partition(":")[0]
    seen: dict[str, bytes] = {}
    waiting = [(module, _start(project_dir, module))]
    while waiting:
        name, file = waiting.pop()
        key = file.relative_to(project_dir).as_posix()
        if key in seen:
            continue
        seen[key] = file.read_bytes()
        for imported in _imports(seen[key], name, file):
            waiting += _parents(project_dir, imported)
    whole = hashlib.sha256()
    for key, source in sorted(seen.items()):
        whole.update(f"{key}\0{len(source)}\0".encode() + source)
    return whole.hexdigest()


def _start(project_dir: Path, module: str) -> Path:
    file = _module_file(project_dir, module)
    if file is None:
        known = sorted(f.stem for f in project_dir.glob("*.py"))
        hint = did_you_mean(module, known) or f"write {module}.py there"
        raise ProjectError(
            [Fault("acquire.python", None, f"no module '{module}' in the project's folder", hint)]
        )
    return file


def _imports(source: bytes, module: str, file: Path) -> Iterator[str]:
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        what = f"'{file.name}' line {error.lineno} is not Python: {error.msg}"
        raise ProjectError([Fault("acquire.python", None, what)]) from error
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*(p for p in parts if p), *([node.module] if node.module else [])])
            yield from [base, *(f"{base}.{alias.name}" if base else alias.name for alias in node.names)]


def _parents(project_dir: Path, module: str) -> list[tuple[str, Path]]:
    """`a.b.c` runs a/__init__.py and a/b/__init__.py too."""
    parts = module.split(".")
    names = [".".join(parts[: i + 1]) for i in range(len(parts)) if parts[i]]
    found = ((name, _module_file(project_dir, name)) for name in names)
    return [(name, file) for name, file in found if file is not None]


@contextmanager
def user_function(project_dir: Path, function: str) -> Iterator[Callable[..., Any]]:
    """The function `module:name` of the project's folder; the folder can be imported from while it is in use.

    Afterwards the import path and the loaded modules are as they were, so another project in the same process
    does not see these.

    Raises:
        ProjectError: no such module or function.
        DataError: the module fails when it is imported.
    """
    module, _, name = function.partition(":")
    file = _start(project_dir, module)
    before = set(sys.modules)
    sys.path.insert(0, str(project_dir))
    root = project_dir.absolute()
    hook = _fresh(root)
    sys.path_hooks.insert(0, hook)
    _forget_finders(root)
    importlib.invalidate_caches()
    try:
        loaded = _load(module, file)
        if not callable(getattr(loaded, name, None)):
            known = [n for n, v in vars(loaded).items() if callable(v) and not n.startswith("_")]
            what = f"module '{module}' has no function '{name}'"
            raise ProjectError([Fault("acquire.python", None, what, did_you_mean(name, known))])
        yield getattr(loaded, name)
    finally:
        sys.path.remove(str(project_dir))
        sys.path_hooks.remove(hook)
        _forget_finders(root)
        for new in set(sys.modules) - before:
            origin = getattr(sys.modules[new], "__file__", None)
            if origin and Path(origin).absolute().is_relative_to(root):
                del sys.modules[new]


class _Source(SourceFileLoader):
    """Compiles what stands in the file. What Python keeps beside it is told by seconds and sizes alone, so that a quick
    change of a digit would not be seen; and texts of the file would lie there."""

    def get_code(self, fullname: str) -> CodeType | None:
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code


def _fresh(root: Path) -> Callable[[str], FileFinder]:
    """A hook of `sys.path_hooks` for the modules below a folder."""

    def finder(path: str) -> FileFinder:
        if not Path(path).absolute().is_relative_to(root):
            raise ImportError(path)
        return FileFinder(path, (ExtensionFileLoader, EXTENSION_SUFFIXES), (_Source, SOURCE_SUFFIXES))

    return finder


def _forget_finders(root: Path) -> None:
    for path in [p for p in sys.path_importer_cache if Path(p).absolute().is_relative_to(root)]:
        del sys.path_importer_cache[path]


def _load(module: str, file: Path) -> Any:
    """Import it even where an installed package has the same name (the project's folder comes first)."""
    shadow = sys.modules.get(module)
    if shadow is not None and getattr(shadow, "__file__", None) != str(file):
        what = f"module '{module}' has the name of a module that is loaded already"
        raise ProjectError([Fault("acquire.python", None, what, f"rename {file.name}")])
    try:
        return importlib.import_module(module)
    except Exception as error:
        raise DataError(
            f"'{file.name}' fails when it is imported: {type(error).__name__}: {error}", why=_trace(error)
        ) from error


def _trace(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)).strip()


def batches_of(value: Any, function: str) -> Iterator[pa.RecordBatch]:
    """Record batches from what a function gave: a batch, a table, a reader, an iterable of them, or None.

    Raises:
        DataError: it gave something else.
    """
    import pyarrow as pa

    if value is None:
        return
    if isinstance(value, pa.RecordBatch):
        yield value
    elif isinstance(value, pa.Table | pa.RecordBatchReader):
        yield from value.to_batches() if isinstance(value, pa.Table) else value
    elif isinstance(value, str | bytes | dict) or not hasattr(value, "__iter__"):
        raise DataError(
            f"'{function}' gave a {type(value).__name__}",
            why="Arrow goes in and Arrow comes out",
            fix="return a pyarrow.RecordBatch or Table, or yield them (pyarrow.Table.from_pandas makes one)",
        )
    elif hasattr(value, "__arrow_c_stream__"):  # a pandas or polars frame
        yield from pa.table(value).to_batches()
    else:
        for part in value:
            yield from batches_of(part, function)


def guarded(batches: Iterator[pa.RecordBatch], function: str, where: str) -> Iterator[pa.RecordBatch]:
    """Pass the batches on; what the user's code raises is told with the function, the place and the trace."""
    try:
        yield from batches
    except DataError:
        raise
    except Exception as error:
        raise DataError(
            f"'{function}' failed {where}: {type(error).__name__}: {error}",
            why=_trace(error),
            fix=f"correct the function; `python -m pdb -m {function.partition(':')[0]}` helps to find it",
        ) from error


def clean(parquet: Path, function: str, ctx: Context, rows: int = 65_536) -> Iterator[pa.RecordBatch]:
    """Run the project's function over a Parquet file, `rows` rows at a time."""
    import pyarrow.parquet as pq

    with (
        user_function(ctx.project_dir, function) as call,
        pq.ParquetFile(parquet) as file,
        ctx.progress(f"running {function}", file.metadata.num_rows) as bar,
    ):
        for number, batch in enumerate(file.iter_batches(batch_size=rows)):
            made = (part for given in (batch,) for part in batches_of(call(given), function))
            yield from guarded(made, function, f"on batch {number} (rows from {number * rows:,})")
            bar.advance(batch.num_rows)
