"""TorchScript (`torch.jit.save`): a program of its own and weights.

https://docs.pytorch.org/docs/stable/jit.html
"""

from __future__ import annotations

from typing import ClassVar

from bessemer.core.errors import UsageError
from bessemer.importers.models.foreign import Asked, Foreign, refused
from bessemer.importers.models.torch.archive import is_archive, members, packed
from bessemer.importers.models.torch.convert import TensorInput, converted
from bessemer.importers.models.torch.script import checked
from bessemer.importers.models.trees import reading


class TorchScript:
    """A scripted or traced module that takes one tensor: rows of numbers, or images."""

    TITLE: ClassVar[str] = "TorchScript"

    def recognises(self, head: bytes) -> bool:
        return is_archive(head, b"/code/", b"/constants.pkl")

    def read(self, data: bytes, asked: Asked) -> Foreign:
        return read_script(data, asked)


def read_script(data: bytes, asked: Asked, outputs: tuple[str, ...] = ()) -> Foreign:
    """The model in an archive. outputs: names of what it gives, where they are known.

    Raises:
        FormatError, UsageError: see `Format.read`.
    """
    with reading("archive of TorchScript"):
        files = checked(members(data))
        given = _input(asked)
    return converted("torchscript", {"model.pt": packed(files)}, [given], asked, outputs)


def _input(asked: Asked) -> TensorInput:
    """What it is given: TorchScript does not say how large that is."""
    images = [] if asked.signature is None else [c for c in asked.signature.inputs.values() if c.is_image]
    if images:
        image = images[0].pixels
        if len(asked.columns) > 1 or image.size is None or image.channels is None:
            raise UsageError(
                "a model in TorchScript does not say how large its images are",
                fix="the signature says it: inputs: {photo: {image: {size: [HEIGHT, WIDTH], channels: 3}}}",
            )
        last = image.layout == "NHWC"
        shape = (*image.size, image.channels) if last else (image.channels, *image.size)
        return TensorInput("features", shape, flat=True)
    count = len(asked.columns or asked.beside)
    if not count:
        raise refused(
            "a model in TorchScript does not say what it takes",
            "neither how many columns, nor whether they are images",
            "name them: --columns a,b,c (in its order), or --signature FILE, where they are images",
        )
    return TensorInput("features", (count,))
