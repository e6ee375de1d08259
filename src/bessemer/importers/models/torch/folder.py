"""Folders that `bessemer export --to torchscript` and `torch_export` write: a core, and what its columns are."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import ClassVar

from bessemer.core.errors import UsageError
from bessemer.importers.models.encoder import asked_beside, encoder_of, noted
from bessemer.importers.models.foreign import Asked, Foreign
from bessemer.importers.models.torch.pt2 import TorchExport, read_program
from bessemer.importers.models.torch.torchscript import TorchScript, read_script

#: What shows that we wrote it, and what a core of two outputs gives.
_MARK, _OUTPUTS = "EXPORT.json", ("score", "probability")


class TorchFolder:
    """A folder with one file of torch and a record of its export."""

    TITLE: ClassVar[str] = "folder of PyTorch"

    def recognises(self, names: Collection[str]) -> bool:
        return _MARK in names and len(_models(names)) == 1

    def read(self, files: Mapping[str, bytes], asked: Asked) -> Foreign:
        (name,) = _models(files)
        data = files[name]
        ends = data[: 2**16] + data[-(2**16) :]
        encoder = encoder_of(files)
        asked = asked_beside(asked, encoder)
        if TorchScript().recognises(ends):
            return noted(read_script(data, asked, _OUTPUTS), encoder)
        if TorchExport().recognises(ends):
            return noted(read_program(data, asked, _OUTPUTS), encoder)
        raise UsageError(
            f"'{name}' is neither TorchScript nor of torch.export", fix="name the model's own file"
        )


def _models(names: Collection[str]) -> list[str]:
    return [name for name in names if name.endswith((".pt", ".pt2")) and "/" not in name]
