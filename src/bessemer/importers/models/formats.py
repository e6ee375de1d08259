"""The forms of models that can be imported; a file shows which one it is by what is in it, never by its name, and a
folder by the files in it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import ClassVar, Protocol

from bessemer.core.errors import FormatError, UsageError
from bessemer.core.plugins import PluginRef, PluginTable
from bessemer.importers.models.folders import files_of, names_of, packed
from bessemer.importers.models.foreign import LARGEST, Asked, Foreign
from bessemer.importers.models.refusals import refuse

#: Bytes that are looked at to tell what a file is.
_HEAD = 2**16
#: The forms that need not say what their numbers are: `--scores` does.
_UNSAID = frozenset({"onnx"})


class Format(Protocol):
    """A form that models come in."""

    #: As people call it.
    TITLE: ClassVar[str]

    def recognises(self, head: bytes) -> bool:
        """Whether a file that begins with these bytes is one."""
        ...

    def read(self, data: bytes, asked: Asked) -> Foreign:
        """The model in these bytes. Nothing of it is run, and no class of another library is made.

        Raises:
            FormatError: it is damaged, or holds what has no counterpart.
            UsageError: what was asked for does not fit it.
        """
        ...


class FolderFormat(Protocol):
    """A form that models come in as folders."""

    #: As people call it.
    TITLE: ClassVar[str]

    def recognises(self, names: Collection[str]) -> bool:
        """Whether a folder with these files is one; names are paths below the folder, with `/`."""
        ...

    def read(self, files: Mapping[str, bytes], asked: Asked) -> Foreign:
        """The model in these files, by name. Nothing of it is run in this process.

        Raises:
            FormatError: it is damaged, or holds what has no counterpart.
            UsageError: what was asked for does not fit it.
        """
        ...


_HERE = "bessemer.importers.models"
FORMATS: PluginTable[Format] = PluginTable(
    "bessemer.model_formats",
    {
        "lightgbm": PluginRef(f"{_HERE}.lightgbm:LightGBM", summary="LightGBM's text"),
        "xgboost": PluginRef(f"{_HERE}.xgboost:XGBoost", summary="XGBoost's JSON and UBJSON"),
        "catboost": PluginRef(f"{_HERE}.catboost:CatBoost", summary="CatBoost's JSON"),
        "skops": PluginRef(f"{_HERE}.skops:Skops", summary="scikit-learn's models as skops keeps them"),
        "safetensors": PluginRef(f"{_HERE}.safetensors:Safetensors", summary="weights of a perceptron"),
        "onnx": PluginRef(f"{_HERE}.onnx:Onnx", summary="ONNX of any exporter"),
    },
)  # fmt: skip

FOLDERS: PluginTable[FolderFormat] = PluginTable("bessemer.model_folders", {})


def head_of(path: Path) -> bytes:
    """The first bytes of a file.

    Raises:
        UsageError: there is none, or it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(_HEAD)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}", fix="check the path") from None


def format_of(path: Path) -> str:
    """The name of the form of a file or a folder; '' for what looks like no model.

    Raises:
        FormatError: a form that is refused unopened. UsageError: it cannot be read.
    """
    if path.is_dir():
        names = names_of(path)
        return next((name for name in FOLDERS if FOLDERS.load(name)().recognises(names)), "")
    head = head_of(path)
    found = next((name for name in FORMATS if FORMATS.load(name)().recognises(head)), "")
    if not found:
        refuse(path.name, head)
    return found


def read(path: Path, asked: Asked) -> tuple[Format | FolderFormat, bytes, Foreign]:
    """The model in a file or a folder: its form, the bytes that its digest is taken of, and what was read.

    Raises:
        FormatError: it is refused, damaged, too large, or holds what has no counterpart.
        UsageError: no model, or what was asked for does not fit it.
    """
    name = format_of(path)
    if not name:
        titles = [table.load(one).TITLE for table in (FORMATS, FOLDERS) for one in table]
        raise UsageError(f"{path.name} is no model that can be imported", fix="; ".join(titles))
    if asked.scores and name not in _UNSAID:
        raise UsageError(
            f"--scores is for graphs of numbers, and {path.name} says what its numbers are",
            fix="leave it out",
        )
    if path.is_dir():
        folder = FOLDERS.load(name)()
        files = files_of(path)
        return folder, packed(files), folder.read(files, asked)
    if path.stat().st_size > LARGEST:
        raise FormatError(
            f"{path.name} has {path.stat().st_size:,} bytes", why=f"models up to {LARGEST:,} are imported",
            fix="import a smaller model",
        )  # fmt: skip
    kind = FORMATS.load(name)()
    data = path.read_bytes()
    return kind, data, kind.read(data, asked)
