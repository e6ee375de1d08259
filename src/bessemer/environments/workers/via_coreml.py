"""coremltools: converts a recorded core. It cannot be run here: only Apple's systems can."""

import io
import json
import shutil
import uuid
import warnings
from pathlib import Path

from asked import main

warnings.simplefilter("ignore")

#: When and by what it was made: another text each day.
_DRAWN = ("com.github.apple.coremltools.conversion_date", "com.github.apple.coremltools.source")


def write(graph, out, asked, folder):
    import coremltools as ct
    import torch
    from coremltools.converters.mil.frontend.torch.torch_op_registry import register_torch_op

    @register_torch_op
    def alias(context, node):
        context.add(context[node.inputs[0]], node.name)

    program = torch.export.load(io.BytesIO(graph)).run_decompositions({})
    model = ct.convert(
        program,
        source="pytorch",
        convert_to="mlprogram",
        compute_precision=ct.precision.FLOAT32,
        minimum_deployment_target=ct.target.iOS17,
        outputs=[ct.TensorType(name=name) for name in asked["names"]],
        skip_model_load=True,
    )
    spec = model.get_spec()
    ct.utils.rename_feature(spec, spec.description.input[0].name, "encoded")
    for name in _DRAWN:
        spec.description.metadata.userDefined.pop(name, None)
    made = folder / "core.mlpackage"
    ct.models.MLModel(spec, weights_dir=model.weights_dir, skip_model_load=True).save(str(made))
    _settle(made, spec)
    shutil.copytree(made, out / "core.mlpackage")


def _settle(made, spec):
    """The same bytes each time: maps in the order of their keys, and the names that are drawn for the parts of a
    package made of what the parts are."""
    for path in made.rglob("*.mlmodel"):
        content = type(spec).FromString(path.read_bytes())
        path.write_bytes(content.SerializeToString(deterministic=True))
    path = Path(made, "Manifest.json")
    told = json.loads(path.read_text(encoding="utf-8"))
    parts = told["itemInfoEntries"]
    names = {old: str(uuid.uuid5(uuid.NAMESPACE_URL, part["path"])).upper() for old, part in parts.items()}
    told["itemInfoEntries"] = {names[old]: part for old, part in parts.items()}
    told["rootModelIdentifier"] = names[told["rootModelIdentifier"]]
    path.write_text(json.dumps(told, indent=4, sort_keys=True), encoding="utf-8")


def load(out, asked):
    raise SystemExit("Core ML runs on Apple's systems")


if __name__ == "__main__":
    main(write, load)
