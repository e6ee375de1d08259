"""The chosen version as a package: signed, and its parent named in it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bessemer.core import canonical
from bessemer.optimize.choose import Tried
from bessemer.package.card_html import card_page
from bessemer.package.model import Model
from bessemer.package.write import write_package

NAME = "optimization.json"
#: What describes the very answers of the parent, and would be untrue of a child that answers otherwise.
_OF_ANSWERS = (
    "evaluation.json",
    "explanations.json",
    "explainer.json",
    "background.npy",
    "robustness.json",
    "report.html",
)


def write_child(model: Model, taken: Tried, told: Mapping[str, Any], out: Path, version: str) -> int:
    """Write the child of a package.

    Args:
        told: what stands in `optimization.json`. version: of the child.

    Returns:
        its size in bytes.

    Raises:
        StoreError: disk full or read-only.
    """
    variant = taken.variant
    members: dict[str, bytes | Path] = {name: model.contents.bytes(name) for name in model.contents.members}
    for name in [name for name in members if name.startswith("manifest.")]:
        del members[name]
    if not variant.same:
        for name in _OF_ANSWERS:
            members.pop(name, None)
    members["model.onnx"] = variant.graph
    if variant.native is not None:
        _replace_native(model, members, variant.native.kind, variant.native.content)
    members[NAME] = canonical.dump_bytes(dict(told), indent=1)
    provenance = {**model.provenance, "parent": told["parent"]}
    members["provenance.json"] = canonical.dump_bytes(provenance, indent=1)
    card = _card(model, taken, version)
    members["card.md"], members["card.html"] = card.encode("utf-8"), card_page(card).encode("utf-8")
    package = write_package(
        out,
        members,
        name=model.name,
        version=version,
        created=dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        task=model.signature.task,
        target=model.signature.target,
    )
    return package.size


def _replace_native(model: Model, members: dict[str, bytes | Path], kind: str, content: bytes) -> None:
    info = dict(model.info)
    members.pop(str(info["native"]["file"]), None)
    file = {"trees": "native/trees.bin", "head": "native/network.head"}[kind]
    info["native"] = {"kind": kind, "file": file}
    members[file] = content
    members["model.json"] = canonical.dump_bytes(info)


def _card(model: Model, taken: Tried, version: str) -> str:
    loss, parent = taken.loss, f"{model.name} {model.version}"
    lines = [
        f"This is {parent}, optimised ({taken.variant.name}): version {version}.",
        f"On {loss.rows} rows {loss.other:.2%} are answered otherwise (at most {loss.other_high:.2%}).",
    ]
    if loss.worse is not None:
        lines.append(f"{loss.metric}: {loss.before:.4g} before, {loss.after:.4g} after.")
    if taken.variant.same:
        lines[1:] = ["Its answers are the same, bit for bit."]
    else:
        lines.append("What follows was said of the parent.")
    return "\n\n".join([*(f"> {line}" for line in lines), model.card])
