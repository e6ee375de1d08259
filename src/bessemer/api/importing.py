"""Project files of other tools, turned into ours; models of other libraries, turned into packages."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bessemer.api.shorthand import expand
from bessemer.core import project_file
from bessemer.core.errors import EnvironmentFault, Fault, ProjectError, UsageError, did_you_mean
from bessemer.core.store import write_atomic
from bessemer.flow import sections

if TYPE_CHECKING:
    from bessemer.core.run import Run
    from bessemer.core.runner import Sink
    from bessemer.core.signature import Signature
    from bessemer.environments.place import Tell
    from bessemer.importers.findings import Finding
    from bessemer.importers.models.door import Ready


@dataclass(frozen=True)
class Imported:
    """A project file that was written from another tool's, and what could not be kept.

    tool: `ludwig` or `igel`. findings: in the order of the tool's file; those that became something are
    approximate, the others have no counterpart.
    """

    path: Path
    tool: str
    target: str
    findings: tuple[Finding, ...]

    def to_json(self) -> dict[str, Any]:
        from bessemer.importers.findings import plain

        return {
            "project": str(self.path),
            "tool": self.tool,
            "target": self.target,
            "approximate": plain(row for row in self.findings if row.became),
            "without_counterpart": plain(row for row in self.findings if not row.became),
        }


def import_project(
    file: str | Path,
    *,
    tool: str = "",
    data: str = "",
    output: str | Path = project_file.FILE,
    force: bool = False,
) -> Imported:
    """Turn the project file of another tool (Ludwig, igel) into one of ours.

    Args:
        file: Ludwig's config, or igel's file, YAML or JSON.
        tool: `ludwig` or `igel`; found from the file's keys by default.
        data: where the data is, if the tool's file does not say it: a file, folder, glob or URL.
        output: the project file to write.
        force: replace a project file that is there.

    Raises:
        ProjectError: the tool's file cannot be read, has faults, or says nothing that can run here.
        UsageError: a project file is there already, or it is not said where the data is or which tool this is.
    """
    from bessemer.importers.translate import translate

    path = Path(output)
    if path.exists() and not force:
        raise UsageError(f"{path} is there already", fix="give --force to replace it, or --output FILE")
    made = translate(Path(file), tool=tool, data=data, folder=path.parent)
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as trial:
        trial.write(made.text)
        trial.flush()
        try:
            project_file.load(Path(trial.name), sections(), partial(expand, folder=path.parent))
        except ProjectError as error:
            named = (
                "--data" if data and {fault.path for fault in error.faults} == {"data"} else Path(file).name
            )
            raise ProjectError([Fault(f.path, None, f.what, f.fix) for f in error.faults], named) from None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentFault(f"cannot write {path}: {error.strerror}", fix="--output FILE") from None
    write_atomic(path, made.text.encode("utf-8"))
    return Imported(path, made.tool, made.target, made.findings)


@dataclass(frozen=True)
class ImportedModel:
    """A package that was made of another library's model.

    form: what the file was, in words. signature: its columns, its task and its classes.
    lacks: member -> what the package does not say, as nobody has shown it data; {} where data was given.
    project, run: of the flow that judged it, where data was given.
    """

    path: Path
    form: str
    signature: Signature
    notes: tuple[str, ...] = ()
    lacks: Mapping[str, str] = field(default_factory=dict)
    project: Path | None = None
    run: Run | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "package": str(self.path),
            "format": self.form,
            "task": self.signature.task,
            "target": self.signature.target,
            "classes": list(self.signature.classes),
            "inputs": [one.name for one in self.signature.inputs],
            "notes": list(self.notes),
            "lacks": dict(self.lacks),
            **({"project": str(self.project)} if self.project is not None else {}),
            **({"metrics": self.run.metrics} if self.run is not None else {}),
        }


def is_model(file: str | Path) -> bool:
    """Whether a file is a model of another library, by what is in it.

    Raises:
        FormatError: it is one that is refused unopened (a pickle, say); the error says how to convert it.
        UsageError: it cannot be read.
    """
    from bessemer.importers.models.formats import format_of

    return bool(format_of(Path(file)))


def import_model(
    file: str | Path,
    *,
    data: str = "",
    target: str = "",
    name: str = "",
    columns: Iterable[str] = (),
    classes: Iterable[str] = (),
    scores: str = "",
    signature: str | Path = "",
    output: str | Path = "",
    force: bool = False,
    sinks: Iterable[Sink] = (),
) -> ImportedModel:
    """Turn a trained model of another library into a signed package.

    Args:
        file: LightGBM text, XGBoost JSON or UBJSON, CatBoost JSON, skops, safetensors, ONNX, PMML, TorchScript,
            torch.export, Keras; or a folder of TensorFlow's, Keras's, torch's or MLflow's. Found by its content.
        data, target: rows with the model's columns, and the column that it predicts: it is then evaluated, explained
            and profiled by the whole flow, in a project that is written beside the package.
        name: of the package; the file's by default.
        columns, classes: names of its columns and classes, in its order, where its file does not say them.
        scores: what the numbers of an ONNX graph are, where it does not say so: `logits`, `probabilities` or `values`.
        signature: a YAML or JSON file that says all this, images and missing values among it; or a package's own
            `signature.json`.
        output: the package to write; NAME.bsm by default.
        force: replace what is there.
        sinks: told of everything that happens in the flow.

    Raises:
        FormatError: the file is refused, damaged, or holds what has no counterpart.
        UsageError: no model; something is there already; what is asked for does not fit the model.
        ProjectError: the signature has faults, or is of another model.
        BessemerError: what stopped the flow.
    """
    from bessemer.importers.models.assemble import LACKS
    from bessemer.importers.models.door import ready_of
    from bessemer.importers.models.foreign import SCORES
    from bessemer.importers.models.project import check_place, folder_of
    from bessemer.importers.models.signature import read_signature
    from bessemer.importers.models.signed import asked_of, check_agrees

    path, name = Path(file), name or Path(file).name.partition(".")[0] or "model"
    if scores and scores not in SCORES:
        raise UsageError(f"no scores are '{scores}'", fix=did_you_mean(scores, SCORES))
    said = read_signature(Path(signature)) if signature else None
    out, asked = Path(output or f"{name}.bsm"), asked_of(columns, classes, scores, said)
    if said is not None:
        check_agrees("target", target, said.target)
        target = target or said.target
    check_place(out, folder_of(out) if data else None, force=force)
    if bool(data) and not target:
        raise UsageError(
            "--data needs --target, or a signature with one", fix="name the column that the model predicts"
        )
    sinks = list(sinks)
    with _reading(sinks) as tell:
        ready = ready_of(path, name=name, target=target or "target", asked=replace(asked, tell=tell))
    if not data:
        made = ready.write(out)
        return ImportedModel(out, made.title, made.signature, made.notes, LACKS)
    return _judged(ready, out, name=name, data=data, target=target, sinks=sinks)


@contextmanager
def _reading(sinks: Sequence[Sink]) -> Iterator[Tell]:
    """Tells sinks of what is being done while a model is read, where a tool does it: a stage from its first line on."""
    from bessemer.environments.place import INSTALLING

    began: list[float] = []

    def say(kind: str, **data: Any) -> None:
        for sink in sinks:
            sink("import", kind, data)

    def tell(line: str) -> None:
        if not began:
            began.append(time.monotonic())
            say("stage_start", cached=False, does="reads the model")
        if line.startswith(INSTALLING):
            say("note", text=line)
        say("progress", what=line, done=0, total=None)

    yield tell
    if began:
        say("stage_end", status="ran", seconds=time.monotonic() - began[0], why="")


def _judged(
    ready: Ready, out: Path, *, name: str, data: str, target: str, sinks: Iterable[Sink]
) -> ImportedModel:
    """The model given to a project of its own, which the whole flow runs on the data."""
    from bessemer.api.project import Project
    from bessemer.importers.draft import relative
    from bessemer.importers.models.project import GIVEN, folder_of, project_text
    from bessemer.package.read import read_package

    folder = folder_of(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentFault(f"cannot write {folder}: {error.strerror}", fix="--output FILE") from None
    made = ready.write(folder / GIVEN)
    where = relative(data, Path(), folder)
    text = project_text(made.signature, name=name, data=where, target=target, threshold=made.threshold)
    write_atomic(folder / project_file.FILE, text.encode("utf-8"))
    project = Project(folder)
    run = project.run(sinks=sinks)
    assert run.package is not None
    write_atomic(out, run.package.read_bytes())
    signature = read_package(out).signature
    return ImportedModel(out, made.title, signature, made.notes, {}, folder / project_file.FILE, run)
