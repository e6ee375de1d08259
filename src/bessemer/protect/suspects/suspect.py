"""What a suspect is, and how each kind is opened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from bessemer.core.errors import UsageError
from bessemer.package.remote.client import Door

if TYPE_CHECKING:
    import numpy as np

    from bessemer.core.signature import Signature
    from bessemer.package.certificate import Certificate

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Marked:
    """The owner's own model, as far as asking another one needs it.

    signature: its raw inputs. graph: its `model.onnx`, for suspects that take its features rather than raw columns.
    """

    certificate: Certificate
    signature: Signature
    graph: bytes


class Suspect(Protocol):
    """A model that is asked."""

    def said(self, rows: Sequence[Row]) -> np.ndarray:
        """(n,) of object: what it answers to each row, a class (or its text) or a number.

        Raises:
            UsageError: it cannot be asked so; the error says why.
        """


def open_suspect(where: str, own: Marked, door: Door | None = None) -> Suspect:
    """A package, an ONNX file or the address of a server.

    Raises:
        UsageError: it is none of these. PackageError: the file is refused.
    """
    if where.startswith(("http://", "https://")):
        from bessemer.protect.suspects.url import UrlSuspect

        return UrlSuspect(where, own, door or Door())
    if not Path(where).is_file():
        raise UsageError(
            f"no file '{where}'", fix="give a package (.bsm), an ONNX file (.onnx) or an address (http://...)"
        )
    if where.endswith(".onnx"):
        from bessemer.protect.suspects.onnx import OnnxSuspect

        return OnnxSuspect(Path(where), own)
    from bessemer.protect.suspects.package import PackageSuspect

    return PackageSuspect(Path(where), own)
