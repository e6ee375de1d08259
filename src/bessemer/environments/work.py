"""Having something done in an environment: a question and arrays go in, an answer and arrays come out, all as files."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np

from bessemer.environments.errors import ToolError
from bessemer.environments.place import Environment, Tell
from bessemer.environments.tools import run_tool


@dataclass(frozen=True)
class Work:
    """What a worker answered. said: JSON. arrays: by name."""

    said: dict[str, Any]
    arrays: dict[str, np.ndarray]


def work(
    environment: Environment,
    worker: str,
    question: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray] | None = None,
    *,
    tell: Tell = lambda line: None,
    environ: Mapping[str, str] | None = None,
    seconds: float = 3600,
) -> Work:
    """Run `workers/WORKER` in an environment, which is made first where it is not there.

    The script's only argument is a folder with `question.json` and `NAME.npy` a given array; it leaves `answer.json`
    and its own `out_NAME.npy` there. Lines that it prints after `progress: ` are told.

    Args:
        worker: a file of `bessemer.environments.workers`.
        question: JSON; paths in it are absolute. arrays: numbers.
        seconds: it is ended after them, with all that it started.

    Raises:
        ToolError: the environment cannot be made, or the worker failed (ToolEnded: see `run_tool`).
    """
    environment.ensure(tell)
    own = {**_python(environment), **(environ or {})}
    return _done(environment.program, worker, question, arrays or {}, tell, own, seconds)


def work_here(worker: str, question: Mapping[str, Any], *, tell: Tell = lambda line: None) -> Work:
    """The same by the Python that this process runs in: for what is not to happen to the process itself.

    Raises:
        ToolError: the worker failed.
    """
    return _done(Path(sys.executable), worker, question, {}, tell, {"PYTHONDONTWRITEBYTECODE": "1"})


def _done(
    program: Path,
    worker: str,
    question: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray],
    tell: Tell,
    environ: Mapping[str, str],
    seconds: float = 3600,
) -> Work:
    with tempfile.TemporaryDirectory(prefix="bessemer-work-") as place:
        folder = Path(place)
        (folder / "question.json").write_text(json.dumps(question), encoding="utf-8")
        for name, array in arrays.items():
            np.save(folder / f"{name}.npy", array, allow_pickle=False)
        with as_file(files("bessemer.environments.workers").joinpath(worker)) as script:
            run_tool(
                [str(program), str(script), str(folder)],
                folder=folder,
                tell=lambda line: tell(line[10:]) if line.startswith("progress: ") else None,
                environ=environ,
                seconds=seconds,
            )
        return _answer(folder, worker)


def _python(environment: Environment) -> dict[str, str]:
    """What is compiled stays in the environment: importing TensorFlow takes a third of the time then, and no file
    appears beside the workers. What its user has set up for a Keras of their own is not for this one."""
    return {
        "PYTHONDONTWRITEBYTECODE": "",
        "PYTHONNOUSERSITE": "1",
        "PYTHONPYCACHEPREFIX": str(environment.folder / "pycache"),
        "KERAS_BACKEND": "tensorflow",
        "KERAS_HOME": str(environment.folder / "keras"),
        "TF_USE_LEGACY_KERAS": "0",
    }


def _answer(folder: Path, worker: str) -> Work:
    try:
        said = json.loads((folder / "answer.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ToolError(f"the worker '{worker}' gave no answer", why=str(error)) from None
    found = sorted(folder.glob("out_*.npy"))
    return Work(said, {path.stem[4:]: np.load(path, allow_pickle=False) for path in found})
