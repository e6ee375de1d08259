"""What the text for a source means: files, a database, or a source in the words of the project file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import TypeAdapter, ValidationError

from bessemer.acquire.plugins import SOURCES
from bessemer.acquire.sources import source_from_path
from bessemer.acquire.spec import SourceSpec
from bessemer.core.errors import DataError, ProjectError, UsageError
from bessemer.predict.datafiles import find, kind_of_name
from bessemer.predict.filerows import FileRows
from bessemer.predict.relationrows import RelationRows

if TYPE_CHECKING:
    from bessemer.core.signature import Field
    from bessemer.predict.protocol import Rows

Given = str | Path | Mapping[str, Any]
#: Kinds whose files are read where they are.
_READ_IN_PLACE = ("csv", "jsonl", "parquet")
_KIND = re.compile(r"^(\w+):(?!//)(.+)$", re.DOTALL)


def open_rows(
    source: Given,
    inputs: Sequence[Field],
    keep: Sequence[str],
    batch_rows: int,
    folder: Path,
    snapshot: Path | None = None,
    asked: str = "",
) -> Rows:
    """Open a source.

    Args:
        source: a file, folder, glob or URL of Parquet, CSV or JSON lines; a database's URL; `KIND:WHAT`; or a source
            as under `acquire: sources` in a project file, as a mapping or as YAML in braces.
        inputs, keep: the model's inputs, and columns that must be there.
        batch_rows: the rows of a batch.
        folder: for what has to be on this disk while it is read.
        snapshot, asked: see `RelationRows`; without a snapshot, files are read where they are.

    Raises:
        UsageError: the text means no source. DataError: it is not there, or cannot be read.
    """
    words = _words(source)
    if words is None and snapshot is None:
        files = find(str(source))
        return FileRows(str(source), files, inputs, keep, batch_rows, folder)
    options = _options(words or _of_path(str(source)))
    return RelationRows(options, inputs, keep, batch_rows, folder, snapshot, asked)


def _words(source: Given) -> dict[str, Any] | None:
    """The source as a mapping; None where it is the path of files that are read where they are."""
    if isinstance(source, Mapping):
        return dict(source)
    text = str(source)
    if text.lstrip().startswith("{"):
        return _parsed(text)
    found = _KIND.match(text)
    if found and found[1] in SOURCES and not Path(text).exists():
        return {found[1]: found[2]}
    path = Path(text)
    if kind_of_name(text) and not text.startswith("python://"):
        return None
    if path.is_dir():
        return _of_folder(text)
    if re.search(r"[*?\[]", text) and "://" not in text:
        return None
    return None if _is_files_url(text) else _of_path(text)


def _of_folder(text: str) -> dict[str, Any] | None:
    """A folder that is a lake's table or a dataset, or has images or workbooks; None where files are read in place."""
    try:
        found = source_from_path(text)
    except ProjectError:
        return None
    return None if next(iter(found)) in _READ_IN_PLACE else dict(found)


def _is_files_url(text: str) -> bool:
    """A folder or a glob behind a URL, whose files are found by looking."""
    return "://" in text and not text.startswith("python://") and text.endswith(("/", "*"))


def _of_path(text: str) -> dict[str, Any]:
    try:
        return dict(source_from_path(text))
    except ProjectError as error:
        fault = error.faults[0]
        if Path(text).is_file():
            raise DataError(f"cannot tell what '{Path(text).name}' is", fix=fault.fix) from None
        raise DataError(fault.what, fix=fault.fix) from None


def _parsed(text: str) -> dict[str, Any]:
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UsageError(
            f"the source '{text}' is not YAML",
            why=str(error).splitlines()[0],
            fix="'{sql: sqlite:///app.db, table: t}'",
        ) from None
    if not isinstance(value, dict):
        raise UsageError(f"the source '{text}' is no mapping", fix="'{sql: sqlite:///app.db, table: t}'")
    return value


def _options(words: Mapping[str, Any]) -> Any:
    """The words as the project file's model of a source.

    Raises:
        UsageError: with every fault.
    """
    adapter: TypeAdapter[Any] = TypeAdapter(SourceSpec)
    try:
        return adapter.validate_python(dict(words))
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, e['loc'][1:])) or 'source'}: {e['msg']}" for e in error.errors()]
        raise UsageError(
            f"the source {dict(words)} has {len(faults)} fault{'s' * (len(faults) > 1)}",
            why="\n       ".join(faults),
            fix="write it as under `acquire: sources`, such as {sql: sqlite:///app.db, table: customers}",
        ) from None
