"""The chosen version as a package: signed, and its parent named in it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bessemer.core import canonical
from bessemer.optimize import inherited
from bessemer.optimize.variant import Native
from bessemer.package.card_html import card_page
from bessemer.package.model import Model
from bessemer.package.write import write_package

if TYPE_CHECKING:
    from bessemer.optimize.run import Found

NAME = "optimization.json"
_FILES = {"trees": "native/trees.bin", "head": "native/network.head"}


def write_child(model: Model, found: Found, told: Mapping[str, Any], out: Path, version: str) -> int:
    """Write the child of a package.

    Args:
        told: what stands in `optimization.json`. version: of the child.

    Returns:
        its size in bytes.

    Raises:
        StoreError: disk full or read-only.
    """
    variant = found.taken.variant
    members: dict[str, bytes | Path] = {name: model.contents.bytes(name) for name in model.contents.members}
    for name in [name for name in members if name.startswith("manifest.")]:
        del members[name]
    info, provenance = dict(model.info), dict(model.provenance)
    if not variant.same:
        for name in inherited.OF_ANSWERS:
            members.pop(name, None)
        if model.reference:
            reference = inherited.reference_of_inputs(model.reference)
            members["reference.json"] = canonical.dump_bytes(reference)
        info = inherited.model_json(info, variant.name, told["parent"])
        provenance = inherited.provenance(provenance)
    if variant.native is not None:
        members.pop(str(info["native"]["file"]), None)
        info["native"] = _placed(variant.native, members)
    if info != model.info:
        members["model.json"] = canonical.dump_bytes(info)
    members["model.onnx"] = variant.graph
    members[NAME] = canonical.dump_bytes(dict(told), indent=1)
    parity = {} if variant.parity is None else {"parity": dict(variant.parity)}
    members["provenance.json"] = canonical.dump_bytes(
        {**provenance, **parity, "parent": told["parent"]}, indent=1
    )
    card = _card(model, found, version)
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


def _placed(native: Native, members: dict[str, bytes | Path]) -> dict[str, str]:
    """Put a native model among the members; what `model.json` says of it."""
    file = _FILES[native.kind]
    members[file] = native.content
    return {"kind": native.kind, "file": file}


def _card(model: Model, found: Found, version: str) -> str:
    taken, parent = found.taken, f"{model.name} {model.version}"
    variant, loss = taken.variant, taken.loss
    lines = [f"This is {parent}, optimised ({variant.name}): version {version}."]
    if variant.graph == model.contents.bytes("model.onnx"):
        lines.append("It computes as its parent does.")
    elif variant.same:
        lines.append(f"It writes the same computation otherwise: bit for bit the same on {loss.rows:,} rows.")
    else:
        share = f"{loss.other:.2%} are answered otherwise (at most {loss.other_high:.2%})"
        lines.append(f"On {loss.rows:,} rows {share}.")
        if loss.worse is not None and loss.worse_high is not None:
            change = f"{loss.before:.4g} before, {loss.after:.4g} after: worse by {loss.worse:.2%}"
            lines.append(
                f"{loss.metric} on {loss.labelled:,} rows: {change} (at most {loss.worse_high:.2%})."
            )
        lines.append(str(found.limits))
        lines.append("What follows was said of the parent, and is not true of this model's answers.")
    return "\n\n".join([*(f"> {line}" for line in lines), model.card])
