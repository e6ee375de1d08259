"""The package stage: gates, parity, then everything in one signed file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

from bessemer._version import __version__
from bessemer.core import canonical
from bessemer.core.artifact import Artifact, ArtifactRef
from bessemer.core.errors import GateError, PackageError
from bessemer.core.signature import Signature
from bessemer.core.stage import Context
from bessemer.package import keys
from bessemer.package.card import model_card
from bessemer.package.card_html import card_page
from bessemer.package.contributions import Contributions
from bessemer.package.decision import Decision
from bessemer.package.kept_rows import KEPT_ROWS
from bessemer.package.parity import check_parity, sample_rows, spread_rows
from bessemer.package.spec import PackageSpec
from bessemer.package.write import write_package

#: Members that are a file of an artifact as it stands: member -> artifact.
_COPIED = {
    "evaluation.json": "evaluation",
    "explainer.json": "explainer",
    "background.npy": "explainer",
    "explanations.json": "explanations",
    "certificate.json": "certificate",
    "robustness.json": "robustness",
    "reference.json": "reference",
    KEPT_ROWS: "reference",
    "report.html": "report",
    "contract.yaml": "contract",
}

#: Whose gates decide whether there is a package.
_GATED = ("evaluation", "robustness")

#: What computes predictions; their versions go into the provenance.
_LIBRARIES = ("duckdb", "lightgbm", "numpy", "onnx", "onnxruntime", "pyarrow", "scikit-learn")


def fingerprint(spec: PackageSpec, project_dir: Path, memo: dict[str, str] | None = None) -> dict[str, str]:
    """What the stage reads beside its inputs: the key that signs. Another key makes another package."""
    return {"signing_key": keys.existing_key_id()}


def run(spec: PackageSpec, inputs: Mapping[str, ArtifactRef], ctx: Context) -> dict[str, ArtifactRef]:
    """Assemble, sign and read back the model package.

    Takes `model` and `splits`, and of the other artifacts what there is.

    Raises:
        GateError: the model failed a gate and `ignore_gates` is not set.
        PackageError: the graph is not the trained model, or the package cannot be read back.
    """
    artifacts = {name: ctx.open(ref) for name, ref in inputs.items()}
    ignored = _check_gates(spec, artifacts, ctx)
    model = artifacts["model"]
    signature = Signature.from_json(model.json("signature.json"))
    rows = spread_rows(artifacts["splits"].path("test.parquet"), spec.parity_rows)
    decision = Decision.from_json(model.json("model.json").get("decision"))
    with ctx.progress("holding the graph against the trained model", rows.num_rows) as bar:
        parity = check_parity(model.bytes("model.onnx"), signature, _native(model), rows, decision)
        bar.advance(rows.num_rows)
    members = _members(artifacts)
    members["provenance.json"] = canonical.dump_bytes(_provenance(artifacts, inputs, ctx, parity), indent=1)
    if sample := sample_rows(rows, signature, spec.sample):
        members["sample.json"] = canonical.dump_bytes(sample, indent=1)
    card = _card(artifacts, signature, parity, ignored, ctx)
    members["card.md"] = card.encode("utf-8")
    members["card.html"] = card_page(card).encode("utf-8")
    return {"package": _write(members, signature, ctx)}


def _check_gates(spec: PackageSpec, artifacts: Mapping[str, Artifact], ctx: Context) -> bool:
    """Whether failed gates are ignored; a failed gate that is not stops here."""
    failed = [gate for kind in _GATED for gate in _failed(artifacts.get(kind), kind)]
    if not failed:
        return False
    table = "\n       ".join(f"{g['gate']} (required: {g['required']}): {g['why']}" for g in failed)
    if spec.ignore_gates:
        ctx.warn(f"packaged on request, with failed gates: {', '.join(g['gate'] for g in failed)}")
        return True
    raise GateError(
        f"the model failed {len(failed)} gate{'s' if len(failed) != 1 else ''}, so nothing was packaged",
        why=table,
        fix="look at the report, then mend the data or the model, or the gates; "
        "`package: {ignore_gates: true}` packages it all the same",
        failed=tuple(failed),
    )


def _failed(judged: Artifact | None, kind: str) -> list[dict[str, Any]]:
    if judged is None or judged.meta.get("passed", True):
        return []
    return [gate for gate in judged.json(f"{kind}.json").get("gates", []) if not gate["passed"]]


def _native(model: Artifact) -> Contributions:
    info = model.json("model.json")
    native = info["native"]
    if native["file"] not in model.files:
        raise PackageError(
            f"the model artifact has no '{native['file']}'", fix="run again with `bessemer run --force train`"
        )
    return Contributions(native["kind"], model.bytes(native["file"]), info)


def _members(artifacts: Mapping[str, Artifact]) -> dict[str, bytes | Path]:
    """The members that are files of artifacts, as they are."""
    model = artifacts["model"]
    names = [
        "model.onnx",
        "model.json",
        "signature.json",
        *(n for n in model.files if n.startswith("native/")),
    ]
    members: dict[str, bytes | Path] = {name: model.path(name) for name in names}
    for member, name in _COPIED.items():
        if name in artifacts and member in artifacts[name].files:
            members[member] = artifacts[name].path(member)
    return members


def _provenance(
    artifacts: Mapping[str, Artifact],
    inputs: Mapping[str, ArtifactRef],
    ctx: Context,
    parity: Mapping[str, Any],
) -> dict[str, Any]:
    return {
        **ctx.shared.get("provenance", {}),
        "artifacts": {name: ref.digest for name, ref in inputs.items()},
        "bessemer": __version__,
        "libraries": {name: installed_version(name) for name in _LIBRARIES},
        "parity": parity,
        **({"contract": dict(artifacts["contract"].meta)} if "contract" in artifacts else {}),
    }


def _json(artifacts: Mapping[str, Artifact], name: str, file: str) -> dict[str, Any]:
    found: dict[str, Any] = artifacts[name].json(file) if name in artifacts else {}
    return found


def _card(
    artifacts: Mapping[str, Artifact],
    signature: Signature,
    parity: Mapping[str, Any],
    ignored: bool,
    ctx: Context,
) -> str:
    return model_card(
        name=ctx.shared["name"],
        version=ctx.shared["version"],
        description=ctx.shared.get("description") or "",
        signature=signature,
        model_json=artifacts["model"].json("model.json"),
        evaluation=_json(artifacts, "evaluation", "evaluation.json"),
        explanations=_json(artifacts, "explanations", "explanations.json"),
        explainer=_json(artifacts, "explainer", "explainer.json"),
        splits=artifacts["splits"].meta,
        parity=parity,
        gates_ignored=ignored,
    )


def file_name(name: str, version: str) -> str:
    """NAME-VERSION.bsm, in characters every system takes.

    >>> file_name("flights to NY", "1.0.0")
    'flights-to-NY-1.0.0.bsm'
    """
    plain = re.sub(r"[^\w.-]+", "-", f"{name}-{version}").strip("-.")
    return f"{plain or 'model'}.bsm"


def _write(members: Mapping[str, bytes | Path], signature: Signature, ctx: Context) -> ArtifactRef:
    name, version = ctx.shared["name"], ctx.shared["version"]
    file = file_name(name, version)
    path = ctx.temporary(file)
    package = write_package(
        path,
        members,
        name=name,
        version=version,
        created=ctx.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
        task=signature.task,
        target=signature.target,
    )
    key = keys.key_id(package.public_key)
    ctx.wrote("signing_key", key)  # the first use makes one
    ctx.note(f"{file}: {package.size:,} bytes, signed by key {key}")
    return ctx.store.put("package", {file: path}, {"name": name, "version": version, "file": file})
