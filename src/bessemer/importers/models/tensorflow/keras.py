"""Models of Keras: `.keras`, whole models in HDF5, and folders with an architecture and weights.

https://keras.io/api/models/model_saving_apis/
"""

from __future__ import annotations

import io
import json
import lzma
import zipfile
import zlib
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, ClassVar

from bessemer.environments.workers.keras_config import Refused, checked
from bessemer.importers.models.encoder import asked_beside, encoder_of, noted
from bessemer.importers.models.foreign import LARGEST, Asked, Foreign, refused
from bessemer.importers.models.tensorflow.convert import converted
from bessemer.importers.models.trees import reading

_CONFIG, _WEIGHTS, _SUFFIX = "config.json", "model.weights.h5", ".weights.h5"
#: What a `.keras` file holds, and how many bytes of it are read.
_MEMBERS: Mapping[str, int] = {"metadata.json": 2**16, _CONFIG: 2**26, _WEIGHTS: LARGEST}
_HDF5, _ARCHITECTURE = b"\x89HDF\r\n\x1a\n", b"model_config"


class Keras:
    """The file of Keras 3: an architecture in JSON, and weights."""

    TITLE: ClassVar[str] = "Keras"

    def recognises(self, head: bytes) -> bool:
        return head.startswith(b"PK\x03\x04") and any(
            head[30:].startswith(name.encode()) for name in _MEMBERS
        )

    def read(self, data: bytes, asked: Asked) -> Foreign:
        with reading("file of Keras"):
            packed = repacked(data)
        return converted("keras", {"model.keras": packed}, ("model.keras",), asked)


class HDF5:
    """The older file of Keras: architecture and weights in HDF5, which is looked at where it is converted."""

    TITLE: ClassVar[str] = "Keras HDF5"

    def recognises(self, head: bytes) -> bool:
        return head.startswith(_HDF5)

    def read(self, data: bytes, asked: Asked) -> Foreign:
        if _ARCHITECTURE not in data:  # names stand in HDF5 as they are
            raise refused(
                "the HDF5 file holds no whole model of Keras",
                "it does not say of which layers its weights are, as `save_weights` writes them",
                'save the whole model: model.save("model.keras"); or put model.to_json() beside it in a folder',
            )
        return converted("h5", {"model.h5": data}, ("model.h5",), asked)


class KerasFolder:
    """A folder with a model of Keras in one file or in two, as `bessemer export` and `model.to_json()` write them."""

    TITLE: ClassVar[str] = "Keras folder"

    def recognises(self, names: Collection[str]) -> bool:
        return bool(_whole(names) or (_architectures(names) and _weights(names)))

    def read(self, files: Mapping[str, bytes], asked: Asked) -> Foreign:
        whole, architectures, weights = _whole(files), _architectures(files), _weights(files)
        encoder = encoder_of(files)
        asked = asked_beside(asked, encoder)
        if whole:
            name = _only(whole, "models of Keras")
            kind = Keras() if name.endswith(".keras") else HDF5()
            foreign = kind.read(files[name], asked)
        else:
            name = _only(architectures, "architectures")
            with reading(f"architecture of Keras ({name})"):
                said = architecture(files[name])
            pair = {"architecture.json": said, _WEIGHTS: files[_only(weights, "files of weights")]}
            foreign = converted("in_two", pair, tuple(pair), asked)
        return noted(replace(foreign, notes=(f"read from '{name}'", *foreign.notes)), encoder)


def _whole(names: Collection[str]) -> list[str]:
    return [n for n in names if n.endswith((".keras", ".h5", ".hdf5")) and not n.endswith(_SUFFIX)]


def _weights(names: Collection[str]) -> list[str]:
    return [n for n in names if n.endswith(_SUFFIX)]


def _architectures(names: Collection[str]) -> list[str]:
    known = ("architecture.json", _CONFIG, "model.json")
    return [n for n in names if n.rpartition("/")[2] in known]


def _only(names: list[str], what: str) -> str:
    if len(names) != 1:
        raise refused(
            f"the folder has {len(names)} {what}: {', '.join(names[:5])}",
            fix="name the folder, or the file, of one model",
        )
    return names[0]


def architecture(data: bytes) -> bytes:
    """An architecture in JSON, looked at: what Keras is given is what was seen.

    Raises:
        FormatError: something in it is not Keras's own. ValueError: it is no JSON.
    """
    said: Any = json.loads(data.decode("utf-8"))
    try:
        return json.dumps(checked(said)).encode()
    except Refused as error:
        raise refused(error.what, error.why, error.fix) from None


def repacked(data: bytes) -> bytes:
    """The same `.keras`, with nothing in it but what was looked at.

    Raises:
        FormatError: it is damaged, unfolds to too much, or has what is not read.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = _members(archive)
    except (
        zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError, lzma.LZMAError,
    ) as error:  # fmt: skip
        raise refused("the file of Keras is damaged", str(error)[:200]) from None
    members[_CONFIG] = architecture(members[_CONFIG])
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as out:
        for name, content in members.items():
            out.writestr(zipfile.ZipInfo(name), content)
    return made.getvalue()


def _members(archive: zipfile.ZipFile) -> dict[str, bytes]:
    names = [info.filename for info in archive.infolist()]
    if others := sorted(set(names) - set(_MEMBERS)):
        raise refused(
            f"the file of Keras has '{others[0][:80]}'",
            "layers that keep files of their own (vocabularies) or weights in parts are not read",
            "encode texts before the model, and save it by model.save",
        )
    if sorted(names) != sorted(_MEMBERS):
        raise refused(
            f"the file of Keras has {', '.join(sorted(names))}",
            f"{', '.join(_MEMBERS)} were wanted, once each",
        )
    found = {}
    for info in archive.infolist():
        most = _MEMBERS[info.filename]
        with archive.open(info) as file:
            content = file.read(most + 1)
        if len(content) > most:
            raise refused(f"'{info.filename}' unfolds to more than {most:,} bytes")
        found[info.filename] = content
    return found
