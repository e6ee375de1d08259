"""The archive that skops writes: a tree of types in JSON, and arrays beside it, read as data and never constructed.

https://skops.readthedocs.io/en/stable/persistence.html
"""

from __future__ import annotations

import io
import json
import lzma
import re
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bessemer.core.errors import FormatError
from bessemer.importers.models.foreign import LARGEST, refused

#: Bytes of the tree of types, files of an archive, and the protocols of skops that are understood.
_TREE, _FILES, _PROTOCOLS = 2**26, 200_000, (0, 1, 2)
#: Types that are data and mean the same everywhere; all others may have been changed by whoever wrote the file.
_TRUSTED = re.compile(
    r"(builtins\.(dict|list|tuple|set|str|int|float|bool|NoneType|slice|type|bytes|range)"
    r"|collections\.(OrderedDict|defaultdict)|numpy(\.\w+)*|scipy\.sparse(\.\w+)*|sklearn(\.\w+)+"
    r"|lightgbm\.(basic\.Booster|sklearn\.LGBM(Classifier|Regressor|Ranker)))"
)
#: Nodes that stand for code: functions and methods by name.
_CODE = ("FunctionNode", "MethodNode", "PartialNode", "OperatorFuncNode")


@dataclass(frozen=True)
class Thing:
    """An object of the archive: its type (`sklearn.linear_model._logistic.LogisticRegression`) and its attributes."""

    kind: str
    state: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The type's own name."""
        return self.kind.rpartition(".")[2]

    def __getitem__(self, attribute: str) -> Any:
        if attribute not in self.state:
            raise refused(f"the model has a {self.name} without '{attribute}'", "was it trained?")
        return self.state[attribute]

    def get(self, attribute: str, default: Any = None) -> Any:
        return self.state.get(attribute, default)


def is_archive(head: bytes) -> bool:
    """Whether a file may be one of skops: an archive of arrays and a tree of types."""
    first = re.match(rb"PK\x03\x04.{22}(..)(..)", head, re.DOTALL)
    return first is not None and re.match(rb"(\d+\.(npy|npz)|schema\.json)", head[30:]) is not None


def open_archive(data: bytes) -> Thing:
    """What stands at the top of the archive.

    Raises:
        FormatError: it is damaged, unfolds to too much, or holds what is not on the list of trusted types.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            found = _Reader(archive).top()
    except (
        zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError, lzma.LZMAError,
    ) as error:  # fmt: skip
        raise refused("the archive of skops is damaged", str(error)[:200]) from None
    if not isinstance(found, Thing):
        raise refused("the archive of skops holds no model", f"it holds a {type(found).__name__}")
    return found


class _Reader:
    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive, self._handed = archive, 0
        self._arrays: dict[str, np.ndarray] = {}
        self._sizes = {info.filename: info.file_size for info in archive.infolist()}
        total = sum(self._sizes.values())
        if len(self._sizes) > _FILES or total > LARGEST:
            raise refused(
                f"the archive of skops unfolds to {total:,} bytes in {len(self._sizes):,} files",
                f"up to {LARGEST:,} bytes are read",
            )

    def _bytes(self, name: str, most: int) -> bytes:
        """A file of the archive, that is no longer than the archive says."""
        if name not in self._sizes or self._sizes[name] > most:
            raise refused(f"the archive of skops has no '{name[:80]}' of up to {most:,} bytes")
        with self._archive.open(name) as file:
            content = file.read(self._sizes[name] + 1)
        if len(content) != self._sizes[name]:
            raise refused(f"'{name[:80]}' of the archive has another size than it says")
        return content

    def top(self) -> Any:
        tree = json.loads(self._bytes("schema.json", _TREE))
        if tree.get("protocol") not in _PROTOCOLS:
            raise refused(
                f"the archive is of skops' protocol {tree.get('protocol')!r}",
                f"{_PROTOCOLS[-1]} is the newest that is understood",
            )
        return self.value(tree)

    def value(self, node: Mapping[str, Any]) -> Any:
        """What a node stands for: plain data, an array, or a `Thing`."""
        loader, kind = str(node["__loader__"]), f"{node['__module__']}.{node['__class__']}"
        if loader in _CODE or not _TRUSTED.fullmatch(kind):
            raise FormatError(
                f"the archive of skops holds '{kind[:120]}'",
                why="that is code, or a type that is not on the list of trusted ones",
                fix="train and save a model of scikit-learn's own types alone",
            )
        content = node.get("content")
        if loader == "JsonNode":
            return json.loads(content) if isinstance(content, str) else content
        if loader in ("ListNode", "TupleNode", "SetNode"):
            return [self.value(item) for item in content or ()]
        if loader == "DictNode":
            return {str(key): self.value(item) for key, item in (content or {}).items()}
        if loader == "NdArrayNode":
            return self._array(node)
        if loader == "TypeNode":
            return Thing("builtins.type", {"name": kind})
        state = self.value(content) if isinstance(content, Mapping) and "__loader__" in content else content
        if isinstance(state, Mapping) and loader != "ObjectNode":
            state = {k: self.value(v) if _is_node(v) else v for k, v in state.items()}
        return Thing(kind, state if isinstance(state, Mapping) else {})

    def _array(self, node: Mapping[str, Any]) -> np.ndarray:
        if node.get("type") == "json":
            shape = self.value(node["shape"]) if _is_node(node.get("shape")) else node.get("shape")
            values = [self.value(item) for item in node["content"]]
            return _shaped(values, shape)
        name = str(node["file"])
        if name not in self._arrays:
            self._arrays[name] = npy(self._bytes(name, LARGEST))
        # What is made of an array is made anew for each node that names it.
        self._handed += self._arrays[name].nbytes
        if self._handed > LARGEST:
            raise refused(
                f"the archive of skops names arrays of more than {LARGEST:,} bytes", "some of them often"
            )
        return self._arrays[name]


def _is_node(value: Any) -> bool:
    return isinstance(value, Mapping) and "__loader__" in value


def _shaped(values: Sequence[Any], shape: Any) -> np.ndarray:
    """An array of objects."""
    flat: list[Any] = []
    waiting = list(reversed(values))
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting.extend(reversed(value))
        else:
            flat.append(value)
    found = np.empty(len(flat), dtype=object)
    found[:] = flat
    return found.reshape([int(size) for size in shape]) if shape else found


def npy(content: bytes) -> np.ndarray:
    """The array in a .npy file, without objects; it is as long as its header says.

    Raises:
        ValueError: it is none.
    """
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"an array of version {version}")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(file)
    rest = content[file.tell() :]
    count = 1
    for size in shape:
        count *= int(size)
    if dtype.hasobject or dtype.itemsize == 0 or count * dtype.itemsize != len(rest):
        raise ValueError(f"an array of {count} values of {dtype} in {len(rest)} bytes")
    found = np.frombuffer(rest, dtype=dtype)
    return found.reshape(shape[::-1]).T if fortran else found.reshape(shape)
