"""torch.export (`torch.export.save`): a graph of torch's operators and weights."""

from __future__ import annotations

import io
import json
from typing import ClassVar

import numpy as np

from bessemer.importers.models.foreign import Asked, Foreign
from bessemer.importers.models.torch.archive import is_archive, members
from bessemer.importers.models.torch.convert import converted
from bessemer.importers.models.torch.program import program_of
from bessemer.importers.models.trees import reading


class TorchExport:
    """A program that takes rows of numbers or images, as many as there are."""

    TITLE: ClassVar[str] = "torch.export"

    def recognises(self, head: bytes) -> bool:
        return is_archive(head, b"/archive_format", b"/models/")

    def read(self, data: bytes, asked: Asked) -> Foreign:
        return read_program(data, asked)


def read_program(data: bytes, asked: Asked, outputs: tuple[str, ...] = ()) -> Foreign:
    """The model in an archive. outputs: names of what it gives, where they are known.

    Raises:
        FormatError, UsageError: see `Format.read`.
    """
    with reading("archive of torch.export"):
        program = program_of(members(data))
    kept = io.BytesIO()
    np.savez(kept, **program.arrays)  # type: ignore[arg-type]
    files = {"program.json": json.dumps(program.graph).encode("utf-8"), "weights.npz": kept.getvalue()}
    return converted("program", files, program.inputs, asked, outputs)
