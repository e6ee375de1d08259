"""The project file: read, check everything, report every fault at once."""

from __future__ import annotations

import json
import types
import typing
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Union

from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    ValidationError,
    ValidationInfo,
    create_model,
    field_validator,
)

from bessemer.core.errors import Fault, ProjectError, did_you_mean
from bessemer.core.literal_secrets import literal_secrets
from bessemer.core.secrets import LITERAL_FOUND
from bessemer.core.spec import Spec
from bessemer.core.yaml_lines import Document, parse

FILE = "bessemer.yaml"


class Resources(Spec):
    """What the run may use of this machine. Results do not depend on it."""

    threads: int | None = Field(None, ge=1, description="Threads; all the processors when left out.")
    memory: str = Field(
        "2GB",
        pattern=r"^[0-9.]+ ?(MB|GB)$",
        description="Memory for SQL before it spills to disk, as 2GB or 500MB.",
    )

    def memory_bytes(self) -> int:
        number, unit = self.memory[:-2], self.memory[-2:]
        return int(float(number) * (2**30 if unit == "GB" else 2**20))


#: What the name of a model may be.
NAME = r"[a-z0-9][a-z0-9_-]{0,63}"
VERSION = r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}"


Task = typing.Literal["binary", "multiclass", "regression"]
#: A network has a head for each target.
MOST_TARGETS = 50


def _targets(value: Any) -> tuple[str, ...]:
    """One target or several, the main one first."""
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list | tuple) or not found or not all(isinstance(one, str) for one in found):
        raise ValueError(
            f"should be a valid string or a list of them, not {value!r}\nwrite a column: target: churned"
        )
    seen: dict[str, str] = {}
    for name in found:
        if name.lower() in seen:
            raise ValueError(f"'{seen[name.lower()]}' is named twice\nname each target once")
        seen[name.lower()] = name
    if len(found) > MOST_TARGETS:
        raise ValueError(f"{len(found)} targets are too many\nname at most {MOST_TARGETS}")
    return tuple(found)


def _tasks(value: Any) -> Any:
    """By target; '' is the main one, where a task stands by itself."""
    if isinstance(value, dict) and "" in value:
        raise ValueError("'' is no target\nname one, as {spend: regression}")
    return value if isinstance(value, dict) else {} if value is None else {"": value}


class TopLevel(Spec):
    """The keys of a project file that belong to no single stage."""

    name: str = Field(
        "",
        pattern=rf"^({NAME})?$",
        description="Name of the model; the folder's name when left out.",
    )
    version: str = Field(
        "1",
        pattern=rf"^{VERSION}$",
        description="Version of the model, part of the package's name.",
    )
    description: str = Field(
        "", max_length=2000, description="A sentence or two for the report and the model card."
    )
    data: str | None = Field(
        None, description="Short for a single source: a file, folder, glob or URL. Use `acquire` for more."
    )
    target: Annotated[tuple[str, ...], BeforeValidator(_targets, json_schema_input_type=str | list[str])] = (
        Field(
            description="The column to predict; or several, the main one first, for a network with a head for each.",
            examples=["churned", ["churned", "spend"]],
        )
    )
    task: Annotated[
        dict[str, Task], BeforeValidator(_tasks, json_schema_input_type=Task | dict[str, Task] | None)
    ] = Field(
        {},
        description="What kind of prediction; inferred from the target when left out. Of several targets the main "
        "one's, or by target: {spend: regression}.",
    )
    seed: int = Field(7, ge=0, lt=2**32, description="Every random choice of a run comes from this number.")
    store: str = Field(
        ".bessemer",
        description="Where artifacts are kept: a folder or an fsspec URL such as s3://bucket/prefix.",
    )
    resources: Resources = Field(Resources(), description="Threads and memory.")

    @field_validator("task")
    @classmethod
    def _of_targets(cls, task: dict[str, Task], info: ValidationInfo) -> dict[str, Task]:
        known = info.data.get("target")
        for name in task:
            if name and known is not None and name not in known:
                raise ValueError(f"'{name}' is no target\n{did_you_mean(name, known)}")
        return task

    @property
    def main(self) -> str:
        """The main target."""
        return self.target[0]

    def shared_targets(self) -> dict[str, Any]:
        """The targets as stages are told of them: `target` and its `task`, and the `further` ones, [name, task] each; a
        task is None where it is to be inferred."""
        own = self.task.get(self.main, self.task.get(""))
        return {
            "target": self.main,
            "task": own,
            "further": [[name, self.task.get(name)] for name in self.target[1:]],
        }


@dataclass(frozen=True)
class ProjectFile:
    """A project file that has been read and is without faults.

    top: the keys that belong to no stage. sections: stage name -> its spec. text: the file as it was read.
    """

    path: Path
    top: TopLevel
    sections: Mapping[str, Any]
    text: str
    document: Document

    @property
    def folder(self) -> Path:
        return self.path.parent

    @property
    def name(self) -> str:
        return self.top.name or _slug(self.folder.name)

    def located(self, error: ProjectError) -> ProjectError:
        """The same faults with the lines of this file filled in."""
        faults = [Fault(f.path, f.line or self.document.line(f.path), f.what, f.fix) for f in error.faults]
        return ProjectError(faults, self.path.name)


def _slug(text: str) -> str:
    kept = "".join(c if c.isascii() and c.isalnum() else "-" for c in text.lower()).strip("-")
    return kept[:64] or "model"


def find(start: Path) -> Path:
    """The project file to use: the one given, the one in the folder given, or the nearest above it.

    Raises:
        ProjectError: there is none.
    """
    if start.is_file():
        return start.resolve()
    for folder in (start.resolve(), *start.resolve().parents):
        if (folder / FILE).is_file():
            return folder / FILE
        if start.suffix in (".yaml", ".yml"):
            break
    what = f"no project file at {start}" if start.suffix else f"no {FILE} in {start.resolve()} or above it"
    raise ProjectError([Fault("", None, what, "bessemer init NAME --data FILE --target COLUMN")], FILE)


def project_model(sections: Mapping[str, type[BaseModel]]) -> type[TopLevel]:
    """The pydantic model of a whole project file: the top level and a key for each section."""
    fields: dict[str, Any] = {
        name: (
            Annotated[spec, Field(description=((spec.__doc__ or name).strip().splitlines() or [name])[0])],
            Field(default_factory=spec),
        )
        for name, spec in sections.items()
    }
    with warnings.catch_warnings():
        # A section may be called as one of pydantic's old methods (`validate`); nobody calls those here.
        warnings.filterwarnings("ignore", message="Field name .* shadows an attribute", category=UserWarning)
        return create_model("Project", __base__=TopLevel, **fields)


def load(
    path: Path,
    sections: Mapping[str, type[BaseModel]],
    expand: Callable[[dict[str, Any]], list[Fault]] = lambda value: [],
) -> ProjectFile:
    """Read and check a project file.

    Args:
        path: of the file.
        sections: the stages' keys and specs.
        expand: turns shorthands into what they stand for, in place; gives the faults it finds.

    Raises:
        ProjectError: with every fault of the file.
    """
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise ProjectError(
            [Fault("", None, f"not UTF-8 text: {error.reason}", "save it as UTF-8")], path.name
        ) from None
    except OSError as error:
        raise ProjectError([Fault("", None, f"cannot read {path}: {error.strerror}")], path.name) from None
    document = parse(text)
    value = document.value
    faults = list(document.faults)
    if not faults and not isinstance(value, dict):
        faults.append(
            Fault("", None, "the file is empty" if value is None else "not a mapping of keys", _SMALLEST)
        )
    if faults:
        raise ProjectError(faults, path.name)
    value = {
        k: v for k, v in value.items() if not (v is None and k in sections)
    }  # `report:` alone means defaults
    secrets = literal_secrets(document, text)
    faults += [*secrets, *expand(value)]
    model = project_model(sections)
    try:
        project = model.model_validate_json(json.dumps(value))
    except ValidationError as error:
        told = {_last(fault) for fault in secrets}  # with more of what to do
        faults += [f for f in faults_of(error, model) if f.what != LITERAL_FOUND or _last(f) not in told]
    if faults:
        unique = {(f.path, f.what): f for f in faults}
        located = [Fault(f.path, f.line or document.line(f.path), f.what, f.fix) for f in unique.values()]
        raise ProjectError(sorted(located, key=lambda f: (f.line or 0, f.path)), path.name)
    parts = {name: getattr(project, name) for name in sections}
    return ProjectFile(path, project, parts, text, document)


_SMALLEST = "the smallest project file is two lines: `data: FILE` and `target: COLUMN`"


def _last(fault: Fault) -> str:
    return fault.path.rpartition(".")[2]


# pydantic's errors in our words ----------------------------------------------------------------------
def faults_of(error: ValidationError, model: type[BaseModel]) -> list[Fault]:
    """The faults that pydantic found, in our words, without their lines."""
    found = []
    for item in error.errors(include_url=False):
        path, known = _walk(model, item["loc"])
        found.append(_fault(path, item, known))
    return found


def _fault(path: str, item: Any, known: list[str]) -> Fault:
    kind, last = item["type"], str(item["loc"][-1]) if item["loc"] else ""
    given = item.get("input")
    if kind == "extra_forbidden":
        return Fault(path, None, f"unknown key '{last}'", did_you_mean(last, known))
    if kind == "missing":
        fix = f"add `{last}: ...`" if last != "target" else "add `target: COLUMN`, the column to predict"
        return Fault(path, None, f"'{last}' is missing", fix)
    message = item["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    message = message.replace("Input should be", "should be")
    shown = "" if isinstance(given, dict | list) or repr(given) in message else f", not {given!r}"
    if kind == "literal_error" and isinstance(given, str):
        options = [o.strip().strip("'") for o in item["ctx"]["expected"].replace(" or ", ", ").split(",")]
        return Fault(path, None, f"{message}{shown}", did_you_mean(given, options))
    if kind == "value_error":
        what, _, fix = message.partition("\n")
        return Fault(path, None, what, fix.strip())
    if kind.endswith("_type") and isinstance(given, str) and kind != "string_type":
        return Fault(path, None, f"{message}{shown}", "write it without quotes")
    return Fault(path, None, f"{message}{shown}")


def _walk(model: type[BaseModel], loc: tuple[int | str, ...]) -> tuple[str, list[str]]:
    """The dotted path of an error without pydantic's union tags, and the keys known where it happened."""
    models: list[Any] = [model]
    path: list[str] = []
    for step in loc:
        following: list[Any] = []
        for candidate in models:
            following += _step(candidate, step)
        if following or _holds(models, step):
            path.append(str(step))
            models = following or models
        elif step == loc[-1] and not _is_tag(step):
            path.append(str(step))
    known = sorted({name for m in models if _is_model(m) for name in m.model_fields})
    return ".".join(filter(None, path)), known


def _is_tag(step: int | str) -> bool:
    return isinstance(step, str) and (
        step in {"str", "int", "float", "bool", "none"} or any(c in step for c in "[(- ")
    )


def _holds(models: Iterable[Any], step: int | str) -> bool:
    return any(_is_model(m) and step in m.model_fields for m in models)


def _is_model(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, BaseModel)


def _step(annotation: Any, step: int | str) -> list[Any]:
    """The annotations reached from `annotation` by one step of a path."""
    if _is_model(annotation):
        field = annotation.model_fields.get(str(step))
        return _leaves(field.annotation) if field else []
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (dict, Mapping) or (isinstance(origin, type) and issubclass(origin, Mapping)):
        return _leaves(args[1]) if len(args) == 2 else []
    if origin in (list, tuple, set, frozenset) and isinstance(step, int):
        return _leaves(args[0]) if args else []
    return []


def _leaves(annotation: Any) -> list[Any]:
    """An annotation with unions and Annotated taken apart."""
    origin = typing.get_origin(annotation)
    if origin is Annotated:
        return _leaves(typing.get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return [leaf for part in typing.get_args(annotation) for leaf in _leaves(part)]
    return [annotation]


def json_schema(sections: Mapping[str, type[BaseModel]]) -> dict[str, Any]:
    """The JSON Schema of the project file (draft 2020-12), for editors."""
    schema = project_model(sections).model_json_schema(mode="validation")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Bessemer project file",
        **{k: v for k, v in schema.items() if k != "title"},
    }
