"""The forms of models that can be imported; a file shows which one it is by what is in it, never by its name, and a
folder by the files in it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import ClassVar, Protocol

from bessemer.core.errors import Fault, FormatError, ProjectError, UsageError
from bessemer.core.plugins import PluginRef, PluginTable
from bessemer.importers.models.folders import files_of, names_of, packed
from bessemer.importers.models.foreign import LARGEST, Asked, Foreign
from bessemer.importers.models.refusals import refuse
from bessemer.importers.models.signed import signed

#: Bytes that are looked at to tell what a file is.
_HEAD = 2**16
#: The forms that are graphs, which need not say what their numbers are, `--scores` does, nor which output is meant.
_UNSAID = frozenset(
    {
        "onnx",
        "safetensors_folder",
        "torchscript",
        "torch_export",
        "torch_folder",
        "mlflow",
        "keras",
        "keras_h5",
        "keras_folder",
        "saved_model",
    }
)


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
        "pmml": PluginRef(f"{_HERE}.pmml.form:Pmml", summary="PMML 4.x"),
        "onnx": PluginRef(f"{_HERE}.onnx:Onnx", summary="ONNX of any exporter"),
        "keras": PluginRef(f"{_HERE}.tensorflow.keras:Keras", summary="Keras's own file"),
        "keras_h5": PluginRef(f"{_HERE}.tensorflow.keras:HDF5", summary="Keras's older file, HDF5"),
        "torchscript": PluginRef(f"{_HERE}.torch.torchscript:TorchScript", summary="TorchScript"),
        "torch_export": PluginRef(f"{_HERE}.torch.pt2:TorchExport", summary="torch.export's programs"),
    },
)  # fmt: skip

FOLDERS: PluginTable[FolderFormat] = PluginTable(
    "bessemer.model_folders",
    {
        "mlflow": PluginRef(f"{_HERE}.mlflow:MLflow", summary="MLflow's model folders"),
        "safetensors_folder": PluginRef(
            f"{_HERE}.layers:LayersFolder", summary="safetensors with their layers by name"
        ),
        "torch_folder": PluginRef(f"{_HERE}.torch.folder:TorchFolder", summary="our exports to PyTorch"),
        "saved_model": PluginRef(f"{_HERE}.tensorflow.saved_model:SavedModel", summary="TensorFlow's SavedModel"),
        "keras_folder": PluginRef(f"{_HERE}.tensorflow.keras:KerasFolder", summary="architecture and weights of Keras"),
    },
)  # fmt: skip


def head_of(path: Path) -> bytes:
    """The first bytes of a file; of an archive the last ones as well, where it lists what is in it.

    Raises:
        UsageError: there is none, or it cannot be read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
            if head.startswith(b"PK\x03\x04"):
                file.seek(max(len(head), path.stat().st_size - _HEAD))
                head += file.read(_HEAD)
            return head
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}", fix="check the path") from None


def _placed(path: Path) -> Path:
    """The folder of a file that stands for the whole of it."""
    return path.parent if path.name == "MLmodel" and path.is_file() else path


def format_of(path: Path) -> str:
    """The name of the form of a file or a folder; '' for what looks like no model.

    Raises:
        FormatError: a form that is refused unopened. UsageError: it cannot be read.
    """
    path = _placed(path)
    if path.is_dir():
        names = names_of(path)
        return next((name for name in FOLDERS if FOLDERS.load(name)().recognises(names)), "")
    head = head_of(path)
    found = next((name for name in FORMATS if FORMATS.load(name)().recognises(head)), "")
    if not found:
        refuse(path.name, head)
    return found


def check_unsaid(name: str, shown: str, asked: Asked) -> None:
    """Hold what is said of a model's numbers and outputs against its form, which may say it itself.

    Raises:
        UsageError: it does. ProjectError: it has one output, and a signature names one.
    """
    if name in _UNSAID:
        return
    if asked.scores:
        raise UsageError(
            f"--scores is for graphs of numbers, and {shown} says what its numbers are", fix="leave it out"
        )
    if asked.signature is not None and asked.signature.output:
        what = "the model has one output, and it has no name"
        raise ProjectError([Fault("output", None, what, "leave it out")], "the signature")


def read(path: Path, asked: Asked) -> tuple[Format | FolderFormat, bytes, Foreign]:
    """The model in a file or a folder: its form, the bytes that its digest is taken of, and what was read.

    Raises:
        FormatError: it is refused, damaged, too large, or holds what has no counterpart.
        UsageError: no model, or what was asked for does not fit it. ProjectError: nor what its signature says.
    """
    path = _placed(path)
    name = format_of(path)
    if not name:
        titles = [table.load(one).TITLE for table in (FORMATS, FOLDERS) for one in table]
        raise UsageError(f"{path.name} is no model that can be imported", fix="; ".join(titles))
    check_unsaid(name, path.name, asked)
    if path.is_dir():
        folder = FOLDERS.load(name)()
        files = files_of(path)
        return folder, packed(files), signed(folder.read(files, asked), asked.signature)
    if path.stat().st_size > LARGEST:
        raise FormatError(
            f"{path.name} has {path.stat().st_size:,} bytes", why=f"models up to {LARGEST:,} are imported",
            fix="import a smaller model",
        )  # fmt: skip
    kind = FORMATS.load(name)()
    data = path.read_bytes()
    return kind, data, signed(kind.read(data, asked), asked.signature)
