"""From a model that was read to the members of a package: the one graph, its signature, the native model, the card."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np

from bessemer._version import __version__
from bessemer.core import canonical
from bessemer.core.signature import Signature
from bessemer.importers.models.foreign import Foreign, refused
from bessemer.importers.models.onnx_child import scores
from bessemer.package.card import model_card
from bessemer.package.card_html import card_page
from bessemer.package.decision import USED, Decision
from bessemer.package.graph import serialize
from bessemer.prepare.assemble import RESERVED, Preprocessor
from bessemer.prepare.assemble import assemble as prepared
from bessemer.prepare.fit import Fit
from bessemer.prepare.labelled import Labelled
from bessemer.prepare.transforms.base import Fitted
from bessemer.train.assemble import assemble, class_labels, output_fields, with_outputs
from bessemer.train.calibrate import Calibration
from bessemer.train.metrics import DEFAULT
from bessemer.train.native_model import restored
from bessemer.train.parity import check_parity, check_same

#: What a package made of a file alone does not have, and what it would be for.
LACKS: Mapping[str, str] = {
    "evaluation.json": "how good it is",
    "explanations.json": "which columns matter",
    "reference.json": "what monitoring compares with",
    "contract.yaml": "what its data must be like",
    "robustness.json": "how it holds against those who mean it harm",
    "report.html": "the report",
}
_PROBES = 256


def members_of(
    foreign: Foreign, *, title: str, data: bytes, name: str, version: str, target: str
) -> tuple[Signature, dict[str, bytes]]:
    """The signature and the members of the package.

    Args:
        title: of the file's form. data: the file, whose digest goes into the provenance.

    Raises:
        FormatError: a column has a name that every graph uses.
        PackageError: the graph does not say what the model says.
    """
    import onnx

    fitted = restored(foreign.native, foreign.params, foreign.iterations, {})
    preprocessor = _preprocessor(foreign, target)
    head = fitted.to_onnx()
    features = len(preprocessor.features)
    probes = _probes(features)
    twin = with_outputs(head, Calibration(), foreign.task, foreign.classes, features)
    _check_parity(foreign, fitted, serialize(twin), probes)
    front = onnx.load_model_from_string(preprocessor.graph)
    decision = None if foreign.threshold == USED else Decision(foreign.threshold)
    graph = assemble(front, head, Calibration(), foreign.task, foreign.classes, decision)
    onnx.checker.check_model(graph)
    classes = tuple(class_labels(foreign.classes).tolist()) if foreign.classes else ()
    outputs = output_fields(foreign.task, classes)
    signature = Signature(preprocessor.signature.inputs, outputs, foreign.task, target, classes)
    info = _model_json(foreign, title, preprocessor, target)
    provenance = {
        "bessemer": __version__,
        "imported": {
            "format": title,
            "sha256": hashlib.sha256(data).hexdigest(),
            "lacks": dict(LACKS),
            "notes": list(foreign.notes),
        },
        "parity": {},
    }
    card = _card(foreign, signature, info, title, name, version)
    return signature, {
        "model.onnx": serialize(graph),
        "model.json": canonical.dump_bytes(info),
        "signature.json": canonical.dump_bytes(signature.to_json()),
        f"native/{foreign.native.name}": foreign.native.content,
        "provenance.json": canonical.dump_bytes(provenance, indent=1),
        "card.md": card.encode("utf-8"),
        "card.html": card_page(card).encode("utf-8"),
    }


def _check_parity(foreign: Foreign, fitted: Any, twin: bytes, probes: np.ndarray) -> None:
    """Hold the graph that ships against the native model; graphs that nobody has run yet are not run here."""
    if foreign.untried:
        margin, found = scores([fitted.native().content.partition(b"\n")[2], twin], probes)
        told = np.isfinite(margin).all(axis=1)
        check_same(found[told], margin[told].astype(np.float64))
        return
    margin = fitted.margin(probes)
    told = np.isfinite(margin).all(axis=1)  # a graph that knows no missing values has no answer to them
    check_parity(twin, probes[told], margin[told])


def _preprocessor(foreign: Foreign, target: str) -> Preprocessor:
    """The graph from the raw columns to the features, written as `prepare` writes it."""
    names = [one.column.name for one in foreign.inputs] + list(foreign.columns)
    for taken in (name for name in (*RESERVED, target) if name in names):
        raise refused(
            f"a column of the model is named '{taken}'",
            "that is the target's name"
            if taken == target
            else "every model's graph has a value of that name",
            "name the columns otherwise: --columns a,b,c (or --target for the target)",
        )
    own = {one.column.name: one.column.dtype for one in foreign.inputs}
    columns = dict(foreign.columns or own)
    fit = Fit(
        fitted={one.column.name: (one.column, cast(Fitted, one.fitted)) for one in foreign.inputs},
        nullable={
            **dict.fromkeys(columns, True),
            **{one.column.name: one.nullable for one in foreign.inputs},
        },
        domains={
            **{name: {} for name in columns},
            **{one.column.name: dict(one.domain) for one in foreign.inputs},
        },
    )
    rows = Labelled(Path(), 0, columns, target, foreign.task, foreign.classes)
    return prepared(rows, fit, {})


def _probes(features: int) -> np.ndarray:
    """(256, F) float32 rows of numbers, small and large, and none: the same for every model."""
    rng = np.random.default_rng(0)
    rows = max(8, min(_PROBES, 2**22 // features))
    found = (rng.normal(size=(rows, features)) * 10.0 ** rng.integers(-1, 3, (rows, 1))).astype(np.float32)
    holes = np.less(rng.random(found.shape), 0.05)
    holes[::2] = False  # a graph without answers to missing values is held to what it says of these
    found[holes] = np.nan
    return found


def _model_json(foreign: Foreign, title: str, preprocessor: Preprocessor, target: str) -> dict[str, Any]:
    features = preprocessor.features_json()
    return {
        "learner": foreign.learner,
        "params": dict(foreign.params),
        "task": foreign.task,
        "classes": list(foreign.classes),
        "target": target,
        "metric": DEFAULT[foreign.task],
        "iterations": foreign.iterations,
        "calibration": vars(Calibration()),
        "decision": None if foreign.threshold == USED else Decision(foreign.threshold).to_json(),
        "reweigh": [],
        "features": features,
        "groups": list(dict.fromkeys(feature["group"] for feature in features)),
        "native": {"kind": foreign.native.kind, "file": f"native/{foreign.native.name}"},
        "valid": {},
        "imported": {"format": title},
        **({"blocks": [one.to_json() for one in preprocessor.blocks]} if preprocessor.blocks else {}),
    }


def _card(
    foreign: Foreign, signature: Signature, info: Mapping[str, Any], title: str, name: str, version: str
) -> str:
    lacks = "; ".join(LACKS.values())
    said = (
        f"Imported from {title}. Bessemer has not seen its data, and the package does not say: {lacks}. "
        "`bessemer import` with `--data` and `--target` finds it out."
    )
    return model_card(
        name=name,
        version=version,
        description=" ".join([said, *(f"Note: {note}." for note in foreign.notes)]),
        signature=signature,
        model_json=info,
        evaluation={},
        explanations={},
        explainer={},
        splits={},
        parity={},
        gates_ignored=False,
    )
