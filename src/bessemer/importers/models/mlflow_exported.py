"""Model folders of MLflow that `bessemer export` wrote: the graph of a package, and how it decides."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bessemer.importers.models.foreign import Asked, Foreign, agreed_classes, refused
from bessemer.package.decision import USED
from bessemer.package.remote.text import harmless

#: What is in such a folder, and how many bytes of it are read.
_GRAPH, _COLUMNS, _MOST = "data/model.onnx", "data/columns.json", 2**20


def digest_of(said: Mapping[str, Any], files: Mapping[str, bytes]) -> str:
    """What is known of the digest of the package that `bessemer export` made the folder of; '' for another folder."""
    function = said["flavors"].get("python_function")
    loader = str(function.get("loader_module", "")) if isinstance(function, dict) else ""
    ours = loader.startswith("bessemer_") and _COLUMNS in files
    return harmless(str(said.get("model_uuid"))[:64]) if ours else ""


def exported(files: Mapping[str, bytes], digest: str, asked: Asked) -> Foreign:
    """The graph of a folder that `bessemer export` wrote.

    Raises:
        FormatError: it takes texts or moments, whose meaning is in the package alone, or groups of rows have a
            threshold of their own.
    """
    from bessemer.importers.models.onnx import Onnx

    if len(files[_COLUMNS]) > _MOST:
        raise refused(f"'{_COLUMNS}' has {len(files[_COLUMNS]):,} bytes", f"up to {_MOST:,} are read")
    told = json.loads(files[_COLUMNS])
    threshold, said = threshold_of(told)
    if any(column["tensor"] not in ("float32", "float64") for column in told["inputs"]):
        raise refused(
            f"the folder was exported from a package of Bessemer, whose digest begins with {digest}",
            "it has that package's graph, which takes texts, and not what explains it",
            "take the package itself, which is whole: `bessemer verify NAME.bsm` says its digest",
        )
    classes = agreed_classes(asked, told["classes"])
    found = Onnx().read(files[_GRAPH], replace(asked, classes=classes))
    note = f"the graph of the package whose digest begins with {digest}: the package itself has more"
    return replace(found, notes=(note, *said, *found.notes), threshold=threshold)


def threshold_of(told: Mapping[str, Any]) -> tuple[float, tuple[str, ...]]:
    """From which probability on the second of two classes is said, and what is worth noting of it.

    Raises:
        FormatError: each group of rows has its own. ValueError: it is no probability.
    """
    if told["task"] != "binary":
        return USED, ()
    if "decision" not in told:
        positive = harmless(str(told["classes"][1]))
        return USED, (
            f"the folder does not say from which probability on '{positive}' is said: {USED} is taken",
        )
    decision = told["decision"] or {"threshold": USED, "groups": []}
    if decision["groups"]:
        raise refused(
            "the package that the folder was exported from has another threshold for each group of rows",
            "a model that is imported has one",
            "take the package itself: `bessemer verify NAME.bsm` says its digest",
        )
    threshold = float(decision["threshold"])
    if not 0 < threshold < 1:
        raise ValueError(f"the threshold {threshold} is no probability between 0 and 1")
    return threshold, ()
