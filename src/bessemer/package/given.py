"""A model that a project is given rather than trains: a package, read for its features and its native model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from bessemer.core.errors import PackageError
from bessemer.core.signature import Field, Signature
from bessemer.package.cut import extract
from bessemer.package.onnx_format import FLOAT, describe, parse, serialize
from bessemer.package.read import read_package


@dataclass(frozen=True)
class Given:
    """info: its model.json. native: the content of its native model."""

    file: str
    signature: Signature
    info: dict[str, Any]
    native: bytes
    graph: bytes

    @cached_property
    def inputs(self) -> tuple[Field, ...]:
        """The columns that its features are made of; a threshold by groups may take more."""
        needed = {value.name for value in parse(self.front).graph.input}
        return tuple(field for field in self.signature.inputs if field.name in needed)

    @cached_property
    def front(self) -> bytes:
        """The graph from the raw columns to `features` (N, F) float32."""
        model = parse(self.graph)
        part = extract(model, list(model.graph.input), ["features"])
        del part.graph.output[:]
        describe(part.graph.output.add(), "features", FLOAT, ["N", len(self.info["features"])])
        return serialize(part)


def open_given(path: Path) -> Given:
    """The package.

    Raises:
        PackageError: it is refused, or its native model is not in it.
    """
    contents = read_package(path)
    info = contents.json("model.json")
    name = str(info.get("native", {}).get("file", ""))
    if name not in contents:
        raise PackageError(f"'{path.name}' has no native model", fix="make the package again")
    return Given(path.name, contents.signature, info, contents.bytes(name), contents.bytes("model.onnx"))


def given_digest(path: Path) -> str:
    """What a stage that reads the package depends on."""
    from bessemer.core.store import file_digest

    return file_digest(path)[0] if path.is_file() else "missing"
