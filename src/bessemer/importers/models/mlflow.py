"""Model folders of MLflow: `MLmodel` says which file in the folder is the model; that file is then read as any other.

https://mlflow.org/docs/latest/ml/model/
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from bessemer.core.errors import did_you_mean
from bessemer.importers.models.foreign import Asked, Foreign, refused
from bessemer.importers.models.mlflow_exported import digest_of, exported
from bessemer.importers.models.refusals import refused_kind
from bessemer.importers.models.trees import reading

if TYPE_CHECKING:
    from bessemer.importers.models.formats import Format

FILE = "MLmodel"
#: Bytes of an MLmodel, whose signature takes some 60 a column, and how deep it may be nested.
_LARGEST, _DEEPEST = 2**18, 30
#: The file that a SavedModel is known by.
_SAVED = "saved_model.pb"
#: Types of a signature's columns that are one value each.
_SINGLE = ("boolean", "integer", "long", "float", "double", "string", "any")


@dataclass(frozen=True)
class Flavour:
    """A library's part of MLmodel.

    keys: what names its file, or the folder that has it; the first one that is there counts.
    fix: lines that save the model in a form without code. within: what its file is called in that folder.
    """

    keys: tuple[str, ...]
    fix: str
    within: tuple[str, ...] = ()


def _loaded(flavour: str, save: str) -> str:
    return f"""where the model was trained, load it yourself and save it:
    import mlflow
    model = mlflow.{flavour}.load_model("FOLDER")
    {save}"""


FLAVOURS: Mapping[str, Flavour] = {
    "lightgbm": Flavour(
        ("data",), _loaded("lightgbm", 'getattr(model, "booster_", model).save_model("model.txt")')
    ),
    "xgboost": Flavour(("data",), _loaded("xgboost", 'model.save_model("model.json")')),
    "catboost": Flavour(
        ("data",), _loaded("catboost", 'model.save_model("model.json", format="json")   # pool=... with categories')
    ),
    "onnx": Flavour(
        ("data",), _loaded("onnx", 'import onnx; onnx.save(model, "model.onnx")   # in one file'), ("model.onnx",)
    ),
    "keras": Flavour(("data",), _loaded("keras", 'model.save("model.keras")'), ("model.keras", f"model/{_SAVED}")),
    "tensorflow": Flavour(
        ("data", "saved_model_dir"), _loaded("tensorflow", 'model.save("model.keras")'),
        ("model.keras", "model.h5", f"model/{_SAVED}", _SAVED),
    ),
    "pytorch": Flavour(
        ("model_data",),
        _loaded("pytorch", 'import torch; torch.jit.save(torch.jit.script(model.eval()), "model.pt")'),
        ("model.pt2", "model.pth"),
    ),
    "sklearn": Flavour(
        ("pickled_model",),
        _loaded("sklearn", 'mlflow.sklearn.save_model(model, "NEW", serialization_format="skops")'),
    ),
}  # fmt: skip


class MLflow:
    """A folder with an `MLmodel`, which says what is in it, one part for each library that can read it."""

    TITLE: ClassVar[str] = "MLflow folder"

    def recognises(self, names: Collection[str]) -> bool:
        return FILE in names

    def read(self, files: Mapping[str, bytes], asked: Asked) -> Foreign:
        with reading(FILE):
            said = _yaml(files[FILE])
            if digest := digest_of(said, files):
                return exported(files, digest, asked)
            name, flavour, part = _flavour(said)
            file = _named(files, name, flavour, part)
            asked = replace(asked, beside=_columns(said))
        foreign = _read(files, name, file, flavour, asked)
        return replace(
            foreign, notes=(f"read from '{file}', the {name} flavour of the folder", *foreign.notes)
        )


def _read(files: Mapping[str, bytes], name: str, file: str, flavour: Flavour, asked: Asked) -> Foreign:
    """The model in a flavour's file, or in the folder of a SavedModel."""
    from bessemer.importers.models.formats import FOLDERS, check_unsaid

    if file.endswith(_SAVED):
        top = file.removesuffix(_SAVED)
        below = {at.removeprefix(top): data for at, data in files.items() if at.startswith(top)}
        return FOLDERS.load("saved_model")().read(below, asked)
    kind, form = _form(name, file, files[file], flavour)
    check_unsaid(kind, file, asked)
    return form.read(files[file], asked)


def _yaml(data: bytes) -> Mapping[str, Any]:
    """What MLmodel says, as texts: nothing in it is made a number, which a long one takes minutes to become, and there
    are no aliases, which unfold to ten times ten times as much."""
    import yaml

    if len(data) > _LARGEST:
        raise refused(
            f"{FILE} has {len(data):,} bytes",
            f"up to {_LARGEST:,} are read",
            "import the model's own file in the folder; --columns names its columns",
        )
    try:
        text = data.decode("utf-8")
        _check_tokens(yaml.scan(text), yaml)
        said = yaml.BaseLoader(text).get_single_data()
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None
    if not isinstance(said, dict) or not isinstance(said.get("flavors"), dict):
        raise ValueError("it names no flavors")
    return said


def _check_tokens(tokens: Iterable[Any], yaml: Any) -> None:
    """Hold a text to what MLflow writes, before a parser builds anything of it.

    Raises:
        FormatError: it has aliases, or is nested too deeply.
    """
    depth = 0
    flows, blocks = (yaml.FlowSequenceStartToken, yaml.FlowMappingStartToken), (yaml.BlockMappingStartToken,)
    opens = (*flows, *blocks, yaml.BlockSequenceStartToken)
    closes = (yaml.FlowSequenceEndToken, yaml.FlowMappingEndToken, yaml.BlockEndToken)
    for token in tokens:
        depth += isinstance(token, opens) - isinstance(token, closes)
        if isinstance(token, yaml.AliasToken) or depth > _DEEPEST:
            raise refused(
                f"{FILE} has aliases, or is nested more than {_DEEPEST} deep", "MLflow writes none such"
            )


def _flavour(said: Mapping[str, Any]) -> tuple[str, Flavour, Mapping[str, Any]]:
    """The first flavour that can be read."""
    flavors = said["flavors"]
    for name, flavour in FLAVOURS.items():
        if isinstance(part := flavors.get(name), dict):
            return name, flavour, part
    function = flavors.get("python_function")
    loader = str(function.get("loader_module", "")) if isinstance(function, dict) else ""
    others = [str(name) for name in flavors if name != "python_function"]
    if not others:
        raise refused(
            f"the folder has a function of Python alone, which '{loader}' loads",
            "reading it runs whatever code its author put there",
            f"save the model itself, by its library; flavours that are read: {', '.join(FLAVOURS)}",
        )
    raise refused(
        f"the flavour {', '.join(others)} of MLflow is not read",
        fix=f"{did_you_mean(others[0], FLAVOURS, limit=40)}; else export the model as ONNX where it was trained, "
        "and import that",
    )


def _named(files: Mapping[str, bytes], name: str, flavour: Flavour, part: Mapping[str, Any]) -> str:
    """The file that a flavour names, or the only one in a folder that it names.

    Raises:
        FormatError: it names none, or one that is not in the folder.
    """
    said = next((part[key] for key in flavour.keys if key in part), None)
    if not isinstance(said, str) or not said:
        keys = "' and no '".join(flavour.keys)
        raise refused(f"the {name} flavour names no file", f"{FILE} has no '{keys}' of it", flavour.fix)
    found = [at for at in (said, *(f"{said}/{one}" for one in flavour.within)) if at in files]
    if not found:
        raise refused(
            f"the {name} flavour names '{said}', which is not in the folder"
            + (f" with any of {', '.join(flavour.within)}" if flavour.within else ""),
            "only files in the folder are read",
            did_you_mean(said, files, limit=40),
        )
    return found[0]


def _form(name: str, file: str, data: bytes, flavour: Flavour) -> tuple[str, Format]:
    """The form of a flavour's file.

    Raises:
        FormatError: it is a pickle, or none that is read.
    """
    from bessemer.importers.models.formats import FORMATS

    head = data[: 2**16] + data[-(2**16) :]  # an archive lists at its end what is in it
    for form in FORMATS:
        if (kind := FORMATS.load(form)()).recognises(head):
            return form, kind
    known = refused_kind(head)
    what, why = (known.title, known.why) if known else ("no form of a model that is read", "")
    raise refused(
        f"the {name} flavour is kept in '{file}', which is {what}: it is refused unopened", why, flavour.fix
    )


def _columns(said: Mapping[str, Any]) -> tuple[str, ...]:
    """The names in the signature; () where it has none, or columns that are no single values."""
    signature = said.get("signature")
    text = signature.get("inputs") if isinstance(signature, dict) else None
    columns = json.loads(text) if isinstance(text, str) else None
    if not isinstance(columns, list) or not all(isinstance(one, dict) for one in columns):
        return ()
    names = [one.get("name") for one in columns if one.get("type") in _SINGLE]
    return tuple(str(name) for name in names) if None not in names and len(names) == len(columns) else ()
